//! `greffe fsck`: every stored byte, checked again.

use std::path::PathBuf;

use clap::Args;
use greffe_infra::fsck::{FsckError, fsck};
use greffe_infra::store::SqliteStore;
use greffe_infra::trust::{TRUST_FILE, Trust};

use super::support::{data_directory, fault, progress, runtime};
use super::{Failure, no};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory of the ledger
    #[arg(long, value_name = "DIR", env = "GREFFE_DATA")]
    data: Option<PathBuf>,
    /// Where the ledger is kept: sqlite:PATH
    #[arg(long, value_name = "URL", env = "GREFFE_STORE")]
    store: Option<String>,
    /// Whose ledger it must be; the directory's own trust.json if absent
    #[arg(long, value_name = "FILE", env = "GREFFE_TRUST")]
    trust: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let directory = data_directory(arguments.data.as_deref(), arguments.store.as_deref())?;
    let store = SqliteStore::open(&directory).map_err(fault)?;
    let path = arguments.trust.clone().unwrap_or_else(|| directory.join(TRUST_FILE));
    let trust = match (&arguments.trust, path.exists()) {
        (None, false) => None,
        _ => Some(Trust::read(&path).map_err(fault)?),
    };
    let bar = progress(0, "checking");
    let checked = runtime()?.block_on(fsck(&store, trust.as_ref(), |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    }));
    bar.finish_and_clear();
    match checked {
        Ok(checked) => {
            println!(
                "sound: {} entries, {} filings, {} disclosures ({} erased)",
                checked.entries, checked.filings, checked.disclosures, checked.erased
            );
            Ok(())
        }
        Err(FsckError::Damaged(damage)) => Err(no(
            format!("damaged: {damage}"),
            "keep the directory as it is and restore from a copy that passes",
        )),
        Err(FsckError::Unreadable(unreadable)) => Err(fault(unreadable)),
    }
}
