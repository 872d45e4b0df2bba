//! `greffe migrate`: a ledger into another store, byte for byte.

use std::path::PathBuf;

use greffe_infra::ledger::Purpose;
use greffe_infra::migrate::migrate;
use greffe_infra::store::Location;
use greffe_infra::trust::{TRUST_FILE, Trust};

use super::{CliError, parse_store, progress};

#[derive(clap::Args)]
pub struct Args {
    /// Store to copy; no server may write it meanwhile. `sqlite:PATH`,
    /// `postgres://USER@HOST/DATABASE`, or, in a build with the feature `eventstore`,
    /// `esdb://HOST:PORT?side=sqlite:DIR` or `kurrentdb://…`.
    #[arg(long, value_name = "URL")]
    from: String,
    /// Store to copy to: empty, or that of a run that was interrupted.
    #[arg(long, value_name = "URL")]
    to: String,
    /// Trust file of the ledger. Without it, that of a data directory copied from.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// Role under which servers will connect to the database copied to.
    #[arg(long, value_name = "ROLE")]
    service_role: Option<String>,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let from = parse_store(&args.from)?;
    let mut to = parse_store(&args.to)?;
    if from == to {
        return Err(CliError::broken("both stores are the same", "name another one with --to"));
    }
    if let Location::Postgres { service, .. } = &mut to {
        *service = args.service_role;
    }
    let beside = || from.directory().map(|d| d.join(TRUST_FILE)).filter(|file| file.exists());
    let trust = args.trust.or_else(beside).map(|file| Trust::read(&file)).transpose()?;
    let source = from.open(Purpose::Write).await?;
    let target = to.create(source.origin()).await?;
    let bar = progress(0, "copying");
    let copied = migrate(&*source, &*target, trust.as_ref(), |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })
    .await;
    bar.finish_and_clear();
    target.resign().await;
    source.resign().await;
    let copied = copied?;
    say!("{} entries, head {}", copied.head.size, copied.head.link);
    if copied.resumed_at.0 > 0 {
        say!("went on from position {}", copied.resumed_at);
    }
    say!("keys, trust.json and marks stay in the data directory: copy them if it changes too");
    Ok(())
}
