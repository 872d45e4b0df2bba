//! `greffe backup` and `greffe restore`: a copy of the embedded ledger to keep elsewhere,
//! and a data directory made of it.

use std::path::PathBuf;

use greffe_infra::backup::{Seen, back_up_keys, backup, restore};

use super::{CliError, Place, progress};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Directory to make, on another disk: the ledger and trust.json, without any key.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Directory to make for the ledger's keys and the secret of subject references. Keep it
    /// apart from the other: whoever has both can sign for the ledger and find persons in it.
    #[arg(long, value_name = "DIR")]
    keys_out: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let (_, location) = args.place.resolve()?;
    let Some(ledger) = location.directory() else {
        return Err(CliError::broken(
            "a ledger in a database is backed up by the database's own tools",
            "see docs/operations.md; keep a copy of the data directory as well, for its keys",
        ));
    };
    let bar = progress(0, "checking");
    let done = backup(ledger, &args.out, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })
    .await;
    bar.finish_and_clear();
    let done = done?;
    say!("{}: {} entries, head {}, sound", args.out.display(), done.head.size, done.head.link);
    let Some(to) = &args.keys_out else {
        say!("no key is in it: keep a copy of them elsewhere (--keys-out DIR)");
        return Ok(());
    };
    let copied = back_up_keys(&args.place.keys()?, to, &args.out).await?;
    say!("{}: {}; keep it apart", to.display(), copied.join(", "));
    Ok(())
}

#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The copy: a directory that `greffe backup --out` made.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Its keys, to put into the data directory: what `greffe backup --keys-out` made. Without
    /// it, they are to be given to `greffe serve`.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Data directory to make; it must not hold anything.
    #[arg(long, env = "GREFFE_DATA", value_name = "DIR")]
    data: PathBuf,
    /// A receipt that the lost ledger gave; the latest ones tell most. May be repeated.
    #[arg(long, value_name = "FILE")]
    receipt: Vec<PathBuf>,
    /// The file `high-water` of the lost ledger, if it outlived it. May be repeated.
    #[arg(long, value_name = "FILE")]
    high_water: Vec<PathBuf>,
}

pub async fn run_restore(args: RestoreArgs) -> Result<(), CliError> {
    let seen = Seen { receipts: args.receipt, marks: args.high_water };
    let bar = progress(0, "checking");
    let done = restore(&args.from, args.keys.as_deref(), &args.data, &seen, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })
    .await;
    bar.finish_and_clear();
    let done = done?;
    say!("{}: {} entries, head {}, sound", args.data.display(), done.head.size, done.head.link);
    match done.loss {
        Some(loss) => say!("{loss}; it will be served for reading, and sign nothing"),
        None => say!("nothing is known to be missing, as far as the receipts and marks given tell"),
    }
    say!("next      greffe serve --data {}", args.data.display());
    Ok(())
}
