//! How many entries the agent's kernel maps have: read as bpftool does, which not every machine has.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::size_of;

use abi::cgroup::Group;
use abi::socket::Conn;
use abi::task::Task;
use anyhow::{Context as _, Result};
use aya::Pod;
use aya::maps::{HashMap, Map, MapData};

/// How many entries each map has that grows with what runs, by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entries(pub(super) BTreeMap<String, usize>);

impl fmt::Display for Entries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said: Vec<_> = self.0.iter().map(|(name, count)| format!("{name} {count}")).collect();
        f.write_str(&said.join(", "))
    }
}

pub(super) fn of_maps(ids: &[u32]) -> Result<Entries> {
    let mut entries = BTreeMap::new();
    for id in ids {
        let data = MapData::from_id(*id).with_context(|| format!("opening the map {id}"))?;
        let about = data.info().with_context(|| format!("looking at the map {id}"))?;
        let name = about.name_as_str().unwrap_or_default().to_owned();
        let count = match name.as_str() {
            "TASKS" => count::<u32, { size_of::<Task>() }>(data)?,
            "THREADS" => count::<u64, { size_of::<u64>() }>(data)?,
            "CGROUPS" => count::<u64, { size_of::<Group>() }>(data)?,
            "CONNECTIONS" => count::<u64, { size_of::<Conn>() }>(data)?,
            _ => continue,
        };
        entries.insert(name, count);
    }
    Ok(Entries(entries))
}

fn count<Key: Pod, const VALUE_BYTES: usize>(data: MapData) -> Result<usize> {
    let map = Map::from_map_data(data).context("taking a map for what it is")?;
    let map: HashMap<MapData, Key, [u8; VALUE_BYTES]> =
        HashMap::try_from(map).context("taking a map for a hash table")?;
    // What is deleted meanwhile makes the walk begin again: a key may come twice, and an error not matter.
    Ok(map.keys().filter(Result::is_ok).count())
}
