//! Tests on a real kernel: needs root. One file a subject; `peer` is the program that does what no
//! everyday program does, in the same static binary, so that a virtual machine needs nothing else.

#[path = "kernel/backends.rs"]
mod backends;
#[path = "kernel/breaks.rs"]
mod breaks;
#[path = "kernel/budget.rs"]
mod budget;
#[path = "kernel/calls.rs"]
mod calls;
#[path = "kernel/cgroups.rs"]
mod cgroups;
#[path = "kernel/completeness.rs"]
mod completeness;
#[path = "kernel/context.rs"]
mod context;
#[path = "kernel/cost.rs"]
mod cost;
#[path = "kernel/failures.rs"]
mod failures;
#[path = "kernel/full_speed.rs"]
mod full_speed;
#[path = "kernel/grpc_pairs.rs"]
mod grpc_pairs;
#[path = "kernel/grpc_programs.rs"]
mod grpc_programs;
#[path = "kernel/http.rs"]
mod http;
#[path = "kernel/http2.rs"]
mod http2;
#[path = "kernel/http2_met.rs"]
mod http2_met;
#[path = "kernel/http_causes.rs"]
mod http_causes;
#[path = "kernel/http_clients.rs"]
mod http_clients;
#[path = "kernel/http_context.rs"]
mod http_context;
#[path = "kernel/http_early.rs"]
mod http_early;
#[path = "kernel/http_inherited.rs"]
mod http_inherited;
#[path = "kernel/http_programs.rs"]
mod http_programs;
#[path = "kernel/http_served.rs"]
mod http_served;
#[path = "kernel/lifecycle.rs"]
mod lifecycle;
#[path = "kernel/limit.rs"]
mod limit;
#[path = "kernel/messages.rs"]
mod messages;
#[path = "kernel/moves.rs"]
mod moves;
#[path = "kernel/nginx.rs"]
mod nginx;
#[path = "kernel/pair_clients.rs"]
mod pair_clients;
#[path = "kernel/pairs.rs"]
mod pairs;
#[path = "kernel/peer.rs"]
mod peer;
#[path = "kernel/pins.rs"]
mod pins;
#[path = "kernel/programs.rs"]
mod programs;
#[path = "kernel/refusals.rs"]
mod refusals;
#[path = "kernel/run.rs"]
mod run;
#[path = "kernel/stage.rs"]
mod stage;
#[path = "kernel/talk.rs"]
mod talk;
#[path = "kernel/turns.rs"]
mod turns;
#[path = "kernel/uring.rs"]
mod uring;
#[path = "kernel/usage.rs"]
mod usage;

use std::{env, process::ExitCode};

/// What another kernel refuses or does otherwise shows in one of these, in a third of the time.
const CORE: [&str; 26] = [
    "exec_from_a_thread_is_the_same_process",
    "leader_may_end_first",
    "new_pid_namespace_is_followed",
    "signals_and_cores_are_told",
    "long_arguments_and_environment_come_in_parts",
    "raw_tracepoints_see_the_same",
    "cgroups_are_traced_from_the_first_exec",
    "cgroups_of_version_1_are_traced_from_the_first_exec",
    "cgroups_take_up_what_runs",
    "limit_of_a_pod_holds_for_execs",
    "limit_of_a_pod_holds_for_requests",
    "pins_keep_what_happens_for_the_next_reader",
    "cpu_of_all_threads_is_summed",
    "http_connections_that_fail",
    "requests_beyond_the_budget_are_counted",
    "fentry_sees_requests_whatever_moves_them",
    "kprobe_sees_requests_whatever_moves_them",
    "tracepoint_sees_requests_whatever_moves_them",
    "fentry_sees_requests_completely",
    "kprobe_sees_requests_completely",
    "tracepoint_sees_requests_completely",
    "kprobe_sees_requests_with_their_messages",
    "tracepoint_sees_requests_with_their_messages",
    "tracepoint_sees_requests_but_those_of_io_uring_behind_a_call",
    "doctor_says_that_run_works",
    "ten_thousand_at_once_are_all_there",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, mode, rest @ ..] = &arguments[..]
        && flag == "--peer"
    {
        return peer::main(mode, rest);
    }
    peer::default_signals();
    let families = [
        lifecycle::trials(),
        cgroups::trials(),
        limit::trials(),
        pins::trials(),
        programs::trials(),
        usage::trials(),
        context::trials(),
        run::trials(),
        http::trials(),
        backends::trials(),
        refusals::trials(),
        completeness::trials(),
        cost::trials(),
    ];
    agent_tests::need::run(families.into_iter().flatten().collect(), &CORE)
}
