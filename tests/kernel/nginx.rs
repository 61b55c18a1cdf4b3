//! nginx as the tests start it: everything in one folder, a log in the words of `http::exchanges`.

use std::fs;

use agent_tests::{need, port};
use anyhow::Context as _;
use tempfile::TempDir;

use crate::stage::words;

/// How the body of a file reaches the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Files {
    /// By sendfile(2), as distributions configure it.
    Sent,
    /// Read, and written with the head.
    Copied,
}

pub(crate) struct Nginx {
    pub(crate) port: u16,
    pub(crate) command: Vec<String>,
    folder: TempDir,
}

impl Nginx {
    /// To be started with `command`; answers the same below any folder. `listen` is `http2` for HTTP/2
    /// without TLS, else nothing.
    pub(crate) fn with(files: Files, listen: &str, workers: u32) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let root = folder.path().join("files");
        fs::create_dir(&root)?;
        fs::write(root.join("small"), "s".repeat(1024))?;
        fs::write(root.join("large"), "l".repeat(300_000))?;
        let port = port::free()?;
        let sendfile = if files == Files::Sent { "on" } else { "off" };
        let here = folder.path().display();
        // The log's sizes are nginx's own: of a request what it announced, of a response what was sent.
        let text = format!(
            "daemon off; user root; worker_processes {workers}; pid {here}/pid;\n\
             error_log {here}/error.log;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n\
             map $content_length $asked {{ '' 0; default $content_length; }}\n\
             log_format exchange '$request_method $uri $status $asked/$body_bytes_sent';\n\
             access_log {here}/access.log exchange;\n\
             sendfile {sendfile}; tcp_nopush on; keepalive_requests 1000000;\n\
             client_body_temp_path {here}/body; proxy_temp_path {here}/proxy;\n\
             fastcgi_temp_path {here}/fastcgi; uwsgi_temp_path {here}/uwsgi;\n\
             scgi_temp_path {here}/scgi; client_max_body_size 10m;\n\
             server {{ listen 127.0.0.1:{port} {listen}; listen unix:{here}/socket {listen}; root {here}/files;\n\
             location ~ ^/.+(/small|/large|/up)$ {{ alias {here}/files$1; dav_methods PUT; }}\n\
             location ~ /read$ {{ mirror /read-first; error_page 404 =200 @text; }}\n\
             location = /read-first {{ internal; return 204; }}\n\
             location @text {{ return 200 'fifteen letters'; }}\n\
             location ~ /text$ {{ return 200 'fifteen letters'; }}\n\
             location ~ /fail$ {{ return 503 'no'; }} }} }}\n"
        );
        let configuration = folder.path().join("nginx.conf");
        fs::write(&configuration, text)?;
        let (prefix, configuration) = (here.to_string(), configuration.display().to_string());
        let error_log = format!("{here}/error.log");
        let program = need::program("nginx")?;
        let command = words(&[&program, "-p", &prefix, "-c", &configuration, "-e", &error_log]);
        Ok(Self { port, command, folder })
    }

    /// Where it listens too.
    pub(crate) fn socket(&self) -> String {
        self.folder.path().join("socket").display().to_string()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// A line for each request, as `http::exchanges` has it.
    pub(crate) fn log(&self) -> anyhow::Result<Vec<String>> {
        let text = fs::read_to_string(self.folder.path().join("access.log"))
            .context("reading nginx's log")?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}
