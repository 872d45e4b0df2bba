//! `greffe sign`: from clear text to the SD-JWT that is sent.

use std::path::{Path, PathBuf};

use clap::Args;
use greffe_domain::key::SecretKey;
use greffe_infra::clock::Clock;
use greffe_infra::entropy::Nonces;

use super::Failure;
use super::support::{fault, read_file, read_key, refused};
use crate::client::fresh_jti;
use crate::sign::{Draft, Stamp};

#[derive(Debug, Args)]
pub struct Arguments {
    /// `{iss, kind, at?, evidence, reference?, body}`, personal values in clear
    #[arg(value_name = "FILING.json")]
    filing: PathBuf,
    /// Secret key of the party that files
    #[arg(long, value_name = "FILE", env = "GREFFE_KEY")]
    key: PathBuf,
    /// Origin of the ledger it is for
    #[arg(long, value_name = "ORIGIN", env = "GREFFE_AUD")]
    aud: String,
    /// Unique number of the filing; drawn if absent
    #[arg(long, env = "GREFFE_JTI")]
    jti: Option<String>,
    /// Signing time, seconds since 1970; now if absent (simulated ledgers)
    #[arg(long, env = "GREFFE_IAT")]
    iat: Option<i64>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let key = read_key(&arguments.key)?;
    let (_, text) = sign_file(
        &arguments.filing,
        &key,
        &arguments.aud,
        arguments.iat,
        arguments.jti.as_deref(),
    )?;
    println!("{text}");
    Ok(())
}

/// Signs the filing of a file; answers who files, and the compact form.
pub fn sign_file(
    path: &Path,
    key: &SecretKey,
    aud: &str,
    iat: Option<i64>,
    jti: Option<&str>,
) -> Result<(String, String), Failure> {
    let draft = Draft::read(&read_file(path)?).map_err(|r| {
        let failure = refused(&r);
        Failure { happened: format!("{}: {}", path.display(), failure.happened), ..failure }
    })?;
    let jti = match jti {
        Some(jti) => jti.to_owned(),
        None => fresh_jti().map_err(fault)?,
    };
    let iat = iat.unwrap_or_else(|| Clock::System.now().unix_seconds());
    let mut nonces = Nonces::default();
    let mut failed = None;
    let mut salts = || {
        nonces.draw().unwrap_or_else(|e| {
            failed = Some(e);
            [0; 16]
        })
    };
    let text = draft.sign(&Stamp { aud, iat, jti: &jti }, &mut salts, key);
    // A salt that is not random would give a value away: nothing leaves then.
    match failed {
        Some(e) => Err(fault(e)),
        None => Ok((draft.iss, text)),
    }
}
