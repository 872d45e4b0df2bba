//! What a sound export holds, in numbers.

use std::fmt;

use greffe_domain::encoding::Hash32;
use greffe_domain::seal::TreeSize;

/// Counts of a sound export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    pub origin: String,
    pub size: TreeSize,
    /// Link of the last entry.
    pub link: Hash32,
    /// Thumbprint of the key that signed the head.
    pub kid: String,
    /// Entries whose leaf was read.
    pub entries: u64,
    /// Entries without their leaf: bound to their place, their content unchecked.
    pub hidden: u64,
    /// Versions of the rules, in order, and how many entries each was in force for; hidden
    /// entries are not among them.
    pub rulebooks: Vec<(String, u64)>,
    pub filings: u64,
    pub accesses: u64,
    /// Accesses every rule of which was run again.
    pub rejudged: u64,
    /// Accesses of which at least one finding was taken as recorded, for want of a
    /// disclosure.
    pub not_rejudged: u64,
    pub disclosures: u64,
    /// Digests without their disclosure: erased, or not for this reader.
    pub undisclosed: u64,
    /// Digests that the ledger records as erased.
    pub erased: u64,
    pub key_rotations: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sound: {}", self.origin)?;
        writeln!(f, "head          {} entries, link {}", self.size, self.link)?;
        writeln!(f, "signed by     {} ({} key rotations)", self.kid, self.key_rotations)?;
        writeln!(f, "entries       {} read, {} hidden", self.entries, self.hidden)?;
        let rulebooks: Vec<String> =
            self.rulebooks.iter().map(|(version, n)| format!("{version} ({n} entries)")).collect();
        writeln!(f, "rulebooks     {}", rulebooks.join(", "))?;
        writeln!(f, "filings       {}", self.filings)?;
        writeln!(
            f,
            "accesses      {} ({} judged again, {} not re-judged: disclosures missing)",
            self.accesses, self.rejudged, self.not_rejudged
        )?;
        write!(
            f,
            "disclosures   {} ({} digests without; {} recorded as erased)",
            self.disclosures, self.undisclosed, self.erased
        )
    }
}
