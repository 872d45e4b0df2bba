//! How people and programs reach the ledger: the command line, HTTP, the page.
//!
//! Everything that is decided is decided in `domain` and recorded by `infra`; this crate
//! translates: texts into filings, questions into reads, refusals into status codes.

pub mod affairs;
mod charts;
pub mod cli;
pub mod client;
pub mod config;
pub mod failure;
pub mod http;
pub mod log;
pub mod oidc;
pub mod replay;
pub mod sign;
pub mod words;

/// Of every program that links the service, so that what is measured is what is served
/// (`docs/adr/0044-build-and-memory.md`).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;
