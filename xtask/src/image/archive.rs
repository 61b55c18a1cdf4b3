//! An image in one file, as an OCI layout and as what `docker save` writes, over the same blobs.

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType};

use super::Image;
use super::layer::{self, Layer};

const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// No time of building: the same files are the same image.
const CREATED: &str = "1970-01-01T00:00:00Z";

pub(super) fn write(image: &Image, layer: &Layer) -> Result<Vec<u8>> {
    let configuration = configuration(image, layer).to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIGURATION, &configuration),
        "layers": [descriptor(LAYER, &layer.compressed)],
    });
    let manifest = manifest.to_string().into_bytes();
    let (_, tag) = image.name.rsplit_once(':').context("finding the tag in the image's name")?;
    let mut named = descriptor(MANIFEST, &manifest);
    if let Some(named) = named.as_object_mut() {
        let names = json!({
            "io.containerd.image.name": image.name,
            "org.opencontainers.image.ref.name": tag,
        });
        named.insert("annotations".to_owned(), names);
    }
    let index = json!({ "schemaVersion": 2, "manifests": [named] });
    let for_docker = json!([{
        "Config": blob(&configuration),
        "RepoTags": [image.name],
        "Layers": [blob(&layer.compressed)],
    }]);
    let mut blobs = [configuration.as_slice(), &manifest, &layer.compressed]
        .map(|content| (blob(content), content));
    blobs.sort();
    let mut tar = Builder::new(Vec::new());
    let mut append = |path: &str, content: &[u8]| {
        layer::append(&mut tar, path, EntryType::Regular, 0o644, content)
    };
    append("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    append("index.json", index.to_string().as_bytes())?;
    append("manifest.json", for_docker.to_string().as_bytes())?;
    for (path, content) in blobs {
        append(&path, content)?;
    }
    tar.into_inner().context("ending the image's archive")
}

fn configuration(image: &Image, layer: &Layer) -> Value {
    let labels: Map<String, Value> =
        image.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut configuration = json!({
        "created": CREATED,
        "architecture": image.arch.name(),
        "os": "linux",
        "config": {
            "Entrypoint": image.entrypoint,
            "Cmd": image.command,
            "Env": image.environment,
            "Labels": labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer.unpacked)] },
        "history": [{ "created": CREATED, "created_by": "cargo xtask image" }],
    });
    if let (Some(variant), Some(members)) = (image.arch.variant(), configuration.as_object_mut()) {
        members.insert("variant".to_owned(), json!(variant));
    }
    configuration
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(content), "size": content.len() })
}

fn digest(content: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(content))
}

/// Where a blob is in the archive.
fn blob(content: &[u8]) -> String {
    format!("blobs/{}", digest(content).replace(':', "/"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;

    use super::*;
    use crate::arch::Arch;

    #[test]
    fn every_blob_is_there_under_its_digest_for_both_formats() {
        let entry = layer::Entry::Directory { path: "/tmp".into(), mode: 0o1777 };
        let layer = layer::write(&[entry]).unwrap();
        let image = Image { name: "localhost/a:1".into(), ..Image::default() };
        let bytes = write(&image, &layer).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let members = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (path, content)
        });
        let members: BTreeMap<String, Vec<u8>> = members.collect();
        for (path, content) in members.iter().filter(|(path, _)| path.starts_with("blobs/")) {
            assert_eq!(*path, blob(content));
        }
        let read = |path: &str| serde_json::from_slice::<Value>(&members[path]).unwrap();
        let docker = &read("manifest.json")[0];
        assert_eq!(docker["RepoTags"], json!(["localhost/a:1"]));
        let layer_path = docker["Layers"][0].as_str().unwrap();
        assert_eq!(members[layer_path], layer.compressed);
        let manifest = read("index.json")["manifests"][0]["digest"].clone();
        let manifest = read(&format!("blobs/{}", manifest.as_str().unwrap().replace(':', "/")));
        let configuration = manifest["config"]["digest"].as_str().unwrap().replace(':', "/");
        assert_eq!(docker["Config"], json!(format!("blobs/{configuration}")));
        let configuration = read(&format!("blobs/{configuration}"));
        assert_eq!(configuration["rootfs"]["diff_ids"], json!([digest(&layer.unpacked)]));
    }

    #[test]
    fn an_image_says_which_processor_it_is_for() {
        let layer = layer::write(&[]).unwrap();
        let check = |arch, name: &str, variant: Option<&str>| {
            let configuration = configuration(&Image { arch, ..Image::default() }, &layer);
            assert_eq!(configuration["architecture"], json!(name));
            assert_eq!(configuration.get("variant").and_then(Value::as_str), variant);
        };
        check(Arch::Amd64, "amd64", None);
        check(Arch::Arm64, "arm64", Some("v8"));
    }
}
