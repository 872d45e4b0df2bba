//! The `greffe` binary; what it does is in `greffe::cli`.

fn main() -> std::process::ExitCode {
    greffe::cli::run()
}
