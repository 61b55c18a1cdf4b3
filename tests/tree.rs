//! The spans of one file, and their tree in one line.

use std::collections::HashMap;

use anyhow::Context as _;
use serde_json::Value;

/// A span as OTLP/JSON has it.
#[derive(Debug, Clone)]
pub struct Span(pub Value);

impl Span {
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.text("name")
    }

    pub fn number(&self, field: &str) -> u64 {
        self.text(field).parse().unwrap_or_default()
    }

    pub fn duration_ns(&self) -> u64 {
        self.number("endTimeUnixNano").saturating_sub(self.number("startTimeUnixNano"))
    }

    pub fn int(&self, key: &str) -> Option<i64> {
        find(&self.0, key)?.get("intValue")?.as_str()?.parse().ok()
    }

    pub fn string(&self, key: &str) -> Option<String> {
        Some(find(&self.0, key)?.get("stringValue")?.as_str()?.to_owned())
    }

    pub fn strings(&self, key: &str) -> Vec<String> {
        let values = find(&self.0, key).and_then(|value| value.pointer("/arrayValue/values"));
        let values = values.and_then(Value::as_array).into_iter().flatten();
        let text = |value: &Value| value.get("stringValue")?.as_str().map(str::to_owned);
        values.filter_map(text).collect()
    }

    pub fn is_true(&self, key: &str) -> bool {
        find(&self.0, key).and_then(|value| value.get("boolValue")) == Some(&Value::Bool(true))
    }

    pub fn events(&self) -> Vec<Span> {
        let events = self.0.get("events").and_then(Value::as_array).into_iter().flatten();
        events.cloned().map(Span).collect()
    }
}

fn find<'a>(span: &'a Value, key: &str) -> Option<&'a Value> {
    let attributes = span.get("attributes")?.as_array()?;
    attributes
        .iter()
        .find(|attribute| attribute.get("key").and_then(Value::as_str) == Some(key))?
        .get("value")
}

/// Every span of OTLP/JSON lines.
pub fn parse(text: &str) -> anyhow::Result<Vec<Span>> {
    let mut spans = Vec::new();
    for line in text.lines() {
        let request: Value = serde_json::from_str(line).context("parsing a line")?;
        spans.extend(of_request(&request));
    }
    Ok(spans)
}

fn of_request(request: &Value) -> Vec<Span> {
    let list = |value: &Value, field: &str| {
        value.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let scopes = list(request, "resourceSpans").into_iter();
    let scopes = scopes.flat_map(|resource| list(&resource, "scopeSpans"));
    scopes.flat_map(|scope| list(&scope, "spans")).map(Span).collect()
}

/// `bash(ls!2 true*3)`: names, children in parentheses sorted by name, `!` and how it ended where
/// that was not well, `*` and how many where siblings are alike. A root whose parent is elsewhere
/// is preceded by `^`.
pub fn of(spans: &[Span]) -> String {
    let ids: HashMap<&str, usize> =
        spans.iter().enumerate().map(|(index, span)| (span.text("spanId"), index)).collect();
    let mut children: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut roots = Vec::new();
    for (index, span) in spans.iter().enumerate() {
        match ids.get(span.text("parentSpanId")) {
            Some(parent) => children.entry(*parent).or_default().push(index),
            None => roots.push(index),
        }
    }
    let mark = |index: usize, text: String| match spans.get(index) {
        Some(span) if !span.text("parentSpanId").is_empty() => format!("^{text}"),
        _ => text,
    };
    let roots = roots.iter().map(|root| mark(*root, node(spans, &children, *root))).collect();
    alike(roots)
}

fn node(spans: &[Span], children: &HashMap<usize, Vec<usize>>, index: usize) -> String {
    let Some(span) = spans.get(index) else { return String::new() };
    let mut text = name(span).to_owned();
    if let Some(error) = span.string("error.type") {
        text.push('!');
        text.push_str(&error);
    }
    if let Some(below) = children.get(&index) {
        let below = below.iter().map(|child| node(spans, children, *child)).collect();
        text.push_str(&format!("({})", alike(below)));
    }
    text
}

/// Distributions disagree about which shell `sh` is.
fn name(span: &Span) -> &str {
    let args = span.strings("process.command_args");
    let called = args.first().and_then(|called| called.rsplit('/').next());
    if called == Some("sh") { "sh" } else { span.name() }
}

fn alike(mut nodes: Vec<String>) -> String {
    nodes.sort();
    let mut runs: Vec<(String, usize)> = Vec::new();
    for node in nodes {
        match runs.last_mut() {
            Some((last, count)) if *last == node => *count += 1,
            _ => runs.push((node, 1)),
        }
    }
    let text = runs.into_iter().map(|(node, count)| match count {
        1 => node,
        _ => format!("{node}*{count}"),
    });
    text.collect::<Vec<_>>().join(" ")
}
