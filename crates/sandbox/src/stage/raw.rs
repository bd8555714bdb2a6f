//! The only unsafe code: five calls of the kernel that no library wraps as safe.
#![expect(unsafe_code, reason = "system calls that no library wraps as safe")]

use rustix::process::Pid;
use std::ffi::c_int;
use std::io::{Error, Result};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Leaves the named namespaces behind. Only for the stage, which has one thread.
pub(super) fn unshare(flags: rustix::thread::UnshareFlags) -> Result<()> {
    // SAFETY: the descriptor table is not among the flags that the stage passes, and no other
    // thread is there to be surprised.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// `None` in the child. Only for the stage, which has one thread.
pub(super) fn fork() -> Result<Option<Pid>> {
    // SAFETY: with one thread the child's memory is as consistent as the parent's.
    match unsafe { libc::fork() } {
        -1 => Err(Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Closes every descriptor from `first` on.
pub(super) fn close_from(first: u32) -> Result<()> {
    // SAFETY: takes no pointer. Nothing in this process holds a descriptor beyond the three
    // standard ones when it is called: it is the first thing that the stage does.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) })
}

/// Closes every descriptor but the standard three and this one.
pub(super) fn close_all_but(kept: BorrowedFd<'_>) -> Result<()> {
    let kept = u32::try_from(kept.as_raw_fd()).map_err(Error::other)?;
    if kept > 3 {
        // SAFETY: as in `close_from`; the caller has dropped what it had open below.
        checked(unsafe { libc::syscall(libc::SYS_close_range, 3, kept - 1, 0) })?;
    }
    close_from(kept.saturating_add(1))
}

/// Changes the attributes of a mount that is held by descriptor, with all below it, and parts it from
/// what is mounted on the host later.
pub(super) fn set_mount(mount: BorrowedFd<'_>, set: u64) -> Result<()> {
    let attributes = libc::mount_attr {
        attr_set: set,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: an empty C string and a structure that outlive the call, with its true size.
    checked(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// `IFF_UP | IFF_RUNNING`, in the width of the request.
const UP_AND_RUNNING: libc::c_short = 0x41;

/// Switches on the loopback of a fresh network namespace.
pub(super) fn loopback_up(socket: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: all bytes zero is a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = UP_AND_RUNNING;
    // SAFETY: the request outlives the call and is of the type that this call takes.
    checked(c_int::into(unsafe {
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    }))
}

fn checked(answer: libc::c_long) -> Result<()> {
    if answer < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(())
    }
}
