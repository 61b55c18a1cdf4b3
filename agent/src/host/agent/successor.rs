//! Whether another agent comes when this one ends: asked of the API server, at the end.

use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::{Api, Client};

use crate::host::{cli::AgentOptions, config::Environment, say};

/// The pod has seconds to end.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Successor {
    /// Of its DaemonSet: namespace, name.
    of: Option<(String, String)>,
    /// Where that one looks for what is attached, as an argument says it.
    pin: String,
}

impl Successor {
    pub(super) fn new(options: &AgentOptions, environment: &Environment<'_>) -> Self {
        let pin = options.pin.as_ref().map(|folder| format!("--pin={}", folder.display()));
        let of = environment.get("POD_NAMESPACE").zip(options.daemon_set.clone());
        Self { of, pin: pin.unwrap_or_default() }
    }

    /// Where it cannot be found out, one is expected: nothing is lost by that, and the kernel side goes
    /// idle without a reader.
    pub(super) fn is_expected(&self) -> bool {
        let Some((namespace, name)) = &self.of else { return true };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return true };
        let asked = runtime
            .block_on(async { tokio::time::timeout(PATIENCE, daemon_set(namespace, name)).await });
        match asked {
            Ok(Ok(found)) => found.is_some_and(|found| self.is_of(&found)),
            // With a release go the rights to ask.
            Ok(Err(kube::Error::Api(refused))) if matches!(refused.code, 401 | 403) => false,
            Ok(Err(error)) => {
                say::line(format_args!("asking for the DaemonSet: {}", say::chain(&error)));
                true
            }
            Err(_elapsed) => true,
        }
    }

    /// It is not going, and its next agent looks at the same place.
    fn is_of(&self, found: &DaemonSet) -> bool {
        let template = found.spec.template.spec.as_ref();
        let containers = template.iter().flat_map(|pod| &pod.containers);
        let mut arguments = containers.flat_map(|one| one.args.iter().flatten());
        found.metadata.deletion_timestamp.is_none()
            && arguments.any(|argument| *argument == self.pin)
    }
}

async fn daemon_set(namespace: &str, name: &str) -> kube::Result<Option<DaemonSet>> {
    let client = Client::try_default().await?;
    Api::namespaced(client, namespace).get_opt(name).await
}
