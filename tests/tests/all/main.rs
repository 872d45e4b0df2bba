//! Every integration test, in one binary.

#[path = "../verify/mod.rs"]
mod verify;
