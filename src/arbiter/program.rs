//! This program's own command line, kept so that it can be executed again.
//!
//! Owns what was given at launch: arguments, environment, directory. They are looked up again when they are used, so a
//! virtual environment that was replaced, or a symbolic link that points elsewhere now, is what runs next.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::{chdir, execve};

#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The program's file or name, then its arguments.
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
}

impl Program {
    /// `cwd` is the directory of the launch, which relative paths start from. Variables in `without` are this
    /// program's own affair.
    pub fn of_process(argv: Vec<OsString>, cwd: &Path, without: &[&str]) -> Self {
        let env = std::env::vars_os().filter(|(name, _)| without.iter().all(|own| name != *own));
        Self { argv, env: env.collect(), cwd: cwd.to_owned() }
    }

    /// Replaces this process's program. Returns only when that fails, with the process as it was.
    pub fn execute(&self, more: &[(&str, String)]) -> io::Error {
        let here = std::env::current_dir();
        let error = self.try_execute(more);
        if let Ok(here) = here {
            let _ = chdir(&here);
        }
        error
    }

    fn try_execute(&self, more: &[(&str, String)]) -> io::Error {
        let text = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
        let prepared = chdir(&self.cwd).map_err(io::Error::from).and_then(|()| {
            let path = text(self.path()?.as_os_str().as_bytes())?;
            let argv = self.argv.iter().map(|word| text(word.as_bytes())).collect::<io::Result<Vec<_>>>()?;
            Ok((path, argv, self.environment(more)?))
        });
        match prepared {
            Ok((path, argv, env)) => match execve(&path, &argv, &env) {
                Ok(never) => match never {},
                Err(error) => io::Error::other(format!("{}: {error}", path.to_string_lossy())),
            },
            Err(error) => error,
        }
    }

    fn environment(&self, more: &[(&str, String)]) -> io::Result<Vec<CString>> {
        let replaced = |name: &OsStr| more.iter().any(|(new, _)| name == *new);
        let kept = self.env.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
        let kept = kept.filter(|(name, _)| !replaced(name));
        let added = more.iter().map(|(name, value)| (OsStr::new(*name), OsStr::new(value)));
        let entry = |(name, value): (&OsStr, &OsStr)| {
            CString::new([name.as_bytes(), value.as_bytes()].join(&b'=')).map_err(io::Error::other)
        };
        kept.chain(added).map(entry).collect()
    }

    /// A name without a slash is looked for as the shell did.
    fn path(&self) -> io::Result<PathBuf> {
        let program = Path::new(self.argv.first().ok_or(io::ErrorKind::NotFound)?);
        if program.components().count() > 1 {
            return Ok(self.cwd.join(program));
        }
        let path = self.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value);
        let mut directories =
            std::env::split_paths(path.map_or(OsStr::new("/usr/bin:/bin"), OsString::as_os_str));
        let found = directories.find_map(|directory| {
            let file = self.cwd.join(directory).join(program);
            file.is_file().then_some(file)
        });
        found.ok_or_else(|| io::Error::other(format!("{} is not on PATH", program.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str, path: &str) -> Program {
        Program { argv: vec![name.into()], env: vec![("PATH".into(), path.into())], cwd: "/".into() }
    }

    #[test]
    fn names_are_looked_up_as_the_shell_does() {
        assert_eq!(program("bin/../bin/sh", "").path().unwrap(), Path::new("/bin/../bin/sh"));
        assert_eq!(program("sh", "/not/there:bin").path().unwrap(), Path::new("/bin/sh"));
        assert!(program("sh", "/not/there").path().is_err());
    }

    #[test]
    fn new_variables_replace_those_of_the_launch() {
        let env = program("sh", "/bin").environment(&[("A", "1".into()), ("PATH", "/x".into())]).unwrap();
        assert_eq!(env, [c"A=1".to_owned(), c"PATH=/x".to_owned()]);
    }

    #[test]
    fn a_program_that_is_gone_leaves_the_process_where_it_was() {
        let here = std::env::current_dir().unwrap();
        let error = program("/not/there/python", "").execute(&[("A", "b".into())]);
        assert!(error.to_string().starts_with("/not/there/python: ENOENT"), "{error}");
        assert_eq!(std::env::current_dir().unwrap(), here);
        let error = program("/bin/sh", "").execute(&[("A", "b\0".into())]);
        assert!(error.to_string().contains("nul"), "{error}");
    }
}
