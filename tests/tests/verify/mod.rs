//! The verifier against honest exports, tampering, and a dishonest operator.

mod bounded;
mod command_line;
mod dishonest;
mod honest;
mod rulebooks;
mod tampered;

use greffe_tests::ledger::TestLedger;
use greffe_verify::{Failure, Limits, Reason, Report, Trust, verify, verify_within};

fn trust(ledger: &TestLedger) -> Trust {
    Trust::parse(ledger.trust().to_string().as_bytes()).expect("our own trust file")
}

/// The answer, which must be the same when next to nothing is kept in memory.
#[track_caller]
fn check(ledger: &TestLedger, export: &[u8]) -> Result<Report, Failure> {
    let answer = verify(export, &trust(ledger));
    let small = Limits { records: 40, ..Limits::default() };
    let spilled = verify_within(export, &trust(ledger), &small);
    let text = |answer: &Result<Report, Failure>| match answer {
        Ok(report) => report.to_string(),
        Err(failure) => failure.to_string(),
    };
    assert_eq!(text(&spilled), text(&answer), "with temporary files, and without");
    answer
}

#[track_caller]
fn sound(ledger: &TestLedger, export: &[u8]) -> Report {
    check(ledger, export).unwrap_or_else(|failure| panic!("should be sound: {failure}"))
}

/// Position and reason of the failure; panics if the export is sound or cannot be judged.
#[track_caller]
fn broken(ledger: &TestLedger, export: &[u8]) -> (u64, Reason) {
    match check(ledger, export) {
        Err(Failure::Broken { position, reason, .. }) => (position.0, *reason),
        Err(failure) => panic!("should be broken: {failure}"),
        Ok(report) => panic!("should be broken: {report}"),
    }
}

/// Asserts where an export breaks, and why.
macro_rules! assert_broken {
    ($ledger:expr, $export:expr, $position:expr, $reason:pat $(if $guard:expr)?) => {
        let (position, reason) = $crate::verify::broken($ledger, $export);
        assert!(matches!(reason, $reason $(if $guard)?), "another reason: {reason}");
        assert_eq!(position, $position, "{reason}");
    };
}
pub(crate) use assert_broken;

/// The lines of an export, without their ends, each with the position of the entry it is,
/// announces (a filing) or belongs to (a disclosure). The head has the place after the last.
struct Lines(Vec<(Class, u64, Vec<u8>)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Filing,
    Entry,
    Disclosure,
    Head,
}

impl Lines {
    fn of(export: &[u8]) -> Self {
        let text = export.strip_suffix(b"\n").expect("an export ends its last line");
        let mut next = 0;
        let lines = text.split(|b| *b == b'\n').map(|line| {
            let (class, position) = if line.starts_with(b"{\"filing\"") {
                (Class::Filing, next)
            } else if line.starts_with(b"{\"position\"") {
                (Class::Disclosure, next - 1)
            } else if line.starts_with(b"{\"head\"") {
                (Class::Head, next)
            } else {
                next += 1;
                (Class::Entry, next - 1)
            };
            (class, position, line.to_vec())
        });
        Self(lines.collect())
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (_, _, line) in &self.0 {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        out
    }

    /// Index of the line of that class for that position.
    fn index(&self, class: Class, position: u64) -> usize {
        self.0
            .iter()
            .position(|(c, p, _)| *c == class && *p == position)
            .unwrap_or_else(|| panic!("no {class:?} line for position {position}"))
    }

    /// Indices of the lines of that class.
    fn all(&self, class: Class) -> Vec<usize> {
        (0..self.0.len()).filter(|i| self.0[*i].0 == class).collect()
    }
}
