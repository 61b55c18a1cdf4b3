//! The names along a path, from the leaf to the root, by the directory entries themselves: what
//! `bpf_d_path` would give, which tracepoints may not call.

use abi::process::{PATH_DEPTH, PATH_MAX};

use crate::read::{Draft, KernelPtr, offsets};

/// Appends the components of the `struct path` at `path` as seen from the process's root, each with
/// a NUL after it; an empty component at the end where the path is longer or deeper than the bounds.
/// Gives the bytes appended. `LIMIT` bounds the draft: `start + PATH_MAX`.
#[inline(always)]
pub(crate) fn components<const LIMIT: u64>(draft: &Draft, path: KernelPtr, root: KernelPtr) -> u64 {
    let at = offsets();
    let start = draft.len();
    let mut dentry = path.ptr(at.path_dentry);
    let mut vfsmount = path.ptr(at.path_mnt);
    let root_dentry = root.ptr(at.path_dentry);
    let root_vfsmount = root.ptr(at.path_mnt);
    let mut top = vfsmount.ptr(at.vfsmount_root);
    let mut depth = 0;
    while depth < PATH_DEPTH {
        depth += 1;
        if dentry == root_dentry && vfsmount == root_vfsmount {
            return draft.len() - start;
        }
        if dentry == top {
            // The root of a file system: go on where it is mounted.
            let mount = KernelPtr(vfsmount.0.wrapping_sub(u64::from(at.mount_vfsmount.0)));
            let below = mount.ptr(at.mount_parent);
            if below == mount || below.0 == 0 {
                return draft.len() - start;
            }
            dentry = mount.ptr(at.mount_mountpoint);
            vfsmount = below.at(at.mount_vfsmount);
            top = vfsmount.ptr(at.vfsmount_root);
            continue;
        }
        if draft.len() - start > (PATH_MAX as u64) - 256
            || draft.kernel_str::<LIMIT>(dentry.ptr(at.dentry_name)) == 0
        {
            break;
        }
        let parent = dentry.ptr(at.dentry_parent);
        if parent == dentry {
            // A file that is in no directory, as memfd_create makes them.
            return draft.len() - start;
        }
        dentry = parent;
    }
    draft.nul::<LIMIT>();
    draft.len() - start
}
