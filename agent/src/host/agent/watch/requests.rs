//! What the watches ask of an API server, and what they do when it does not answer well.

use std::{
    future::pending,
    sync::{Arc, Mutex, PoisonError, mpsc},
    time::Duration,
};

use hyper::{Request, Response, StatusCode, header::ACCEPT};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::{runtime, time::Instant};
use tower::service_fn;

use super::*;

/// No watch of this test is told anything after that.
const LONG: Duration = Duration::from_secs(60);
const PODS: &str = "/api/v1/pods";
const NAMESPACES: &str = "/api/v1/namespaces";

/// A request, as the API server saw it.
#[derive(Debug, Clone)]
struct Asked {
    path: String,
    query: String,
    accept: String,
    after: Duration,
}

impl Asked {
    fn is_watch(&self) -> bool {
        self.query.contains("watch=true")
    }
}

fn list(kind: &str, names: &[&str]) -> Value {
    let object = |name: &&str| {
        let metadata = json!({ "name": name, "uid": name, "resourceVersion": "7" });
        json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata })
    };
    let items: Vec<Value> = names.iter().map(object).collect();
    json!({
        "apiVersion": "v1",
        "kind": format!("{kind}List"),
        "metadata": { "resourceVersion": "7" },
        "items": items,
    })
}

fn failure(code: u16, reason: &str) -> Value {
    let head = json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure" });
    let rest = json!({ "code": code, "reason": reason, "message": "as the test wants it" });
    let members = [head, rest].into_iter().filter_map(|one| one.as_object().cloned()).flatten();
    Value::Object(members.collect())
}

/// What is asked, and answered, of the how manieth request of this kind.
async fn answer(asked: &Asked, nth: usize) -> (StatusCode, Value) {
    match (&*asked.path, asked.is_watch(), nth) {
        (PODS, false, 0) => (StatusCode::OK, list("Pod", &["a", "b"])),
        // What it has seen is too old: etcd was compacted.
        (PODS, true, 0) => {
            (StatusCode::OK, json!({ "type": "ERROR", "object": failure(410, "Expired") }))
        }
        (PODS, false, 1) => (StatusCode::INTERNAL_SERVER_ERROR, failure(500, "InternalError")),
        (PODS, false, _) => (StatusCode::OK, list("Pod", &["b", "c"])),
        (NAMESPACES, false, _) => (StatusCode::OK, list("Namespace", &["n"])),
        _ => pending().await,
    }
}

/// All that was asked until nothing more was, and what was told.
fn watched() -> (Vec<Asked>, Vec<String>) {
    let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let (sender, changes) = mpsc::sync_channel(64);
    let all = Arc::<Mutex<Vec<Asked>>>::default();
    let server = Arc::clone(&all);
    runtime.unwrap().block_on(async {
        let began = Instant::now();
        let service = service_fn(move |request: Request<Body>| {
            let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
            let asked = Asked {
                path: request.uri().path().to_owned(),
                query: request.uri().query().unwrap_or_default().to_owned(),
                accept: accept.unwrap_or_default().to_owned(),
                after: began.elapsed(),
            };
            let mut all = server.lock().unwrap_or_else(PoisonError::into_inner);
            let is_same =
                |one: &&Asked| one.path == asked.path && one.is_watch() == asked.is_watch();
            let nth = all.iter().filter(is_same).count();
            all.push(asked.clone());
            async move {
                let (status, body) = answer(&asked, nth).await;
                let body = Body::from(body.to_string().into_bytes());
                Response::builder().status(status).body(body)
            }
        });
        let client = Client::new(service, "default");
        let run = run(client, "node-a".to_owned(), Vec::new(), sender);
        let ended = tokio::time::timeout(LONG, run).await;
        assert!(ended.is_err(), "it ended by itself");
    });
    let told = changes.try_iter().map(|change| match change {
        Change::Pod(pod) => format!("pod {}", pod.meta.name),
        Change::PodDeleted(pod) => format!("no pod {}", pod.meta.name),
        Change::Namespace(name, _) => format!("namespace {name}"),
        Change::NamespaceDeleted(name) => format!("no namespace {name}"),
        Change::PodsListed => "pods listed".to_owned(),
        Change::NamespacesListed => "namespaces listed".to_owned(),
    });
    let told = told.collect();
    (all.lock().unwrap_or_else(PoisonError::into_inner).clone(), told)
}

#[test]
fn pods_of_this_node_alone_are_asked_for_and_of_namespaces_their_metadata() {
    let (asked, _) = watched();
    let of = |path: &'static str| asked.iter().filter(move |one| one.path == path);
    assert_eq!(of(PODS).count() + of(NAMESPACES).count(), asked.len(), "{asked:?}");
    assert!(of(PODS).count() >= 5 && of(NAMESPACES).count() == 2, "{asked:?}");
    for one in of(PODS) {
        assert!(one.query.contains("fieldSelector=spec.nodeName%3Dnode-a"), "{one:?}");
    }
    for one in of(NAMESPACES) {
        assert!(one.accept.contains("as=PartialObjectMetadata"), "{one:?}");
    }
    // An API server ends a watch by itself: not all of a node's at one time.
    let mut watches = asked.iter().filter(|one| one.is_watch());
    assert!(watches.all(|one| one.query.contains("timeoutSeconds=290")), "{asked:?}");
}

#[test]
fn a_watch_that_expired_begins_with_a_new_list_and_a_failure_is_waited_for() {
    let (asked, told) = watched();
    let of_pods: Vec<&Asked> = asked.iter().filter(|one| one.path == PODS).collect();
    let kinds: Vec<bool> = of_pods.iter().map(|one| one.is_watch()).collect();
    assert_eq!(kinds, [false, true, false, false, true], "{asked:?}");
    let waits: Vec<Duration> =
        of_pods.windows(2).map(|two| two[1].after.saturating_sub(two[0].after)).collect();
    let [_, expired, failed, _] = waits[..] else { panic!("{waits:?}") };
    // Drawn by chance, so that not all agents come at one time: 0.8 s is the least.
    let is_wait = |wait: &Duration| *wait >= Duration::from_millis(800) && *wait < LONG;
    assert!([expired, failed].iter().all(is_wait), "{waits:?}");
    let of_pods: Vec<&String> = told.iter().filter(|one| !one.contains("namespace")).collect();
    let expected = ["pod a", "pod b", "pods listed", "pod b", "pod c", "no pod a", "pods listed"];
    assert_eq!(of_pods, expected, "{told:?}");
    assert!(told.contains(&"namespace n".to_owned()), "{told:?}");
}
