//! What the Collector received, as tests ask for it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::cluster::running::Cluster;

/// In a tree, before what has a parent that did not arrive.
pub(super) const NO_PARENT: &str = "(no parent) ";

/// A span, with what it is of.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) trace: String,
    /// Empty for a root.
    pub(super) parent: String,
    /// Nanoseconds since the epoch.
    pub(super) start: u64,
    pub(super) end: u64,
    attributes: BTreeMap<String, String>,
    resource: BTreeMap<String, String>,
    /// By their names.
    events: BTreeMap<String, BTreeMap<String, String>>,
}

impl Span {
    /// An attribute of it, or of what it is of; empty where there is none.
    pub(super) fn get(&self, key: &str) -> &str {
        let found = self.attributes.get(key).or_else(|| self.resource.get(key));
        found.map(String::as_str).unwrap_or_default()
    }

    /// A count of an event of it; 0 where there is none.
    pub(super) fn counted(&self, event: &str, key: &str) -> u64 {
        let count = self.events.get(event).and_then(|attributes| attributes.get(key));
        count.and_then(|count| count.parse().ok()).unwrap_or_default()
    }
}

/// All spans that came so far. One that came twice counts once, as back ends have it.
#[derive(Debug)]
pub(super) struct Collected(pub(super) Vec<Span>);

impl Collected {
    pub(super) fn read(cluster: &Cluster) -> Result<Self> {
        let path = cluster.collector_output();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut spans = HashMap::new();
        // The last line may be under way.
        let whole = text.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
        for line in whole.lines() {
            let parsed = parsed(line);
            let parsed = parsed.with_context(|| format!("parsing {}", path.display()))?;
            spans.extend(parsed.into_iter().map(|span| (span.id.clone(), span)));
        }
        let mut spans: Vec<Span> = spans.into_values().collect();
        spans.sort_by_key(|span| span.start);
        Ok(Self(spans))
    }

    /// Those of a namespace.
    pub(super) fn of(&self, namespace: &str) -> Self {
        let is_of = |span: &&Span| span.get("k8s.namespace.name") == namespace;
        Self(self.0.iter().filter(is_of).cloned().collect())
    }

    /// Those whose attribute has this value.
    pub(super) fn with(&self, key: &str, value: &str) -> Self {
        Self(self.0.iter().filter(|span| span.get(key) == value).cloned().collect())
    }

    /// Those of a trace.
    pub(super) fn in_trace(&self, trace: &str) -> Self {
        Self(self.0.iter().filter(|span| span.trace == trace).cloned().collect())
    }

    /// The one with this name.
    pub(super) fn one(&self, name: &str) -> Result<&Span> {
        let mut found = self.0.iter().filter(|span| span.name == name);
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => bail!("no span {name:?} in\n{}", self.tree()),
            (Some(_), Some(_)) => bail!("several spans {name:?} in\n{}", self.tree()),
        }
    }

    /// The span that this one stands below.
    pub(super) fn above(&self, span: &Span) -> Result<&Span> {
        let above = self.0.iter().find(|one| one.id == span.parent);
        above.with_context(|| {
            format!("the parent of {:?} never arrived:\n{}", span.name, self.tree())
        })
    }

    /// Every parent is there, in the same trace.
    pub(super) fn has_all_parents(&self) -> Result<()> {
        for span in self.0.iter().filter(|span| !span.parent.is_empty()) {
            let above = self.above(span)?;
            ensure!(above.trace == span.trace, "{span:?} is in another trace than {above:?}");
        }
        Ok(())
    }

    /// Every parent is there, in the same trace, and nothing begins before what it is in.
    pub(super) fn is_whole(&self) -> Result<()> {
        self.has_all_parents()?;
        for span in self.0.iter().filter(|span| !span.parent.is_empty()) {
            let above = self.above(span)?;
            ensure!(span.start >= above.start, "{} begins before {}", span.name, above.name);
        }
        Ok(())
    }

    /// What is of a container is within its times, however deep below its span, and containers are within
    /// those of their pod.
    pub(super) fn lies_within(&self) -> Result<()> {
        for outer in &self.0 {
            let key = match outer.name.split_once(' ') {
                Some(("pod", _)) => "k8s.pod.uid",
                Some(("container", _)) => "container.id",
                Some(_) | None => continue,
            };
            for span in self.0.iter().filter(|span| span.get(key) == outer.get(key)) {
                let is_within = outer.start <= span.start && span.end <= outer.end;
                ensure!(is_within, "not within {}: {span:?} {outer:?}", outer.name);
            }
        }
        Ok(())
    }

    /// As [`Collected::tree`], of lines that follow each other and are the same one.
    pub(super) fn folded(&self) -> String {
        let tree = self.tree();
        let mut lines: Vec<&str> = tree.lines().collect();
        lines.dedup();
        lines.iter().flat_map(|line| [line, "\n"]).collect()
    }

    /// Names as a tree, the children of each in the order of their starts: one line each.
    pub(super) fn tree(&self) -> String {
        let known: HashSet<&str> = self.0.iter().map(|span| span.id.as_str()).collect();
        let mut text = String::new();
        for span in self.0.iter().filter(|span| !known.contains(span.parent.as_str())) {
            let mark = if span.parent.is_empty() { "" } else { NO_PARENT };
            text.push_str(mark);
            self.branch(span, 0, &mut text);
        }
        text
    }

    /// As [`Collected::folded`], of a pod whose shell was taken up while it slept again and again. A sleep that it
    /// forked just before and that was executed just after stands below the container: nobody knew the shell yet.
    pub(super) fn folded_after_taking_up(&self) -> String {
        self.folded().replacen("\n    sleep\n", "\n", 1)
    }

    fn branch(&self, span: &Span, depth: usize, text: &mut String) {
        text.push_str(&"  ".repeat(depth));
        text.push_str(&span.name);
        text.push('\n');
        for below in self.0.iter().filter(|one| one.parent == span.id) {
            self.branch(below, depth + 1, text);
        }
    }
}

/// The spans of a line that the Collector wrote.
pub(super) fn parsed(line: &str) -> Result<Vec<Span>> {
    let request: Value = serde_json::from_str(line).context("parsing a line of OTLP/JSON")?;
    let mut spans = Vec::new();
    for one in list(&request, "resourceSpans") {
        let resource = pairs(&one["resource"]);
        let scopes = list(one, "scopeSpans").iter();
        spans.extend(scopes.flat_map(|one| list(one, "spans")).map(|one| span(one, &resource)));
    }
    Ok(spans)
}

fn span(span: &Value, resource: &BTreeMap<String, String>) -> Span {
    let text = |key: &str| span[key].as_str().unwrap_or_default().to_owned();
    // One that is made by hand may have none.
    let time = |key: &str| text(key).parse().unwrap_or_default();
    Span {
        name: text("name"),
        id: text("spanId"),
        trace: text("traceId"),
        parent: text("parentSpanId"),
        start: time("startTimeUnixNano"),
        end: time("endTimeUnixNano"),
        attributes: pairs(span),
        resource: resource.clone(),
        events: list(span, "events")
            .iter()
            .map(|event| (event["name"].as_str().unwrap_or_default().to_owned(), pairs(event)))
            .collect(),
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The attributes of something; lists as JSON.
fn pairs(value: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| match value.as_object().and_then(|kinds| kinds.values().next()) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let pair = |one: &Value| Some((one["key"].as_str()?.to_owned(), text(&one["value"])));
    list(value, "attributes").iter().filter_map(pair).collect()
}
