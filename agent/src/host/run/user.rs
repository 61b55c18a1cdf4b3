//! As whom the command runs.
//!
//! Under `sudo` it is the user who called sudo: tracing needs rights, the command does not. Users
//! and groups are read from /etc/passwd and /etc/group: the C library's look-ups load modules,
//! which a static binary cannot.

use std::{fs, io, path::PathBuf};

use nix::unistd::{Gid, Uid};

use crate::host::config;

#[derive(Debug, thiserror::Error)]
pub(super) enum UserError {
    #[error("there is no user {0:?} in /etc/passwd")]
    User(String),
    #[error("there is no group {0:?} in /etc/group")]
    Group(String),
    #[error("only root can run a command as another user")]
    NotRoot,
    #[error("reading {path}")]
    Read { path: PathBuf, source: io::Error },
}

/// Who to become, and what `login` would tell the command about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    pub(super) groups: Vec<Gid>,
    pub(super) variables: Vec<(&'static str, String)>,
}

/// Whom the option or sudo names; `None` to stay who we are.
pub(super) fn wanted(option: Option<&str>) -> Result<Option<Identity>, UserError> {
    let is_root = Uid::effective().is_root();
    let sudo = || {
        let uid = config::process_environment("SUDO_UID").filter(|_| is_root)?;
        match config::process_environment("SUDO_GID") {
            Some(gid) => Some(format!("{uid}:{gid}")),
            None => Some(uid),
        }
    };
    let Some(user) = option.map(str::to_owned).or_else(sudo) else { return Ok(None) };
    let found = find(&user, &read("/etc/passwd")?, &read("/etc/group")?)?;
    if found.uid == Uid::effective() {
        return Ok(None);
    }
    if is_root { Ok(Some(found)) } else { Err(UserError::NotRoot) }
}

fn read(path: &str) -> Result<String, UserError> {
    let bytes =
        fs::read(path).map_err(|source| UserError::Read { path: PathBuf::from(path), source })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `USER[:GROUP]`, each a name or a number. passwd(5), group(5).
fn find(wanted: &str, passwd: &str, group: &str) -> Result<Identity, UserError> {
    let (user, wanted_group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let entry = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&user) || fields.get(2) == Some(&user));
    let number = |text: Option<&&str>| text.and_then(|text| text.parse::<u32>().ok());
    let (uid, own_gid, name, home, shell) = match &entry {
        Some(fields) => (
            number(fields.get(2)).ok_or_else(|| UserError::User(user.to_owned()))?,
            number(fields.get(3)).unwrap_or_default(),
            fields.first().copied().unwrap_or_default(),
            fields.get(5).copied(),
            fields.get(6).copied(),
        ),
        // A number needs no entry, as with setpriv and containers.
        None => {
            let uid = user.parse().ok().ok_or_else(|| UserError::User(user.to_owned()))?;
            (uid, uid, user, None, None)
        }
    };
    let gid = match wanted_group {
        None => own_gid,
        Some(wanted) => group
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.first() == Some(&wanted))
            .and_then(|fields| number(fields.get(2)))
            .or_else(|| wanted.parse().ok())
            .ok_or_else(|| UserError::Group(wanted.to_owned()))?,
    };
    let member = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let is = fields.get(3).is_some_and(|members| members.split(',').any(|one| one == name));
        number(fields.get(2)).filter(|_| is && entry.is_some())
    };
    let mut groups = vec![Gid::from_raw(gid)];
    groups.extend(group.lines().filter_map(member).filter(|one| *one != gid).map(Gid::from_raw));
    let variables =
        [("USER", Some(name)), ("LOGNAME", Some(name)), ("HOME", home), ("SHELL", shell)];
    let variables = variables.into_iter();
    let variables = variables.filter_map(|(key, value)| Some((key, value?.to_owned()))).collect();
    Ok(Identity { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), groups, variables })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\nann:x:1000:1001:,,:/home/ann:/bin/zsh\n";
    const GROUP: &str = "root:x:0:\nann:x:1001:\ndocker:x:998:bob,ann\nadm:x:4:anna\n";

    #[test]
    fn users_and_groups_are_found_by_name_and_number() {
        let check = |wanted: &str, expected: Option<(u32, &[u32])>| {
            let found = find(wanted, PASSWD, GROUP).ok();
            let found = found.as_ref().map(|found| {
                (found.uid.as_raw(), found.groups.iter().map(|gid| gid.as_raw()).collect())
            });
            let expected = expected.map(|(uid, groups)| (uid, groups.to_vec()));
            assert_eq!(found, expected, "{wanted}");
        };
        check("ann", Some((1000, &[1001, 998])));
        check("1000", Some((1000, &[1001, 998])));
        check("ann:docker", Some((1000, &[998])));
        check("4711", Some((4711, &[4711])));
        check("4711:12", Some((4711, &[12])));
        check("nobody-known", None);
        check("ann:nothing", None);
        check("", None);
    }

    #[test]
    fn the_command_is_told_who_it_is() {
        let found = find("ann", PASSWD, GROUP).unwrap();
        assert!(found.variables.contains(&("HOME", "/home/ann".to_owned())));
        assert!(found.variables.contains(&("SHELL", "/bin/zsh".to_owned())));
    }
}
