//! `greffe rotate-key`: the ledger signs with a new key from the next entry on.

use std::path::PathBuf;

use greffe_infra::ledger::Purpose;

use super::{CliError, Place, read_key};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The new key (PKCS#8 PEM, from `greffe keygen`), if the ledger's is not a file that can
    /// be replaced: whoever hands it over hands this one over from then on.
    #[arg(long, value_name = "FILE")]
    new_key: Option<PathBuf>,
    /// Where the receipt of the change goes, for `greffe receipt check --rotation`.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let handed_over = !args.place.keys()?.holds_ledger_key();
    if handed_over && args.new_key.is_none() {
        return Err(CliError::broken(
            "the ledger's key was handed over, and no file here can be replaced",
            "make a key with `greffe keygen --out FILE`, and name it with --new-key FILE",
        ));
    }
    let new_key = args.new_key.as_deref().map(read_key).transpose()?;
    let (_, ledger) = args.place.open(Purpose::Write).await?;
    let receipt = match new_key {
        Some(key) => ledger.rotate_key_to(key).await?,
        None => ledger.rotate_key().await?,
    };
    say!(
        "entry {} names the new key; trust.json still names the first, and stays valid",
        receipt.position
    );
    ledger.shutdown().await;
    let Some(path) = args.receipt else { return Ok(()) };
    let bytes = serde_json::to_vec_pretty(&receipt).unwrap_or_default();
    std::fs::write(&path, bytes).map_err(|e| {
        CliError::broken(
            format!(
                "the key is changed, but its receipt cannot be written to {}: {e}",
                path.display()
            ),
            format!("take entry {} from an export instead", receipt.position),
        )
    })
}
