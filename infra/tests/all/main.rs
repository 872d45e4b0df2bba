//! What a ledger promises, tried from outside: one binary, so that it links once.

mod faults;
mod framework;
mod groups;
mod refusals;
mod rotation;
mod rulebooks;
mod support;
mod writing;
