//! The probes, attached: anew, or as an agent before this one left them.

use crate::host::{
    capture::Capture,
    cgroups::Hierarchy,
    cli::AgentOptions,
    clocks,
    load::{Attach, ByCgroup, LoadError, Options, PinOptions, ProbeLog, Probes},
    say,
};

/// With pins where they are wanted and possible.
pub(super) fn attached(options: &AgentOptions, hierarchy: &Hierarchy) -> anyhow::Result<Probes> {
    if let Some(folder) = options.pin.clone() {
        let attached = format!("{:?}", options.spans.capture);
        match attached_at(options, hierarchy, Some(PinOptions { folder, attached })) {
            Err(error) if error.downcast_ref::<LoadError>().is_some_and(LoadError::is_of_pins) => {
                let why = say::chain(error.as_ref());
                say::line(format_args!("what happens while no agent runs is missed: {why}"));
            }
            attached => return attached,
        }
    }
    attached_at(options, hierarchy, None)
}

fn attached_at(
    options: &AgentOptions,
    hierarchy: &Hierarchy,
    pins: Option<PinOptions>,
) -> anyhow::Result<Probes> {
    let mut probes = Probes::load(Options {
        ring_bytes: options.ring_bytes,
        max_tasks: options.spans.max_processes,
        requests_per_second: options.spans.requests_per_second,
        cgroups: Some(ByCgroup {
            hierarchy_id: hierarchy.id,
            controller: hierarchy.controller,
            spans_per_second: options.spans_per_second,
        }),
        log: ProbeLog::Off,
        pins,
    })?;
    if probes.adopt()? {
        probes.renew_reader(clocks::boot())?;
        say::line("going on where an agent before this one ended");
        return Ok(probes);
    }
    probes.attach(Attach::Auto)?;
    probes.attach_cgroups()?;
    if let Some(wanted) = options.spans.capture.wanted() {
        match probes.attach_requests(wanted) {
            Err(error) if wanted == Capture::Auto => {
                say::line(format_args!("requests are not seen: {}", say::chain(&error)));
            }
            attached => drop(attached?),
        }
    }
    probes.keep()?;
    probes.renew_reader(clocks::boot())?;
    Ok(probes)
}
