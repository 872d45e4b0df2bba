//! `greffe keygen`: a key for a party, and the proof that its holder enrols it.

use std::path::PathBuf;

use greffe_domain::encoding::base64url;
use greffe_domain::identifier::{is_slug, valid_origin};
use greffe_domain::key::enrolment_text;
use greffe_infra::keystore::{generate_key, write_key};
use serde_json::json;

use super::{CliError, read_key};

#[derive(clap::Args)]
pub struct Args {
    /// Where to write the private key (PKCS#8 PEM, mode 0600). Without it, it is printed.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Use this key instead of making one: to print its proof.
    #[arg(long, value_name = "FILE", conflicts_with = "out")]
    key: Option<PathBuf>,
    /// Ledger the key will be enrolled with.
    #[arg(long, requires = "party")]
    origin: Option<String>,
    /// Party that will hold the key.
    #[arg(long, requires = "origin")]
    party: Option<String>,
}

pub fn run(args: Args) -> Result<(), CliError> {
    if let (Some(origin), Some(party)) = (&args.origin, &args.party) {
        if !valid_origin(origin) {
            return Err(CliError::broken(
                format!("`{origin}` is not the name of a ledger"),
                "give a host-like name, e.g. registre.example/absences",
            ));
        }
        if !is_slug(party) {
            return Err(CliError::broken(
                format!("`{party}` is not the id of a party"),
                "use lower-case letters, digits, `.`, `/` and `-`",
            ));
        }
    }
    let key = match &args.key {
        Some(path) => read_key(path)?,
        None => generate_key()?,
    };
    let public = key.public();
    let mut shown = json!({"kid": public.kid(), "jwk": public.to_jwk()});
    if let (Some(origin), Some(party)) = (&args.origin, &args.party) {
        let text = enrolment_text(origin, party, public.kid());
        shown["proof"] = base64url(&key.sign(text.as_bytes())).into();
    }
    match (&args.out, &args.key) {
        (Some(path), _) => {
            write_key(path, &key)?;
            shown["file"] = path.display().to_string().into();
        }
        (None, Some(_)) => {}
        (None, None) => shown["private_key"] = key.to_pem().into(),
    }
    say!("{}", serde_json::to_string_pretty(&shown).unwrap_or_default());
    Ok(())
}
