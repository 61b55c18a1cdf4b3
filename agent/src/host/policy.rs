//! What user space decides of control groups -> the kernel side's maps.

use std::{collections::HashSet, io::Read as _};

use abi::{
    cgroup::{Group, Policy, Rate},
    task::{Task, TaskId, flag},
};
use aya::{
    maps::{HashMap, MapData},
    programs::{Iter, ProgramError, RawTracePoint, RawTracePointRunOptions, TestRun as _},
};

use zerocopy::FromBytes as _;

use super::{
    attach::{Attached, Tools},
    load::{LoadError, Probes},
};
use crate::{event::Beyond, kube::story::Limited};

/// (program, tracepoint), as `tp_btf`, and with `_raw` behind as a raw tracepoint.
const FAMILY: [(&str, &str); 2] =
    [("cgroup_made", "cgroup_mkdir"), ("cgroup_gone", "cgroup_rmdir")];
/// Of include/uapi/linux/bpf.h.
const BPF_ANY: u64 = 0;
const BPF_EXIST: u64 = 2;
/// How often all tasks are gone through, as long as some are found.
const ROUNDS: u32 = 8;

type Groups<'a> = HashMap<&'a mut MapData, u64, [u8; size_of::<Group>()]>;

fn group(groups: &Groups<'_>, cgroup_id: u64) -> Option<Group> {
    let bytes = groups.get(&cgroup_id, 0).ok()?;
    Group::read_from_bytes(&bytes).ok()
}

fn bytes(group: Group) -> [u8; size_of::<Group>()] {
    zerocopy::transmute!(group)
}

/// Which processes are traced because of their control groups.
#[derive(Debug, Clone, Copy)]
pub struct ByCgroup {
    /// `cgroup_root.hierarchy_id`; 0 is that of cgroup v2.
    pub hierarchy_id: u32,
    /// Whose hierarchy it is; `None` for cgroup v2.
    pub controller: Option<&'static str>,
    /// Of a pod, that the kernel side tells of; 0 for all.
    pub spans_per_second: u32,
}

impl Probes {
    /// From here on what is made in a known control group is known, and told.
    pub fn attach_cgroups(&mut self) -> Result<(), LoadError> {
        for (program, target) in FAMILY {
            let mut tools = self.tools();
            let attached = tools.attach(program, Attached::Tracepoint, target);
            let attached =
                attached.or_else(|_refused| tools.attach_raw(&format!("{program}_raw"), target));
            attached.map_err(|source| LoadError::Attach { program, target, source })?;
        }
        self.load_iterator()
    }

    /// What [`Probes::take_up`] runs.
    pub fn load_iterator(&mut self) -> Result<(), LoadError> {
        let Tools { ebpf, btf, .. } = self.tools();
        let program = iterator(ebpf.program_mut("take_up").ok_or(LoadError::Absent("take_up"))?)?;
        let btf = match btf {
            Some(btf) => btf,
            None => btf.insert(aya::Btf::from_sys_fs().map_err(|error| refused(error.into()))?),
        };
        program.load("task", btf).map_err(refused)
    }

    /// What becomes of processes in a control group that was found, which was made in that parent. `false`
    /// where there is no room.
    pub fn set_policy(
        &mut self,
        cgroup_id: u64,
        parent_id: u64,
        policy: Policy,
    ) -> Result<bool, LoadError> {
        let mut groups = self.groups()?;
        let group = group(&groups, parent_id)
            .map(|parent| Group::child(parent.policy, parent.pod_id, cgroup_id));
        let group = Group { policy, ..group.unwrap_or_else(|| Group::new(policy)) };
        Ok(groups.insert(cgroup_id, bytes(group), BPF_ANY).is_ok())
    }

    /// Likewise of one that the kernel side knows: where it does not any more, it is gone.
    pub fn change_policy(&mut self, cgroup_id: u64, policy: Policy) -> Result<(), LoadError> {
        let mut groups = self.groups()?;
        if let Some(known) = group(&groups, cgroup_id) {
            let changed = bytes(Group { policy, ..known });
            let _gone_meanwhile = groups.insert(cgroup_id, changed, BPF_EXIST);
        }
        Ok(())
    }

    fn groups(&mut self) -> Result<Groups<'_>, LoadError> {
        let failed = |source| LoadError::Map { name: "CGROUPS", source };
        let map = self.ebpf_mut().map_mut("CGROUPS").ok_or(LoadError::Absent("CGROUPS"))?;
        HashMap::try_from(map).map_err(failed)
    }

    /// Finds out what was not told of a control group, because it was beyond the limit of a second. Can be
    /// asked for once.
    pub fn limited(&mut self) -> Result<impl Fn(u64) -> Limited + 'static, LoadError> {
        let map = self.ebpf_mut().take_map("RATES").ok_or(LoadError::Absent("RATES"))?;
        let map: HashMap<MapData, u64, [u8; size_of::<Rate>()]> =
            HashMap::try_from(map).map_err(|source| LoadError::Map { name: "RATES", source })?;
        Ok(move |cgroup_id| {
            let rate = map.get(&cgroup_id, 0).ok();
            let rate = rate.and_then(|bytes| Rate::read_from_bytes(&bytes).ok());
            rate.map_or_else(Limited::default, |rate| Limited {
                execs: rate.execs,
                forks: rate.forks,
            })
        })
    }

    /// Traces what runs in traced control groups and is not traced yet. Gives all that were ever taken
    /// up and run, the oldest first.
    pub fn take_up(&mut self) -> Result<Vec<Task>, LoadError> {
        let mut found = 0;
        for _ in 0..ROUNDS {
            self.run_iterator()?;
            let taken = self.taken_up()?;
            if taken.len() == found {
                return Ok(taken);
            }
            found = taken.len();
        }
        self.taken_up()
    }

    fn run_iterator(&mut self) -> Result<(), LoadError> {
        let program = self.ebpf_mut().program_mut("take_up").ok_or(LoadError::Absent("take_up"))?;
        let program = iterator(program)?;
        let link = program.attach().map_err(refused)?;
        let link = program.take_link(link).map_err(refused)?;
        let mut file = link.into_file().map_err(|error| LoadError::TakeUp(error.into()))?;
        // It writes nothing; the reading is what runs it.
        let mut nothing = Vec::new();
        file.read_to_end(&mut nothing).map(drop).map_err(|error| LoadError::TakeUp(error.into()))
    }

    fn taken_up(&self) -> Result<Vec<Task>, LoadError> {
        // Of those that another process was told of this one knows nothing yet.
        let is_taken = |task: &Task| {
            let is_known = self.is_adopted() && task.owner == task.process;
            task.flags & flag::DROPPED == 0 && (is_known || task.flags & flag::TAKEN_UP != 0)
        };
        let mut tasks = self.tasks()?;
        tasks.retain(is_taken);
        tasks.sort_by_key(|task| task.process.start_ns);
        Ok(tasks)
    }

    /// Nothing more is told of what runs in these control groups. Gives their requests beyond the budget,
    /// with whose they are.
    pub fn disown(&mut self, cgroups: &HashSet<u64>) -> Result<Vec<(TaskId, Beyond)>, LoadError> {
        let tasks = self.tasks()?;
        let program = self.ebpf_mut().program_mut("disown").ok_or(LoadError::Absent("disown"))?;
        let program: &mut RawTracePoint = program.try_into().map_err(refused)?;
        if program.fd().is_err() {
            program.load().map_err(refused)?;
        }
        let mut beyond = Vec::new();
        for task in tasks.iter().filter(|task| cgroups.contains(&task.cgroup_id)) {
            if !task.budget.beyond.is_empty() {
                beyond.push((task.owner, task.budget.beyond));
            }
            let mut options = RawTracePointRunOptions::new();
            options.args[0] = u64::from(task.process.pid);
            options.args[1] = task.process.start_ns;
            // Where it fails the process is gone.
            program.test_run(options).map_err(refused)?;
        }
        Ok(beyond)
    }
}

fn iterator(program: &mut aya::programs::Program) -> Result<&mut Iter, LoadError> {
    program.try_into().map_err(refused)
}

fn refused(source: ProgramError) -> LoadError {
    LoadError::Attach { program: "take_up", target: "all tasks", source }
}
