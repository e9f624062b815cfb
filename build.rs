//! Gives the native binary a run path to the libpython it was linked to; the extension module needs nothing.

fn main() {
    #[cfg(feature = "embed")]
    pyo3_build_config::add_libpython_rpath_link_args();
}
