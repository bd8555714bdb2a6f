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

/// A thread of this process, and no process.
const THREAD: u64 = libc::CLONE_THREAD.unsigned_abs() as u64;

/// Closes this process. Threads that it starts later are behind the same filter.
pub(super) fn close() -> Result<(), Refusal> {
    filter::apply(&compile().doing("filter the calls of the kernel")?)
}

fn compile() -> Result<BpfProgram, BackendError> {
    filter::compile_list(ALLOWED.iter().chain(OLDER), conditions()?)
}

/// The calls whose arguments decide.
fn conditions() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
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
    let flags: Result<Vec<_>, _> = [libc::F_GETFL, libc::F_GETFD]
        .map(own_flags)
        .into_iter()
        .collect();
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
        let program = compile().unwrap();
        let is_allowed = |call: libc::c_long, argument: u64| {
            let call = u32::try_from(call).unwrap();
            answer(&program, call, filter::machine_number(), argument) == ALLOW
        };
        for call in [
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_statx,
            libc::SYS_unlinkat,
            libc::SYS_socket,
            libc::SYS_socketpair,
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
        }
        // What the C library asks for a thread, and the same without being one.
        let flags = 0x003d_0f00;
        assert!(is_allowed(libc::SYS_clone, flags));
        assert!(!is_allowed(libc::SYS_clone, flags & !THREAD));
        assert!(!is_allowed(libc::SYS_clone, flags | 0x1000_0000));
        assert!(is_allowed(libc::SYS_read, 0));
    }
}
