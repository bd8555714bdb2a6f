//! Which calls of the kernel a confined job is answered: memory, time, threads, and its one line. What
//! names a file, a socket, a program or another process is not among them.

use super::filter;
use super::order::{Doing, Refusal};
use seccompiler::BackendError;
use seccompiler::{BpfProgram, SeccompCmpArgLen, SeccompCmpOp, SeccompRule};
use std::collections::BTreeMap;

/// On every machine.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Older forms that newer machines never had.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[libc::SYS_poll, libc::SYS_epoll_wait];

#[cfg(target_arch = "aarch64")]
const OLDER: &[libc::c_long] = &[];

/// Besides for a job with a folder: files by name, where Landlock opens them, and what a store and an
/// executor of futures do. A pair of sockets leads nowhere but to its other end.
const OF_FILES: &[libc::c_long] = &[
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_newfstatat,
    libc::SYS_lseek,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_flock,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_fchmod,
    libc::SYS_fchown,
    libc::SYS_fchmodat,
    libc::SYS_fstatfs,
    libc::SYS_statfs,
    libc::SYS_geteuid,
    libc::SYS_getuid,
    libc::SYS_umask,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_socketpair,
    libc::SYS_sched_getparam,
    libc::SYS_utimensat,
    libc::SYS_copy_file_range,
    libc::SYS_sync_file_range,
    libc::SYS_fadvise64,
];

#[cfg(target_arch = "x86_64")]
const OLDER_OF_FILES: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_readlink,
    libc::SYS_chmod,
    libc::SYS_dup2,
];

#[cfg(target_arch = "aarch64")]
const OLDER_OF_FILES: &[libc::c_long] = &[libc::SYS_renameat];

/// Locks and copies of descriptors.
const COMMANDS_OF_FILES: [libc::c_int; 9] = [
    libc::F_SETFL,
    libc::F_SETFD,
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETLK,
    libc::F_SETLK,
    libc::F_SETLKW,
    libc::F_OFD_SETLK,
    libc::F_OFD_GETLK,
];

/// A thread of this process, and no process.
const THREAD: u64 = libc::CLONE_THREAD.unsigned_abs() as u64;

/// Closes this process. Threads that it starts later are behind the same filter.
pub(super) fn close(with_files: bool) -> Result<(), Refusal> {
    filter::apply(&compile(with_files).doing("filter the calls of the kernel")?)
}

fn compile(with_files: bool) -> Result<BpfProgram, BackendError> {
    let more = [OF_FILES, OLDER_OF_FILES];
    let more = more.iter().filter(|_| with_files).copied().flatten();
    let calls = ALLOWED.iter().chain(OLDER).chain(more);
    filter::compile_list(calls, conditions(with_files)?)
}

/// The calls whose arguments decide.
fn conditions(with_files: bool) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let thread = filter::condition(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(THREAD | filter::NAMESPACES),
        THREAD,
    )?;
    let own_flags = |command: libc::c_int| {
        let equal = SeccompCmpOp::Eq;
        let command = u64::from(command.unsigned_abs());
        let condition = filter::condition(1, SeccompCmpArgLen::Dword, equal, command)?;
        SeccompRule::new(vec![condition])
    };
    // Nothing that could name another process as the owner of a descriptor.
    let of_files: &[libc::c_int] = if with_files { &COMMANDS_OF_FILES } else { &[] };
    let commands = [libc::F_GETFL, libc::F_GETFD];
    let commands = commands.iter().chain(of_files).copied();
    let flags: Result<Vec<_>, _> = commands.map(own_flags).collect();
    Ok(BTreeMap::from([
        (libc::SYS_clone, vec![SeccompRule::new(vec![thread])?]),
        (libc::SYS_fcntl, flags?),
    ]))
}

#[cfg(test)]
mod tests {
    use super::super::halving::tests::answer;
    use super::*;
    use crate::stage::halving::ALLOW;

    #[test]
    fn nothing_that_names_a_file_a_socket_a_program_or_a_process_is_answered() {
        let (narrow, with_files) = (compile(false).unwrap(), compile(true).unwrap());
        let is_allowed_by = |program: &BpfProgram, call: libc::c_long, argument: u64| {
            let call = u32::try_from(call).unwrap();
            answer(program, call, filter::machine_number(), argument) == ALLOW
        };
        let is_allowed = |call, argument| is_allowed_by(&narrow, call, argument);
        for call in [
            libc::SYS_openat,
            libc::SYS_statx,
            libc::SYS_unlinkat,
            libc::SYS_socketpair,
        ] {
            assert!(!is_allowed(call, 0), "{call}");
            assert!(is_allowed_by(&with_files, call, 0), "{call}");
        }
        for call in [
            libc::SYS_openat2,
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_clone3,
            libc::SYS_kill,
            libc::SYS_tgkill,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_send_signal,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_unshare,
            libc::SYS_io_uring_setup,
            libc::SYS_prctl,
            libc::SYS_prlimit64,
            libc::SYS_memfd_create,
        ] {
            assert!(!is_allowed(call, 0), "{call}");
            assert!(!is_allowed_by(&with_files, call, 0), "{call}");
        }
        // What the C library asks for a thread, and the same without being one.
        let flags = 0x003d_0f00;
        assert!(is_allowed(libc::SYS_clone, flags));
        assert!(!is_allowed(libc::SYS_clone, flags & !THREAD));
        assert!(!is_allowed(libc::SYS_clone, flags | 0x1000_0000));
        assert!(is_allowed(libc::SYS_read, 0));
    }
}
