//! `greffe file`: signs, submits, saves the receipts.

use std::path::PathBuf;

use clap::Args;

use super::sign::sign_file;
use super::support::{problem, progress, read_key, unanswered, write_new};
use super::{Failure, cannot};
use crate::client::Client;

#[derive(Debug, Args)]
pub struct Arguments {
    /// Filings, personal values in clear
    #[arg(value_name = "FILING.json", required = true)]
    filings: Vec<PathBuf>,
    /// Secret key of the party that files
    #[arg(long, value_name = "FILE", env = "GREFFE_KEY")]
    key: PathBuf,
    /// Address of the ledger
    #[arg(long, env = "GREFFE_URL")]
    url: String,
    /// Where receipts go; beside each filing if absent
    #[arg(long, value_name = "DIR", env = "GREFFE_RECEIPTS")]
    receipts: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let key = read_key(&arguments.key)?;
    let client = Client::remote(&arguments.url);
    let origin = client.origin().map_err(unanswered)?;
    if let Some(directory) = &arguments.receipts {
        std::fs::create_dir_all(directory).map_err(|e| {
            cannot(
                format!("{} cannot be created: {e}", directory.display()),
                "choose another directory",
            )
        })?;
    }
    let bar = progress(arguments.filings.len() as u64, "filing");
    for path in &arguments.filings {
        let (_, text) = sign_file(path, &key, &origin, None, None)?;
        let answer = client.submit(&text).map_err(unanswered)?;
        if !answer.is_success() {
            bar.finish_and_clear();
            let failure = problem(&answer);
            return Err(Failure {
                happened: format!("{}: {}", path.display(), failure.happened),
                exit: 2,
                ..failure
            });
        }
        let mut name = path.file_stem().unwrap_or_default().to_owned();
        let position = &answer.body["receipts"][0]["position"];
        name.push(format!(".{position}.receipt.json"));
        let target = match &arguments.receipts {
            Some(directory) => directory.join(name),
            None => path.with_file_name(name),
        };
        let receipts = serde_json::to_vec_pretty(&answer.body).expect("JSON read is JSON written");
        write_new(&target, &receipts)?;
        bar.println(format!("{}: entry {position}", path.display()));
        println!("{}", target.display());
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}
