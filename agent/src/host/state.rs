//! What the kernel side knows: which tasks are traced, and what it counted.

use abi::{loss::Count, task::Task};
use aya::maps::{HashMap, MapData, PerCpuArray};
use zerocopy::FromBytes as _;

use super::load::{LoadError, PROCESS_FAMILY, Probes};
use crate::{
    event::{Comm, Fork, Left},
    loss::{Ledger, Loss},
};

/// What the kernel side counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub seen: u64,
    pub emitted: u64,
    pub ring_full: u64,
    pub tasks_full: u64,
    pub cut_unreadable: u64,
    pub connections_full: u64,
    pub limited: u64,
    pub unread: u64,
    pub not_http: u64,
    pub heads_unreadable: u64,
}

impl Counts {
    /// Enters what was lost before anybody received it; `missed` is what [`Probes::detach`] gave.
    pub fn enter(&self, missed: u64, ledger: &mut Ledger) {
        ledger.lose_in_kernel(Loss::RingFull, self.ring_full);
        ledger.lose_in_kernel(Loss::TasksFull, self.tasks_full);
        ledger.lose_in_kernel(Loss::ConnectionsFull, self.connections_full);
        ledger.lose_in_kernel(Loss::Limited, self.limited);
        ledger.lose_in_kernel(Loss::Unread, self.unread);
        ledger.lose_in_kernel(Loss::Missed, missed);
    }
}

impl Probes {
    /// Traced processes that live, those without a span too.
    pub fn tracked(&self) -> Result<usize, LoadError> {
        Ok(self.task_map()?.keys().count())
    }

    /// All that is traced.
    pub(super) fn tasks(&self) -> Result<Vec<Task>, LoadError> {
        let mut tasks = Vec::new();
        for entry in self.task_map()?.iter() {
            let (_, bytes) = entry.map_err(|source| LoadError::Map { name: "TASKS", source })?;
            tasks.extend(Task::read_from_bytes(&bytes));
        }
        Ok(tasks)
    }

    fn task_map(&self) -> Result<HashMap<&MapData, u32, [u8; size_of::<Task>()]>, LoadError> {
        let map = self.ebpf.map("TASKS").ok_or(LoadError::Absent("TASKS"))?;
        HashMap::try_from(map).map_err(|source| LoadError::Map { name: "TASKS", source })
    }

    /// What is traced and lives.
    pub fn left(&self) -> Result<Left, LoadError> {
        let mut left = Left::default();
        for task in self.tasks()? {
            left.running.insert(task.process);
            if !task.budget.beyond.is_empty() {
                left.beyond.push((task.owner, task.budget.beyond));
            }
            if task.owner != task.process {
                // Gone by now, or its id is another one here.
                let comm = std::fs::read_to_string(format!("/proc/{}/comm", task.process.pid));
                let comm = Comm::from_text(&comm.unwrap_or_else(|_| "(fork)".to_owned()));
                let (process, owner, beyond) = (task.process, task.owner, task.budget.beyond);
                left.forks.push(Fork { process, owner, comm, beyond });
            }
        }
        Ok(left)
    }

    /// Since this process began: what another reported before is not in it.
    pub fn counts(&self) -> Result<Counts, LoadError> {
        let totals = self.totals()?;
        let since = |Count(slot): Count| {
            let slot = slot as usize;
            let total = totals.get(slot).copied().unwrap_or_default();
            total.saturating_sub(self.reported.get(slot).copied().unwrap_or_default())
        };
        Ok(Counts {
            seen: since(Count::SEEN),
            emitted: since(Count::EMITTED),
            ring_full: since(Count::LOST_RING_FULL),
            tasks_full: since(Count::LOST_TASKS_FULL),
            cut_unreadable: since(Count::CUT_UNREADABLE),
            connections_full: since(Count::LOST_CONNECTIONS_FULL),
            limited: since(Count::LIMITED),
            unread: since(Count::UNREAD),
            not_http: since(Count::NOT_HTTP),
            heads_unreadable: since(Count::HEADS_UNREADABLE),
        })
    }

    /// By their slots, since the maps were made.
    pub(super) fn totals(&self) -> Result<Vec<u64>, LoadError> {
        let failed = |source| LoadError::Map { name: "COUNTS", source };
        let map = self.ebpf.map("COUNTS").ok_or(LoadError::Absent("COUNTS"))?;
        let map: PerCpuArray<_, u64> = PerCpuArray::try_from(map).map_err(failed)?;
        let sum = |slot| map.get(&slot, 0).map(|values| values.iter().sum::<u64>());
        (0..Count::SLOTS).map(sum).collect::<Result<_, _>>().map_err(failed)
    }

    /// The programs that are loaded.
    pub(super) fn programs(&self) -> Vec<Program> {
        let read = |(name, _): (&str, _)| {
            let info = fdinfo(self.program_fd(name)?)?;
            let (run_ns, runs) = (info.number("run_time_ns"), info.number("run_cnt"));
            Some(Program { name: name.to_owned(), run_ns, runs })
        };
        let mut programs: Vec<_> = self.ebpf.programs().filter_map(read).collect();
        programs.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        programs
    }

    /// Of all maps and programs of this process, as the kernel accounts for it.
    pub(super) fn memory_bytes(&self) -> u64 {
        let Ok(files) = std::fs::read_dir("/proc/self/fdinfo") else { return 0 };
        let infos = files.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok());
        let is_bpf = |info: &FdInfo| info.has("map_type") || info.has("prog_type");
        infos.map(FdInfo).filter(is_bpf).map(|info| info.number("memlock")).sum()
    }

    /// How many events no copy of a program saw, at most: of each program the copy that missed
    /// fewest. Kernels from 5.12 on show `recursion_misses` beside a program's descriptor.
    pub(super) fn missed(&self) -> u64 {
        let before = self.reported.get(Count::SLOTS as usize).copied().unwrap_or_default();
        self.missed_in_all().saturating_sub(before)
    }

    /// Since the programs were attached.
    pub(super) fn missed_in_all(&self) -> u64 {
        let of_copy = |name: String| -> Option<u64> {
            Some(fdinfo(self.program_fd(&name)?)?.number("recursion_misses"))
        };
        let least = |(program, _): &(&str, &str)| {
            let copies = self.copies.iter().map(|copy| format!("{program}{copy}"));
            let raw = of_copy(format!("{program}_raw"));
            copies.filter_map(of_copy).chain(raw).min().unwrap_or(0)
        };
        let requests = self.requests.iter().cloned().filter_map(of_copy);
        let missed: u64 = PROCESS_FAMILY.iter().map(least).chain(requests).sum();
        self.missed_before + missed
    }
}

/// What the kernel counted of a program: nothing unless `kernel.bpf_stats_enabled` is 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) name: String,
    pub(super) run_ns: u64,
    pub(super) runs: u64,
}

/// What the kernel shows beside a descriptor: a name, a colon and a value a line.
struct FdInfo(String);

fn fdinfo(fd: i32) -> Option<FdInfo> {
    std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok().map(FdInfo)
}

impl FdInfo {
    fn value(&self, name: &str) -> Option<&str> {
        let lines = self.0.lines().filter_map(|line| line.split_once(':'));
        let mut named = lines.filter(|(found, _)| *found == name);
        named.next().map(|(_, value)| value.trim())
    }

    fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// 0 where the kernel does not show it.
    fn number(&self, name: &str) -> u64 {
        self.value(name).and_then(|value| value.parse().ok()).unwrap_or_default()
    }
}
