//! `greffe export`: the ledger as lines a stranger checks.

use std::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use greffe_domain::subject::SubjectRef;
use greffe_infra::export::{Scope, export};
use greffe_infra::high_water::{EXPORTED_FILE, HighWater, Sync};
use greffe_infra::ledger::Purpose;
use greffe_infra::store::{Fault, Head};

use super::{CliError, Place, progress};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// File to write; `-` for standard output.
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
    let to_stdout = args.out == Path::new("-");
    let shown = if to_stdout { "standard output".into() } else { args.out.display().to_string() };
    let failed = |e: io::Error| {
        CliError::broken(format!("cannot write {shown}: {e}"), "check the path and the free space")
    };
    let target = if to_stdout { Target::Stdout } else { Target::at(&args.out).map_err(failed)? };
    let mut out = BufWriter::with_capacity(1 << 20, target.open().map_err(failed)?);
    let head = ledger.head()?.signed;
    let bar = progress(head.size.0, "exporting");
    let done =
        export(&**ledger.store(), &head, scope, &mut out, |at, _| bar.set_position(at)).await;
    bar.finish_and_clear();
    let done = match done {
        Ok(done) => done,
        Err(fault) => {
            target.abandon();
            ledger.shutdown().await;
            // A reader who has seen enough (`| head`) is not a failure.
            return if to_stdout && is_closed_pipe(&fault) { Ok(()) } else { Err(fault.into()) };
        }
    };
    let out = out.into_inner().map_err(|e| e.into_error());
    if let Err(e) = out.and_then(|out| target.keep(out, &args.out)) {
        target.abandon();
        return Err(failed(e));
    }
    // From now on others may hold it: a store found shorter later has lost entries.
    let exported = Head { size: head.size, link: head.link };
    let mark = HighWater::open(&directory.join(EXPORTED_FILE), ledger.origin(), Sync::Always);
    if let Err(fault) = mark.and_then(|mark| mark.raise(exported)) {
        crate::log::fault(&fault);
    }
    let summary = format!(
        "{shown}: {} entries ({} hidden), {} filings, {} disclosures, head {}",
        done.entries, done.hidden, done.filings, done.disclosures, head.link
    );
    if to_stdout {
        complain!("{summary}");
    } else {
        say!("{summary}");
        say!("check it with: greffe-verify {shown} --trust trust.json");
    }
    ledger.shutdown().await;
    Ok(())
}

/// Where the lines go.
enum Target {
    Stdout,
    /// A file that is there and is no regular one, as a pipe: written in place.
    InPlace(PathBuf),
    /// Written beside and renamed, so that a file that exists is whole.
    Draft(PathBuf),
}

impl Target {
    fn at(path: &Path) -> io::Result<Self> {
        let is_special = path.metadata().is_ok_and(|m| !m.is_file() && !m.is_dir());
        if is_special {
            return Ok(Self::InPlace(path.to_owned()));
        }
        let mut name = path.file_name().ok_or(ErrorKind::IsADirectory)?.to_owned();
        if path.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        name.push(".partial");
        Ok(Self::Draft(path.with_file_name(name)))
    }

    fn open(&self) -> io::Result<Box<dyn Output>> {
        Ok(match self {
            Self::Stdout => Box::new(io::stdout()),
            Self::InPlace(path) => Box::new(File::options().write(true).open(path)?),
            Self::Draft(draft) => Box::new(File::create(draft)?),
        })
    }

    /// All of it was written.
    fn keep(&self, mut out: Box<dyn Output>, path: &Path) -> io::Result<()> {
        out.flush()?;
        if let Self::Draft(draft) = self {
            out.sync()?;
            std::fs::rename(draft, path)?;
        }
        Ok(())
    }

    fn abandon(&self) {
        if let Self::Draft(draft) = self {
            let _ = std::fs::remove_file(draft);
        }
    }
}

/// What is written to, and waits for the disk where there is one.
trait Output: Write {
    fn sync(&self) -> io::Result<()>;
}

impl Output for File {
    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}

impl Output for io::Stdout {
    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn is_closed_pipe(fault: &Fault) -> bool {
    let cause = fault.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    cause.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
}
