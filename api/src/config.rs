//! Settings of a server: flags, environment and an optional file, in that order of
//! precedence (`cli.rs` reads the first two).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{CliError, read_file};
use crate::http::pages::signin::SignIn;
use crate::oidc;

/// What a server allows.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Dry runs by one party within a minute.
    pub judgements_per_minute: u32,
    /// Subject references given to one party within a minute.
    pub subjects_per_minute: u32,
    /// Sign-ins begun from one address within a minute.
    pub sign_ins_per_minute: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { judgements_per_minute: 600, subjects_per_minute: 6_000, sign_ins_per_minute: 30 }
    }
}

impl Limits {
    /// For a server that only this process asks.
    pub fn unlimited() -> Self {
        Self {
            judgements_per_minute: u32::MAX,
            subjects_per_minute: u32::MAX,
            sign_ins_per_minute: u32::MAX,
        }
    }
}

/// A settings file (TOML). Unknown settings are refused, so that a misspelt one is noticed.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    pub data: Option<PathBuf>,
    pub store: Option<String>,
    pub listen: Option<SocketAddr>,
    pub judgements_per_minute: Option<u32>,
    pub subjects_per_minute: Option<u32>,
    pub sign_ins_per_minute: Option<u32>,
    /// Private key of the subject desk, which files what citizens contest on the pages.
    pub subject_desk_key: Option<PathBuf>,
    /// Where people reach this service, `https://…`; needed with `oidc`.
    pub public_url: Option<String>,
    /// Sign-in of people on pages.
    pub oidc: Option<oidc::Settings>,
}

impl FileSettings {
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let bytes = read_file(path)?;
        let text = String::from_utf8_lossy(&bytes);
        toml::from_str(&text).map_err(|e| {
            CliError::broken(
                format!("{}: {}", path.display(), e.message()),
                "settings are data, store, listen, judgements_per_minute, subjects_per_minute, \
                 sign_ins_per_minute, subject_desk_key, public_url and the table oidc (issuer, \
                 client_id, client_secret, scopes, acr_values)",
            )
        })
    }

    /// How people sign in: not at all without the table `oidc`.
    pub fn sign_in(&self) -> Result<SignIn, CliError> {
        match (&self.oidc, &self.public_url) {
            (None, _) => Ok(SignIn::default()),
            (Some(oidc), Some(url)) => Ok(SignIn::oidc(oidc.clone(), url.clone())),
            (Some(_), None) => Err(CliError::broken(
                "the settings have a table `oidc` and no `public_url`",
                "set public_url to the address people open, e.g. https://registre.example",
            )),
        }
    }

    pub fn limits(&self) -> Limits {
        let default = Limits::default();
        Limits {
            judgements_per_minute: self
                .judgements_per_minute
                .unwrap_or(default.judgements_per_minute),
            subjects_per_minute: self.subjects_per_minute.unwrap_or(default.subjects_per_minute),
            sign_ins_per_minute: self.sign_ins_per_minute.unwrap_or(default.sign_ins_per_minute),
        }
    }
}
