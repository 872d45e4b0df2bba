//! One line a failure, on standard error: what an operator reads. Never bodies, never
//! personal data.

use std::error::Error;
use std::io::Write;

/// A failure of the world, with its causes.
pub fn fault(error: &dyn Error) {
    let mut line = format!("greffe: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    // A closed standard error is no reason for a server to stop.
    let _ = writeln!(std::io::stderr(), "{line}");
}
