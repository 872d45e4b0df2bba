//! Settings of a server: flags, environment and an optional file, in that order of
//! precedence (`cli.rs` reads the first two).

/// What a server allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Dry runs by one party within a minute.
    pub judgements_per_minute: u32,
    /// Subject references given to one party within a minute.
    pub subjects_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { judgements_per_minute: 600, subjects_per_minute: 6_000 }
    }
}
