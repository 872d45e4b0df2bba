//! `greffe rebuild`: projections from zero. They are disposable; the ledger is not touched.

use greffe_infra::ledger::Purpose;

use super::serve::Local;
use super::{CliError, Place};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let (directory, ledger) = args.place.open(Purpose::Follow).await?;
    let rebuilt = Local::rebuild(&ledger, &directory).await;
    ledger.shutdown().await;
    say!("projections rebuilt up to {} entries", rebuilt?);
    Ok(())
}
