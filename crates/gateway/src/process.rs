//! What the system says of this process.

/// Resident memory in bytes; zero where the system does not say.
#[must_use]
pub(crate) fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse().ok())
        .unwrap_or(0);
    pages * u64::try_from(rustix::param::page_size()).unwrap_or(4096)
}
