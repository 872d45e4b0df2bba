//! `greffe keygen`: an Ed25519 key, and the proof that its holder enrols it.

use std::path::PathBuf;

use clap::Args;
use greffe_domain::encoding::base64url;
use greffe_domain::identifier::{is_slug, valid_origin};
use greffe_domain::key::enrolment_text;
use greffe_infra::keystore;
use serde_json::json;

use super::support::fault;
use super::{Failure, cannot};

#[derive(Debug, Args)]
pub struct Arguments {
    /// File of the secret key (PKCS#8 PEM, mode 0600); nothing is overwritten
    #[arg(long, value_name = "FILE", default_value = "key.pem", env = "GREFFE_OUT")]
    out: PathBuf,
    /// Origin of the ledger the key is for
    #[arg(long, env = "GREFFE_ORIGIN", requires = "party")]
    origin: Option<String>,
    /// Party the key is for
    #[arg(long, env = "GREFFE_PARTY", requires = "origin")]
    party: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.origin.as_deref().is_some_and(|o| !valid_origin(o)) {
        return Err(cannot(
            "the origin is not a host-like name",
            "write it without scheme or trailing slash, e.g. registre.example/absences",
        ));
    }
    if arguments.party.as_deref().is_some_and(|p| !is_slug(p)) {
        return Err(cannot(
            "the party is not an id",
            "write lower-case letters, digits, `.`, `/`, `-`",
        ));
    }
    let key = keystore::generate_key().map_err(fault)?;
    keystore::write_key(&arguments.out, &key).map_err(fault)?;
    let public = key.public();
    let mut printed = json!({"kid": public.kid(), "jwk": public.to_jwk()});
    if let (Some(origin), Some(party)) = (&arguments.origin, &arguments.party) {
        let proof = key.sign(enrolment_text(origin, party, public.kid()).as_bytes());
        printed["party"] = party.as_str().into();
        printed["proof"] = base64url(&proof).into();
    }
    eprintln!("secret key written to {}", arguments.out.display());
    println!("{}", serde_json::to_string_pretty(&printed).expect("texts only"));
    Ok(())
}
