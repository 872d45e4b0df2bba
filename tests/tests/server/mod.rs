//! The service as its users meet it: a process, a port, a directory on disk.

mod ask;
mod bitemporal;
mod cases;
mod controller;
mod crash;
mod disk;
mod first_minute;
mod gate;
mod lifecycle;
mod me;
mod ndjson;
mod operations;
mod regulator;
mod restores;
mod rights;
mod stores;
mod terminal;
mod walk;
