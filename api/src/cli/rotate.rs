//! `greffe rotate-key`: the ledger signs with a new key from the next entry on.

use greffe_infra::ledger::Purpose;

use super::{CliError, Place};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let (_, ledger) = args.place.open(Purpose::Write).await?;
    let receipt = ledger.rotate_key().await?;
    say!(
        "entry {} names the new key; trust.json still names the first, and stays valid",
        receipt.position
    );
    ledger.shutdown().await;
    Ok(())
}
