//! `greffe sign`: one filing, concealed and signed.

use std::path::{Path, PathBuf};

use greffe_domain::encoding::base64url;
use greffe_domain::key::SecretKey;
use greffe_infra::clock::Clock;
use greffe_infra::entropy;

use super::{CliError, read_file, read_key};
use crate::sign::{Draft, Stamp, salts};

#[derive(clap::Args)]
pub struct Args {
    /// `{iss, kind, at?, evidence, reference?, body}`, personal values in clear.
    filing: PathBuf,
    /// Private key of the author (PKCS#8 PEM).
    #[arg(long, env = "GREFFE_KEY", value_name = "FILE")]
    key: PathBuf,
    /// Ledger it is for.
    #[arg(long, value_name = "ORIGIN")]
    aud: String,
    /// Unique name of the filing; drawn at random without it.
    #[arg(long)]
    jti: Option<String>,
    /// Seconds since 1970; now without it.
    #[arg(long)]
    iat: Option<i64>,
}

pub fn run(args: Args) -> Result<(), CliError> {
    let key = read_key(&args.key)?;
    say!("{}", sign_file(&args.filing, &key, &args.aud, args.jti, args.iat)?);
    Ok(())
}

/// Reads, conceals and signs a filing.
pub fn sign_file(
    path: &Path,
    key: &SecretKey,
    aud: &str,
    jti: Option<String>,
    iat: Option<i64>,
) -> Result<String, CliError> {
    let draft = Draft::read(&read_file(path)?);
    let draft = draft.map_err(|refusal| CliError::from(refusal).about(path))?;
    let jti = match jti {
        Some(jti) => jti,
        None => base64url(&entropy::draw::<16>()?),
    };
    let mut salts = salts(entropy::draw()?);
    let iat = iat.unwrap_or_else(|| Clock::System.now().unix_seconds());
    Ok(draft.sign(&Stamp { aud, iat, jti: &jti }, &mut salts, key))
}
