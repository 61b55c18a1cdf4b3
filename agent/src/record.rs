//! Recordings of a ring: how many bytes, then the record, again and again.
//!
//! What `lynceus run --record FILE` writes, and what tests, fuzz targets and benchmarks replay.

use crate::reader::Reader;

/// Appends one record to a recording.
pub fn append(recording: &mut Vec<u8>, record: &[u8]) {
    let len = u32::try_from(record.len()).unwrap_or(0);
    recording.extend(len.to_le_bytes());
    recording.extend(record.get(..len as usize).unwrap_or_default());
}

/// The records of a recording; ends early where it is cut.
pub fn records(recording: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(recording);
    std::iter::from_fn(move || {
        let len: u32 = reader.value()?;
        reader.take(len as usize)
    })
}

/// Records made by hand.
#[cfg(test)]
pub(crate) mod tests {
    use abi::{
        WIRE_VERSION,
        budget::Beyond,
        cgroup::{Gone, Made, Policy},
        header::{Header, Kind},
        process::{Chunk, Exec, Exit, Part},
        task::{TaskId, Usage},
    };
    use zerocopy::IntoBytes as _;

    use super::*;

    /// The process `pid` of these tests began at `pid` microseconds.
    pub(crate) fn task(pid: u32) -> TaskId {
        TaskId { pid, _pad: 0, start_ns: u64::from(pid) * 1000 }
    }

    /// Of every exec.
    const EXEC_ID: u32 = 3;

    fn len(bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap()
    }

    fn nul_joined(strings: &[&str]) -> Vec<u8> {
        strings.iter().flat_map(|each| each.bytes().chain([0])).collect()
    }

    fn header(kind: Kind, len: usize, time_ns: u64) -> Header {
        Header { kind, version: WIRE_VERSION, len_bytes: self::len(len), time_ns }
    }

    pub(crate) fn exec_record(pid: u32, parent: u32, args: &[&str], env: &[&str]) -> Vec<u8> {
        exec_at(pid, parent, args, env, u64::from(pid) * 1000 + 500)
    }

    pub(crate) fn exec_at(
        pid: u32,
        parent: u32,
        args: &[&str],
        env: &[&str],
        time_ns: u64,
    ) -> Vec<u8> {
        exec_in(1, pid, parent, args, env, time_ns)
    }

    /// In the control group, by nobody who is traced.
    pub(crate) fn first_in(cgroup_id: u64, pid: u32, program: &str) -> Vec<u8> {
        exec_in(cgroup_id, pid, 0, &[program], &[], u64::from(pid) * 1000 + 500)
    }

    pub(crate) fn exec_in(
        cgroup_id: u64,
        pid: u32,
        parent: u32,
        args: &[&str],
        env: &[&str],
        time_ns: u64,
    ) -> Vec<u8> {
        let exe = nul_joined(&[args.first().unwrap_or(&"x"), "bin"]);
        let (cwd, args, env) = (nul_joined(&["tmp"]), nul_joined(args), nul_joined(env));
        let tail = [&exe[..], &cwd, &args, &env].concat();
        let fixed = Exec {
            header: header(Kind::EXEC, size_of::<Exec>() + tail.len(), time_ns),
            process: task(pid),
            parent: task(parent),
            parent_pid: parent,
            vpid: pid,
            uid: 0,
            exec_id: EXEC_ID,
            cgroup_id,
            pod_id: 0,
            exe_len: len(exe.len()),
            cwd_len: len(cwd.len()),
            args_len: len(args.len()),
            env_len: len(env.len()),
            args_total: args.len() as u64,
            env_total: env.len() as u64,
            comm: *b"comm\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        [fixed.as_bytes(), &tail].concat()
    }

    pub(crate) fn made_record(cgroup_id: u64, parent_id: u64, name: &str) -> Vec<u8> {
        let name = nul_joined(&[name]);
        let fixed = Made {
            header: header(Kind::CGROUP_MADE, size_of::<Made>() + name.len(), 1),
            cgroup_id,
            parent_id,
            policy: Policy::UNDECIDED,
            name_len: len(name.len()),
        };
        [fixed.as_bytes(), &name].concat()
    }

    pub(crate) fn gone_record(cgroup_id: u64) -> Vec<u8> {
        let header = header(Kind::CGROUP_GONE, size_of::<Gone>(), 2_000_000);
        Gone { header, cgroup_id }.as_bytes().to_vec()
    }

    pub(crate) fn chunk_record(pid: u32, part: Part, offset: usize, bytes: &[u8]) -> Vec<u8> {
        let fixed = Chunk {
            header: header(Kind::CHUNK, size_of::<Chunk>() + bytes.len(), 1),
            process: task(pid),
            part,
            offset: len(offset),
            chunk_len: len(bytes.len()),
            exec_id: EXEC_ID,
        };
        [fixed.as_bytes(), bytes].concat()
    }

    /// The process owned itself.
    pub(crate) fn exit_record(pid: u32, parent: u32, wait_status: u32) -> Vec<u8> {
        exit_of(pid, pid, parent, wait_status)
    }

    pub(crate) fn exit_of(pid: u32, owner: u32, parent: u32, wait_status: u32) -> Vec<u8> {
        exit_from(0, pid, owner, parent, wait_status)
    }

    /// Of a process in the control group that nobody who is traced started.
    pub(crate) fn exit_in(cgroup_id: u64, pid: u32, wait_status: u32) -> Vec<u8> {
        exit_from(cgroup_id, pid, pid, 0, wait_status)
    }

    fn exit_from(cgroup_id: u64, pid: u32, owner: u32, parent: u32, wait_status: u32) -> Vec<u8> {
        let fixed = Exit {
            header: header(Kind::EXIT, size_of::<Exit>(), u64::from(pid) * 1000 + 900),
            process: task(pid),
            owner: task(owner),
            parent: task(parent),
            wait_status,
            oom_victim: 0,
            peak_rss_pages: 10,
            execs: u64::from(pid == owner),
            cgroup_id,
            usage: Usage { runtime_ns: 1000, ..Usage::default() },
            beyond: Beyond::default(),
            comm: *b"comm\0\0\0\0\0\0\0\0\0\0\0\0",
        };
        fixed.as_bytes().to_vec()
    }

    #[test]
    fn a_recording_gives_back_its_records() {
        let mut recording = Vec::new();
        append(&mut recording, b"one");
        append(&mut recording, b"");
        append(&mut recording, b"three");
        assert_eq!(records(&recording).collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert_eq!(records(&recording[..recording.len() - 1]).count(), 2);
    }
}
