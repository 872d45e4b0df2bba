//! `greffe init`: a new ledger.

use std::path::PathBuf;

use greffe_domain::event::ClockKind;
use greffe_infra::keystore::KeyStore;
use greffe_infra::ledger::{Genesis, Ledger, REGISTRAR_KEY_FILE};
use greffe_infra::store::Location;
use greffe_infra::trust::TRUST_FILE;

use super::{CliError, parse_store, read_key};

#[derive(clap::Args)]
pub struct Args {
    /// Directory to create the ledger in; refused if it holds one.
    #[arg(long, env = "GREFFE_DATA", value_name = "DIR")]
    data: PathBuf,
    /// Store to keep the ledger in: `postgres://OWNER@HOST/DATABASE`, `sqlite:PATH`, or, in a
    /// build with the feature `eventstore`, `esdb://HOST:PORT` or `kurrentdb://HOST:PORT`.
    /// The directory then holds its keys. Without it, the ledger is in the directory too.
    #[arg(long, env = "GREFFE_STORE", value_name = "URL")]
    store: Option<String>,
    /// Role under which servers will connect, if it is not the tables' owner: it gets the
    /// right to read and to append, and no other.
    #[arg(long, value_name = "ROLE", requires = "store")]
    service_role: Option<String>,
    /// Name of the ledger, for ever: a host-like name with an optional path.
    #[arg(long, value_name = "NAME")]
    origin: String,
    /// Party that registers the others.
    #[arg(long, value_name = "ID", default_value = "greffe")]
    registrar: String,
    /// Key of the registrar, if it has one; made and kept beside the ledger otherwise.
    #[arg(long, value_name = "FILE")]
    registrar_key: Option<PathBuf>,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let registrar_key = args.registrar_key.as_deref().map(read_key).transpose()?;
    let made = registrar_key.is_none();
    let genesis = Genesis {
        origin: args.origin,
        registrar: args.registrar.clone(),
        registrar_key,
        clock: ClockKind::Real,
        opened_at: None,
    };
    let mut location = match &args.store {
        Some(store) => parse_store(store)?.beside(&args.data),
        None => Location::in_directory(&args.data),
    };
    if let Location::Postgres { service, .. } = &mut location {
        *service = args.service_role;
    }
    let ledger = Ledger::create_at(&args.data, &location, genesis).await?;
    let head = ledger.head()?;
    say!("ledger    {} opened, {} entry", head.origin, head.signed.size);
    say!("key       {}", KeyStore::new(&args.data).first_ledger_key()?.public().kid());
    if made {
        say!(
            "registrar {} (key in {})",
            args.registrar,
            args.data.join(REGISTRAR_KEY_FILE).display()
        );
    } else {
        say!("registrar {}", args.registrar);
    }
    say!("trust     {}", args.data.join(TRUST_FILE).display());
    let store = if args.store.is_some() { " --store URL" } else { "" };
    say!("next      greffe serve --data {}{store}", args.data.display());
    ledger.shutdown().await;
    Ok(())
}
