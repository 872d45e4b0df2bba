//! `greffe fsck`: every stored byte, and the first that is wrong.

use greffe_infra::fsck::{FsckError, fsck};
use greffe_infra::ledger::Purpose;
use greffe_infra::trust::{TRUST_FILE, Trust};

use super::{CliError, Place, progress};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let (directory, location) = args.place.location()?;
    let store = location.open(Purpose::Read).await?;
    let trust_file = directory.map(|d| d.join(TRUST_FILE)).filter(|file| file.exists());
    let trust = trust_file.map(|file| Trust::read(&file)).transpose()?;
    let bar = progress(0, "checking");
    let outcome = fsck(&*store, trust.as_ref(), |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })
    .await;
    bar.finish_and_clear();
    match outcome {
        Ok(checked) => {
            say!(
                "sound: {} entries, {} filings, {} disclosures ({} erased)",
                checked.entries,
                checked.filings,
                checked.disclosures,
                checked.erased
            );
            Ok(())
        }
        Err(FsckError::Damaged(damage)) => Err(CliError::no(
            format!("damaged: {damage}"),
            "restore the ledger from a copy; keep this one as evidence",
        )),
        Err(FsckError::Unreadable(fault)) => Err(fault.into()),
    }
}
