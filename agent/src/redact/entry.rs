//! Which programs have rules of their own or call other programs.

use super::program::{
    BW, CARGO, CONFIG, CQLSH, CURL, DB2, GH, HTPASSWD, HTTPIE, IPMI, JQ, KEYGEN, KUBECTL, LDAP,
    LFTP, LOAD, LOGIN, MC, MONGO, MYSQL, NGROK, NMCLI, NONE, OPENSSL, ORACLE, RABBITMQCTL, RDP,
    REDIS, SEVEN_ZIP, SMB, SNMP, SQLCMD, SSHPASS, TWINE, Tool, USERADD, VAULT, WGET, ZIP,
};

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    name: &'static str,
    pub(super) tool: &'static Tool,
    pub(super) role: Role,
}

/// How the program calls another one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Role {
    Tool,
    /// `sudo -u root program`: the options in `values` take an argument, `skip` words come first.
    Wrapper {
        values: &'static str,
        skip: usize,
    },
    /// `sh -c script`
    Shell,
    /// `python script.py`, `python -c code`
    Interpreter {
        values: &'static str,
    },
    /// The program comes after one of these words.
    After(&'static [&'static str]),
    /// `docker exec -it name program`: the options are too many to know.
    Container,
}

impl Entry {
    /// Found among words that may be names of anything, it is worth the doubt.
    pub(super) fn has_rules(self) -> bool {
        match self.role {
            Role::Shell | Role::Interpreter { .. } => true,
            Role::Tool | Role::Wrapper { .. } | Role::After(_) | Role::Container => {
                !self.tool.is_empty()
            }
        }
    }
}

/// By the base name of the executable, with or without a version: `python3.11`, `-bash`.
pub(super) fn find(program: &str) -> Option<Entry> {
    let name = program.rsplit(['/', '\\']).next()?;
    let name = name.strip_prefix('-').unwrap_or(name);
    let name = name.strip_suffix(".exe").unwrap_or(name);
    exact(name).or_else(|| {
        let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
        if bare.len() == name.len() { None } else { exact(bare) }
    })
}

fn exact(name: &str) -> Option<Entry> {
    let place = ENTRIES.binary_search_by_key(&name, |entry| entry.name).ok()?;
    ENTRIES.get(place).copied()
}

const fn tool(name: &'static str, tool: &'static Tool) -> Entry {
    Entry { name, tool, role: Role::Tool }
}

const fn wrapper(name: &'static str, values: &'static str, skip: usize) -> Entry {
    Entry { name, tool: &NONE, role: Role::Wrapper { values, skip } }
}

const fn shell(name: &'static str) -> Entry {
    Entry { name, tool: &NONE, role: Role::Shell }
}

const fn interpreter(name: &'static str, values: &'static str) -> Entry {
    Entry { name, tool: &NONE, role: Role::Interpreter { values } }
}

const fn container(name: &'static str, tool: &'static Tool) -> Entry {
    Entry { name, tool, role: Role::Container }
}

const fn after(name: &'static str, words: &'static [&'static str]) -> Entry {
    Entry { name, tool: &NONE, role: Role::After(words) }
}

/// In the order of their names, for the search.
static ENTRIES: &[Entry] = &[
    wrapper("!", "", 0),
    tool("7z", &SEVEN_ZIP),
    tool("7za", &SEVEN_ZIP),
    tool("7zr", &SEVEN_ZIP),
    tool("7zz", &SEVEN_ZIP),
    tool("ab", &LOAD),
    tool("argocd", &LOGIN),
    after("argoexec", &["--", "--args"]),
    tool("aria2c", &WGET),
    shell("ash"),
    tool("aws", &CONFIG),
    tool("az", &LOGIN),
    tool("bao", &VAULT),
    shell("bash"),
    tool("bcp", &SQLCMD),
    tool("beeline", &CQLSH),
    container("buildah", &LOGIN),
    wrapper("builtin", "", 0),
    wrapper("busybox", "", 0),
    tool("bw", &BW),
    wrapper("caffeinate", "", 0),
    tool("cargo", &CARGO),
    wrapper("catchsegv", "", 0),
    after("cgexec", &["--", "--args"]),
    wrapper("chpst", "uUbemdoplfcrtnP", 0),
    wrapper("chroot", "", 1),
    wrapper("command", "", 0),
    tool("composer", &CONFIG),
    tool("conda", &CONFIG),
    tool("cqlsh", &CQLSH),
    tool("crackmapexec", &CQLSH),
    tool("crane", &LOGIN),
    container("crictl", &NONE),
    tool("curl", &CURL),
    tool("curlie", &CURL),
    tool("cypher-shell", &CQLSH),
    shell("dash"),
    tool("db2", &DB2),
    wrapper("do", "", 0),
    wrapper("doas", "uC", 0),
    container("docker", &LOGIN),
    container("docker-compose", &NONE),
    wrapper("dumb-init", "", 0),
    wrapper("elif", "", 0),
    wrapper("else", "", 0),
    wrapper("env", "uC", 0),
    tool("etcdctl", &CURL),
    wrapper("eval", "", 0),
    wrapper("exec", "", 0),
    tool("expdp", &ORACLE),
    after("find", &["-exec", "-execdir", "-ok"]),
    shell("fish"),
    wrapper("flock", "wE", 1),
    tool("gcloud", &CONFIG),
    after("gdb", &["--", "--args"]),
    tool("gh", &GH),
    tool("ghz", &LOAD),
    tool("git", &CONFIG),
    tool("glab", &GH),
    wrapper("gosu", "", 1),
    tool("groupadd", &USERADD),
    tool("hdbsql", &CQLSH),
    tool("helm", &LOGIN),
    tool("hey", &LOAD),
    tool("htpasswd", &HTPASSWD),
    tool("http", &HTTPIE),
    tool("httpie", &HTTPIE),
    tool("https", &HTTPIE),
    wrapper("if", "", 0),
    tool("impdp", &ORACLE),
    wrapper("ionice", "ncp", 0),
    tool("ipmitool", &IPMI),
    tool("jq", &JQ),
    container("k3s", &KUBECTL),
    tool("keydb-cli", &REDIS),
    shell("ksh"),
    container("kubectl", &KUBECTL),
    tool("ldapadd", &LDAP),
    tool("ldapcompare", &LDAP),
    tool("ldapdelete", &LDAP),
    tool("ldapexop", &LDAP),
    tool("ldapmodify", &LDAP),
    tool("ldapmodrdn", &LDAP),
    tool("ldappasswd", &LDAP),
    tool("ldapsearch", &LDAP),
    tool("ldapwhoami", &LDAP),
    tool("lftp", &LFTP),
    wrapper("ltrace", "aeEIoOpPsSuUX", 0),
    container("lxc", &NONE),
    tool("mariadb", &MYSQL),
    tool("mariadb-admin", &MYSQL),
    tool("mariadb-backup", &MYSQL),
    tool("mariadb-binlog", &MYSQL),
    tool("mariadb-check", &MYSQL),
    tool("mariadb-dump", &MYSQL),
    tool("mariadb-import", &MYSQL),
    tool("mariadb-show", &MYSQL),
    tool("mariadb-slap", &MYSQL),
    tool("mc", &MC),
    shell("mksh"),
    tool("mongo", &MONGO),
    tool("mongodump", &MONGO),
    tool("mongoexport", &MONGO),
    tool("mongofiles", &MONGO),
    tool("mongoimport", &MONGO),
    tool("mongorestore", &MONGO),
    tool("mongosh", &MONGO),
    tool("mongostat", &MONGO),
    tool("mongotop", &MONGO),
    tool("mosquitto_pub", &SQLCMD),
    tool("mosquitto_rr", &SQLCMD),
    tool("mosquitto_sub", &SQLCMD),
    tool("mysql", &MYSQL),
    tool("mysqladmin", &MYSQL),
    tool("mysqlbinlog", &MYSQL),
    tool("mysqlcheck", &MYSQL),
    tool("mysqldump", &MYSQL),
    tool("mysqlimport", &MYSQL),
    tool("mysqlpump", &MYSQL),
    tool("mysqlsh", &MYSQL),
    tool("mysqlshow", &MYSQL),
    tool("mysqlslap", &MYSQL),
    tool("ncftp", &CQLSH),
    tool("ncftpget", &CQLSH),
    tool("ncftpput", &CQLSH),
    container("nerdctl", &LOGIN),
    tool("net", &SMB),
    tool("ngrok", &NGROK),
    wrapper("nice", "ncp", 0),
    tool("nmcli", &NMCLI),
    interpreter("node", "r"),
    interpreter("nodejs", "r"),
    wrapper("nohup", "", 0),
    tool("npm", &CONFIG),
    wrapper("nsenter", "tSGrw", 0),
    after("numactl", &["--", "--args"]),
    tool("nxc", &CQLSH),
    container("oc", &KUBECTL),
    tool("oha", &LOAD),
    tool("openssl", &OPENSSL),
    tool("oras", &LOGIN),
    tool("osql", &SQLCMD),
    wrapper("parallel", "jINn", 0),
    interpreter("perl", "IM"),
    interpreter("php", "d"),
    tool("pip", &CONFIG),
    tool("pnpm", &CONFIG),
    container("podman", &LOGIN),
    tool("poetry", &CONFIG),
    interpreter("pypy", "WXm"),
    interpreter("python", "WXm"),
    tool("rabbitmqadmin", &CQLSH),
    tool("rabbitmqctl", &RABBITMQCTL),
    tool("rar", &SEVEN_ZIP),
    tool("rdesktop", &RDP),
    tool("redis-cli", &REDIS),
    tool("rman", &ORACLE),
    tool("rpcclient", &SMB),
    interpreter("ruby", "Ir"),
    wrapper("runuser", "ugGsw", 0),
    wrapper("setsid", "", 0),
    shell("sh"),
    tool("siege", &LOAD),
    tool("skopeo", &LOGIN),
    wrapper("slogin", "bBcDEeFIiJLlmOopPQRSWw", 1),
    tool("smbclient", &SMB),
    tool("smbget", &SMB),
    tool("snmpbulkwalk", &SNMP),
    tool("snmpget", &SNMP),
    tool("snmpset", &SNMP),
    tool("snmpwalk", &SNMP),
    tool("sqlcmd", &SQLCMD),
    tool("sqlldr", &ORACLE),
    tool("sqlplus", &ORACLE),
    wrapper("ssh", "bBcDEeFIiJLlmOopPQRSWw", 1),
    tool("ssh-keygen", &KEYGEN),
    Entry { name: "sshpass", tool: &SSHPASS, role: Role::Wrapper { values: "pfdP", skip: 0 } },
    wrapper("stdbuf", "ioe", 0),
    wrapper("strace", "aeEIoOpPsSuUX", 0),
    shell("su"),
    wrapper("su-exec", "", 1),
    wrapper("sudo", "ughpCrtTURD", 0),
    after("systemd-run", &["--", "--args"]),
    wrapper("taskset", "", 1),
    wrapper("then", "", 0),
    wrapper("time", "fo", 0),
    wrapper("timeout", "ks", 1),
    wrapper("tini", "", 0),
    wrapper("toybox", "", 0),
    tool("tsql", &SQLCMD),
    tool("twine", &TWINE),
    tool("unrar", &SEVEN_ZIP),
    wrapper("unshare", "tSGrw", 0),
    wrapper("until", "", 0),
    tool("unzip", &ZIP),
    tool("useradd", &USERADD),
    tool("usermod", &USERADD),
    tool("valkey-cli", &REDIS),
    tool("vault", &VAULT),
    wrapper("watch", "n", 0),
    tool("wget", &WGET),
    tool("wget2", &WGET),
    wrapper("while", "", 0),
    tool("winexe", &SMB),
    tool("wrk", &LOAD),
    wrapper("xargs", "InPLdEsa", 0),
    tool("xfreerdp", &RDP),
    tool("xfreerdp3", &RDP),
    tool("xh", &HTTPIE),
    tool("xhs", &HTTPIE),
    tool("xtrabackup", &MYSQL),
    tool("yarn", &CONFIG),
    tool("zip", &ZIP),
    shell("zsh"),
    wrapper("{", "", 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_in_order() {
        assert!(ENTRIES.is_sorted_by(|one, next| one.name < next.name));
    }

    #[test]
    fn versions_and_directories_do_not_matter() {
        for name in ["python", "/usr/bin/python3", "python3.11", "./python2.7", "-python"] {
            assert_eq!(find(name).map(|entry| entry.name), Some("python"), "{name}");
        }
        for name in ["", "/", "-", ".exe", "mysqld", "pythonic", "7", "3.11"] {
            assert!(find(name).is_none(), "{name}");
        }
    }
}
