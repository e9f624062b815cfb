//! What runs Python here: this thread, or the greenlet of it that is running.
//!
//! Owns the question alone. Where nothing has imported greenlets there are none, and asking does not import them.

use pyo3::prelude::*;

/// The greenlet that runs, if there are any.
pub fn greenlet(py: Python<'_>) -> Option<Bound<'_, PyAny>> {
    let modules = py.import("sys").and_then(|sys| sys.getattr("modules")).ok()?;
    modules.get_item("greenlet").and_then(|module| module.call_method0("getcurrent")).ok()
}

/// A number that tells those of one thread apart that have not ended.
pub(super) fn number(py: Python<'_>) -> usize {
    greenlet(py).map_or(0, |greenlet| greenlet.as_ptr() as usize)
}
