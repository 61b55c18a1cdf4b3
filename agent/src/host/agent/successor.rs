//! Whether another agent comes when this one ends: asked of the API server, at the end.

use std::time::Duration;

use k8s_openapi::api::apps::v1::DaemonSet;
use kube::{Api, Client, core::PartialObjectMeta};

use crate::host::{cli::AgentOptions, config::Environment, say};

/// The pod has seconds to end.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Successor {
    /// Of its DaemonSet: namespace, name.
    of: Option<(String, String)>,
}

impl Successor {
    pub(super) fn new(options: &AgentOptions, environment: &Environment<'_>) -> Self {
        Self { of: environment.get("POD_NAMESPACE").zip(options.daemon_set.clone()) }
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
            Ok(Ok(found)) => found.is_some_and(|one| one.metadata.deletion_timestamp.is_none()),
            // With a release go the rights to ask.
            Ok(Err(kube::Error::Api(refused))) if matches!(refused.code, 401 | 403) => false,
            Ok(Err(error)) => {
                say::line(format_args!("asking for the DaemonSet: {}", say::chain(&error)));
                true
            }
            Err(_elapsed) => true,
        }
    }
}

async fn daemon_set(
    namespace: &str,
    name: &str,
) -> kube::Result<Option<PartialObjectMeta<DaemonSet>>> {
    let client = Client::try_default().await?;
    Api::<DaemonSet>::namespaced(client, namespace).get_metadata_opt(name).await
}
