//! `greffe export`: the ledger as lines a stranger checks.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use greffe_domain::subject::SubjectRef;
use greffe_infra::export::{Scope, export};
use greffe_infra::high_water::{EXPORTED_FILE, HighWater, Sync};
use greffe_infra::ledger::Purpose;
use greffe_infra::store::Head;

use super::{CliError, Place, progress};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Only what is about this subject; the other accesses are hidden.
    #[arg(long, value_name = "REF")]
    subject: Option<String>,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let scope = match &args.subject {
        None => Scope::Whole,
        Some(text) => Scope::Subject(SubjectRef::parse(text).ok_or_else(|| {
            CliError::broken(
                format!("`{text}` is not a subject reference"),
                "give the 43 characters that POST /v1/subjects answered",
            )
        })?),
    };
    let (directory, ledger) = args.place.open(Purpose::Read).await?;
    let shown = args.out.display().to_string();
    // Written beside and renamed, so that a file that exists is whole.
    let draft = args.out.with_extension("partial");
    let failed = |e: std::io::Error| {
        CliError::broken(format!("cannot write {shown}: {e}"), "check the path and the free space")
    };
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&draft).map_err(failed)?);
    let head = ledger.head()?.signed;
    let bar = progress(head.size.0, "exporting");
    let done =
        export(&**ledger.store(), &head, scope, &mut out, |at, _| bar.set_position(at)).await;
    bar.finish_and_clear();
    let done = match done {
        Ok(done) => done,
        Err(fault) => {
            let _ = std::fs::remove_file(&draft);
            return Err(fault.into());
        }
    };
    out.into_inner().map_err(|e| failed(e.into_error()))?.sync_all().map_err(failed)?;
    std::fs::rename(&draft, &args.out).map_err(failed)?;
    // From now on others may hold it: a store found shorter later has lost entries.
    let exported = Head { size: head.size, link: head.link };
    let mark = HighWater::open(&directory.join(EXPORTED_FILE), ledger.origin(), Sync::Always);
    if let Err(fault) = mark.and_then(|mark| mark.raise(exported)) {
        crate::log::fault(&fault);
    }
    say!(
        "{shown}: {} entries ({} hidden), {} filings, {} disclosures, head {}",
        done.entries,
        done.hidden,
        done.filings,
        done.disclosures,
        head.link
    );
    say!("check it with: greffe-verify {shown} --trust trust.json");
    ledger.shutdown().await;
    Ok(())
}
