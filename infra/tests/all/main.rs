//! What a ledger promises, tried from outside: one binary, so that it links once.

mod extract;
mod failover;
mod faults;
mod framework;
mod groups;
mod migration;
mod postgres;
mod refusals;
mod rotation;
mod rulebooks;
mod standby;
mod support;
mod writing;
