//! The process title: what `ps` and `top` show.
//!
//! Linux shows the memory in which the kernel put argv. The title is written there, and may run on into the memory
//! of the initial environment, which is copied away first. Elsewhere the title stays as it is.

#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::CString;
    use std::sync::OnceLock;
    use std::{ptr, slice};

    use crate::sys::stat::Stat;

    unsafe extern "C" {
        static mut environ: *mut *mut libc::c_char;
    }

    /// Where argv begins and ends, and where the environment after it ends.
    struct Area {
        start: usize,
        argv_end: usize,
        end: usize,
    }

    static AREA: OnceLock<Option<Area>> = OnceLock::new();

    pub(super) fn set(title: &str) {
        // The thread's name is what `ps -o comm` and `top` show by default; the kernel cuts it to 15 bytes.
        if let Ok(name) = CString::new(title.split(" [").next().unwrap_or(title).replace("rwsgi: ", "rwsgi:"))
        {
            let _ = nix::sys::prctl::set_name(&name);
        }
        if let Some(area) = AREA.get_or_init(prepare) {
            area.write(title.as_bytes());
        }
    }

    fn prepare() -> Option<Area> {
        let area = read_area()?;
        if area.start >= area.argv_end || area.argv_end > area.end {
            return None;
        }
        // SAFETY: called once, from the only thread of a process that is setting itself up, so nobody else walks
        // `environ`. Every string is replaced by a copy that is never freed, because libc hands out pointers to it.
        unsafe {
            let mut entry = environ;
            while !entry.is_null() && !(*entry).is_null() {
                let copy = libc::strdup(*entry);
                if copy.is_null() {
                    return None;
                }
                *entry = copy;
                entry = entry.add(1);
            }
        }
        Some(area)
    }

    fn read_area() -> Option<Area> {
        let stat = Stat::of("self")?;
        let field = |number: usize| stat.field(number)?.parse().ok();
        let (start, argv_end, env_start, env_end) = (field(48)?, field(49)?, field(50)?, field(51)?);
        // Only adjoining areas may be written as one.
        let end = if argv_end == env_start { env_end } else { argv_end };
        Some(Area { start, argv_end, end })
    }

    impl Area {
        fn write(&self, title: &[u8]) {
            // SAFETY: the kernel reported this range as our argv and environment: it is mapped, writable stack memory,
            // and after `prepare` nothing of ours points into the environment. CPython copied argv at start.
            let memory = unsafe {
                slice::from_raw_parts_mut(ptr::with_exposed_provenance_mut(self.start), self.end - self.start)
            };
            // All NUL first: a title that ends within argv leaves its last byte NUL, one that does not overwrites it,
            // which tells the kernel to read on into the environment.
            memory.fill(0);
            let room = memory.len() - 1;
            for (to, from) in memory.iter_mut().zip(title.iter().take(room)) {
                *to = *from;
            }
        }
    }
}

/// Shows `title` as this process's command line. Does nothing where that cannot be done.
pub fn set(title: &str) {
    #[cfg(target_os = "linux")]
    linux::set(title);
    #[cfg(not(target_os = "linux"))]
    let _ = title;
}
