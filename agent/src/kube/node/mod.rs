//! What is on this node: pods, their containers, and the control groups that those run in.
//!
//! A process is known by its control group at once, a container by its control group's name; whose it is
//! says the API, perhaps later. Until then its records are held. What is decided of a pod is told to the
//! kernel side, and holds there for all control groups that are made in the pod's.

mod cgroup;
mod decide;
mod describe;
#[cfg(test)]
mod ends;
mod known;
#[cfg(test)]
mod left;
mod objects;
#[cfg(test)]
mod taken_over;
mod tell;
#[cfg(test)]
mod tests;
mod tick;

use std::collections::{HashMap, HashSet};

use abi::cgroup::Policy;

pub use self::describe::{ContainerState, PodState};
use self::{
    cgroup::{Cgroup, Kind, State},
    known::Known,
};
use super::{
    hold::{self, Hold},
    name::{Name, Uid},
    object::Namespace,
    resource::Wanted,
    select::Unsaid,
    story::{Limited, Seen},
};
use crate::{
    clock::Clock,
    decode::decode,
    event::{BootNanos, CgroupMade, Event, Exec, TaskId},
    id::SpanId,
    loss::Loss,
    pipeline::Pipeline,
    redact::CleanSpan,
};

/// In nanoseconds.
const SECOND: u64 = 1_000_000_000;

/// What the kernel side is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// This is what becomes of processes there from now on.
    Policy(u64, Policy),
    /// What runs in traced control groups and is not traced yet is to be taken up.
    TakeUp,
    /// What runs there is to be told no more.
    Disown(u64),
    /// This is known of a control group: its id, its parent's, when it was found, its name.
    Name(u64, u64, BootNanos, Vec<u8>),
    ForgetName(u64),
    /// The span of a pod or a container was told.
    Told(SpanId),
}

pub struct Config {
    pub unsaid: Unsaid,
    /// Of all resources.
    pub wanted: Wanted,
    pub clock: Clock,
    /// When the agent began.
    pub began: BootNanos,
    /// Of processes and requests, that a pod gets that ends; 0 for all.
    pub spans_per_pod: u64,
    /// What was not told of processes of a control group, because they were too many in one second.
    pub limited: Box<dyn Fn(u64) -> Limited>,
    /// Whether an agent before this one told the span of a pod or a container.
    pub was_told: Box<dyn Fn(SpanId) -> bool>,
}

pub struct Node {
    config: Config,
    pipeline: Pipeline,
    pods: HashMap<Uid, Known>,
    namespaces: HashMap<String, Namespace>,
    cgroups: HashMap<u64, Cgroup>,
    hold: Hold,
    /// The container of each traced process.
    processes: HashMap<TaskId, u64>,
    actions: Vec<Action>,
    /// Whether what the ring held at the beginning was taken: nothing is told of what ended before.
    has_begun: bool,
    /// The time of the latest record or tick.
    now: BootNanos,
}

impl Node {
    pub fn new(config: Config, mut pipeline: Pipeline) -> Self {
        pipeline.tell_containers_only();
        Self {
            config,
            pipeline,
            pods: HashMap::new(),
            namespaces: HashMap::new(),
            cgroups: HashMap::new(),
            hold: Hold::default(),
            processes: HashMap::new(),
            actions: Vec::new(),
            has_begun: false,
            now: BootNanos::default(),
        }
    }

    /// All was taken that the ring held when the agent began: the first and the last of what ended are known.
    pub fn begin(&mut self, out: &mut Vec<CleanSpan>) {
        self.has_begun = true;
        let all: Vec<Uid> = self.pods.keys().cloned().collect();
        all.iter().for_each(|uid| self.tell(uid, out));
    }

    /// What is to be done since this was last asked.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    pub fn pipeline_mut(&mut self) -> &mut Pipeline {
        &mut self.pipeline
    }

    pub fn set_clock(&mut self, read: Clock) {
        let clock = self.config.clock.corrected_by(read);
        self.config.clock = clock;
        self.pipeline.set_clock(clock);
    }

    /// Records that wait for more.
    pub fn held(&self) -> u64 {
        self.pipeline.held() + self.hold.records()
    }

    /// Whether a control group is known.
    pub fn knows(&self, cgroup_id: u64) -> bool {
        self.cgroups.get(&cgroup_id).is_some_and(|known| known.gone.is_none())
    }

    /// The agent ends. What runs goes on, and is taken up by the next one: it has no span yet.
    pub fn finish(&mut self) {
        let records = self.hold.all();
        self.pipeline.ledger_mut().lose(Loss::Unplaced, records);
        self.pipeline.leave();
    }

    /// Takes one record of the ring.
    pub fn record(&mut self, record: &[u8], out: &mut Vec<CleanSpan>) {
        self.pipeline.ledger_mut().received += 1;
        let Ok(event) = decode(record) else {
            // Whoever takes it says what is wrong with it.
            return self.pipeline.take(record, out);
        };
        match &event {
            Event::CgroupMade(made) => {
                self.now = self.now.max(made.time);
                self.made(made, out);
                self.pipeline.ledger_mut().exported += 1;
            }
            Event::CgroupGone(gone) => {
                self.gone(gone.cgroup_id, gone.time);
                self.pipeline.ledger_mut().exported += 1;
            }
            Event::Chunk(_)
            | Event::Exec(_)
            | Event::Exit(_)
            | Event::Connection(_)
            | Event::Head(_)
            | Event::Frames(_)
            | Event::End(_)
            | Event::Closed(_) => {
                let container = self.container_of(&event);
                self.of_container(container, &event, record, out);
            }
        }
    }

    /// The container that a record is of.
    fn container_of(&mut self, event: &Event<'_>) -> Option<u64> {
        if let Event::Exec(exec) = event {
            let inherited = self.processes.get(&exec.parent).copied();
            let container = self.container_at(exec.cgroup_id).or(inherited)?;
            self.now = self.now.max(exec.time);
            self.processes.insert(exec.process, container);
            self.see(container, exec.time);
            return Some(container);
        }
        let owner = hold::owner(event);
        let container = owner.and_then(|owner| self.processes.get(&owner).copied());
        if let Event::Exit(exit) = event {
            if exit.owner == exit.process {
                self.processes.remove(&exit.process);
            }
            let told_to_another = || self.container_at(exit.cgroup_id);
            let whose = container.or_else(told_to_another)?;
            if container.is_none() {
                self.see(whose, BootNanos(exit.process.start_ns));
            }
            self.see(whose, exit.time);
            return Some(whose);
        }
        let of_connection = || hold::connection(event).and_then(|id| self.hold.of_connection(id));
        container.or_else(of_connection)
    }

    /// The container that the control group is of.
    fn container_at(&self, cgroup_id: u64) -> Option<u64> {
        match self.cgroups.get(&cgroup_id)?.kind {
            Kind::Container { .. } => Some(cgroup_id),
            Kind::Inner(container) => Some(container),
            Kind::Class | Kind::Pod(_) => None,
        }
    }

    fn see(&mut self, container: u64, time: BootNanos) {
        let time = self.config.clock.unix(time);
        if let Some(Cgroup { kind: Kind::Container { seen, .. }, .. }) =
            self.cgroups.get_mut(&container)
        {
            seen.at(time);
        }
    }

    fn of_container(
        &mut self,
        container: Option<u64>,
        event: &Event<'_>,
        record: &[u8],
        out: &mut Vec<CleanSpan>,
    ) {
        let cgroup = container.and_then(|container| self.cgroups.get(&container));
        let state = match cgroup.map(|cgroup| &cgroup.kind) {
            Some(Kind::Container { state, .. }) => *state,
            // Of nothing that is known: a chunk comes before its exec, an end after its connection.
            Some(Kind::Class | Kind::Pod(_) | Kind::Inner(_)) | None => match event {
                Event::Exec(_) => State::LeftOut(Loss::Unplaced),
                Event::Chunk(_)
                | Event::Exit(_)
                | Event::Connection(_)
                | Event::Head(_)
                | Event::Frames(_)
                | Event::End(_)
                | Event::Closed(_)
                | Event::CgroupMade(_)
                | Event::CgroupGone(_) => State::Told,
            },
        };
        match (state, container) {
            (State::Undecided, Some(container)) => {
                match self.hold.push(container, event, record, self.now) {
                    Ok(()) => self.pipeline.hold(event),
                    Err(hold::Full) => self.pipeline.ledger_mut().lose(Loss::HoldFull, 1),
                }
            }
            (State::LeftOut(why), _) => {
                if let Event::Exec(exec) = event {
                    self.pipeline.forget_exec(exec.process);
                }
                self.pipeline.ledger_mut().lose(why, 1);
            }
            (State::Told | State::Undecided, _) => self.pipeline.take(record, out),
        }
    }

    /// Gives up what is held of a container.
    fn lose_held(&mut self, cgroup_id: u64, why: Loss) {
        for (_, record) in self.hold.take(cgroup_id) {
            if let Ok(event) = decode(&record) {
                self.pipeline.give_up(&event);
                if let Event::Exec(exec) = event {
                    self.pipeline.forget_exec(exec.process);
                }
            }
            self.pipeline.ledger_mut().lose(why, 1);
        }
    }

    /// A process of a traced container that ran before. `false` if its container is not decided yet.
    pub fn taken_up(&mut self, exec: Exec<'_>) -> bool {
        let Some(container) = self.container_at(exec.cgroup_id) else { return true };
        self.processes.insert(exec.process, container);
        let Some(Cgroup { kind: Kind::Container { state, .. }, .. }) = self.cgroups.get(&container)
        else {
            return true;
        };
        let state = *state;
        if state == State::Told && !self.pipeline.knows(exec.process) {
            self.see(container, exec.time);
            self.pipeline.exec(exec);
        }
        state != State::Undecided
    }

    /// A control group is there, in one that is known.
    pub fn made(&mut self, made: &CgroupMade<'_>, out: &mut Vec<CleanSpan>) {
        let (cgroup_id, name) = (made.cgroup_id, String::from_utf8_lossy(made.name));
        if self.cgroups.get(&cgroup_id).is_some_and(|known| known.gone.is_none()) {
            return;
        }
        let parent = self.cgroups.get(&made.parent_id).map(|parent| &parent.kind);
        let kind = match (parent, Name::parse(&name)) {
            (_, Name::Pod(uid)) => Kind::Pod(uid),
            (Some(Kind::Pod(pod)), Name::Container(id)) => {
                let (pod, seen, state) = (pod.clone(), Seen::default(), State::Undecided);
                Kind::Container { pod, id, seen, state, scope: None }
            }
            (Some(Kind::Container { .. }), _) => Kind::Inner(made.parent_id),
            (Some(Kind::Inner(container)), _) => Kind::Inner(*container),
            (Some(Kind::Class | Kind::Pod(_)) | None, _) => Kind::Class,
        };
        let policy = made.policy;
        let pod = match &kind {
            Kind::Pod(uid) => {
                self.pods.entry(uid.clone()).or_default().cgroup_id = Some(cgroup_id);
                Some(uid.clone())
            }
            Kind::Container { pod, .. } => Some(pod.clone()),
            Kind::Class => {
                self.actions.push(Action::Policy(cgroup_id, Policy::WATCHED));
                None
            }
            Kind::Inner(container) => {
                self.pipeline.within(cgroup_id, *container);
                self.cgroups.get(container).and_then(|cgroup| cgroup.pod().cloned())
            }
        };
        let name = Action::Name(cgroup_id, made.parent_id, made.time, made.name.to_vec());
        self.actions.push(name);
        self.cgroups
            .insert(cgroup_id, Cgroup { kind, policy, gone: None, closed: false, has_old: false });
        if let Some(pod) = pod {
            self.decide(&pod, out);
        }
    }

    /// A control group that was there before the agent looked.
    pub fn found(&mut self, found: &CgroupMade<'_>, out: &mut Vec<CleanSpan>) {
        self.made(found, out);
        if let Some(cgroup) = self.cgroups.get_mut(&found.cgroup_id) {
            cgroup.has_old = true;
            self.actions.push(Action::TakeUp);
        }
    }

    /// All that there are were found: what is not among them is gone, and the record of it was lost.
    pub fn only(&mut self, found: &HashSet<u64>, now: BootNanos) {
        let is_there = |id: u64, cgroup: &Cgroup| cgroup.gone.is_some() || found.contains(&id);
        let absent = self.cgroups.iter().filter(|(id, cgroup)| !is_there(**id, cgroup));
        let absent: Vec<u64> = absent.map(|(id, _)| *id).collect();
        absent.into_iter().for_each(|cgroup_id| self.gone(cgroup_id, now));
    }

    fn gone(&mut self, cgroup_id: u64, time: BootNanos) {
        if let Some(cgroup) = self.cgroups.get_mut(&cgroup_id) {
            cgroup.gone = Some(time);
        }
    }
}
