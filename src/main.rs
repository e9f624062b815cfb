//! The native binary (feature `embed`): starts an interpreter of its own, then does what the console script does.
fn main() {}
