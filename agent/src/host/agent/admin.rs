//! The admin port: health, metrics, and why which pods are traced.
//!
//! Whoever asks is answered by the thread that reads the ring: if it answers, it works.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::mpsc::SyncSender,
    thread,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::question::{Health, Question, ask};
use crate::host::{
    metric::{Metric, text},
    say,
};

/// For a connection, from its first byte to the last of its one answer.
const TIME: Duration = Duration::from_secs(10);
/// Connections at one time. What comes then ends the oldest: nobody can keep others away.
const CONNECTIONS: usize = 64;
const INDEX: &str = "/healthz\n/readyz\n/metrics\n/debug/pods\n";

/// Listens from here on, and answers until the process ends.
pub(super) fn serve(at: SocketAddr, questions: SyncSender<Question>) -> io::Result<SocketAddr> {
    let listener = bind(at)?;
    listener.set_nonblocking(true)?;
    let at = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("admin".to_owned()).spawn(move || {
        if let Err(error) = runtime.block_on(accept(listener, questions)) {
            say::line(format_args!("the admin port is closed: {}", say::chain(&error)));
        }
    })?;
    Ok(at)
}

/// `[::]` is every address of both versions; of hosts without IPv6 every one of IPv4.
fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(at).or_else(|error| match at {
        SocketAddr::V6(at) if at.ip().is_unspecified() => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, at.port()))
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => Err(error),
    })
}

async fn accept(listener: TcpListener, questions: SyncSender<Question>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let local = tokio::task::LocalSet::new();
    let all = async {
        // Some of them are over.
        let mut open: VecDeque<AbortHandle> = VecDeque::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // No descriptor is left: some will be.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let questions = questions.clone();
            let task = tokio::task::spawn_local(async move {
                let service = service_fn(|request| answered(request, &questions));
                let mut server = http1::Builder::new();
                let served =
                    server.keep_alive(false).serve_connection(TokioIo::new(stream), service);
                // Where the connection breaks, or is too slow, the client knows.
                let _over = tokio::time::timeout(TIME, served).await;
            });
            open.push_back(task.abort_handle());
            if open.len() > CONNECTIONS
                && let Some(oldest) = open.pop_front()
            {
                oldest.abort();
            }
        }
    };
    local.run_until(all).await;
    Ok(())
}

async fn answered(
    request: Request<Incoming>,
    questions: &SyncSender<Question>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n"));
    }
    let answer = match request.uri().path() {
        "/" => Some(plain(StatusCode::OK, INDEX)),
        "/healthz" => ask(questions, Question::Health).await.map(|_| plain(StatusCode::OK, "ok\n")),
        "/readyz" => ask(questions, Question::Health).await.map(ready),
        "/metrics" => ask(questions, Question::Metrics).await.map(metrics),
        "/debug/pods" => ask(questions, Question::Pods)
            .await
            .map(|json| response(StatusCode::OK, "application/json", json)),
        _ => Some(plain(StatusCode::NOT_FOUND, INDEX)),
    };
    let late = || plain(StatusCode::SERVICE_UNAVAILABLE, "the ring is not being read\n");
    Ok(answer.unwrap_or_else(late))
}

fn ready(health: Health) -> Response<Full<Bytes>> {
    if health.is_listed {
        plain(StatusCode::OK, "tracing\n")
    } else {
        let why = "the API server has not listed this node's pods and the namespaces yet\n";
        plain(StatusCode::SERVICE_UNAVAILABLE, why)
    }
}

fn metrics(metrics: Vec<Metric>) -> Response<Full<Bytes>> {
    match text::text(metrics) {
        Ok(text) => response(StatusCode::OK, text::CONTENT_TYPE, text),
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    response(status, "text/plain; charset=utf-8", text.to_owned())
}

fn response(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let content_type = hyper::header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
        sync::mpsc::{Receiver, sync_channel},
    };

    use super::*;

    fn got(at: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(at).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn answers(questions: Receiver<Question>, health: Health) {
        for question in questions {
            match question {
                Question::Health(to) => drop(to.send(health)),
                Question::Metrics(to) => drop(to.send(vec![Metric::gauge("a", "A", 1)])),
                Question::Pods(to) => drop(to.send("[]".to_owned())),
            }
        }
    }

    #[test]
    fn who_reads_the_ring_answers() {
        for (is_listed, ready) in [(true, "HTTP/1.1 200"), (false, "HTTP/1.1 503")] {
            let (questions, asked) = sync_channel(4);
            let at = serve(SocketAddr::from(([127, 0, 0, 1], 0)), questions).unwrap();
            thread::spawn(move || answers(asked, Health { is_listed }));
            let check = |path: &str, status: &str, body: &str| {
                let answer = got(at, path);
                assert!(answer.starts_with(status) && answer.ends_with(body), "{path}: {answer}");
            };
            check("/healthz", "HTTP/1.1 200", "ok\n");
            check("/readyz", ready, "\n");
            check("/metrics", "HTTP/1.1 200", "a 1.0\n# EOF\n");
            check("/debug/pods", "HTTP/1.1 200", "[]");
            check("/nowhere", "HTTP/1.1 404", INDEX);
        }
    }

    #[test]
    fn where_nobody_answers_it_says_so() {
        let (questions, asked) = sync_channel(1);
        let at = serve(SocketAddr::from(([127, 0, 0, 1], 0)), questions).unwrap();
        assert!(got(at, "/healthz").starts_with("HTTP/1.1 503"));
        drop(asked);
        assert!(got(at, "/healthz").starts_with("HTTP/1.1 503"));
    }
}
