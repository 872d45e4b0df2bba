//! `greffe receipt-free`: a receipt proves itself: leaf, link, signature, against trust.json.

use std::path::PathBuf;

use clap::Args;
use greffe_domain::encoding::{Hash32, base64url_decode};
use greffe_domain::seal::{Leaf, Position, entry_text, link};
use greffe_infra::trust::Trust;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::support::{fault, read_text};
use super::{Failure, cannot, no};

#[derive(Debug, Args)]
pub struct Arguments {
    /// `{"receipts":[…]}` as given by the service, or one receipt
    #[arg(value_name = "RECEIPT.json")]
    receipt: PathBuf,
    /// Whose ledger it must come from
    #[arg(long, value_name = "FILE", env = "GREFFE_TRUST")]
    trust: PathBuf,
}

#[derive(Deserialize)]
struct Receipts<'a> {
    #[serde(borrow)]
    receipts: Vec<Receipt<'a>>,
}

#[derive(Deserialize)]
struct Receipt<'a> {
    origin: String,
    position: u64,
    link: String,
    signature: String,
    key: String,
    #[serde(borrow)]
    leaf: &'a RawValue,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let trust = Trust::read(&arguments.trust).map_err(fault)?;
    let text = read_text(&arguments.receipt)?;
    let receipts = serde_json::from_str::<Receipts<'_>>(&text)
        .map(|r| r.receipts)
        .or_else(|_| serde_json::from_str::<Receipt<'_>>(&text).map(|r| vec![r]))
        .map_err(|e| {
            cannot(
                format!("{} is not a receipt: {e}", arguments.receipt.display()),
                "give the file that `greffe file` saved",
            )
        })?;
    for receipt in &receipts {
        check(receipt, &trust).map_err(|reason| {
            no(
                format!("the receipt of entry {} does not hold: {reason}", receipt.position),
                "ask the ledger again with the same filing; keep both answers",
            )
        })?;
        println!("entry {}: signed by {}", receipt.position, trust.origin);
    }
    Ok(())
}

fn check(receipt: &Receipt<'_>, trust: &Trust) -> Result<(), String> {
    if receipt.origin != trust.origin {
        return Err(format!("it is of another ledger, {}", receipt.origin));
    }
    if receipt.key != trust.ledger_key.kid() {
        return Err("it is signed by a later key of the ledger: greffe-verify follows rotations in an export".into());
    }
    // The service writes the stored bytes; a reader who reformatted them gets them back.
    let value =
        greffe_domain::json::parse(receipt.leaf.get().as_bytes()).map_err(|e| e.to_string())?;
    let bytes = greffe_domain::json::canonical(&value);
    let leaf = Leaf::parse(&bytes).map_err(|e| e.to_string())?;
    let position = Position(receipt.position);
    if leaf.position != position || leaf.origin != trust.origin {
        return Err("its leaf is of another place".into());
    }
    let computed = link(&bytes);
    if Hash32::parse(&receipt.link) != Some(computed) {
        return Err("its leaf does not give its link".into());
    }
    let signature: [u8; 64] = base64url_decode(&receipt.signature)
        .and_then(|b| b.try_into().ok())
        .ok_or("its signature is not 64 bytes of base64url")?;
    if !trust
        .ledger_key
        .verify(entry_text(&trust.origin, position, &computed).as_bytes(), &signature)
    {
        return Err("the ledger did not sign it".into());
    }
    Ok(())
}
