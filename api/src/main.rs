//! The program `greffe`. Everything is in the library, where tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    greffe::cli::run()
}
