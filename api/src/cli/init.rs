//! `greffe init`: a new ledger in a directory.

use std::path::PathBuf;

use clap::Args;
use greffe_domain::event::ClockKind;
use greffe_infra::ledger::{Genesis, Ledger, REGISTRAR_KEY_FILE};
use greffe_infra::trust::TRUST_FILE;

use super::Failure;
use super::support::{open_error, runtime};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory of the ledger
    #[arg(long, value_name = "DIR", env = "GREFFE_DATA")]
    data: PathBuf,
    /// Its name for ever: host-like, with an optional path
    #[arg(long, value_name = "NAME", env = "GREFFE_ORIGIN")]
    origin: String,
    /// Party that registers the others
    #[arg(long, value_name = "ID", default_value = "greffe", env = "GREFFE_REGISTRAR")]
    registrar: String,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let genesis = Genesis {
        origin: arguments.origin.clone(),
        registrar: arguments.registrar.clone(),
        registrar_key: None,
        clock: ClockKind::Real,
        opened_at: None,
    };
    runtime()?.block_on(async {
        let ledger = Ledger::create(&arguments.data, genesis).await.map_err(open_error)?;
        let head = ledger.head();
        ledger.shutdown().await;
        let file = |name: &str| arguments.data.join(name).display().to_string();
        println!("ledger {} opened, {} entry", head.origin, head.signed.size);
        println!("give away:   {}", file(TRUST_FILE));
        println!("keep secret: {}", file(REGISTRAR_KEY_FILE));
        println!("serve it:    greffe serve --data {}", arguments.data.display());
        Ok(())
    })
}
