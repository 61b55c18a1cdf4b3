//! The records that the probe makes of what it followed.

use abi::{
    WIRE_VERSION,
    header::{Header, Kind},
    http1::Stream,
    socket::{
        Closed, Conn, Connection, ConnectionId, End, Frames, HEAD_MAX, Head, PATH_MAX, Role, flag,
        state,
    },
    task::TaskId,
};
use zerocopy::IntoBytes as _;

use super::{Direction, Following, Walk, data::Held};

impl Following {
    pub(super) fn announce(&mut self) {
        let Conn { process, role, .. } = self.conn;
        self.records.push(connection(process, self.id, role, self.ports, self.now_ns));
    }

    pub(super) fn emit_head(&mut self, walk: &Walk, taken: &[u8], offset: u32, flags: u32) {
        let is_cut = offset >= HEAD_MAX;
        if is_cut && flags & flag::HEAD_ENDED == 0 {
            return;
        }
        let bytes = if is_cut { &[] } else { taken };
        let fixed = Head {
            header: header(Kind::HEAD, size_of::<Head>() + bytes.len(), self.now_ns),
            process: self.conn.process,
            owner: self.conn.owner,
            connection: self.id,
            tid: self.conn.process.pid,
            sent: walk.direction as u32,
            offset,
            head_len: length(bytes),
            flags: if is_cut { flags | flag::CUT } else { flags },
            ordinal: walk.stream.ordinal,
        };
        self.conn.is_told = 1;
        self.records.push([fixed.as_bytes(), bytes].concat());
    }

    pub(super) fn emit_end(&mut self, stream: &Stream, direction: Direction) {
        let fixed = End {
            header: header(Kind::END, size_of::<End>(), self.now_ns),
            connection: self.id,
            sent: direction as u32,
            ordinal: stream.ordinal,
            body_bytes: stream.body_bytes,
        };
        self.records.push(fixed.as_bytes().to_vec());
    }

    pub(super) fn end(&mut self, reason: u32) {
        self.conn.state = state::NEITHER;
        self.conn.is_told = 0;
        let [received, sent] = &self.conn.ways;
        let fixed = Closed {
            header: header(Kind::CLOSED, size_of::<Closed>(), self.now_ns),
            connection: self.id,
            reason,
            error: 0,
            sent_body_bytes: sent.stream.body_bytes,
            received_body_bytes: received.stream.body_bytes,
            last_ns: sent.last_ns.max(received.last_ns),
            cut: u32::from(received.stream.phase.is_bounded())
                | u32::from(sent.stream.phase.is_bounded()) << 1,
            _pad: 0,
        };
        self.records.push(fixed.as_bytes().to_vec());
    }

    pub(super) fn emit_held(&mut self, walk: &mut Walk) {
        let Held { offset, frames, is_counted } = std::mem::take(&mut walk.held);
        if frames.is_empty() && !is_counted {
            return;
        }
        let counted = walk.stream.counted();
        let counted = if is_counted { counted.as_bytes() } else { &[] };
        let len = size_of::<Frames>() + frames.len() + counted.len();
        let fixed = Frames {
            header: header(Kind::FRAMES, len, self.now_ns),
            process: self.conn.process,
            owner: self.conn.owner,
            connection: self.id,
            offset: if frames.is_empty() { walk.stream.body_bytes } else { offset },
            sent: walk.direction as u32,
            frames_len: length(&frames),
            tid: self.conn.process.pid,
            counted: u32::from(is_counted),
        };
        self.conn.is_told = 1;
        self.records.push([fixed.as_bytes(), &frames, counted].concat());
    }
}

pub(super) fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Of a record of so many bytes.
pub(crate) fn header(kind: Kind, len: usize, time_ns: u64) -> Header {
    let len_bytes = u32::try_from(len).unwrap_or(u32::MAX);
    Header { kind, version: WIRE_VERSION, len_bytes, time_ns }
}

/// A process talks with another of this host; `ports` are its own and the other's.
pub(crate) fn connection(
    process: TaskId,
    id: ConnectionId,
    role: Role,
    ports: (u16, u16),
    time_ns: u64,
) -> Vec<u8> {
    let mut local = [0; 16];
    local[..4].copy_from_slice(&[127, 0, 0, 1]);
    let fixed = Connection {
        header: header(Kind::CONNECTION, size_of::<Connection>(), time_ns),
        process,
        owner: process,
        connection: id,
        role,
        family: 2,
        local_port: ports.0,
        remote_port: ports.1,
        error: 0,
        connect_ns: 0,
        connected_ns: 0,
        local,
        remote: local,
        path_len: 0,
        path: [0; PATH_MAX],
    };
    fixed.as_bytes().to_vec()
}
