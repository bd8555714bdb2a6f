//! Which calls of the kernel are answered inside. A list of what is allowed: what a later kernel adds
//! is refused until somebody has looked at it.
//!
//! A refused call fails as if the kernel did not have it, so that libraries fall back to an older
//! one: `clone3`, whose flags no filter can read, becomes `clone`, whose flags are judged.

use super::halving;
use super::order::{Doing, Refusal};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};
use std::collections::{BTreeMap, BTreeSet};

/// On every machine.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_brk,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_sched_yield,
    libc::SYS_mremap,
    libc::SYS_msync,
    libc::SYS_mincore,
    libc::SYS_madvise,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_shmdt,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semctl,
    libc::SYS_semtimedop,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_nanosleep,
    libc::SYS_getitimer,
    libc::SYS_setitimer,
    libc::SYS_getpid,
    libc::SYS_sendfile,
    libc::SYS_connect,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_shutdown,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_socketpair,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_wait4,
    libc::SYS_waitid,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
    libc::SYS_uname,
    libc::SYS_fcntl,
    libc::SYS_flock,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_truncate,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_umask,
    libc::SYS_gettimeofday,
    libc::SYS_getrlimit,
    libc::SYS_getrusage,
    libc::SYS_sysinfo,
    libc::SYS_times,
    libc::SYS_getuid,
    libc::SYS_getgid,
    libc::SYS_geteuid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_setpgid,
    libc::SYS_getppid,
    libc::SYS_setsid,
    libc::SYS_getgroups,
    libc::SYS_getpgid,
    libc::SYS_getsid,
    libc::SYS_capget,
    libc::SYS_capset,
    libc::SYS_rt_sigpending,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_rt_sigsuspend,
    libc::SYS_sigaltstack,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
    libc::SYS_sched_setparam,
    libc::SYS_sched_getparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_getscheduler,
    libc::SYS_sched_get_priority_max,
    libc::SYS_sched_get_priority_min,
    libc::SYS_sched_rr_get_interval,
    libc::SYS_sched_setattr,
    libc::SYS_sched_getattr,
    libc::SYS_mlock,
    libc::SYS_munlock,
    libc::SYS_mlockall,
    libc::SYS_munlockall,
    libc::SYS_mlock2,
    libc::SYS_prctl,
    libc::SYS_setrlimit,
    libc::SYS_prlimit64,
    libc::SYS_sync,
    libc::SYS_syncfs,
    libc::SYS_gettid,
    libc::SYS_readahead,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_fgetxattr,
    libc::SYS_listxattr,
    libc::SYS_llistxattr,
    libc::SYS_flistxattr,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    libc::SYS_futex,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_getaffinity,
    libc::SYS_io_setup,
    libc::SYS_io_destroy,
    libc::SYS_io_getevents,
    libc::SYS_io_submit,
    libc::SYS_io_cancel,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_set_tid_address,
    libc::SYS_restart_syscall,
    libc::SYS_fadvise64,
    libc::SYS_timer_create,
    libc::SYS_timer_settime,
    libc::SYS_timer_gettime,
    libc::SYS_timer_getoverrun,
    libc::SYS_timer_delete,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    libc::SYS_mq_timedsend,
    libc::SYS_mq_timedreceive,
    libc::SYS_mq_notify,
    libc::SYS_mq_getsetattr,
    libc::SYS_inotify_init1,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_readlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_pselect6,
    libc::SYS_ppoll,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_splice,
    libc::SYS_tee,
    libc::SYS_sync_file_range,
    libc::SYS_vmsplice,
    libc::SYS_utimensat,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_timerfd_gettime,
    libc::SYS_signalfd4,
    libc::SYS_eventfd2,
    libc::SYS_pipe2,
    libc::SYS_fallocate,
    libc::SYS_getcpu,
    libc::SYS_getrandom,
    libc::SYS_memfd_create,
    libc::SYS_membarrier,
    libc::SYS_copy_file_range,
    libc::SYS_pkey_mprotect,
    libc::SYS_pkey_alloc,
    libc::SYS_pkey_free,
    libc::SYS_statx,
    libc::SYS_rseq,
    libc::SYS_close_range,
    libc::SYS_landlock_create_ruleset,
    libc::SYS_landlock_add_rule,
    libc::SYS_landlock_restrict_self,
    libc::SYS_seccomp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_ioprio_get,
    libc::SYS_ioprio_set,
];

/// Older forms that newer machines never had.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_poll,
    libc::SYS_access,
    libc::SYS_pipe,
    libc::SYS_select,
    libc::SYS_dup2,
    libc::SYS_pause,
    libc::SYS_alarm,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_rename,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_creat,
    libc::SYS_link,
    libc::SYS_unlink,
    libc::SYS_symlink,
    libc::SYS_readlink,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_getpgrp,
    libc::SYS_time,
    libc::SYS_epoll_create,
    libc::SYS_epoll_wait,
    libc::SYS_newfstatat,
    libc::SYS_renameat,
    libc::SYS_futimesat,
    libc::SYS_utimes,
    libc::SYS_inotify_init,
    libc::SYS_signalfd,
    libc::SYS_eventfd,
    libc::SYS_arch_prctl,
    libc::SYS_getdents,
    libc::SYS_set_thread_area,
    libc::SYS_get_thread_area,
];

#[cfg(target_arch = "aarch64")]
const OLDER: &[libc::c_long] = &[libc::SYS_newfstatat, libc::SYS_renameat];

/// Flags of `clone` that make namespaces.
pub(super) const NAMESPACES: u64 = 0x7e02_0080;
/// Terminal calls that put words into somebody else's mouth, and one that loads line disciplines.
const TERMINAL: [u64; 3] = [libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD];
/// Families of sockets: within the walls, and the two of the loopback.
const FAMILIES: [libc::c_int; 3] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];

/// Closes this process and all that come of it. Needs `no_new_privs`, which stands since the start.
pub(super) fn close() -> Result<(), Refusal> {
    apply(&compile().doing("filter the calls of the kernel")?)
}

/// The same with a program that was made before.
pub(super) fn apply(program: &BpfProgram) -> Result<(), Refusal> {
    apply_filter(program).map_err(|why| {
        Refusal(format!(
            "cannot filter the calls of the kernel: {why}. The kernel needs CONFIG_SECCOMP_FILTER; in a \
             container, its own filter must let `seccomp` through"
        ))
    })
}

/// The kernel goes through the filter once for each call there is before it is in force, so what is
/// answered without a look at its arguments is found by halving; the rest stands behind it.
pub(super) fn compile() -> Result<BpfProgram, BackendError> {
    compile_list(ALLOWED.iter().chain(OLDER), conditions()?)
}

/// These calls, and those whose arguments decide.
pub(super) fn compile_list<'a>(
    allowed: impl Iterator<Item = &'a libc::c_long>,
    looked_at: BTreeMap<i64, Vec<SeccompRule>>,
) -> Result<BpfProgram, BackendError> {
    let plain: BTreeSet<u32> = allowed
        .filter(|call| !looked_at.contains_key(*call))
        .filter_map(|call| u32::try_from(*call).ok())
        .collect();
    Ok(halving::before(
        &plain,
        machine_number(),
        compile_rules(looked_at)?,
    ))
}

fn compile_rules(rules: BTreeMap<i64, Vec<SeccompRule>>) -> Result<BpfProgram, BackendError> {
    let refused = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    SeccompFilter::new(rules, refused, SeccompAction::Allow, machine())?.try_into()
}

/// The calls whose arguments decide.
fn conditions() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules = BTreeMap::new();
    let no_namespaces = condition(
        0,
        SeccompCmpArgLen::Qword,
        SeccompCmpOp::MaskedEq(NAMESPACES),
        0,
    )?;
    rules.insert(
        libc::SYS_clone,
        vec![SeccompRule::new(vec![no_namespaces])?],
    );
    let terminal: Result<Vec<_>, _> = TERMINAL
        .iter()
        .map(|request| condition(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *request))
        .collect();
    rules.insert(libc::SYS_ioctl, vec![SeccompRule::new(terminal?)?]);
    let families: Result<Vec<_>, _> = FAMILIES
        .iter()
        .map(|family| {
            let family = u64::from(family.unsigned_abs());
            SeccompRule::new(vec![condition(
                0,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::Eq,
                family,
            )?])
        })
        .collect();
    rules.insert(libc::SYS_socket, families?);
    // Asking which personality it is, or the ordinary one.
    let personality: Result<Vec<_>, _> = [0, 0xffff_ffff]
        .into_iter()
        .map(|value| {
            SeccompRule::new(vec![condition(
                0,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::Eq,
                value,
            )?])
        })
        .collect();
    rules.insert(libc::SYS_personality, personality?);
    Ok(rules)
}

pub(super) fn condition(
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, length, operator, value)
}

/// As the kernel names it to a filter.
#[cfg(target_arch = "x86_64")]
pub(super) fn machine_number() -> u32 {
    0xc000_003e
}

#[cfg(target_arch = "aarch64")]
pub(super) fn machine_number() -> u32 {
    0xc000_00b7
}

#[cfg(target_arch = "x86_64")]
fn machine() -> TargetArch {
    TargetArch::x86_64
}

#[cfg(target_arch = "aarch64")]
fn machine() -> TargetArch {
    TargetArch::aarch64
}

#[cfg(test)]
mod tests {
    use super::halving::tests::answer;
    use super::*;

    #[test]
    fn the_halving_answers_every_call_as_a_list_does() {
        let mut rules = conditions().unwrap();
        for call in ALLOWED.iter().chain(OLDER) {
            rules.entry(*call).or_default();
        }
        let (list, halving) = (compile_rules(rules).unwrap(), compile().unwrap());
        assert!(halving.len() < list.len());
        let arguments = [
            0,
            1,
            2,
            10,
            17,
            0x5412,
            0x541c,
            0x5423,
            0xffff_ffff,
            NAMESPACES,
            1 << 40,
        ];
        let mut allowed = 0;
        for call in (0..700).chain([0x4000_0000, 0x4000_0001, 0x7fff_ffff, u32::MAX]) {
            for machine in [machine_number(), 0x4000_0003, 0] {
                for argument in arguments {
                    let one = answer(&list, call, machine, argument);
                    assert_eq!(
                        answer(&halving, call, machine, argument),
                        one,
                        "{call} {machine:x}"
                    );
                    allowed += u32::from(one == super::halving::ALLOW);
                }
            }
        }
        assert!(allowed > 1_000);
    }
}
