//! Ring and API -> node -> batches of spans, until somebody wants it to end.

use std::{
    collections::{HashMap, HashSet},
    mem,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError},
    },
    time::Duration,
};

use abi::{cgroup::Policy, task::TaskId};

use super::{
    answer::{Answers, Made},
    question::Question,
    successor::Successor,
    taken::Taken,
    watch::Change,
};
use crate::{
    event::{BootNanos, CgroupMade},
    host::{
        cgroups::{self, Hierarchy},
        clocks::{self, Deadline, Every},
        load::{LoadError, Probes},
        progress::Progress,
        ring::{Peak, Ring},
        say,
        sweep::SWEEP,
    },
    kube::node::{Action, Node},
    loss::Ledger,
    redact::CleanSpan,
};

/// How long a record may wait in a ring that does not fill up.
const TICK: Duration = Duration::from_millis(20);
/// How long the first lists may take before the agent goes on without them.
const LISTS: Duration = Duration::from_secs(5);
/// How often control groups are gone through again, at most; in seconds, as all that follow.
const REPAIR: u64 = 5;
/// How often the two clocks are compared.
const CLOCK: u64 = 30;
/// Spans of one batch.
const BATCH: usize = 256;

pub(super) struct Collector {
    pub(super) probes: Probes,
    pub(super) node: Node,
    hierarchy: Hierarchy,
    batches: Batches,
    /// Those that were taken up and told, with their control groups.
    announced: HashMap<TaskId, u64>,
    /// A container with processes that ran before was decided.
    takes_up: bool,
    pub(super) lists: Lists,
    pub(super) made: Made,
    pub(super) answers: Answers,
    pub(super) ring_peak: Peak,
    pub(super) progress: Arc<Progress>,
    successor: Successor,
    repair: Every,
    /// The records that had been lost when control groups were gone through.
    walked: u64,
}

/// Which lists of the API server were complete once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lists {
    pods: bool,
    namespaces: bool,
}

impl Lists {
    pub(super) const BOTH: Self = Self { pods: true, namespaces: true };
}

/// What there is to say at the end.
pub(super) struct Collected {
    pub(super) ledger: Ledger,
    pub(super) held: u64,
}

#[derive(Default)]
struct Batches {
    spans: Vec<CleanSpan>,
    to: Option<SyncSender<Vec<CleanSpan>>>,
}

impl Batches {
    fn send(&mut self, at_least: usize, made: &mut Made) {
        if self.spans.len() >= at_least
            && let Some(to) = &self.to
        {
            self.spans.iter().for_each(|span| made.add(span.span()));
            // It fails only if `deliver` panicked, which is reported when it is joined.
            let _gone = to.send(mem::replace(&mut self.spans, Vec::with_capacity(BATCH)));
        }
    }
}

impl Collector {
    pub(super) fn new(
        probes: Probes,
        node: Node,
        hierarchy: Hierarchy,
        progress: Arc<Progress>,
        successor: Successor,
    ) -> Self {
        Self {
            probes,
            node,
            hierarchy,
            batches: Batches::default(),
            announced: HashMap::new(),
            takes_up: false,
            lists: Lists::default(),
            made: Made::default(),
            answers: Answers::default(),
            ring_peak: Peak::default(),
            progress,
            successor,
            repair: Every::seconds(REPAIR),
            walked: 0,
        }
    }

    pub(super) fn run(
        &mut self,
        ends: &AtomicBool,
        changes: &Receiver<Change>,
        questions: &Receiver<Question>,
        batches: SyncSender<Vec<CleanSpan>>,
    ) -> Result<Collected, LoadError> {
        self.batches.to = Some(batches);
        let collected = self.collect(ends, changes, questions);
        // Who delivers waits for more as long as it is there.
        self.batches.to = None;
        collected
    }

    fn collect(
        &mut self,
        ends: &AtomicBool,
        changes: &Receiver<Change>,
        questions: &Receiver<Question>,
    ) -> Result<Collected, LoadError> {
        let mut ring = Ring::new(self.probes.take_ring()?);
        self.wait_for_lists(ends, changes, questions);
        if self.probes.is_adopted() {
            self.recall()?;
        }
        self.find_cgroups()?;
        self.drain(&mut ring);
        self.meet(clocks::boot())?;
        let (mut tick, mut clock) = (Every::seconds(1), Every::seconds(CLOCK));
        let mut sweep = Every::seconds(SWEEP);
        say::line("tracing");
        while !ends.load(Ordering::Acquire) {
            if self.take_changes(changes).is_break() {
                // Whoever watches is gone: the pod's next container may fare better.
                break;
            }
            self.drain(&mut ring);
            self.answer(questions);
            let now = clocks::boot();
            if tick.is_due(now) {
                self.node.tick(now, &mut self.batches.spans);
                self.repair(now)?;
                self.probes.renew_reader(now)?;
            }
            if clock.is_due(now) {
                self.node.set_clock(clocks::both());
            }
            if sweep.is_due(now) {
                let left = self.probes.sweep(now)?;
                self.node.pipeline_mut().abandon(&left, now, &mut self.batches.spans);
            }
            self.act()?;
            self.batches.send(1, &mut self.made);
            ring.wait(TICK);
        }
        self.finish(ring)
    }

    /// So that what runs already is decided when it is looked at.
    fn wait_for_lists(
        &mut self,
        ends: &AtomicBool,
        changes: &Receiver<Change>,
        questions: &Receiver<Question>,
    ) {
        let deadline = Deadline::after(LISTS);
        while self.lists != Lists::BOTH
            && !deadline.left().is_zero()
            && !ends.load(Ordering::Acquire)
        {
            if let Ok(change) = changes.recv_timeout(TICK) {
                self.change(change);
            }
            self.answer(questions);
        }
        if self.lists != Lists::BOTH {
            say::line("the API server did not list pods and namespaces in 5 s: going on without");
        }
    }

    /// It breaks where nobody watches any more.
    fn take_changes(&mut self, changes: &Receiver<Change>) -> ControlFlow<()> {
        loop {
            match changes.try_recv() {
                Ok(change) => self.change(change),
                Err(TryRecvError::Empty) => return ControlFlow::Continue(()),
                Err(TryRecvError::Disconnected) => return ControlFlow::Break(()),
            }
        }
    }

    /// Where the ring was full the record of a control group may be among what was lost.
    fn repair(&mut self, now: BootNanos) -> Result<(), LoadError> {
        let ring_full = self.probes.counts()?.ring_full;
        if ring_full > self.walked && self.repair.is_due(now) {
            self.walked = ring_full;
            self.find_cgroups()?;
        }
        Ok(())
    }

    fn change(&mut self, change: Change) {
        let out = &mut self.batches.spans;
        match change {
            Change::Pod(pod) => self.node.pod(*pod, out),
            Change::PodDeleted(pod) => self.node.pod_deleted(&pod, clocks::boot(), out),
            Change::Namespace(name, namespace) => self.node.namespace(&name, namespace, out),
            Change::NamespaceDeleted(name) => self.node.namespace_deleted(&name),
            Change::PodsListed => self.lists.pods = true,
            Change::NamespacesListed => self.lists.namespaces = true,
        }
    }

    /// What an agent before this one knew: records may tell of what is gone by now.
    fn recall(&mut self) -> Result<(), LoadError> {
        self.node.pipeline_mut().goes_on(clocks::boot());
        for kept in self.probes.named()? {
            self.node.found(&kept.made(), &mut self.batches.spans);
        }
        self.act()
    }

    /// Goes on from here with what is open: where in their messages its connections are nobody knows any more.
    fn meet(&mut self, now: BootNanos) -> Result<(), LoadError> {
        let out = &mut self.batches.spans;
        if self.probes.is_adopted() {
            let open = self.probes.forget_connections()?;
            self.node.pipeline_mut().abandon(&open, now, out);
        }
        self.node.begin(out);
        Ok(())
    }

    /// What is there already. Each is known to the kernel side before what is in it is looked for, and it
    /// is gone through twice: what is made in between is found by one or the other.
    fn find_cgroups(&mut self) -> Result<(), LoadError> {
        let pods = self.hierarchy.pods.clone();
        for _ in 0..2 {
            let (mut failed, mut all) = (None, HashSet::new());
            let walked = cgroups::walk(&pods, |found| {
                let made = CgroupMade {
                    cgroup_id: found.id,
                    parent_id: found.parent,
                    time: clocks::boot(),
                    policy: Policy::UNDECIDED,
                    name: found.name.as_bytes(),
                };
                all.insert(found.id);
                if self.node.knows(found.id) {
                    return;
                }
                let is_told = self.probes.set_policy(found.id, found.parent, Policy::UNDECIDED);
                self.node.found(&made, &mut self.batches.spans);
                let applied = self.apply();
                failed = failed.take().or_else(|| applied.err());
                match is_told {
                    Ok(true) => {}
                    Ok(false) => say::line("no room for one more control group: it is not traced"),
                    Err(error) => failed = failed.take().or(Some(error)),
                }
            });
            if let Some(error) = failed {
                return Err(error);
            }
            match walked {
                Ok(()) => self.node.only(&all, clocks::boot()),
                Err(error) => {
                    say::line(format_args!("looking for control groups: {}", say::chain(&error)));
                }
            }
        }
        self.act()
    }

    fn drain(&mut self, ring: &mut Ring) {
        let (node, batches, made) = (&mut self.node, &mut self.batches, &mut self.made);
        // Not what comes meanwhile: there is more to do than to read.
        let most = usize::try_from(self.probes.ring_bytes()).unwrap_or(usize::MAX);
        let bytes = ring.drain_some(most, |record| {
            node.record(record, &mut batches.spans);
            batches.send(BATCH, made);
        });
        self.ring_peak.at(clocks::boot().0, bytes);
    }

    /// Tells the kernel side what was decided.
    fn apply(&mut self) -> Result<(), LoadError> {
        let mut disowned = HashSet::new();
        for action in self.node.take_actions() {
            match action {
                Action::Policy(cgroup_id, policy) => {
                    self.probes.change_policy(cgroup_id, policy)?;
                }
                Action::TakeUp => self.takes_up = true,
                Action::Name(cgroup_id, parent_id, time, name) => {
                    let policy = Policy::UNDECIDED;
                    let made = CgroupMade { cgroup_id, parent_id, time, policy, name: &name };
                    self.probes.name(&made)?;
                }
                Action::ForgetName(cgroup_id) => self.probes.forget_name(cgroup_id)?,
                Action::Told(span_id) => self.probes.told(span_id)?,
                Action::Disown(cgroup_id) => {
                    disowned.insert(cgroup_id);
                }
            }
        }
        if !disowned.is_empty() {
            for (owner, beyond) in self.probes.disown(&disowned)? {
                self.node.pipeline_mut().beyond(owner, &beyond);
            }
            self.announced.retain(|_, cgroup_id| !disowned.contains(cgroup_id));
        }
        Ok(())
    }

    /// Does all that the node wants of the kernel side.
    fn act(&mut self) -> Result<(), LoadError> {
        self.apply()?;
        if mem::take(&mut self.takes_up) {
            self.take_up()?;
        }
        Ok(())
    }

    fn take_up(&mut self) -> Result<(), LoadError> {
        let tasks = self.probes.take_up()?;
        let running: HashMap<u32, TaskId> =
            tasks.iter().map(|task| (task.process.pid, task.process)).collect();
        self.announced.retain(|process, _| running.get(&process.pid) == Some(process));
        for task in tasks {
            if self.announced.contains_key(&task.process) {
                continue;
            }
            let Some(taken) = Taken::read(task, |pid| running.get(&pid).copied()) else { continue };
            if self.node.taken_up(taken.exec()) {
                self.announced.insert(task.process, task.cgroup_id);
            }
        }
        Ok(())
    }

    fn finish(&mut self, mut ring: Ring) -> Result<Collected, LoadError> {
        if self.probes.is_pinned() && self.successor.is_expected() {
            say::line("what is attached stays for the next agent");
        } else {
            self.probes.detach()?;
        }
        ring.wait(TICK / 10);
        // What comes after is the next one's.
        self.drain(&mut ring);
        self.node.tick(clocks::boot(), &mut self.batches.spans);
        self.apply()?;
        // What still runs is taken up by the next agent.
        self.node.finish();
        self.batches.send(1, &mut self.made);
        Ok(Collected { ledger: self.ledger()?, held: self.node.held() })
    }
}
