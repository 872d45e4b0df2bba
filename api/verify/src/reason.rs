//! Why an export fails: one text per check, shown to whoever runs the verifier.

use greffe_domain::date::Timestamp;
use greffe_domain::event::EventError;
use greffe_domain::kind::{Kind, StreamType};
use greffe_domain::refusal::Refusal;
use greffe_domain::seal::{Position, SealError, StreamRef, TreeSize};
use greffe_domain::verdict::Outcome;

/// What the first failure is.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    #[error("the line is no line of an export: {0}")]
    NotALine(String),
    #[error("the line is longer than {0} bytes")]
    LineTooLong(usize),
    #[error("something follows the head")]
    AfterHead,
    #[error("the export is cut short: it ends without its head")]
    NoHead,

    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the ledger does not open with `LedgerOpened`")]
    NotOpened,
    #[error("the ledger opens twice")]
    OpenedTwice,
    #[error("the event cannot be read: {0}")]
    Event(#[from] EventError),
    #[error("`time` goes back, from {before} to {time}")]
    TimeWentBack { before: Timestamp, time: Timestamp },
    #[error("the stream `{}` ({}) has version {}; {expected} was expected", stream.id, stream.kind, stream.version)]
    StreamVersion { stream: StreamRef, expected: u64 },
    #[error("the stream is `{}` ({}); the filing's item belongs to `{id}` ({kind})", found.id, found.kind)]
    Stream { found: StreamRef, kind: StreamType, id: String },
    #[error("the entry follows on access {0}, which the ledger does not hold")]
    NoAccess(String),
    #[error("the rulebook `{0}` is not one this verifier knows")]
    Rulebook(String),
    #[error("the rulebook goes back, from `{before}` to `{found}`")]
    RulebookWentBack { before: &'static str, found: String },
    #[error("the event is not written as this ledger writes its own events")]
    OwnEvent,

    #[error("the entry cites no filing, and only the ledger's own events may")]
    NoFiling,
    #[error("the ledger's own event cites a filing")]
    OwnEventFiled,
    #[error("the filing that the entry cites does not stand before it: missing, or used before")]
    FilingMissing,
    #[error("a filing that no entry cites")]
    FilingUncited,
    #[error("the filing is refused: {0}")]
    Filing(Refusal),
    #[error("the filing is addressed to `{0}`, not to this ledger")]
    Audience(String),
    #[error("the filing was used before (same author, same `jti`)")]
    FilingUsedTwice,
    #[error("the author `{0}` is not registered")]
    AuthorUnknown(String),
    #[error("the key `{kid}` is not enrolled to `{iss}` at this position")]
    KeyNotEnrolled { kid: String, iss: String },
    #[error("the author's key was revoked at position {0}")]
    KeyRevoked(u64),
    #[error("`{iss}` may not file `{kind}`")]
    Role { iss: String, kind: Kind },
    #[error("`iat` is {iat}, and the entry's time {time}: they must agree")]
    IssueTime { iat: Timestamp, time: Timestamp },
    #[error("the filing has no item {0}")]
    NoItem(u32),
    #[error("item {found} stands where item {expected} of the filing should")]
    ItemOrder { found: u32, expected: u32 },
    #[error("the filing's items {from} and after are left out")]
    ItemsLeftOut { from: u32 },
    #[error("the event is not the function of its filing's item")]
    NotItsFiling,
    #[error("the key it enrols is refused: {0}")]
    Enrolment(&'static str),

    #[error("the access names the processing `{0}`, which the register does not hold")]
    NoProcessing(String),
    #[error("the access carries no verdict")]
    NoVerdict,
    #[error("judged again, the access is {judged}, not {recorded}", judged = judged.as_str(), recorded = recorded.as_str())]
    Outcome { recorded: Outcome, judged: Outcome },
    #[error("judged again, the finding {code} differs from the one recorded")]
    Finding { code: String },
    #[error("judged again, the verdict's `{0}` differs from the one recorded")]
    Verdict(&'static str),

    #[error("a disclosure of entry {0} does not stand right after it")]
    DisclosureMisplaced(u64),
    #[error("the disclosure is refused: {0}")]
    Disclosure(Refusal),
    #[error("the entry's disclosures do not fit its event: {0}")]
    DisclosureShape(String),
    #[error("the same disclosure stands twice")]
    DisclosureTwice,
    #[error("a disclosure whose digest the ledger records as erased")]
    DisclosureErased,
    #[error("the entry erases a value whose disclosure the export still holds")]
    ErasedStillDisclosed,

    #[error("the head counts {head} entries, and the export holds {found}")]
    HeadSize { head: TreeSize, found: TreeSize },
    #[error("the head's link is not that of the last entry")]
    HeadLink,
    #[error("the head is signed by another key than the ledger's")]
    HeadKey,
    #[error("the head's signature does not verify")]
    HeadSignature,
    #[error("the head counts {head} entries; the trust file asks for at least {least}")]
    HeadTooSmall { head: TreeSize, least: TreeSize },
}

/// Why the verifier says no.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The export is one, and it is not sound.
    #[error("broken at position {position} (line {line}): {reason}")]
    Broken {
        /// Place of the first bad entry; for the head, the place after the last entry.
        position: Position,
        /// Line of the file, from 1.
        line: u64,
        reason: Box<Reason>,
    },
    /// Nothing can be said of it.
    #[error("cannot judge: {0}")]
    CannotJudge(String),
    /// No temporary file, for what memory is not to hold.
    #[error("cannot judge: a temporary file could not be written or read: {0}")]
    NoScratch(#[source] std::io::Error),
}
