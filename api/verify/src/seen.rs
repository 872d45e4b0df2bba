//! What may stand only once, checked in memory that does not grow with the ledger.
//!
//! Each occurrence is noted as a keyed hash and its place. What the buffer cannot hold goes,
//! sorted, to files without a name, and the runs are merged at the end (or at the first
//! other failure): equal hashes meet there, and the earliest clash of all is found. So a
//! clash is learnt late, and reported where it stands. Positions, one bit each, are the one
//! thing here that grows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Runs of one level, merged into one of the next when there are so many.
const FAN_IN: usize = 64;
/// Bytes read or written at once, for each run.
const BLOCK: usize = 16 * 1024;
const RECORD: usize = 32;

/// What was met. The order is that in which it is checked at one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Met {
    /// A filing, by author and `jti`: once only.
    Filing,
    /// A disclosure, by digest: not once it is erased.
    Disclosed,
    /// An erasure of a digest: not while the export discloses it.
    Erased,
}

impl Met {
    const ALL: [Self; 3] = [Self::Filing, Self::Disclosed, Self::Erased];

    /// Whether this may not come after the first thing met of the same name.
    fn clashes(self, first: Self) -> bool {
        self == Self::Filing || self != first
    }
}

/// Something that may not stand where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clash {
    pub position: u64,
    pub met: Met,
    pub line: u64,
}

/// What the occurrences were, together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// The earliest clash.
    pub clash: Option<Clash>,
    /// Digests erased, each counted once.
    pub erased: u64,
}

/// An occurrence. In order: by name, then as the export has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Record {
    hash: u128,
    position: u64,
    /// The line, and what was met there in the lowest two bits.
    line: u64,
}

impl Record {
    fn met(self) -> Met {
        Met::ALL[(self.line & 3) as usize]
    }

    fn write(self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.hash.to_le_bytes())?;
        out.write_all(&self.position.to_le_bytes())?;
        out.write_all(&self.line.to_le_bytes())
    }

    /// The next record of a run; `None` at its end.
    fn read(run: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; RECORD];
        if run.read(&mut bytes[..1])? == 0 {
            return Ok(None);
        }
        run.read_exact(&mut bytes[1..])?;
        let word = |at: usize| std::array::from_fn(|i| bytes[at + i]);
        Ok(Some(Self {
            hash: u128::from_le_bytes(std::array::from_fn(|i| bytes[i])),
            position: u64::from_le_bytes(word(16)),
            line: u64::from_le_bytes(word(24)),
        }))
    }
}

/// Everything met so far.
pub struct Seen {
    /// Drawn at each run, so that nobody can prepare two names that are taken for one.
    key: [u8; 32],
    buffer: Vec<Record>,
    /// Most records of the buffer.
    room: usize,
    /// Where the files are made.
    directory: PathBuf,
    /// Sorted runs; those of level n hold `FAN_IN` to the n buffers each.
    levels: Vec<Vec<File>>,
}

impl Seen {
    /// `room`: records kept in memory, at least one, 32 bytes each. Nothing is written to
    /// `directory` before there are more.
    pub fn new(room: usize, directory: &Path) -> Self {
        Self {
            key: drawn(),
            buffer: Vec::new(),
            room: room.max(1),
            directory: directory.to_owned(),
            levels: Vec::new(),
        }
    }

    fn hash(&self, met: Met, parts: &[&str]) -> u128 {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        // Filings have names of their own; a digest disclosed and erased is the same.
        hasher.update(&[u8::from(met == Met::Filing)]);
        for part in parts {
            // Each part after its length, so that no two lists read the same.
            hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let bytes = *hasher.finalize().as_bytes();
        u128::from_le_bytes(std::array::from_fn(|i| bytes[i]))
    }

    /// Notes an occurrence. `line`: of the file, from 1; lines and positions never go back,
    /// but that an entry's erasures come after its disclosures.
    ///
    /// Errors: the file that takes what memory cannot hold.
    pub fn note(&mut self, met: Met, parts: &[&str], position: u64, line: u64) -> io::Result<()> {
        let hash = self.hash(met, parts);
        self.buffer.push(Record { hash, position, line: line << 2 | met as u64 });
        if self.buffer.len() >= self.room { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.buffer.sort_unstable();
        let mut run = BufWriter::with_capacity(BLOCK, nameless(&self.directory)?);
        self.buffer.iter().try_for_each(|record| record.write(&mut run))?;
        self.buffer.clear();
        let mut run = run.into_inner()?;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let runs = &mut self.levels[level];
            runs.push(run);
            if runs.len() < FAN_IN {
                break;
            }
            let mut merged = BufWriter::with_capacity(BLOCK, nameless(&self.directory)?);
            merge(std::mem::take(runs), &[], |record| record.write(&mut merged))?;
            run = merged.into_inner()?;
        }
        Ok(())
    }

    /// Compares everything noted, which is forgotten.
    ///
    /// Errors: a file that cannot be read back.
    pub fn outcome(&mut self) -> io::Result<Outcome> {
        self.buffer.sort_unstable();
        let runs = std::mem::take(&mut self.levels).into_iter().flatten().collect();
        let buffer = std::mem::take(&mut self.buffer);
        let mut outcome = Outcome::default();
        let mut group: Option<Group> = None;
        merge(runs, &buffer, |record| {
            let met = record.met();
            let group = match &mut group {
                Some(group) if group.hash == record.hash => group,
                group => {
                    outcome.erased += u64::from(met == Met::Erased);
                    let erased = met == Met::Erased;
                    *group = Some(Group { hash: record.hash, first: met, erased });
                    return Ok(());
                }
            };
            if met == Met::Erased && !std::mem::replace(&mut group.erased, true) {
                outcome.erased += 1;
            }
            if met.clashes(group.first) {
                let clash = Clash { position: record.position, met, line: record.line >> 2 };
                if outcome.clash.is_none_or(|earliest| clash < earliest) {
                    outcome.clash = Some(clash);
                }
            }
            Ok(())
        })?;
        Ok(outcome)
    }
}

/// Occurrences of one name, as they are met in order.
struct Group {
    hash: u128,
    first: Met,
    erased: bool,
}

/// Hands on the records of all runs and of the buffer, in order.
fn merge(
    runs: Vec<File>,
    buffer: &[Record],
    mut take: impl FnMut(Record) -> io::Result<()>,
) -> io::Result<()> {
    let mut readers = Vec::with_capacity(runs.len());
    let mut next = BinaryHeap::with_capacity(runs.len() + 1);
    for mut run in runs {
        run.rewind()?;
        let mut reader = BufReader::with_capacity(BLOCK, run);
        if let Some(record) = Record::read(&mut reader)? {
            next.push(Reverse((record, readers.len())));
        }
        readers.push(reader);
    }
    let mut buffer = buffer.iter().copied();
    let of_buffer = readers.len();
    next.extend(buffer.next().map(|record| Reverse((record, of_buffer))));
    while let Some(Reverse((record, source))) = next.pop() {
        let following = match readers.get_mut(source) {
            Some(reader) => Record::read(reader)?,
            None => buffer.next(),
        };
        next.extend(following.map(|record| Reverse((record, source))));
        take(record)?;
    }
    Ok(())
}

/// A file that nobody else opens, and that is gone when it is closed.
///
/// Where a file in use keeps its name (not on Unix), it stays behind, with hashes under a
/// key that is forgotten.
fn nameless(directory: &Path) -> io::Result<File> {
    loop {
        let name: String = drawn()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let path = directory.join(format!("greffe-verify-{name}"));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(&path) {
            Ok(file) => {
                if cfg!(unix) {
                    std::fs::remove_file(&path)?;
                }
                return Ok(file);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
}

/// 32 bytes that differ at each call.
fn drawn() -> [u8; 32] {
    // The standard library seeds its hashers from the operating system's randomness.
    let mut bytes = [0; 32];
    for word in bytes.chunks_exact_mut(8) {
        word.copy_from_slice(&RandomState::new().hash_one(0u8).to_le_bytes());
    }
    bytes
}

/// A set of positions, one bit each.
#[derive(Default)]
pub struct Positions(Vec<u64>);

impl Positions {
    fn place(position: u64) -> Option<(usize, u64)> {
        Some((usize::try_from(position / 64).ok()?, 1 << (position % 64)))
    }

    pub fn insert(&mut self, position: u64) {
        let Some((word, bit)) = Self::place(position) else { return };
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= bit;
    }

    pub fn contains(&self, position: u64) -> bool {
        Self::place(position)
            .is_some_and(|(word, bit)| self.0.get(word).is_some_and(|w| w & bit != 0))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use proptest::prelude::*;

    use super::*;

    /// What was met, under which of a few names, whether it opens a new position.
    fn occurrences() -> impl Strategy<Value = Vec<(Met, u8, bool)>> {
        let met = (0..3usize).prop_map(|i| Met::ALL[i]);
        prop::collection::vec((met, 0..120u8, any::<bool>()), 0..300)
    }

    /// The same, kept whole and looked at one by one.
    fn model(places: &[(Met, u8, u64, u64)]) -> Outcome {
        let (mut filings, mut disclosed, mut erased) =
            (HashSet::new(), HashSet::new(), HashSet::new());
        let mut clashes = BTreeSet::new();
        for &(met, name, position, line) in places {
            let clash = match met {
                Met::Filing => !filings.insert(name),
                Met::Disclosed => {
                    disclosed.insert(name);
                    erased.contains(&name)
                }
                Met::Erased => {
                    erased.insert(name);
                    disclosed.contains(&name)
                }
            };
            if clash {
                clashes.insert(Clash { position, met, line });
            }
        }
        Outcome { clash: clashes.first().copied(), erased: erased.len() as u64 }
    }

    proptest! {
        #[test]
        fn spilled_or_not_the_first_clash_and_the_count_are_those_of_sets_in_memory(
            occurrences in occurrences(), room in 1..40usize,
        ) {
            let mut position = 0;
            let mut places = Vec::new();
            for (line, (met, name, opens)) in (1..).zip(occurrences) {
                let before: Option<&(Met, u8, u64, u64)> = places.last();
                // At one position: the filing, the disclosures, the erasures.
                if opens || before.is_some_and(|(last, ..)| *last > met) {
                    position += 1;
                }
                places.push((met, name, position, line));
            }
            let mut seen = Seen::new(room, &std::env::temp_dir());
            for (met, name, position, line) in &places {
                let name = name.to_string();
                seen.note(*met, &[&name], *position, *line).expect("a temporary file");
            }
            prop_assert_eq!(seen.outcome().expect("read back"), model(&places));
        }
    }

    #[test]
    fn runs_are_merged_before_they_are_too_many_and_nothing_is_lost() {
        let mut seen = Seen::new(1, &std::env::temp_dir());
        let count = FAN_IN as u64 * FAN_IN as u64 + FAN_IN as u64 + 1;
        for n in 0..count {
            seen.note(Met::Erased, &[&n.to_string()], n, n + 1).expect("a temporary file");
        }
        assert!(seen.levels.iter().all(|runs| runs.len() < FAN_IN));
        assert_eq!(seen.levels.len(), 3);
        seen.note(Met::Disclosed, &["7"], count, count + 1).expect("a temporary file");
        let clash = Clash { position: count, met: Met::Disclosed, line: count + 1 };
        let outcome = seen.outcome().expect("read back");
        assert_eq!(outcome, Outcome { clash: Some(clash), erased: count });
    }

    #[test]
    fn what_fits_in_memory_writes_no_file_and_what_does_not_says_that_it_cannot() {
        let nowhere = Path::new("/nowhere/at/all");
        let mut seen = Seen::new(3, nowhere);
        seen.note(Met::Filing, &["a", "b"], 1, 1).expect("in memory");
        seen.note(Met::Filing, &["ab", ""], 2, 2).expect("in memory");
        let full = seen.note(Met::Filing, &["", "ab"], 3, 3);
        assert_eq!(full.expect_err("no such directory").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_name_in_two_parts_is_not_the_same_name_cut_elsewhere() {
        let mut seen = Seen::new(10, &std::env::temp_dir());
        for (n, parts) in [["a", "b"], ["ab", ""], ["", "ab"]].iter().enumerate() {
            seen.note(Met::Filing, parts, n as u64, n as u64).expect("in memory");
        }
        assert_eq!(seen.outcome().expect("in memory"), Outcome::default());
    }
}
