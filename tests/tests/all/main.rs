//! Every integration test, in one binary.

#[path = "../server/mod.rs"]
mod server;
#[path = "../verify/mod.rs"]
mod verify;
