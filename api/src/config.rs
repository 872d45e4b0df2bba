//! Settings of a server: flags, environment (`cli.rs` reads both), then an optional file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

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

/// The file of `--config`: JSON, every member optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data: Option<PathBuf>,
    pub store: Option<String>,
    pub listen: Option<SocketAddr>,
    judgements_per_minute: Option<u32>,
    subjects_per_minute: Option<u32>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file} is not a settings file: {reason}")]
pub struct ConfigError {
    file: String,
    reason: String,
}

impl Config {
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let error = |reason: String| ConfigError { file: path.display().to_string(), reason };
        let bytes = std::fs::read(path).map_err(|e| error(e.to_string()))?;
        serde_json::from_slice(&bytes).map_err(|e| error(e.to_string()))
    }

    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            judgements_per_minute: self
                .judgements_per_minute
                .unwrap_or(default.judgements_per_minute),
            subjects_per_minute: self.subjects_per_minute.unwrap_or(default.subjects_per_minute),
        }
    }
}
