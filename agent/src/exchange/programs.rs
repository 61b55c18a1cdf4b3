//! Programs and libraries that are known to go on with one request while another waits, in the same
//! thread or across threads. What is not listed is not thereby known to do otherwise.

use crate::event::Exec;

/// By the names of executables and scripts.
const INTERLEAVING: [&str; 19] = [
    "beam.smp",
    "bun",
    "caddy",
    "daphne",
    "deno",
    "envoy",
    "granian",
    "h2o",
    "haproxy",
    "hypercorn",
    "lighttpd",
    "nginx",
    "node",
    "nodejs",
    "openresty",
    "traefik",
    "twistd",
    "uvicorn",
    "varnishd",
];
/// Arguments among which the script or module is looked for: `python3 -m uvicorn`.
const ARGS: usize = 4;
/// How clients call themselves that hand a request to another thread, or to a loop.
const HANDING_ON: [&str; 10] = [
    "Go-http-client/",
    "node",
    "undici",
    "axios/",
    "got ",
    "Deno/",
    "Bun/",
    "Java-http-client/",
    "ReactorNetty/",
    "AHC/",
];

pub(super) fn interleaves(exec: &Exec<'_>) -> bool {
    let is_listed = |name: &[u8]| INTERLEAVING.iter().any(|one| one.as_bytes() == name);
    let leaf = |arg: &[u8]| arg.rsplit(|byte| *byte == b'/').next().is_some_and(is_listed);
    is_listed(exec.executable.name().as_bytes()) || exec.args.iter().take(ARGS).any(leaf)
}

/// By the field `User-Agent`.
pub(super) fn hands_on(user_agent: &str) -> bool {
    // `Python/3.13 aiohttp/3.11`
    HANDING_ON.iter().any(|name| user_agent.starts_with(name)) || user_agent.contains("aiohttp/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{decode::decode, event::Event, record::tests::exec_record};

    #[test]
    fn servers_with_loops_are_known_by_name() {
        let check = |args: &[&str], expected: bool| {
            let record = exec_record(10, 0, args, &[]);
            let Ok(Event::Exec(exec)) = decode(&record) else { panic!("no exec") };
            assert_eq!(interleaves(&exec), expected, "{args:?}");
        };
        check(&["node", "server.js"], true);
        check(&["python3", "-m", "uvicorn", "app:app"], true);
        check(&["python3", "/usr/bin/uvicorn"], true);
        check(&["python3", "-m", "http.server"], false);
        check(&["python3", "node.py"], false);
        check(&[""], false);
    }

    #[test]
    fn clients_that_hand_on_are_known_by_what_they_call_themselves() {
        let check = |agent: &str, expected: bool| assert_eq!(hands_on(agent), expected, "{agent}");
        check("Go-http-client/1.1", true);
        check("node", true);
        check("Python/3.13 aiohttp/3.11.2", true);
        check("Python-urllib/3.13", false);
        check("curl/8.5.0", false);
        check("", false);
    }
}
