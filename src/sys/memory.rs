//! How much memory this process holds.

/// Bytes of physical memory that are mapped (RSS). `None` where the system does not tell.
pub fn resident() -> Option<u64> {
    // Field 2 of proc_pid_statm(5), in pages.
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    pages.checked_mul(u64::try_from(page).ok()?)
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
