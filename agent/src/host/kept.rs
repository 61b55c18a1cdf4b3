//! What is kept in pinned maps for whoever reads the ring next: until when somebody reads it, what is known of
//! control groups, and which spans were told.

use abi::cgroup::{NAME_BYTES, Named, Policy};
use aya::maps::{Array, HashMap, Map, MapData, MapError};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::load::{LoadError, Probes};
use crate::{
    event::{BootNanos, CgroupMade},
    id::SpanId,
};

/// How long the kernel side goes on without a reader: as long as a pod may take to begin anew, nanoseconds.
const PATIENCE: u64 = 60_000_000_000;

type Names<M> = HashMap<M, u64, [u8; size_of::<Named>()]>;

/// A control group that an earlier reader knew.
pub struct Kept {
    pub cgroup_id: u64,
    named: Named,
}

impl Kept {
    pub fn made(&self) -> CgroupMade<'_> {
        let end = self.named.name.iter().position(|byte| *byte == 0);
        CgroupMade {
            cgroup_id: self.cgroup_id,
            parent_id: self.named.parent_id,
            time: BootNanos(self.named.found_ns),
            policy: Policy::UNDECIDED,
            name: self.named.name.get(..end.unwrap_or(NAME_BYTES)).unwrap_or_default(),
        }
    }
}

impl Probes {
    /// Somebody reads the ring, and reported what was counted until now. Said once a second, where programs
    /// outlive this process.
    pub fn renew_reader(&mut self, now: BootNanos) -> Result<(), LoadError> {
        if !self.is_pinned() {
            return Ok(());
        }
        let (totals, missed) = (self.totals()?, self.missed_in_all());
        let until = now.0.saturating_add(PATIENCE);
        let failed = |source| LoadError::Map { name: "READER", source };
        let mut reader = Array::<_, u64>::try_from(self.kept("READER")?).map_err(failed)?;
        let said = [until].into_iter().chain(totals).chain([missed]);
        (0..).zip(said).try_for_each(|(at, value)| reader.set(at, value, 0)).map_err(failed)
    }

    /// When a reader before this one was there last, and what it had reported.
    pub(super) fn reported(&mut self) -> Result<(BootNanos, Vec<u64>), LoadError> {
        let failed = |source| LoadError::Map { name: "READER", source };
        let reader = Array::<_, u64>::try_from(self.kept("READER")?).map_err(failed)?;
        let until = reader.get(&0, 0).map_err(failed)?;
        let counts = (1..reader.len()).map(|at| reader.get(&at, 0)).collect::<Result<_, _>>();
        Ok((BootNanos(until.saturating_sub(PATIENCE)), counts.map_err(failed)?))
    }

    /// The control groups that were told of by [`Probes::name`], the oldest first.
    pub fn named(&mut self) -> Result<Vec<Kept>, LoadError> {
        let mut kept = Vec::new();
        for entry in self.names()?.iter() {
            let (cgroup_id, bytes) = entry.map_err(of_names)?;
            if let Ok(named) = Named::read_from_bytes(&bytes) {
                kept.push(Kept { cgroup_id, named });
            }
        }
        kept.sort_unstable_by_key(|kept| (kept.named.found_ns, kept.cgroup_id));
        Ok(kept)
    }

    /// What is not kept for want of room is found again, if it is there then.
    pub fn name(&mut self, made: &CgroupMade<'_>) -> Result<(), LoadError> {
        if !self.is_pinned() {
            return Ok(());
        }
        let mut name = [0; NAME_BYTES];
        name.iter_mut().zip(made.name).for_each(|(to, from)| *to = *from);
        let named = Named { parent_id: made.parent_id, found_ns: made.time.0, name };
        let mut bytes = [0; size_of::<Named>()];
        bytes.copy_from_slice(named.as_bytes());
        let _no_room = self.names()?.insert(made.cgroup_id, bytes, 0);
        Ok(())
    }

    pub fn forget_name(&mut self, cgroup_id: u64) -> Result<(), LoadError> {
        if !self.is_pinned() {
            return Ok(());
        }
        match self.names()?.remove(&cgroup_id) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(source) => Err(of_names(source)),
        }
    }

    /// The span of a pod or a container was told.
    pub fn told(&mut self, span_id: SpanId) -> Result<(), LoadError> {
        if !self.is_pinned() {
            return Ok(());
        }
        let failed = |source| LoadError::Map { name: "TOLD", source };
        let mut told = HashMap::<_, u64, u64>::try_from(self.kept("TOLD")?).map_err(failed)?;
        told.insert(key(span_id), 1, 0).map_err(failed)
    }

    /// Finds out which spans an earlier reader told. Can be asked for once.
    pub fn were_told(&mut self) -> Result<impl Fn(SpanId) -> bool + 'static, LoadError> {
        let failed = |source| LoadError::Map { name: "TOLD", source };
        let map = self.kept("TOLD")?;
        let told = HashMap::<_, u64, u64>::try_from(map).map_err(failed)?;
        let told: std::collections::HashSet<u64> = told.keys().flatten().collect();
        Ok(move |span_id| told.contains(&key(span_id)))
    }

    fn names(&mut self) -> Result<Names<&mut MapData>, LoadError> {
        HashMap::try_from(self.kept("NAMES")?).map_err(of_names)
    }

    fn kept(&mut self, name: &'static str) -> Result<&mut Map, LoadError> {
        self.ebpf_mut().map_mut(name).ok_or(LoadError::Absent(name))
    }
}

fn of_names(source: MapError) -> LoadError {
    LoadError::Map { name: "NAMES", source }
}

fn key(span_id: SpanId) -> u64 {
    let bytes = span_id.as_bytes().first_chunk().copied();
    u64::from_le_bytes(bytes.unwrap_or_default())
}
