//! The service as its users meet it: a process, a port, a directory on disk.

mod ask;
mod bitemporal;
mod cases;
mod crash;
mod disk;
mod first_minute;
mod gate;
mod lifecycle;
mod ndjson;
mod rights;
mod stores;
mod walk;
