//! `greffe-verify FILE --trust trust.json`: 0 sound, 1 broken, 2 cannot judge.
//!
//! Only the command line is here; every check is in the library.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufReader, Write, stderr, stdout};
use std::process::ExitCode;

use greffe_verify::{Failure, Trust, verify};

const USAGE: &str = "usage: greffe-verify FILE --trust trust.json";
const SOUND: u8 = 0;
const BROKEN: u8 = 1;
const CANNOT_JUDGE: u8 = 2;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let [only] = arguments.as_slice()
        && (only == "-h" || only == "--help")
    {
        let _ = writeln!(
            stdout(),
            "{USAGE}\nChecks an exported ledger. Exit status: 0 sound, 1 broken, 2 cannot judge."
        );
        return ExitCode::from(SOUND);
    }
    let (code, happened, to_try) = match run(&arguments) {
        Ok(report) => {
            let _ = writeln!(stdout(), "{report}");
            return ExitCode::from(SOUND);
        }
        Err(failure @ Failure::Broken { .. }) => (
            BROKEN,
            failure.to_string(),
            "the entries before it are sound; export again, and if it stays, keep this file: it is evidence",
        ),
        Err(failure @ Failure::CannotJudge(_)) => (CANNOT_JUDGE, failure.to_string(), USAGE),
        Err(failure @ Failure::NoScratch(_)) => (
            CANNOT_JUDGE,
            failure.to_string(),
            "set TMPDIR to a directory with room: a million entries need about 64 MB there",
        ),
    };
    // The exit status says it too, whoever reads these or not.
    let _ = writeln!(stderr(), "{happened}\n{to_try}");
    ExitCode::from(code)
}

fn run(arguments: &[OsString]) -> Result<greffe_verify::Report, Failure> {
    let cannot = Failure::CannotJudge;
    let (file, trust) = match arguments {
        [file, option, trust] | [option, trust, file] if option == "--trust" => (file, trust),
        _ => return Err(cannot("a file and its trust file are expected".to_owned())),
    };
    let unreadable = |path: &OsString, e: std::io::Error| {
        cannot(format!("{} cannot be read: {e}", path.display()))
    };
    let trusted = std::fs::read(trust).map_err(|e| unreadable(trust, e))?;
    let trusted = Trust::parse(&trusted).map_err(|e| cannot(format!("no trust file: {e}")))?;
    let export = File::open(file).map_err(|e| unreadable(file, e))?;
    verify(BufReader::with_capacity(1 << 20, export), &trusted)
}
