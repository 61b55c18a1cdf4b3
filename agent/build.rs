//! Embeds the kernel object that `cargo xtask ebpf` made, or an empty one where there is none.
//!
//! A bare `cargo build`, `test` or `clippy` so needs no bpf-linker; loading an empty object fails
//! with an error that says what to do.

use std::{env, error::Error, fs, path::PathBuf};

const OBJECTS: [&str; 2] = ["lynceus.bpf.o", "lynceus-log.bpf.o"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_HOST").is_none() {
        return Ok(());
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets it")?);
    let machine = env::var_os("CARGO_CFG_TARGET_ARCH").ok_or("cargo sets it")?;
    for name in OBJECTS {
        let object = here.join("../target/ebpf").join(&machine).join(name);
        println!("cargo::rerun-if-changed={}", object.display());
        let bytes = fs::read(&object).unwrap_or_default();
        if bytes.is_empty() {
            println!("cargo::warning=no {}: run `cargo xtask ebpf` first", object.display());
        }
        fs::write(out.join(name), bytes)?;
    }
    Ok(())
}
