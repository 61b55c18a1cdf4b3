//! Trace context: taken from the environment, given to nobody unless asked.

use agent_tests::{
    lynceus::{Run, run_with},
    need::trial,
    tree,
};
use anyhow::ensure;
use libtest_mimic::Trial;

use crate::peer;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("traceparent_of_ours_is_the_parent", &["sh"], incoming),
        trial("b3_is_understood", &["sh"], b3),
        trial("sampled_flag_is_honoured", &["sh"], not_sampled),
        trial("context_opened_on_the_way_is_taken", &["sh"], opened_on_the_way),
        trial("environment_is_untouched", &[], untouched),
        trial("propagate_names_the_command_s_own_span", &["sh"], propagate),
        trial("malformed_context_is_counted", &["sh"], malformed),
        trial("secrets_stay", &["sh"], secrets_stay),
    ]
}

fn sh(script: &str, options: &[&str], variables: &[(&str, &str)]) -> anyhow::Result<Run> {
    run_with(options, &["sh", "-c", script], |lynceus| {
        lynceus.envs(variables.iter().copied());
    })
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

fn incoming() -> anyhow::Result<()> {
    let variables = [("TRACEPARENT", &*traceparent("01")), ("TRACESTATE", "vendor=1")];
    let run = sh("/bin/true; exit 1", &[], &variables)?;
    run.is_whole()?;
    ensure!(tree::of(&run.spans) == "^sh!1(true)", "{}", tree::of(&run.spans));
    ensure!(run.spans.iter().all(|span| span.text("traceId") == TRACE));
    ensure!(run.spans.iter().all(|span| span.text("traceState") == "vendor=1"));
    let parents = run.spans.iter().filter(|span| span.text("parentSpanId") == SPAN).count();
    ensure!(parents == 1, "{}", tree::of(&run.spans));
    Ok(())
}

fn b3() -> anyhow::Result<()> {
    for variables in [
        vec![("B3", format!("{TRACE}-{SPAN}-1"))],
        vec![("X_B3_TRACEID", TRACE.to_owned()), ("X_B3_SPANID", SPAN.to_owned())],
    ] {
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let run = sh("exit 0", &[], &variables)?;
        ensure!(run.spans.iter().all(|span| span.text("traceId") == TRACE), "{variables:?}");
    }
    Ok(())
}

fn not_sampled() -> anyhow::Result<()> {
    let run = sh("exit 0", &[], &[("TRACEPARENT", &traceparent("00"))])?;
    run.balances()?;
    ensure!(run.spans.is_empty() && run.stderr.contains("sampled_out 2"), "{}", run.stderr);
    Ok(())
}

fn opened_on_the_way() -> anyhow::Result<()> {
    let other = traceparent("01").replace("00f0", "11f0");
    let script = format!("TRACEPARENT={other} sh -c '/bin/true; exit 2'; /bin/true; exit 3");
    let run = sh(&script, &[], &[("TRACEPARENT", &traceparent("01"))])?;
    run.is_whole()?;
    let parents =
        |id: &str| run.spans.iter().filter(|span| span.text("parentSpanId") == id).count();
    ensure!(parents("11f067aa0ba902b7") == 1, "{}", tree::of(&run.spans));
    ensure!(parents(SPAN) == 1, "{}", tree::of(&run.spans));
    Ok(())
}

fn untouched() -> anyhow::Result<()> {
    let run = run_with(&[], &peer::command("print-env", &["TRACEPARENT"]), |_| {})?;
    ensure!(run.stderr.contains("TRACEPARENT=\n"), "{}", run.stderr);
    Ok(())
}

fn propagate() -> anyhow::Result<()> {
    let script = "echo >&2 GOT=$TRACEPARENT; /bin/true; exit 4";
    for above in ["", &traceparent("01")] {
        let run = sh(script, &["--propagate"], &[("TRACEPARENT", above)])?;
        let got = run.stderr.lines().find_map(|line| line.strip_prefix("GOT="));
        let fields: Vec<&str> = got.unwrap_or_default().split('-').collect();
        let root = run.spans.iter().find(|span| span.int("process.exit.code") == Some(4));
        let root = root.map(|span| (span.text("traceId"), span.text("spanId")));
        ensure!(fields.get(1).copied().zip(fields.get(2).copied()) == root, "{got:?} {root:?}");
        let roots = tree::of(&run.spans).split_whitespace().count();
        ensure!(roots <= 2, "{}", tree::of(&run.spans));
        ensure!(above.is_empty() || fields.get(1) == Some(&TRACE), "{got:?}");
    }
    Ok(())
}

fn malformed() -> anyhow::Result<()> {
    let run = sh("exit 0", &[], &[("TRACEPARENT", "00-nonsense")])?;
    run.is_whole()?;
    ensure!(run.stderr.contains("1 malformed trace contexts ignored"), "{}", run.stderr);
    Ok(())
}

/// What must not leave does not: neither in the file nor in the picture.
fn secrets_stay() -> anyhow::Result<()> {
    let canary = "c4n4ry".repeat(4);
    let script = format!(": --password={canary} -H 'Authorization: Bearer {canary}'; /bin/true");
    let run = sh(&script, &[], &[("API_TOKEN", &canary), ("DB_PASSWORD", &canary)])?;
    run.is_whole()?;
    let written: String = run.spans.iter().map(|span| span.0.to_string()).collect();
    ensure!(!written.contains(&canary), "in the file: {written}");
    ensure!(!run.stderr.contains(&canary), "in the picture: {}", run.stderr);
    Ok(())
}
