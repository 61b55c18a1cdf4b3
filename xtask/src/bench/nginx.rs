//! nginx under wrk: files of 1 KiB over connections that are kept alive.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Bench;
use super::load::{Load, Turn};
use crate::missing::Missing;
use crate::{command, setup};

pub(super) fn measure(bench: &Bench, rounds: usize) -> Result<()> {
    let (_, programs) = setup::programs()?;
    let find = |name| programs.find(name).ok_or_else(|| Missing::new(name));
    let (nginx, wrk) = (find("nginx")?, find("wrk")?);
    let server = |port| configured(bench, &nginx, port);
    let turn = |port| {
        let mut wrk = Command::new(&wrk);
        wrk.args(["--latency", "-t", "1", "-c", "64", "-d", "1s"]);
        wrk.arg(format!("http://127.0.0.1:{port}/small"));
        read(&command::output(&mut wrk)?)
    };
    let title = "GET of 1 KiB from nginx by wrk, 64 connections";
    Load { title, server: &server, turn: &turn }.measure(bench, rounds)
}

/// As distributions have it, but for places, and without a log.
fn configured(bench: &Bench, nginx: &Path, port: u16) -> Result<Vec<String>> {
    let folder = bench.folder.path().join(format!("nginx-{port}"));
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let here = folder.display().to_string();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {here}/{what}; "))
        .concat();
    let text = format!(
        "daemon off; user root; worker_processes auto; pid {here}/pid;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ {temporary} access_log off; sendfile on; tcp_nopush on;\n\
         keepalive_requests 100000000;\n\
         server {{ listen 127.0.0.1:{port}; root {here}; }} }}\n"
    );
    let configuration = folder.join("nginx.conf");
    fs::write(&configuration, text).context("writing nginx's configuration")?;
    fs::write(folder.join("small"), "s".repeat(1024)).context("writing a file to serve")?;
    let words = [
        &*nginx.to_string_lossy(),
        "-p",
        &here,
        "-c",
        &configuration.to_string_lossy(),
        "-e",
        &format!("{here}/error.log"),
    ];
    Ok(words.map(str::to_owned).into())
}

/// What wrk prints.
fn read(text: &str) -> Result<Turn> {
    let after = |start: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(start));
        line.map(str::trim).with_context(|| format!("finding `{start}` in what wrk said: {text}"))
    };
    let requests = text.lines().find_map(|line| line.trim().split_once(" requests in "));
    let requests = requests.map_or("", |(count, _)| count);
    Ok(Turn {
        requests: requests.parse().with_context(|| format!("reading {requests:?}"))?,
        per_second: after("Requests/sec:")?.parse().context("reading wrk's rate")?,
        p50_ms: millis(after("50%")?)?,
        p99_ms: millis(after("99%")?)?,
    })
}

/// `635.91us`, `3.42ms`, `1.20s`
fn millis(text: &str) -> Result<f64> {
    let (number, scale) = match text.strip_suffix("us") {
        Some(number) => (number, 0.001),
        None => match text.strip_suffix("ms") {
            Some(number) => (number, 1.0),
            None => (text.trim_end_matches('s'), 1000.0),
        },
    };
    let number: f64 = number.parse().with_context(|| format!("reading {text:?}"))?;
    Ok(number * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read() {
        let text = "Running 1s test @ http://127.0.0.1:1/small\n  1 threads and 64 connections\n  \
                    Thread Stats   Avg      Stdev     Max   +/- Stdev\n    \
                    Latency     1.75ms    1.04ms  14.11ms   83.09%\n    \
                    Req/Sec    37.81k     2.50k   41.16k    70.00%\n  Latency Distribution\n     \
                    50%  512.00us\n     75%    2.08ms\n     90%    2.90ms\n     99%    1.50s\n  \
                    37623 requests in 1.00s, 46.04MB read\nRequests/sec:  37533.79\n\
                    Transfer/sec:     45.93MB\n";
        let turn = read(text).unwrap();
        let expected =
            Turn { requests: 37623.0, per_second: 37533.79, p50_ms: 0.512, p99_ms: 1500.0 };
        assert_eq!(turn, expected);
        assert!(read("unable to connect").is_err());
    }
}
