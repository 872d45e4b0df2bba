//! The service as its users meet it: a process, a port, a directory on disk.

mod bitemporal;
mod cases;
mod crash;
mod first_minute;
mod lifecycle;
mod rights;
