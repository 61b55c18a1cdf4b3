//! The API server -> changes of this node's pods, and of all namespaces' labels.
//!
//! Two watches, in a thread of their own. One that breaks begins again with a list, after a while that
//! grows; what is gone from the list is told as deleted.

use std::{collections::HashMap, sync::mpsc::SyncSender};

use futures_util::{StreamExt as _, pin_mut};
use k8s_openapi::{
    NamespaceResourceScope, api::core::v1::Namespace as Object,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client,
    core::PartialObjectMeta,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde::Deserialize;

use crate::{
    host::say,
    kube::{
        name::Uid,
        object::{Map, Meta, Namespace, Owner, Pod, PodSpec, PodStatus},
    },
};

/// What the watches tell.
#[derive(Debug)]
pub(super) enum Change {
    Pod(Box<Pod>),
    PodDeleted(Box<Pod>),
    Namespace(String, Namespace),
    NamespaceDeleted(String),
    /// The list of all pods of the node is complete.
    PodsListed,
    NamespacesListed,
}

/// A pod as it is asked for: what it does not name is dropped when it arrives.
#[derive(Debug, Clone, Deserialize)]
struct Wanted {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: PodSpec,
    #[serde(default)]
    status: PodStatus,
}

impl kube::Resource for Wanted {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> std::borrow::Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> std::borrow::Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Until nobody listens any more. Of annotations that are not ours those are kept that are named.
pub(super) async fn run(
    client: Client,
    node: String,
    annotations: Vec<String>,
    changes: SyncSender<Change>,
) {
    let namespaces: Api<PartialObjectMeta<Object>> = Api::all(client.clone());
    let pods: Api<Wanted> = Api::all(client);
    let fields = format!("spec.nodeName={node}");
    let config = || watcher::Config::default().timeout(290);
    let pods = watcher(pods, config().fields(&fields)).default_backoff();
    let namespaces = watcher(namespaces, config()).default_backoff();
    let mut of_pods = Listing::new(|wanted| {
        let pod = pod(wanted, &annotations);
        (pod.meta.uid.clone(), pod)
    });
    let mut of_namespaces = Listing::new(|object: PartialObjectMeta<Object>| {
        let name = object.metadata.name.unwrap_or_default();
        let labels = ours(object.metadata.labels.unwrap_or_default());
        (name.clone(), (name, Namespace { labels }))
    });
    let pods = pods.map(|event| of_pods.take(event).into_iter().map(of_pod).collect::<Vec<_>>());
    let namespaces = namespaces
        .map(|event| of_namespaces.take(event).into_iter().map(of_namespace).collect::<Vec<_>>());
    let both = futures_util::stream::select(namespaces, pods);
    pin_mut!(both);
    while let Some(steps) = both.next().await {
        for change in steps {
            if changes.send(change).is_err() {
                return;
            }
        }
    }
}

fn of_pod(step: Step<Pod>) -> Change {
    match step {
        Step::Is(pod) => Change::Pod(Box::new(pod)),
        Step::Gone(pod) => Change::PodDeleted(Box::new(pod)),
        Step::Listed => Change::PodsListed,
    }
}

fn of_namespace(step: Step<(String, Namespace)>) -> Change {
    match step {
        Step::Is((name, namespace)) => Change::Namespace(name, namespace),
        Step::Gone((name, _)) => Change::NamespaceDeleted(name),
        Step::Listed => Change::NamespacesListed,
    }
}

/// What became of an object, or that all are named.
enum Step<V> {
    Is(V),
    Gone(V),
    Listed,
}

/// What a watch told: needed to say what is gone when it begins again.
struct Listing<K, V, F> {
    known: HashMap<K, V>,
    /// While it lists: what was there before and was not named yet.
    unnamed: HashMap<K, V>,
    convert: F,
    is_broken: bool,
}

impl<K: Clone + Eq + std::hash::Hash, V: Clone, F> Listing<K, V, F> {
    fn new<T>(convert: F) -> Self
    where
        F: FnMut(T) -> (K, V),
    {
        Self { known: HashMap::new(), unnamed: HashMap::new(), convert, is_broken: false }
    }

    fn take<T>(&mut self, event: Result<Event<T>, watcher::Error>) -> Vec<Step<V>>
    where
        F: FnMut(T) -> (K, V),
    {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // It comes again with every try.
                if !std::mem::replace(&mut self.is_broken, true) {
                    say::line(format_args!("watching the API server: {}", say::chain(&error)));
                }
                return Vec::new();
            }
        };
        self.is_broken = false;
        match event {
            Event::Init => {
                self.unnamed.clone_from(&self.known);
                Vec::new()
            }
            Event::InitApply(object) | Event::Apply(object) => {
                let (key, value) = (self.convert)(object);
                self.unnamed.remove(&key);
                self.known.insert(key, value.clone());
                vec![Step::Is(value)]
            }
            Event::InitDone => {
                let gone: Vec<V> = self
                    .unnamed
                    .drain()
                    .map(|(key, value)| {
                        self.known.remove(&key);
                        value
                    })
                    .collect();
                gone.into_iter().map(Step::Gone).chain([Step::Listed]).collect()
            }
            Event::Delete(object) => {
                let (key, value) = (self.convert)(object);
                self.known.remove(&key);
                vec![Step::Gone(value)]
            }
        }
    }
}

fn pod(wanted: Wanted, named: &[String]) -> Pod {
    let Wanted { metadata, spec, status } = wanted;
    let owners = metadata.owner_references.unwrap_or_default();
    let owner = owners.into_iter().find(|owner| owner.controller == Some(true));
    let meta = Meta {
        uid: Uid(metadata.uid.unwrap_or_default()),
        name: metadata.name.unwrap_or_default(),
        namespace: metadata.namespace.unwrap_or_default(),
        labels: metadata.labels.unwrap_or_default(),
        annotations: annotations(metadata.annotations.unwrap_or_default(), named),
        owner: owner.map(|owner| Owner { kind: owner.kind, name: owner.name, uid: Uid(owner.uid) }),
        created: metadata.creation_timestamp.map(|time| time.0),
    };
    Pod { meta, spec, status }
}

fn annotations(mut all: Map, named: &[String]) -> Map {
    const OURS: [&str; 3] =
        ["lynceus.dev/", "resource.opentelemetry.io/", "kubernetes.io/config.hash"];
    let is_ours = |name: &String| OURS.iter().any(|ours| name.starts_with(ours));
    all.retain(|name, _| is_ours(name) || named.contains(name));
    all
}

fn ours(mut labels: Map) -> Map {
    labels.retain(|name, _| name.starts_with("lynceus.dev/"));
    labels
}

#[cfg(test)]
mod requests;

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = (u32, &'static str);

    fn listing() -> Listing<u32, &'static str, fn(Pair) -> Pair> {
        Listing::new(|pair| pair)
    }

    fn told(steps: Vec<Step<&'static str>>) -> Vec<String> {
        let text = |step| match step {
            Step::Is(value) => format!("is {value}"),
            Step::Gone(value) => format!("gone {value}"),
            Step::Listed => "listed".to_owned(),
        };
        steps.into_iter().map(text).collect()
    }

    #[test]
    fn annotations_that_nobody_needs_are_not_kept() {
        let all = ["lynceus.dev/trace", "example.com/owner", "example.com/owners", "x"];
        let all = all.map(|name| (name.to_owned(), String::new())).into();
        let kept = annotations(all, &["example.com/owner".to_owned()]);
        let kept: Vec<&str> = kept.keys().map(String::as_str).collect();
        assert_eq!(kept, ["example.com/owner", "lynceus.dev/trace"]);
    }

    #[test]
    fn what_a_new_list_lacks_is_gone() {
        let mut listing = listing();
        let mut check = |event, expected: &[&str]| {
            assert_eq!(told(listing.take(Ok(event))), expected);
        };
        check(Event::Init, &[]);
        check(Event::InitApply((1, "a")), &["is a"]);
        check(Event::InitApply((2, "b")), &["is b"]);
        check(Event::InitDone, &["listed"]);
        check(Event::Apply((3, "c")), &["is c"]);
        check(Event::Delete((1, "a")), &["gone a"]);
        check(Event::Init, &[]);
        check(Event::InitApply((3, "c")), &["is c"]);
        check(Event::InitDone, &["gone b", "listed"]);
        check(Event::Init, &[]);
        check(Event::InitApply((3, "c")), &["is c"]);
        check(Event::InitDone, &["listed"]);
    }
}
