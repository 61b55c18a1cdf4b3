//! Debian packages of any release, fetched and unpacked privately: no root, nothing installed.
//!
//! The archive's address and its keyring are read from the system's own apt sources; the lists,
//! the cache and the (empty) package database are ours, so the system's state is not touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::arch::Arch;
use crate::missing::Missing;
use crate::{cache, command, paths};

const LIMIT: Duration = Duration::from_secs(600);

/// An archive as the system's sources name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Archive {
    /// The release that is installed here.
    pub(crate) suite: String,
    uri: String,
    signed_by: Option<String>,
}

impl Archive {
    /// The archive from which this system itself was installed.
    pub(crate) fn of_this_system() -> Result<Self> {
        if paths::program("apt-get").is_none() || paths::program("dpkg-deb").is_none() {
            bail!(Missing::new("a Debian system (apt-get and dpkg-deb are not in PATH)"));
        }
        let release = fs::read_to_string("/etc/os-release").context("reading /etc/os-release")?;
        let codename = release
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
            .ok_or_else(|| Missing::new("a Debian release (none is named in /etc/os-release)"))?
            .trim_matches('"')
            .to_owned();
        let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
        if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
            files.extend(entries.filter_map(|entry| Some(entry.ok()?.path())));
        }
        files.sort();
        let found = files.iter().find_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            match file.extension()?.to_str()? {
                "list" => from_list(&text, &codename),
                "sources" => from_deb822(&text, &codename),
                _ => None,
            }
        });
        let what = || Missing::new(format!("an archive of Debian {codename} in /etc/apt"));
        Ok(found.ok_or_else(what)?)
    }
}

/// One line a source: `deb [signed-by=...] URI SUITE COMPONENT...`.
fn from_list(text: &str, codename: &str) -> Option<Archive> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix("deb ")?.trim();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace();
        let uri = words.next()?.to_owned();
        if words.next()? != codename || !words.any(|component| component == "main") {
            return None;
        }
        let signed_by = options.split_whitespace().find_map(|o| o.strip_prefix("signed-by="));
        Some(Archive { suite: codename.to_owned(), uri, signed_by: signed_by.map(str::to_owned) })
    })
}

/// One paragraph a source, `Field: value` lines.
fn from_deb822(text: &str, codename: &str) -> Option<Archive> {
    text.split("\n\n").find_map(|paragraph| {
        let field = |name: &str| {
            paragraph.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let has = |name, word| field(name)?.split_whitespace().find(|each| *each == word);
        has("Types", "deb")?;
        has("Suites", codename)?;
        has("Components", "main")?;
        let uri = field("URIs")?.split_whitespace().next()?.to_owned();
        // A key may also stand in the field itself; only a path is one we can pass on.
        let signed_by = field("Signed-By").filter(|value| value.starts_with('/'));
        Some(Archive { suite: codename.to_owned(), uri, signed_by: signed_by.map(str::to_owned) })
    })
}

/// Private apt state over some suites of the system's archive.
#[derive(Debug)]
pub(crate) struct Private {
    name: String,
    directory: PathBuf,
    _lock: cache::Lock,
}

impl Private {
    /// Makes the state and fetches the suites' lists. `name` also names the log.
    pub(crate) fn open(archive: &Archive, name: &str, suites: &[&str]) -> Result<Self> {
        Self::open_for(Arch::OWN, archive, name, suites)
    }

    /// As [`Private::open`], with the packages for machines of that processor.
    pub(crate) fn open_for(
        arch: Arch,
        archive: &Archive,
        name: &str,
        suites: &[&str],
    ) -> Result<Self> {
        let lock = cache::lock(&format!("apt-{name}"))?;
        let directory = cache::root()?.join("apt").join(name);
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = directory.join(part);
            fs::create_dir_all(&part).with_context(|| format!("making {}", part.display()))?;
        }
        let option = match &archive.signed_by {
            Some(keyring) => format!("[signed-by={keyring}] "),
            None => String::new(),
        };
        let sources: String = suites
            .iter()
            .map(|suite| format!("deb {option}{} {suite} main\n", archive.uri))
            .collect();
        let write = |file: &str, text: &str| {
            let path = directory.join(file);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        write("sources.list", &sources)?;
        write("status", "")?;
        write("apt.conf", &configuration(&directory, arch))?;
        let private = Self { name: name.to_owned(), directory, _lock: lock };
        private.get(&["update"], "update", &private.directory)?;
        Ok(private)
    }

    /// The names of real packages that match an extended regular expression.
    pub(crate) fn names(&self, expression: &str) -> Result<Vec<String>> {
        let mut search = Command::new("apt-cache");
        search.arg("-c").arg(self.directory.join("apt.conf"));
        let output = command::output(search.args(["search", "--names-only", expression]))?;
        Ok(output.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
    }

    /// Downloads packages alone, without what they depend on, and unpacks them into `root`.
    ///
    /// A package may carry a version: `name=1.2*`.
    pub(crate) fn unpack(&self, packages: &[&str], root: &Path) -> Result<()> {
        let downloads = tempfile::tempdir_in(&self.directory).context("making a directory")?;
        let arguments: Vec<&str> =
            ["download"].into_iter().chain(packages.iter().copied()).collect();
        self.get(&arguments, "download", downloads.path())?;
        unpack_all(downloads.path(), root)
    }

    /// Downloads packages of `suite` with all that they depend on and unpacks everything.
    pub(crate) fn unpack_closure(&self, packages: &[&str], suite: &str, root: &Path) -> Result<()> {
        let mut arguments = vec!["install", "--download-only", "--yes", "-t", suite];
        arguments.extend(packages);
        self.get(&arguments, "install", &self.directory)?;
        unpack_all(&self.directory.join("cache/archives"), root)
    }

    fn get(&self, arguments: &[&str], verb: &str, directory: &Path) -> Result<()> {
        let mut get = Command::new("apt-get");
        get.arg("-c").arg(self.directory.join("apt.conf")).arg("-q").args(arguments);
        get.current_dir(directory);
        command::checked(&mut get, &format!("apt-{}-{verb}", self.name), LIMIT)?;
        Ok(())
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Lists and packages are of no more use, and stale the next time.
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Read after the system's configuration, so that the system's hooks can be cleared.
fn configuration(directory: &Path, arch: Arch) -> String {
    format!(
        r#"Dir::Etc::sourcelist "{0}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "{0}";
Dir::State::lists "{0}/lists";
Dir::State::status "{0}/status";
Dir::Cache "{0}/cache";
// An ordinary user runs this: no locks of the system, no change of user.
Debug::NoLocking "1";
APT::Sandbox::User "root";
#clear APT::Architectures;
APT::Architecture "{arch}";
APT::Architectures "{arch}";
APT::Install-Recommends "false";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Install-Pkgs;
#clear DPkg::Post-Invoke;
"#,
        directory.display()
    )
}

fn unpack_all(packages: &Path, root: &Path) -> Result<()> {
    let entries =
        fs::read_dir(packages).with_context(|| format!("listing {}", packages.display()))?;
    for entry in entries {
        let package = entry.context("listing downloaded packages")?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            command::output(Command::new("dpkg-deb").arg("-x").arg(&package).arg(root))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_read_from_both_formats_of_sources() {
        let list = "# a comment\ndeb [arch=amd64 signed-by=/k.gpg] http://a.example/debian sid main\n\
                    deb http://b.example/debian bookworm main contrib\n";
        let plain = |uri: &str, key: Option<&str>| {
            let signed_by = key.map(str::to_owned);
            Some(Archive { suite: "bookworm".into(), uri: uri.into(), signed_by })
        };
        assert_eq!(from_list(list, "bookworm"), plain("http://b.example/debian", None));
        let sid = plain("http://a.example/debian", Some("/k.gpg"));
        assert_eq!(from_list(list, "sid"), sid.map(|sid| Archive { suite: "sid".into(), ..sid }));
        assert_eq!(from_list(list, "trixie"), None);
        let deb822 = "Types: deb\nURIs: http://s.example/security\nSuites: bookworm-security\n\
                      Components: main\n\nTypes: deb deb-src\n# note\nURIs: http://c.example/debian\n\
                      Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /c.gpg\n";
        assert_eq!(
            from_deb822(deb822, "bookworm"),
            plain("http://c.example/debian", Some("/c.gpg"))
        );
        assert_eq!(from_deb822(deb822, "sid"), None);
    }
}
