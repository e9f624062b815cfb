//! How much memory this process holds, and how much of what is freed it keeps.

/// Bytes of physical memory that are mapped (RSS). `None` where the system does not tell.
pub fn resident() -> Option<u64> {
    // Field 2 of proc_pid_statm(5), in pages.
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(u64::try_from(page).ok()?)
}

/// Lets the allocator keep twice `size` that is free at the end of the heap, rather than hand it to the kernel and fetch it,
/// page by page, for the next request. glibc takes what it has seen freed for usual, and goes on learning; to set its
/// thresholds (mallopt(3)) would end that, and overrule what the user set.
pub fn expect_allocations_of(size: usize) {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(size)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_holds_something() {
        assert!((1 << 18..1 << 40).contains(&resident().unwrap()));
    }
}
