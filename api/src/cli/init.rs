//! `greffe init`: a new ledger.

use std::path::PathBuf;

use greffe_domain::event::ClockKind;
use greffe_infra::keystore::KeyStore;
use greffe_infra::ledger::{Genesis, Ledger, REGISTRAR_KEY_FILE};
use greffe_infra::trust::TRUST_FILE;

use super::{CliError, read_key};

#[derive(clap::Args)]
pub struct Args {
    /// Directory to create the ledger in; refused if it holds one.
    #[arg(long, env = "GREFFE_DATA", value_name = "DIR")]
    data: PathBuf,
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
    let ledger = Ledger::create(&args.data, genesis).await?;
    let head = ledger.head();
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
    say!("next      greffe serve --data {}", args.data.display());
    ledger.shutdown().await;
    Ok(())
}
