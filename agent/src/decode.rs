//! A record of the ring -> an event. Total: any bytes give an event or say which field was wrong.

use std::{
    borrow::Cow,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use abi::{
    WIRE_VERSION, cgroup as wire_cgroup,
    header::{Header, Kind},
    process as wire, socket as wire_socket,
};

use crate::{
    event::{
        BootNanos, CgroupGone, CgroupMade, Chunk, CloseReason, Closed, Comm, Connection, Counted,
        End, Ends, Event, Exec, Exit, Frames, Head, KernelPath, Part, Role, SocketPath, Strings,
        UnixSocket, WaitStatus, Way,
    },
    reader::Reader,
};

/// Of include/linux/socket.h.
const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the record is shorter than its fields say")]
    Short,
    #[error("the record is longer than its fields say")]
    Long,
    #[error("record kind {0} is unknown")]
    Kind(u16),
    #[error("record version {0} is not this build's")]
    Version(u16),
    #[error("chunk part {0} is unknown")]
    Part(u32),
    #[error("connection role {0} is unknown")]
    Role(u32),
    #[error("address family {0} is unknown")]
    Family(u32),
    #[error("a path of {0} bytes is longer than a socket's can be")]
    Path(usize),
    #[error("direction {0} is unknown")]
    Way(u32),
    #[error("{0} does not say whether messages were counted")]
    Counted(u32),
    #[error("reason {0} for the end of a connection is unknown")]
    Reason(u32),
}

/// Decodes one record. It ends where the ring says: trailing padding of up to 7 bytes is allowed.
pub fn decode(record: &[u8]) -> Result<Event<'_>, DecodeError> {
    let header: Header = Reader::new(record).value().ok_or(DecodeError::Short)?;
    if header.version != WIRE_VERSION {
        return Err(DecodeError::Version(header.version));
    }
    let record = record.get(..header.len_bytes as usize).ok_or(DecodeError::Short)?;
    let mut reader = Reader::new(record);
    let event = match header.kind {
        Kind::CHUNK => chunk(&mut reader)?,
        Kind::EXEC => exec(&mut reader)?,
        Kind::EXIT => exit(&mut reader)?,
        Kind::CONNECTION => connection(&mut reader)?,
        Kind::HEAD => head(&mut reader)?,
        Kind::FRAMES => frames(&mut reader)?,
        Kind::END => end(&mut reader)?,
        Kind::CLOSED => closed(&mut reader)?,
        Kind::CGROUP_MADE => cgroup_made(&mut reader)?,
        Kind::CGROUP_GONE => cgroup_gone(&mut reader)?,
        Kind(unknown) => return Err(DecodeError::Kind(unknown)),
    };
    if reader.is_empty() { Ok(event) } else { Err(DecodeError::Long) }
}

fn chunk<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
    let fixed: wire::Chunk = reader.value().ok_or(DecodeError::Short)?;
    let part = match fixed.part {
        wire::Part::ARGS => Part::Args,
        wire::Part::ENV => Part::Env,
        wire::Part(unknown) => return Err(DecodeError::Part(unknown)),
    };
    let bytes = reader.take(fixed.chunk_len as usize).ok_or(DecodeError::Short)?;
    let (process, exec_id, offset) = (fixed.process, fixed.exec_id, fixed.offset as usize);
    Ok(Event::Chunk(Chunk { process, exec_id, part, offset, bytes }))
}

fn exec<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
    let fixed: wire::Exec = reader.value().ok_or(DecodeError::Short)?;
    let mut take = |len: u32| reader.take(len as usize).ok_or(DecodeError::Short);
    let (executable, working_directory) = (take(fixed.exe_len)?, take(fixed.cwd_len)?);
    let (args, env) = (take(fixed.args_len)?, take(fixed.env_len)?);
    Ok(Event::Exec(Exec {
        process: fixed.process,
        parent: fixed.parent,
        time: BootNanos(fixed.header.time_ns),
        parent_pid: fixed.parent_pid,
        vpid: fixed.vpid,
        uid: fixed.uid,
        exec_id: fixed.exec_id,
        cgroup_id: fixed.cgroup_id,
        pod_id: fixed.pod_id,
        executable: KernelPath(executable),
        working_directory: KernelPath(working_directory),
        args: strings(args, fixed.args_total),
        env: strings(env, fixed.env_total),
        comm: Comm(fixed.comm),
        taken_up: false,
        records: 1,
    }))
}

fn exit<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
    let fixed: wire::Exit = reader.value().ok_or(DecodeError::Short)?;
    Ok(Event::Exit(Exit {
        process: fixed.process,
        owner: fixed.owner,
        parent: fixed.parent,
        time: BootNanos(fixed.header.time_ns),
        wait_status: WaitStatus(fixed.wait_status),
        oom_victim: fixed.oom_victim,
        peak_rss_pages: fixed.peak_rss_pages,
        execs: fixed.execs,
        cgroup_id: fixed.cgroup_id,
        usage: fixed.usage,
        beyond: fixed.beyond,
        comm: Comm(fixed.comm),
    }))
}

fn cgroup_made<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
    let fixed: wire_cgroup::Made = reader.value().ok_or(DecodeError::Short)?;
    let name = reader.take(fixed.name_len as usize).ok_or(DecodeError::Short)?;
    Ok(Event::CgroupMade(CgroupMade {
        cgroup_id: fixed.cgroup_id,
        parent_id: fixed.parent_id,
        time: BootNanos(fixed.header.time_ns),
        policy: fixed.policy,
        name: name.strip_suffix(&[0]).unwrap_or(name),
    }))
}

fn cgroup_gone<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
    let fixed: wire_cgroup::Gone = reader.value().ok_or(DecodeError::Short)?;
    let (cgroup_id, time) = (fixed.cgroup_id, BootNanos(fixed.header.time_ns));
    Ok(Event::CgroupGone(CgroupGone { cgroup_id, time }))
}

fn connection<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
    let fixed: wire_socket::Connection = reader.value().ok_or(DecodeError::Short)?;
    let role = match fixed.role {
        wire_socket::Role::CLIENT => Role::Client,
        wire_socket::Role::SERVER => Role::Server,
        wire_socket::Role(unknown) => return Err(DecodeError::Role(unknown)),
    };
    let known = |time_ns: u64| (time_ns != 0).then_some(BootNanos(time_ns));
    Ok(Event::Connection(Connection {
        process: fixed.process,
        owner: fixed.owner,
        connection: fixed.connection,
        time: BootNanos(fixed.header.time_ns),
        role,
        ends: ends(&fixed)?,
        error: fixed.error,
        connect: known(fixed.connect_ns),
        connected: known(fixed.connected_ns),
    }))
}

fn ends(fixed: &wire_socket::Connection) -> Result<Ends, DecodeError> {
    let (local, remote) = (fixed.local, fixed.remote);
    let inet = |address: &dyn Fn([u8; 16]) -> IpAddr| Ends::Inet {
        local: SocketAddr::new(address(local), fixed.local_port),
        remote: SocketAddr::new(address(remote), fixed.remote_port),
    };
    match fixed.family {
        AF_UNIX => {
            let path_len = fixed.path_len as usize;
            let path = SocketPath::new(fixed.path, path_len).ok_or(DecodeError::Path(path_len))?;
            Ok(Ends::Unix { local: unix_socket(local), remote: unix_socket(remote), path })
        }
        AF_INET => Ok(inet(&|[a, b, c, d, ..]| Ipv4Addr::new(a, b, c, d).into())),
        // An IPv4 address in IPv6's clothes is an IPv4 address (RFC 4291 §2.5.5.2).
        AF_INET6 => Ok(inet(&|bytes| Ipv6Addr::from(bytes).to_canonical())),
        unknown => Err(DecodeError::Family(unknown)),
    }
}

fn unix_socket([a, b, c, d, e, f, g, h, ..]: [u8; 16]) -> UnixSocket {
    UnixSocket(u64::from_ne_bytes([a, b, c, d, e, f, g, h]))
}

fn head<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
    let fixed: wire_socket::Head = reader.value().ok_or(DecodeError::Short)?;
    let bytes = reader.take(fixed.head_len as usize).ok_or(DecodeError::Short)?;
    let has = |flag: u32| fixed.flags & flag != 0;
    let head_ended = has(wire_socket::flag::HEAD_ENDED);
    // The kernel side looks at where the last piece begins; what is cut must not hang on that.
    let is_long = fixed.offset.saturating_add(fixed.head_len) > wire_socket::HEAD_MAX;
    Ok(Event::Head(Head {
        process: fixed.process,
        owner: fixed.owner,
        connection: fixed.connection,
        time: BootNanos(fixed.header.time_ns),
        tid: fixed.tid,
        way: way(fixed.sent)?,
        offset: fixed.offset,
        bytes,
        head_ended,
        message_ended: has(wire_socket::flag::MESSAGE_ENDED),
        is_cut: head_ended && (is_long || has(wire_socket::flag::CUT)),
        has_untold: has(wire_socket::flag::UNTOLD),
        ordinal: fixed.ordinal,
    }))
}

fn frames<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
    let fixed: wire_socket::Frames = reader.value().ok_or(DecodeError::Short)?;
    let bytes = reader.take(fixed.frames_len as usize).ok_or(DecodeError::Short)?;
    let counted = match fixed.counted {
        0 => None,
        1 => Some(counted(reader)?),
        unknown => return Err(DecodeError::Counted(unknown)),
    };
    Ok(Event::Frames(Frames {
        process: fixed.process,
        owner: fixed.owner,
        connection: fixed.connection,
        time: BootNanos(fixed.header.time_ns),
        way: way(fixed.sent)?,
        offset: fixed.offset,
        bytes,
        counted,
    }))
}

fn counted(reader: &mut Reader<'_>) -> Result<Counted, DecodeError> {
    let counted: wire_socket::Counted = reader.value().ok_or(DecodeError::Short)?;
    let wire_socket::Counted { before, after, stream, whole } = counted;
    Ok(Counted { stream, before, after, whole })
}

fn end<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
    let fixed: wire_socket::End = reader.value().ok_or(DecodeError::Short)?;
    Ok(Event::End(End {
        connection: fixed.connection,
        time: BootNanos(fixed.header.time_ns),
        way: way(fixed.sent)?,
        ordinal: fixed.ordinal,
        body_bytes: fixed.body_bytes,
    }))
}

fn closed<'a>(reader: &mut Reader<'a>) -> Result<Event<'a>, DecodeError> {
    let fixed: wire_socket::Closed = reader.value().ok_or(DecodeError::Short)?;
    let reason = match fixed.reason {
        wire_socket::closed::SOCKET => CloseReason::Socket,
        wire_socket::closed::TUNNEL => CloseReason::Tunnel,
        wire_socket::closed::OUT_OF_STEP => CloseReason::OutOfStep,
        unknown => return Err(DecodeError::Reason(unknown)),
    };
    Ok(Event::Closed(Closed {
        connection: fixed.connection,
        reason,
        error: fixed.error,
        sent_body_bytes: fixed.sent_body_bytes,
        received_body_bytes: fixed.received_body_bytes,
        last: BootNanos(fixed.last_ns),
        sent_cut: fixed.cut & 2 != 0,
        received_cut: fixed.cut & 1 != 0,
    }))
}

fn way(sent: u32) -> Result<Way, DecodeError> {
    match sent {
        0 => Ok(Way::Received),
        1 => Ok(Way::Sent),
        unknown => Err(DecodeError::Way(unknown)),
    }
}

fn strings(bytes: &[u8], total: u64) -> Strings<'_> {
    Strings { bytes: Cow::Borrowed(bytes), cut_bytes: total.saturating_sub(bytes.len() as u64) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::record::tests::{exec_record, exit_record};

    #[test]
    fn a_record_is_what_was_written() {
        let record = exec_record(7, 0, &["sh", "-c", ""], &["A=b"]);
        let Ok(Event::Exec(exec)) = decode(&record) else { panic!("no exec") };
        assert_eq!(exec.process.pid, 7);
        assert_eq!(exec.args.iter().count(), 3);
        assert_eq!(exec.env.iter().next(), Some(&b"A=b"[..]));
        assert_eq!(exec.env.cut_bytes, 0);
    }

    #[test]
    fn seeds_of_the_fuzz_target_are_records_of_this_version() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/decode");
        let seeds = std::fs::read_dir(folder).unwrap();
        let records = seeds.map(|seed| std::fs::read(seed.unwrap().path()).unwrap());
        let kinds: HashSet<_> = records
            .map(|record| {
                assert!(decode(&record).is_ok(), "{:?}", decode(&record));
                record.get(..2).map(<[u8]>::to_vec)
            })
            .collect();
        // All but the chunks of long arguments.
        assert_eq!(kinds.len(), 9);
    }

    #[test]
    fn any_cut_is_an_error() {
        for record in [exec_record(7, 0, &["sh"], &["A=b"]), exit_record(7, 0, 0)] {
            for end in 0..record.len() {
                assert_eq!(decode(&record[..end]), Err(DecodeError::Short), "{end}");
            }
        }
    }

    #[test]
    fn wrong_fields_are_named() {
        let check = |at: usize, byte: u8, expected| {
            let mut record = exit_record(7, 0, 0);
            record[at] = byte;
            assert_eq!(decode(&record), Err(expected));
        };
        check(0, 99, DecodeError::Kind(99));
        check(2, 9, DecodeError::Version(9));
        check(5, 2, DecodeError::Short);
        check(0, 2, DecodeError::Long);
    }
}
