use std::process::ExitCode;

fn main() -> ExitCode {
    greffe::cli::run()
}
