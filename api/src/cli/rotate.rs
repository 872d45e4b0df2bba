//! `greffe rotate-key`: the ledger signs with a new key from the next entry on.

use std::path::PathBuf;

use greffe_infra::ledger::Purpose;

use super::{CliError, Place};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Where the receipt of the change goes, for `greffe receipt check --rotation`.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let (_, ledger) = args.place.open(Purpose::Write).await?;
    let receipt = ledger.rotate_key().await?;
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
