//! The command line: flags, settings, exit codes. Each command is a file in `cli/`.
//!
//! Errors are two lines: what happened, what to try. Exit codes: 0 done, 1 answered "no"
//! (a refusal, a verdict, an expectation), 2 could not run.

/// Prints a line. A reader who went away (`| head`) is not a failure of ours.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}

/// Prints a line on standard error. Whoever closed it does not want to know.
macro_rules! complain {
    ($($arg:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($arg)*);
    }};
}

mod ask;
mod backup;
mod check;
mod demo;
mod export;
mod file;
mod fsck;
mod health;
mod init;
mod keygen;
mod migrate;
mod rebuild;
mod receipt;
mod replay;
mod rotate;
mod serve;
mod sign;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use greffe_domain::encoding::base64url_decode;
use greffe_domain::key::{SecretKey, simulated_party_key};
use greffe_infra::keystore::{Given, KeyStore};
use greffe_infra::ledger::{Ledger, Purpose};
use greffe_infra::store::Location;

use crate::failure::{CliError, read_file, read_key};

/// A regulatory ledger: who saw which absence data, under what basis, and was it lawful then.
#[derive(Parser)]
#[command(name = "greffe", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replay the documented affairs into a simulated ledger and serve it.
    Demo(demo::Args),
    /// Create a ledger: keys, position 0, trust.json.
    Init(init::Args),
    /// Serve a ledger over HTTP.
    Serve(serve::Args),
    /// Make an Ed25519 key for a party.
    Keygen(keygen::Args),
    /// Conceal and sign one filing; print the SD-JWT.
    Sign(sign::Args),
    /// Sign and submit filings; keep their receipts.
    File(file::Args),
    /// Ask whether an access would be covered; nothing is recorded.
    Check(check::Args),
    /// Check a receipt offline: what was granted, for whom, until when.
    Receipt(receipt::Args),
    /// Play case files and check what they expect.
    Replay(replay::Args),
    /// Ask who saw what, under which basis.
    Ask(Box<ask::Args>),
    /// Write a ledger as lines that greffe-verify checks.
    Export(export::Args),
    /// Copy the embedded ledger elsewhere, checked, beside a running server.
    Backup(backup::Args),
    /// Make a data directory of a backup, and tell it what others saw of the ledger.
    Restore(backup::RestoreArgs),
    /// Re-check every stored byte.
    Fsck(fsck::Args),
    /// Ask a server on this machine whether it runs.
    Health(health::Args),
    /// Rebuild the projections from the ledger.
    Rebuild(rebuild::Args),
    /// Copy a ledger to another store, byte for byte.
    Migrate(migrate::Args),
    /// Change the ledger's own key.
    RotateKey(rotate::Args),
}

const LEDGER_KEY_VARIABLE: &str = "GREFFE_LEDGER_KEY";
const SUBJECT_SECRET_VARIABLE: &str = "GREFFE_SUBJECT_SECRET";

/// Where a ledger is.
#[derive(clap::Args, Clone)]
pub struct Place {
    /// Data directory: keys, trust.json, projections, and the ledger itself unless --store
    /// says otherwise.
    #[arg(long, env = "GREFFE_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Store: `sqlite:PATH`, `postgres://USER@HOST,HOST/DATABASE`, or, in a build with the
    /// feature `eventstore`, `esdb://HOST:PORT` or `kurrentdb://HOST:PORT`.
    #[arg(long, env = "GREFFE_STORE", value_name = "URL")]
    store: Option<String>,
    /// Directory of the ledger's keys, if it is not the data directory. GREFFE_LEDGER_KEY
    /// (PEM) and GREFFE_SUBJECT_SECRET (base64url) hand them over instead.
    #[arg(long, env = "GREFFE_KEYS", value_name = "DIR")]
    keys: Option<PathBuf>,
}

impl Place {
    /// Where the bytes are, and the data directory if there is one.
    pub fn location(&self) -> Result<(Option<PathBuf>, Location), CliError> {
        match (&self.data, &self.store) {
            (None, None) => Err(CliError::broken(
                "no ledger was named",
                "add --data DIR (and --store URL when the ledger is not in it)",
            )),
            (Some(data), None) => Ok((Some(data.clone()), Location::in_directory(data))),
            (data, Some(store)) => {
                let location = parse_store(store)?;
                let location = match data {
                    Some(data) => location.beside(data),
                    None => location,
                };
                let beside = || location.directory().map(Path::to_owned);
                Ok((data.clone().or_else(beside), location))
            }
        }
    }

    /// Both, for commands that need keys.
    pub fn resolve(&self) -> Result<(PathBuf, Location), CliError> {
        match self.location()? {
            (Some(directory), location) => Ok((directory, location)),
            (None, _) => Err(CliError::broken(
                "a ledger in a database keeps its keys in a directory, and none was named",
                "add --data DIR beside --store",
            )),
        }
    }

    pub async fn open(&self, purpose: Purpose) -> Result<(PathBuf, Ledger), CliError> {
        let (directory, location) = self.resolve()?;
        let keys = self.keys()?;
        let ledger = Ledger::open_with_keys(&directory, &location, purpose, keys).await?;
        Ok((directory, ledger))
    }

    /// Where the ledger's keys are: handed over, in a directory of their own, or beside it.
    pub fn keys(&self) -> Result<KeyStore, CliError> {
        let (directory, _) = self.resolve()?;
        Ok(KeyStore::with(self.keys.clone().unwrap_or(directory), given_secrets()?))
    }
}

/// Secrets in the environment. They are no flags: everybody on a machine sees those.
fn given_secrets() -> Result<Given, CliError> {
    let read = |name: &str| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    let wrong = |name, expected| {
        CliError::broken(format!("{name} is not {expected}"), "correct it, or unset it")
    };
    let ledger_key =
        match read(LEDGER_KEY_VARIABLE) {
            None => None,
            Some(pem) => Some(SecretKey::from_pem(&pem).ok_or_else(|| {
                wrong(LEDGER_KEY_VARIABLE, "an Ed25519 private key in PKCS#8 PEM")
            })?),
        };
    let subject_secret = match read(SUBJECT_SECRET_VARIABLE) {
        None => None,
        Some(text) => {
            let bytes = base64url_decode(text.trim()).and_then(|bytes| bytes.try_into().ok());
            let expected = "32 bytes in base64url without padding";
            Some(bytes.ok_or_else(|| wrong(SUBJECT_SECRET_VARIABLE, expected))?)
        }
    };
    Ok(Given { ledger_key, subject_secret })
}

/// Reads a store's URL.
pub fn parse_store(url: &str) -> Result<Location, CliError> {
    Location::parse(url).ok_or_else(|| {
        let engine = url.split_once(':').map_or(url, |(scheme, _)| scheme);
        CliError::broken(
            format!("this build has no store for `{engine}:`"),
            if Location::needs_event_store(url) {
                "build it in: cargo build --release -p greffe --features eventstore"
            } else {
                "use sqlite:PATH or postgres://USER@HOST/DATABASE"
            },
        )
    })
}

/// Who asks.
#[derive(clap::Args, Clone)]
pub struct Identity {
    /// Private key of the party that asks (PKCS#8 PEM).
    #[arg(long, env = "GREFFE_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Party that asks. On a simulated ledger its key is derived when none is given.
    // An id of its own: `ask` has a filter named `party`.
    #[arg(id = "asking_party", long = "as", env = "GREFFE_PARTY", value_name = "PARTY")]
    party: Option<String>,
    /// A bearer token instead.
    #[arg(long, env = "GREFFE_TOKEN", value_name = "TOKEN")]
    token: Option<String>,
}

impl Identity {
    /// The client, signed in if an identity was given.
    pub fn sign_in(
        &self,
        client: &crate::client::Client,
    ) -> Result<crate::client::Client, CliError> {
        if let Some(token) = &self.token {
            return Ok(client.with_token(token.as_str()));
        }
        let Some(party) = &self.party else { return Ok(client.clone()) };
        let key = match &self.key {
            Some(path) => read_key(path)?,
            None => simulated_party_key(party),
        };
        client.signed_in(party, &key)
    }
}

/// A bar when somebody watches; nothing otherwise.
pub fn progress(length: u64, what: &'static str) -> indicatif::ProgressBar {
    use std::io::IsTerminal;
    if !std::io::stderr().is_terminal() {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
        .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar());
    indicatif::ProgressBar::new(length).with_style(style).with_message(what)
}

/// A command line that was not understood, in two lines like every other error.
fn misused(rendered: &str) -> CliError {
    let (what, rest) = rendered.trim().split_once("\n\n").unwrap_or((rendered.trim(), ""));
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = one_line(what.strip_prefix("error: ").unwrap_or(what));
    let tip = rest.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    let usage = rest.lines().find_map(|line| line.trim().strip_prefix("Usage: "));
    match (tip, usage) {
        (Some(tip), _) => CliError::broken(what, one_line(tip)),
        (None, Some(usage)) => CliError::broken(what, format!("usage: {}", one_line(usage))),
        (None, None) => CliError::broken(what, "see `greffe --help`"),
    }
}

/// Runs the command line.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers; anything else could not run.
            if !error.use_stderr() {
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            complain!("{}", misused(&error.render().to_string()));
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain!("cannot start: {error}\nfree some memory or threads, then try again");
            return ExitCode::from(2);
        }
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Init(args) => init::run(args).await,
            Command::Serve(args) => serve::run(args).await,
            Command::Keygen(args) => keygen::run(args),
            Command::Sign(args) => sign::run(args),
            Command::File(args) => blocking(|| file::run(args)).await,
            Command::Check(args) => blocking(|| check::run(args)).await,
            Command::Receipt(args) => receipt::run(args),
            Command::Replay(args) => replay::run(args).await,
            Command::Ask(args) => ask::run(*args).await,
            Command::Export(args) => export::run(args).await,
            Command::Backup(args) => backup::run(args).await,
            Command::Restore(args) => backup::run_restore(args).await,
            Command::Fsck(args) => fsck::run(args).await,
            Command::Health(args) => blocking(move || health::run(&args)).await,
            Command::Rebuild(args) => rebuild::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::RotateKey(args) => rotate::run(args).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain!("{error}");
            ExitCode::from(error.code())
        }
    }
}

/// Runs what waits on the network without async, off the runtime's own threads.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CliError> + Send + 'static,
) -> Result<T, CliError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    #[test]
    fn no_two_options_of_a_command_share_a_name() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn a_command_line_that_is_not_understood_is_answered_in_two_lines() {
        for (args, what, advice) in [
            (&["greffe", "serve", "--datta", "x"][..], "--datta", "--data"),
            (&["greffe", "sign"], "were not provided", "usage: greffe sign"),
            (&["greffe", "nothing"], "nothing", "greffe"),
            (&["greffe", "serve", "--listen", "here"], "here", "--help"),
            (&["greffe", "replay", "x", "--data", "a", "--url", "b"], "cannot be used", "usage:"),
        ] {
            let Err(error) = super::Cli::try_parse_from(args) else { panic!("{args:?}") };
            let text = super::misused(&error.render().to_string()).to_string();
            assert_eq!(text.lines().count(), 2, "{text}");
            let (first, second) = text.split_once('\n').expect("two lines");
            assert!(first.contains(what), "{text}");
            assert!(second.contains(advice), "{text}");
        }
    }
}
