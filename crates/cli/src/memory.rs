//! The allocator of the C library keeps what a burst of work needed; asked, it gives it back.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "nothing safe asks the allocator")]
pub(crate) fn give_back() {
    // SAFETY: `malloc_trim` takes no pointer, and any thread may call it at any time.
    let _given = unsafe { libc::malloc_trim(0) };
}

/// Other allocators give memory back by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn give_back() {}
