//! The native binary (feature `embed`): starts an interpreter of its own, then does what the console script does.
//!
//! Owns the interpreter's life. Must never read an argument: that is `cli.rs`'s work. The interpreter finds a virtual
//! environment by `VIRTUAL_ENV` and its library by `PYTHONHOME`, as `python` would.

use std::ffi::{CStr, CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::{env, process};

use pyo3::{Python, ffi};

/// What Python exits with when the last output could not be flushed.
const FLUSH_FAILED: i32 = 120;

fn main() {
    let arguments: Vec<OsString> = env::args_os().collect();
    start_python(&arguments);
    let argv = arguments.iter().skip(1).cloned().collect();
    let status = Python::attach(|py| rwsgi::cli::main(py, argv, arguments));
    // SAFETY: this thread started the interpreter and holds no reference to anything in it any more.
    let flushed = unsafe {
        ffi::PyGILState_Ensure();
        ffi::Py_FinalizeEx()
    };
    process::exit(if flushed < 0 { FLUSH_FAILED } else { status });
}

/// Starts the interpreter with `arguments` as `sys.argv`. Ends the process, as Python does, if it does not start.
fn start_python(arguments: &[OsString]) {
    let program = env::var_os("VIRTUAL_ENV").map(|home| Path::new(&home).join("bin/python"));
    let program = program.filter(|program| program.exists());
    // An argument holds no NUL byte: it came from the kernel as a C string.
    let text = |bytes: &[u8]| CString::new(bytes).unwrap_or_default();
    let argv: Vec<CString> = arguments.iter().map(|argument| text(argument.as_bytes())).collect();
    let program = program.map(|program| text(program.as_os_str().as_bytes()));
    // SAFETY: the configuration is initialised before it is used and cleared after; the strings outlive the calls,
    // which copy them. The interpreter is not running yet, and no other thread is.
    unsafe {
        let mut config = std::mem::zeroed::<ffi::PyConfig>();
        ffi::PyConfig_InitPythonConfig(&raw mut config);
        config.parse_argv = 0;
        let mut status = set_argv(&mut config, &argv);
        if let Some(program) = program.as_deref().filter(|_| ffi::PyStatus_Exception(status) == 0) {
            status = set_program(&mut config, program);
        }
        if ffi::PyStatus_Exception(status) == 0 {
            status = ffi::Py_InitializeFromConfig(&raw const config);
        }
        ffi::PyConfig_Clear(&raw mut config);
        if ffi::PyStatus_Exception(status) != 0 {
            ffi::Py_ExitStatusException(status);
        }
        // `Python::attach` takes it again.
        ffi::PyEval_SaveThread();
    }
}

/// # Safety
/// `config` must be initialised.
unsafe fn set_argv(config: &mut ffi::PyConfig, argv: &[CString]) -> ffi::PyStatus {
    let mut pointers: Vec<*const libc::c_char> = argv.iter().map(|argument| argument.as_ptr()).collect();
    // SAFETY: as many pointers as the length says, each to a C string that `argv` keeps alive.
    unsafe { ffi::PyConfig_SetBytesArgv(config, pointers.len().cast_signed(), pointers.as_mut_ptr()) }
}

/// # Safety
/// `config` must be initialised.
unsafe fn set_program(config: &mut ffi::PyConfig, program: &CStr) -> ffi::PyStatus {
    // The path to pyvenv.cfg starts from the program's name, as if that were `python`.
    let name = &raw mut config.program_name;
    // SAFETY: the field is one of `config`'s own, and `program` is a C string.
    unsafe { ffi::PyConfig_SetBytesString(config, name, program.as_ptr()) }
}
