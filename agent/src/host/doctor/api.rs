//! What the API server lets the agent do: asked of it (`SelfSubjectAccessReview`), in a pod or with
//! KUBECONFIG. Elsewhere nobody is asked.

use std::time::Duration;

use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
    core::v1::Pod,
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};

use super::{
    Check, Verdict,
    place::{Place, node_name, variable},
};
use crate::host::say;

const NAME: &str = "API server";
/// For all that is asked. One that is away would be waited for much longer.
const LIMIT: Duration = Duration::from_secs(10);
const WANTED: [(&str, [&str; 2]); 2] =
    [("pods", ["list", "watch"]), ("namespaces", ["list", "watch"])];

pub(super) fn all(place: Place) -> Vec<Check> {
    let is_named =
        ["KUBERNETES_SERVICE_HOST", "KUBECONFIG"].map(variable).iter().any(Option::is_some);
    if !is_named {
        let found = "not asked: this is no pod, and KUBECONFIG is not set";
        let check = Check::of_agent(NAME, place.lack(Verdict::Failed), found);
        return vec![check, node_without_api(place)];
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let asked = match runtime {
        Ok(runtime) => runtime.block_on(async { tokio::time::timeout(LIMIT, ask(place)).await }),
        Err(error) => return unanswered(place, say::chain(&error)),
    };
    asked.unwrap_or_else(|_| unanswered(place, format!("no answer within {} s", LIMIT.as_secs())))
}

async fn ask(place: Place) -> Vec<Check> {
    let client = match Client::try_default().await {
        Ok(client) => client,
        Err(error) => return unanswered(place, say::chain(&error)),
    };
    let mut checks = Vec::new();
    for (resource, verbs) in WANTED {
        match refused(&client, resource, &verbs).await {
            Ok(refused) => checks.push(right(place, resource, &verbs, &refused)),
            Err(error) => {
                checks.extend(unanswered(place, say::chain(&error)));
                return checks;
            }
        }
    }
    checks.push(node(&client, place).await);
    checks
}

fn unanswered(place: Place, why: String) -> Vec<Check> {
    let server = Check::of_agent(NAME, place.lack(Verdict::Failed), why)
        .remedy("without it nobody says which pods are selected: nothing is exported");
    vec![server, node_without_api(place)]
}

/// Of these verbs, in all namespaces.
async fn refused<'a>(
    client: &Client,
    resource: &str,
    verbs: &[&'a str],
) -> kube::Result<Vec<&'a str>> {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let mut refused = Vec::new();
    for verb in verbs {
        let wanted = ResourceAttributes {
            resource: Some(resource.to_owned()),
            verb: Some((*verb).to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(wanted),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
        let answer = reviews.create(&PostParams::default(), &review).await?;
        if !answer.status.is_some_and(|status| status.allowed) {
            refused.push(*verb);
        }
    }
    Ok(refused)
}

fn right(place: Place, resource: &str, verbs: &[&str], refused: &[&str]) -> Check {
    let name = format!("{NAME}: {resource}");
    if refused.is_empty() {
        return Check::of_agent(name, Verdict::Ok, format!("may {} them", verbs.join(" and ")));
    }
    let found = format!("may not {} them", refused.join(" and "));
    Check::of_agent(name, place.lack(Verdict::Failed), found)
        .remedy("bind the ClusterRole that the chart makes (rbac.create) to this account")
}

/// Whether there is a node of that name: its pods are what the agent may ask for, and it runs in one.
async fn node(client: &Client, place: Place) -> Check {
    let Some(name) = node_name() else { return node_without_api(place) };
    let pods: Api<Pod> = Api::all(client.clone());
    let on_it = ListParams::default().fields(&format!("spec.nodeName={name}")).limit(1);
    match pods.list_metadata(&on_it).await {
        Ok(pods) if pods.items.is_empty() => {
            let found = format!("{name}, on which the API server knows no pod");
            Check::of_agent(NODE, place.lack(Verdict::Limited), found)
                .remedy("give its name as `kubectl get nodes` has it")
        }
        Ok(_) => Check::of_agent(NODE, Verdict::Ok, format!("{name}, and pods are on it")),
        Err(error) => {
            let found = format!("{name}, of which pods cannot be listed: {}", say::chain(&error));
            Check::of_agent(NODE, place.lack(Verdict::Failed), found)
        }
    }
}

const NODE: &str = "name of the node";

fn node_without_api(place: Place) -> Check {
    match node_name() {
        Some(name) => Check::of_agent(NODE, Verdict::Ok, name),
        None => {
            Check::of_agent(NODE, place.lack(Verdict::Limited), "not given: NODE_NAME is not set")
                .remedy("`lynceus agent` wants it, or --node-name")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_that_is_missing_is_named() {
        let check = |place, refused: &[&str], verdict, found: &str| {
            let check = right(place, "pods", &["list", "watch"], refused);
            assert_eq!((check.verdict, check.found.as_str()), (verdict, found));
            assert_eq!(check.remedy.is_some(), !refused.is_empty());
        };
        check(Place::PodOfAgent, &[], Verdict::Ok, "may list and watch them");
        check(Place::PodOfAgent, &["watch"], Verdict::Failed, "may not watch them");
        check(Place::Elsewhere, &["list"], Verdict::Information, "may not list them");
    }
}
