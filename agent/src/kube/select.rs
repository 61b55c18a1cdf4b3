//! Whether a pod is traced, and in what detail. The most specific says it: the pod's annotation, then its
//! namespace's label, then the configured default. A Workflow's annotation comes with what reads Workflows:
//! until then what Argo copies of it to its pods counts.

use super::object::{Map, Namespace, Pod};

/// On pods (annotation) and namespaces (label).
pub const TRACE: &str = "lynceus.dev/trace";
pub const DETAIL: &str = "lynceus.dev/detail";

/// Which spans there are beside those of pods and containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// None.
    Steps,
    Processes,
    /// Those of requests alone.
    Requests,
    #[default]
    All,
}

impl Detail {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "steps" => Some(Self::Steps),
            "processes" => Some(Self::Processes),
            "requests" => Some(Self::Requests),
            "all" => Some(Self::All),
            _ => None,
        }
    }

    pub fn has_processes(self) -> bool {
        matches!(self, Self::Processes | Self::All)
    }

    pub fn has_requests(self) -> bool {
        matches!(self, Self::Requests | Self::All)
    }
}

/// What holds where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unsaid {
    pub traced: bool,
    pub detail: Detail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selection {
    pub traced: bool,
    pub detail: Detail,
    /// Who said whether it is traced.
    pub by: &'static str,
}

pub fn selection(pod: &Pod, namespace: &Namespace, default: Unsaid) -> Selection {
    let said = |key: &str| {
        let of = |map: &Map| map.get(key).map(|text| text.trim().to_ascii_lowercase());
        (of(&pod.meta.annotations), of(&namespace.labels))
    };
    let truth = |text: Option<String>| match text.as_deref() {
        Some("enabled") => Some(true),
        Some("disabled") => Some(false),
        // What is misspelt counts as not said.
        Some(_) | None => None,
    };
    let (pods, namespaces) = said(TRACE);
    let (traced, by) = match (truth(pods), truth(namespaces)) {
        (Some(traced), _) => (traced, "annotation of the pod"),
        (None, Some(traced)) => (traced, "label of the namespace"),
        (None, None) => (default.traced, "default"),
    };
    let (pods, namespaces) = said(DETAIL);
    let detail = [pods, namespaces].into_iter().flatten().find_map(|text| Detail::parse(&text));
    Selection { traced, detail: detail.unwrap_or(default.detail), by }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn selected(pod: Pairs<'_>, namespace: Pairs<'_>, unsaid: Unsaid) -> Selection {
        let map = |pairs: Pairs<'_>| -> Map {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let mut object = Pod::default();
        object.meta.annotations = map(pod);
        selection(&object, &Namespace { labels: map(namespace) }, unsaid)
    }

    #[test]
    fn where_all_are_traced_some_are_not() {
        let check = |pod: Pairs<'_>, namespace: Pairs<'_>, traced, by: &str| {
            let unsaid = Unsaid { traced: true, detail: Detail::Steps };
            let found = selected(pod, namespace, unsaid);
            assert_eq!((found.traced, found.detail, found.by), (traced, Detail::Steps, by));
        };
        let (pod, namespace) = ("annotation of the pod", "label of the namespace");
        check(&[], &[], true, "default");
        check(&[], &[(TRACE, "disabled")], false, namespace);
        check(&[(TRACE, "disabled")], &[], false, pod);
        check(&[(TRACE, "disabled")], &[(TRACE, "enabled")], false, pod);
        check(&[(TRACE, "enabled")], &[(TRACE, "disabled")], true, pod);
        check(&[], &[(TRACE, "no")], true, "default");
    }

    #[test]
    fn the_most_specific_decides() {
        let check = |pod: Pairs<'_>, namespace: Pairs<'_>, traced, detail| {
            let found = selected(pod, namespace, Unsaid::default());
            assert_eq!((found.traced, found.detail), (traced, detail), "{found:?}");
        };
        check(&[], &[], false, Detail::All);
        check(&[], &[(TRACE, "enabled")], true, Detail::All);
        check(&[(TRACE, "disabled")], &[(TRACE, "enabled")], false, Detail::All);
        check(&[(TRACE, "Enabled ")], &[(TRACE, "disabled")], true, Detail::All);
        check(&[(TRACE, "yes")], &[(TRACE, "enabled")], true, Detail::All);
        check(&[(DETAIL, "steps")], &[(DETAIL, "all"), (TRACE, "enabled")], true, Detail::Steps);
        check(&[(DETAIL, "much")], &[(DETAIL, "processes")], false, Detail::Processes);
    }
}
