//! What the user side tells the kernel side before it loads: where the running kernel keeps things.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Offset of a field in a kernel structure, bytes, from the kernel's own BTF.
#[derive(Clone, Copy, PartialEq, Eq, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Offset(pub u32);

impl Offset {
    /// This kernel has no such field: what would be read is zero.
    pub const ABSENT: Self = Self(u32::MAX);
}

/// Declares the structure and its list of names in one place, so that no offset is forgotten.
macro_rules! offsets {
    ($($field:ident: $structure:literal . $path:literal,)+) => {
        /// Where the running kernel keeps what the probes read. Field by field: the kernel's
        /// structure and the path in it.
        #[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
        #[repr(C)]
        pub struct Offsets {
            $(#[doc = concat!("`", $structure, ".", $path, "`")] pub $field: Offset,)+
        }

        impl Offsets {
            /// (structure, path) of each field, in the order of the structure.
            pub const SOURCES: &[(&str, &str)] = &[$(($structure, $path)),+];
            /// No field known.
            pub const ABSENT: Self = Self { $($field: Offset::ABSENT),+ };
        }

        const _: () = assert!(size_of::<Offsets>() == Offsets::SOURCES.len() * 4);
    };
}

offsets! {
    task_tgid: "task_struct" . "tgid",
    task_group_leader: "task_struct" . "group_leader",
    task_real_parent: "task_struct" . "real_parent",
    task_start: "task_struct" . "start_boottime",
    task_mm: "task_struct" . "mm",
    task_fs: "task_struct" . "fs",
    task_signal: "task_struct" . "signal",
    task_exec_id: "task_struct" . "self_exec_id",
    task_exit_code: "task_struct" . "exit_code",
    task_stack: "task_struct" . "stack",
    task_thread_pid: "task_struct" . "thread_pid",
    task_utime: "task_struct" . "utime",
    task_stime: "task_struct" . "stime",
    task_runtime: "task_struct" . "se.sum_exec_runtime",
    task_run_delay: "task_struct" . "sched_info.run_delay",
    task_min_flt: "task_struct" . "min_flt",
    task_maj_flt: "task_struct" . "maj_flt",
    task_nvcsw: "task_struct" . "nvcsw",
    task_nivcsw: "task_struct" . "nivcsw",
    task_rchar: "task_struct" . "ioac.rchar",
    task_wchar: "task_struct" . "ioac.wchar",
    task_read_bytes: "task_struct" . "ioac.read_bytes",
    task_write_bytes: "task_struct" . "ioac.write_bytes",
    task_cgroups: "task_struct" . "cgroups",
    css_set_default: "css_set" . "dfl_cgrp",
    css_set_subsystems: "css_set" . "subsys",
    css_cgroup: "cgroup_subsys_state" . "cgroup",
    cgroup_self: "cgroup" . "self",
    cgroup_self_parent: "cgroup" . "self.parent",
    cgroup_node: "cgroup" . "kn",
    cgroup_root: "cgroup" . "root",
    cgroup_hierarchy: "cgroup_root" . "hierarchy_id",
    node_id: "kernfs_node" . "id",
    node_name: "kernfs_node" . "name",
    signal_flags: "signal_struct" . "flags",
    signal_group_exit_code: "signal_struct" . "group_exit_code",
    signal_maxrss: "signal_struct" . "maxrss",
    signal_oom_mm: "signal_struct" . "oom_mm",
    signal_live: "signal_struct" . "live",
    mm_arg_start: "mm_struct" . "arg_start",
    mm_arg_end: "mm_struct" . "arg_end",
    mm_env_start: "mm_struct" . "env_start",
    mm_env_end: "mm_struct" . "env_end",
    mm_exe_file: "mm_struct" . "exe_file",
    file_path: "file" . "f_path",
    fs_root: "fs_struct" . "root",
    fs_pwd: "fs_struct" . "pwd",
    path_mnt: "path" . "mnt",
    path_dentry: "path" . "dentry",
    dentry_parent: "dentry" . "d_parent",
    dentry_name: "dentry" . "d_name.name",
    vfsmount_root: "vfsmount" . "mnt_root",
    mount_vfsmount: "mount" . "mnt",
    mount_parent: "mount" . "mnt_parent",
    mount_mountpoint: "mount" . "mnt_mountpoint",
    pid_level: "pid" . "level",
    pid_numbers: "pid" . "numbers",
    upid_nr: "upid" . "nr",
    sock_family: "sock" . "__sk_common.skc_family",
    sock_state: "sock" . "__sk_common.skc_state",
    sock_local_port: "sock" . "__sk_common.skc_num",
    sock_remote_port: "sock" . "__sk_common.skc_dport",
    sock_local_v4: "sock" . "__sk_common.skc_rcv_saddr",
    sock_remote_v4: "sock" . "__sk_common.skc_daddr",
    sock_local_v6: "sock" . "__sk_common.skc_v6_rcv_saddr",
    sock_remote_v6: "sock" . "__sk_common.skc_v6_daddr",
    sock_type: "sock" . "sk_type",
    sock_protocol: "sock" . "sk_protocol",
    sock_shutdown: "sock" . "sk_shutdown",
    sock_error: "sock" . "sk_err",
    sock_socket: "sock" . "sk_socket",
    sock_queued: "sock" . "sk_receive_queue.qlen",
    sock_owned: "sock" . "sk_lock.owned",
    socket_sk: "socket" . "sk",
    socket_inode: "socket_alloc" . "vfs_inode.i_ino",
    unix_addr: "unix_sock" . "addr",
    unix_peer: "unix_sock" . "peer",
    unix_addr_len: "unix_address" . "len",
    unix_addr_name: "unix_address" . "name",
    tcp_received: "tcp_sock" . "rcv_nxt",
    tcp_read: "tcp_sock" . "copied_seq",
    tcp_written: "tcp_sock" . "write_seq",
}

/// The constants of a loaded object.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Settings {
    /// Offsets in the running kernel.
    pub offsets: Offsets,
    /// `sizeof(struct upid)`.
    pub upid_bytes: u32,
    /// The reader of the ring is woken when this much waits in it, bytes.
    pub wake_at_bytes: u32,
    /// Size of a thread's stack in the kernel (`union thread_union`).
    pub stack_bytes: u32,
    /// `sizeof(struct pt_regs)`: what lies at the end of that stack.
    pub registers_bytes: u32,
    /// The first of two entries of `SCRATCH` that the programs on functions have to themselves.
    pub function_scratch: u32,
    /// Requests of a process that get a span in one second; 0 for all.
    pub requests_per_second: u32,
    /// 1 where a process is traced because of its control group.
    pub by_cgroup: u32,
    /// The hierarchy of control groups that counts: `cgroup_root.hierarchy_id`, 0 for cgroup v2.
    pub hierarchy_id: u32,
    /// Where in `css_set.subsys` the control group of that hierarchy is, bytes; not used for cgroup v2.
    pub subsystem_offset: Offset,
    /// Of a pod, that are told in one second: execs, ends of forks that executed nothing, and requests of
    /// HTTP/1; 0 for all.
    pub spans_per_second: u32,
}

impl Settings {
    /// What an object has before the loader fills it in: no probe reads anything.
    pub const UNSET: Self = Self {
        offsets: Offsets::ABSENT,
        upid_bytes: 16,
        wake_at_bytes: 0,
        stack_bytes: 0,
        registers_bytes: 0,
        function_scratch: 0,
        requests_per_second: 0,
        by_cgroup: 0,
        hierarchy_id: 0,
        subsystem_offset: Offset::ABSENT,
        spans_per_second: 0,
    };
}

/// Calls to kernel functions, which no helper number stands for. An object has these placeholders
/// where the loader writes the functions' ids in the running kernel.
pub mod kernel_call {
    /// `bpf_preempt_disable`.
    pub const PREEMPT_DISABLE: u32 = 0x4c59_4e01;
    /// `bpf_preempt_enable`.
    pub const PREEMPT_ENABLE: u32 = 0x4c59_4e02;
}
