//! The command line: one binary, one subcommand a file.
//!
//! Every option can also be given as `GREFFE_…` in the environment. Exit codes: 0 done, 1
//! answered "no" (a verdict, a verification, an expectation), 2 could not run. What goes
//! wrong is said in two lines: what happened, what to try.

mod ask;
mod check;
mod demo;
mod export;
mod file;
mod fsck;
mod init;
mod keygen;
mod receipt_free;
mod replay;
mod serve;
mod sign;
mod support;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A regulatory ledger: who saw what, under which basis, and who decided it was allowed.
#[derive(Debug, Parser)]
#[command(name = "greffe", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open a simulated ledger, replay the documented cases, serve it
    Demo(demo::Arguments),
    /// Create a ledger: keys, position 0, trust.json
    Init(init::Arguments),
    /// Serve a ledger over HTTP
    Serve(serve::Arguments),
    /// Create an Ed25519 key
    Keygen(keygen::Arguments),
    /// Conceal personal values, sign, print the SD-JWT
    Sign(sign::Arguments),
    /// Sign, submit, save receipts
    File(file::Arguments),
    /// Ask whether an access would be covered; nothing is recorded
    Check(check::Arguments),
    /// Play case files and check their expectations
    Replay(replay::Arguments),
    /// Ask the ledger: accesses, findings, audit, a processing, an experiment
    Ask(ask::Arguments),
    /// Write the ledger, or what is about one person, to a file that greffe-verify checks
    Export(export::Arguments),
    /// Check every stored byte and name the first bad row
    Fsck(fsck::Arguments),
    /// Check a receipt against trust.json, without any server
    ReceiptFree(receipt_free::Arguments),
}

/// Why a command did not do what was asked.
#[derive(Debug)]
struct Failure {
    happened: String,
    to_try: String,
    exit: u8,
}

/// It could not run.
fn cannot(happened: impl fmt::Display, to_try: impl Into<String>) -> Failure {
    Failure { happened: happened.to_string(), to_try: to_try.into(), exit: 2 }
}

/// It ran, and the answer is no.
fn no(happened: impl fmt::Display, to_try: impl Into<String>) -> Failure {
    Failure { happened: happened.to_string(), to_try: to_try.into(), exit: 1 }
}

/// What `main` does.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let result = match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Init(arguments) => init::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Keygen(arguments) => keygen::run(&arguments),
        Command::Sign(arguments) => sign::run(&arguments),
        Command::File(arguments) => file::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Ask(arguments) => ask::run(&arguments),
        Command::Export(arguments) => export::run(&arguments),
        Command::Fsck(arguments) => fsck::run(&arguments),
        Command::ReceiptFree(arguments) => receipt_free::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("greffe: {}", one_line(&failure.happened));
            eprintln!("  try: {}", one_line(&failure.to_try));
            ExitCode::from(failure.exit)
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed_and_every_option_has_its_variable() {
        let command = super::Arguments::command();
        command.clone().debug_assert();
        for sub in command.get_subcommands() {
            for option in sub.get_opts().filter(|o| o.get_long() != Some("help")) {
                let variable = option.get_env().and_then(|v| v.to_str()).unwrap_or_default();
                let named = variable.starts_with("GREFFE_");
                assert!(named, "{} --{:?}", sub.get_name(), option.get_long());
            }
        }
    }
}
