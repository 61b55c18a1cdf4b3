//! Connections that ended without a record.
//!
//! Where `unix_release` cannot be probed, nothing tells that a process closed a UNIX socket, and its entry stays
//! until another socket has its address.

use std::collections::HashSet;

use abi::{
    socket::{Conn, Transport},
    task::TaskId,
};
use aya::maps::{HashMap, MapData, MapError};
use zerocopy::FromBytes as _;

use super::load::{LoadError, Probes};
use crate::event::{BootNanos, ConnectionId};

/// How often to look, in seconds.
pub const SWEEP: u64 = 30;
/// How long nothing was told of it: a process that begins may not be among those that live yet.
const IDLE: u64 = 10_000_000_000;

impl Probes {
    /// Forgets what processes that ended had open over other transports than TCP. Gives those of which a record
    /// told.
    pub fn sweep(&mut self, now: BootNanos) -> Result<HashSet<ConnectionId>, LoadError> {
        let living: HashSet<TaskId> = self.tasks()?.into_iter().map(|task| task.process).collect();
        self.forget(|conn| is_left(conn, &living, now))
    }

    /// Forgets those of which another process was told the beginning, and gives those of which a record told.
    pub fn forget_connections(&mut self) -> Result<HashSet<ConnectionId>, LoadError> {
        let BootNanos(last_read) = self.last_read;
        self.forget(|conn| conn.since_ns <= last_read)
    }

    fn forget(
        &mut self,
        is_over: impl Fn(&Conn) -> bool,
    ) -> Result<HashSet<ConnectionId>, LoadError> {
        let mut map = self.connections()?;
        let mut over = Vec::new();
        for entry in map.iter() {
            let (sock, bytes) = entry.map_err(of_connections)?;
            let Ok(conn) = Conn::read_from_bytes(&bytes) else { continue };
            if is_over(&conn) {
                over.push((sock, conn));
            }
        }
        let mut told = HashSet::new();
        for (sock, conn) in over {
            match map.remove(&sock) {
                Ok(()) if conn.is_told != 0 => {
                    told.insert(ConnectionId { sock, since_ns: conn.since_ns });
                }
                // It went by itself.
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(source) => return Err(of_connections(source)),
            }
        }
        Ok(told)
    }

    fn connections(&mut self) -> Result<Connections<'_>, LoadError> {
        let map = self.ebpf.map_mut("CONNECTIONS").ok_or(LoadError::Absent("CONNECTIONS"))?;
        HashMap::try_from(map).map_err(of_connections)
    }
}

type Connections<'a> = HashMap<&'a mut MapData, u64, [u8; size_of::<Conn>()]>;

fn of_connections(source: MapError) -> LoadError {
    LoadError::Map { name: "CONNECTIONS", source }
}

fn is_left(conn: &Conn, living: &HashSet<TaskId>, now: BootNanos) -> bool {
    let [received, sent] = &conn.ways;
    let last = conn.since_ns.max(received.last_ns).max(sent.last_ns);
    conn.transport != Transport::TCP
        && !living.contains(&conn.process)
        && last.saturating_add(IDLE) < now.0
}
