//! The verifier: an exported ledger checked without its server, in one pass.
//!
//! `lines → Line (on all cores) → Ledger (in order) → Report`. It is given the ledger's name
//! and first key (`Trust`) and nothing else, and checks every claim an export makes
//! (`docs/format.md` §5), every access judged again included. It opens no socket. Memory:
//! the register, one filing, some thousand lines, and a buffer of fixed size of what may
//! not come twice; what it cannot hold goes to temporary files (`seen.rs`).

mod ledger;
mod line;
mod reason;
mod rejudge;
mod report;
mod seen;

use std::io::{BufRead, Read};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use greffe_domain::rules::{self, Rulebook};
use greffe_domain::seal::Position;

use ledger::Ledger;
use line::{KnownKeys, Line, MAX_LINE_BYTES};
use seen::Seen;

pub use greffe_domain::trust::{Trust, TrustError};
pub use reason::{Failure, Reason};
pub use report::Report;

/// Lines and bytes read ahead of the serial half.
const CHUNK_LINES: usize = 1024;
const CHUNK_BYTES: usize = 4 * 1024 * 1024;
/// Lines that a core takes at a time.
const BLOCK_LINES: usize = 16;

/// What a check may take of the machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Filings, disclosures and erased digests kept in memory, 32 bytes each.
    pub records: usize,
    /// Where those that are more go, in files that are gone when they are closed.
    pub scratch: PathBuf,
}

impl Default for Limits {
    /// 16 MiB, and the system's directory for temporary files.
    fn default() -> Self {
        Self { records: 1 << 19, scratch: std::env::temp_dir() }
    }
}

/// Checks an export. Returns what it holds, or the first failure in the order of its lines.
pub fn verify(reader: impl BufRead + Send, trust: &Trust) -> Result<Report, Failure> {
    check(reader, trust, rules::VERSIONS, &Limits::default())
}

/// The same, within other limits.
pub fn verify_within(
    reader: impl BufRead + Send,
    trust: &Trust,
    limits: &Limits,
) -> Result<Report, Failure> {
    check(reader, trust, rules::VERSIONS, limits)
}

/// The same with other rulebooks than this build's, in the order they came into force.
pub fn verify_under(
    reader: impl BufRead + Send,
    trust: &Trust,
    rulebooks: &[&'static Rulebook],
) -> Result<Report, Failure> {
    check(reader, trust, rulebooks, &Limits::default())
}

fn check(
    reader: impl BufRead + Send,
    trust: &Trust,
    rulebooks: &[&'static Rulebook],
    limits: &Limits,
) -> Result<Report, Failure> {
    let mut chunks = Chunks { reader, lines: 0, entries: 0 };
    let seen = Seen::new(limits.records, &limits.scratch);
    let mut ledger = Ledger::new(trust, rulebooks, seen);
    let mut chunk = chunks.read();
    if !chunk.lines().any(line::is_recognisable) {
        return Err(match chunk.end {
            Some(End::Unreadable(why)) => Failure::CannotJudge(why),
            _ => Failure::CannotJudge("the file is not an export of a ledger".to_owned()),
        });
    }
    let mut next = chunk.end.is_none().then(|| chunks.read());
    let mut lines = chunk.parse(&trust.origin, ledger.keys());
    loop {
        // While this chunk is folded in order, the next one is parsed on the other cores, and
        // the one after it read: whoever writes the export into a pipe goes on meanwhile. Keys
        // enrolled meanwhile are not known there; the fold then checks for itself.
        let keys = ledger.keys().clone();
        let goes_on = next.as_ref().is_some_and(|next| next.end.is_none());
        let (folded, parsed, after) = thread::scope(|scope| {
            let reading = goes_on.then(|| scope.spawn(|| chunks.read()));
            let parsing = next.as_ref().map(|next| {
                let keys = &keys;
                scope.spawn(move || next.parse(&trust.origin, keys))
            });
            let folded = fold(&mut ledger, chunk.first_line, lines);
            (folded, parsing.map(joined), reading.map(joined))
        });
        if let Err(failure) = folded {
            return Err(ledger.first_failure(failure));
        }
        match (next, parsed) {
            (Some(read), Some(parsed)) => (chunk, lines, next) = (read, parsed, after),
            _ => break,
        }
    }
    match chunk.end {
        Some(End::Unreadable(why)) => Err(ledger.first_failure(Failure::CannotJudge(why))),
        Some(End::LineTooLong) => {
            let found = ledger.broken(chunks.lines + 1, Reason::LineTooLong(MAX_LINE_BYTES));
            Err(ledger.first_failure(found))
        }
        Some(End::OfFile) | None => ledger.finish(chunks.lines),
    }
}

/// What a thread made; its panic is ours.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn fold(ledger: &mut Ledger<'_>, first_line: u64, lines: Vec<Line>) -> Result<(), Failure> {
    (first_line..).zip(lines).try_for_each(|(number, line)| ledger.take(number, line))
}

/// Why nothing follows a chunk.
enum End {
    OfFile,
    LineTooLong,
    Unreadable(String),
}

struct Chunks<R> {
    reader: R,
    /// Lines read so far.
    lines: u64,
    /// Entries among them, by the look of their lines.
    entries: u64,
}

/// Some lines, kept as they were read.
struct Chunk {
    bytes: Vec<u8>,
    /// Where each line ends in `bytes`, and the place it has if it is an entry.
    ends: Vec<(usize, Position)>,
    /// Number of the first, from 1.
    first_line: u64,
    end: Option<End>,
}

impl<R: BufRead> Chunks<R> {
    fn read(&mut self) -> Chunk {
        let mut chunk =
            Chunk { bytes: Vec::new(), ends: Vec::new(), first_line: self.lines + 1, end: None };
        while chunk.end.is_none()
            && chunk.ends.len() < CHUNK_LINES
            && chunk.bytes.len() < CHUNK_BYTES
        {
            let start = chunk.bytes.len();
            let mut limited = (&mut self.reader).take(MAX_LINE_BYTES as u64 + 1);
            match limited.read_until(b'\n', &mut chunk.bytes) {
                Err(e) => {
                    chunk.end = Some(End::Unreadable(format!("reading the export failed: {e}")));
                    break;
                }
                Ok(0) => {
                    chunk.end = Some(End::OfFile);
                    break;
                }
                Ok(_) => {}
            }
            if chunk.bytes.last() == Some(&b'\n') {
                chunk.bytes.pop();
            } else if chunk.bytes.len() - start > MAX_LINE_BYTES {
                chunk.end = Some(End::LineTooLong);
                break;
            }
            chunk.ends.push((chunk.bytes.len(), Position(self.entries)));
            self.entries += u64::from(line::is_entry(&chunk.bytes[start..]));
            self.lines += 1;
        }
        chunk
    }
}

impl Chunk {
    fn line(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1].0 };
        &self.bytes[start..self.ends[index].0]
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| self.line(index))
    }

    /// Reads every line, on all cores.
    fn parse(&self, origin: &str, keys: &KnownKeys) -> Vec<Line> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let blocks = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let block = blocks.fetch_add(1, Ordering::Relaxed);
                let start = block * BLOCK_LINES;
                if start >= self.ends.len() {
                    return done;
                }
                let end = (start + BLOCK_LINES).min(self.ends.len());
                let lines: Vec<Line> = (start..end)
                    .map(|i| Line::read(self.line(i), origin, self.ends[i].1, keys))
                    .collect();
                done.push((block, lines));
            }
        };
        let mut done = thread::scope(|scope| {
            let others: Vec<_> = (1..cores).map(|_| scope.spawn(work)).collect();
            let mut done = work();
            done.extend(others.into_iter().flat_map(joined));
            done
        });
        done.sort_unstable_by_key(|(block, _)| *block);
        done.into_iter().flat_map(|(_, lines)| lines).collect()
    }
}
