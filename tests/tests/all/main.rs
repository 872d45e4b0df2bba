//! Every integration test, in one binary.

#[path = "../recompute.rs"]
mod recompute;
#[path = "../vectors.rs"]
mod vectors;
#[path = "../verify/mod.rs"]
mod verify;
