//! One line of an export, read and checked as far as the line alone allows.
//!
//! This half of the work needs no state but the keys known so far, and runs on all cores.
//! What it finds is only noted: the serial half (`ledger.rs`) meets the lines in order and
//! decides which failure is the first. A signature checked here against one key counts
//! there only if that is the key in force.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use greffe_domain::encoding::{Hash32, base64url_decode};
use greffe_domain::filing::{Disclosures, Filing, UnverifiedFiling, collect_digests};
use greffe_domain::key::PublicKey;
use greffe_domain::refusal::Refusal;
use greffe_domain::sdjwt::Disclosure;
use greffe_domain::seal::{
    Head, HiddenEntry, Leaf, Position, SealError, SealedEntry, SealedLine, TreeSize, check_link,
    link,
};
use serde::Deserialize;

use crate::reason::Reason;

/// Most bytes of a line: a filing's signed part, at most 2 MiB, and its wrapping.
pub const MAX_LINE_BYTES: usize = 2 * 1024 * 1024 + 1024;

/// Keys that lines may be checked against before their turn.
#[derive(Debug, Clone, Default)]
pub struct KnownKeys {
    pub ledger: Option<Arc<PublicKey>>,
    pub parties: Arc<HashMap<String, PublicKey>>,
}

/// A line, read.
pub enum Line {
    Filing(Box<FilingLine>),
    Entry(Box<EntryLine>),
    Hidden(HiddenEntry, SignedFor),
    Disclosure {
        position: u64,
        disclosure: Result<Disclosure, Refusal>,
    },
    Head(Head),
    /// Not a line of an export.
    Unreadable {
        reason: Reason,
        /// Whether it looks like a disclosure's: then it belongs to the entry before it.
        disclosure: bool,
    },
}

/// A filing, before or after its author's signature was checked.
pub enum FilingLine {
    Unverified(UnverifiedFiling),
    Verified(Filing),
    Refused(Refusal),
}

pub struct EntryLine {
    pub sealed: SealedEntry,
    /// The leaf's form, and that the link is its hash.
    pub leaf: Result<Leaf, SealError>,
    /// Digests that stand in the event's body.
    pub digests: usize,
    pub signed_for: SignedFor,
}

/// The place for which the ledger's signature was found good, if it was, and by which key.
pub struct SignedFor(Option<(Position, Arc<PublicKey>)>);

impl SignedFor {
    fn check(
        origin: &str,
        position: Position,
        link: &Hash32,
        signature: &[u8; 64],
        kid: &str,
        keys: &KnownKeys,
    ) -> Self {
        Self(keys.ledger.as_ref().and_then(|key| {
            check_link(origin, position, link, signature, kid, key).ok()?;
            Some((position, Arc::clone(key)))
        }))
    }

    /// Whether the check already done is the one now needed.
    pub fn covers(&self, position: Position, key: &PublicKey) -> bool {
        self.0.as_ref().is_some_and(|(p, k)| *p == position && **k == *key)
    }
}

/// Whether a line begins as one of an export does.
pub fn is_recognisable(line: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 5] =
        [b"{\"leaf\":{", b"{\"link\":\"", b"{\"filing\":\"", b"{\"position\":", b"{\"head\":{"];
    BEGINNINGS.iter().any(|b| line.starts_with(b))
}

/// Whether the line, if it is one of an export, is an entry's.
pub fn is_entry(line: &[u8]) -> bool {
    !matches!(first_member(line), b"filing" | b"position" | b"disclosure" | b"head")
}

/// Name of a JSON object's first member; empty if it has none.
fn first_member(line: &[u8]) -> &[u8] {
    let inside = line.trim_ascii_start().strip_prefix(b"{").unwrap_or_default();
    let name = inside.trim_ascii_start().strip_prefix(b"\"").unwrap_or_default();
    name.split(|b| *b == b'"').next().unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilingJson {
    filing: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DisclosureJson {
    position: u64,
    disclosure: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadJson {
    head: HeadMembers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadMembers {
    size: u64,
    link: Hash32,
    signature: String,
    key: String,
}

impl Line {
    /// `line`: without its end. `position`: the place it has if it is an entry.
    pub fn read(line: &[u8], origin: &str, position: Position, keys: &KnownKeys) -> Self {
        Self::try_read(line, origin, position, keys).unwrap_or_else(|reason| {
            const MEMBER: &[u8] = b"\"disclosure\":\"";
            let disclosure = matches!(first_member(line), b"position" | b"disclosure")
                || line.windows(MEMBER.len()).any(|bytes| bytes == MEMBER);
            Self::Unreadable { reason, disclosure }
        })
    }

    fn try_read(
        line: &[u8],
        origin: &str,
        position: Position,
        keys: &KnownKeys,
    ) -> Result<Self, Reason> {
        let text =
            std::str::from_utf8(line).map_err(|_| Reason::NotALine("not UTF-8".to_owned()))?;
        let not_a_line = |e: serde_json::Error| Reason::NotALine(e.to_string());
        Ok(match first_member(line) {
            b"filing" => {
                let json: FilingJson = serde_json::from_str(text).map_err(not_a_line)?;
                // After a `~` would stand disclosures, and theirs is another line.
                if json.filing.contains('~') {
                    return Err(Reason::NotALine("a filing's signed part holds no `~`".to_owned()));
                }
                Self::Filing(Box::new(FilingLine::read(&json.filing, keys)))
            }
            b"position" | b"disclosure" => {
                let json: DisclosureJson = serde_json::from_str(text).map_err(not_a_line)?;
                let disclosure = Disclosure::parse(&json.disclosure);
                Self::Disclosure { position: json.position, disclosure }
            }
            b"head" => {
                let HeadMembers { size, link, signature, key } =
                    serde_json::from_str::<HeadJson>(text).map_err(not_a_line)?.head;
                let signature = base64url_decode(&signature)
                    .and_then(|bytes| bytes.try_into().ok())
                    .ok_or(SealError::Member("signature"))?;
                Self::Head(Head { size: TreeSize(size), link, signature, kid: key })
            }
            _ => match SealedLine::parse(text)? {
                SealedLine::Hidden(hidden) => {
                    let HiddenEntry { link, signature, kid } = &hidden;
                    let signed = SignedFor::check(origin, position, link, signature, kid, keys);
                    Self::Hidden(hidden, signed)
                }
                SealedLine::Entry(sealed) => {
                    Self::Entry(Box::new(EntryLine::read(sealed, origin, position, keys)))
                }
            },
        })
    }
}

impl FilingLine {
    fn read(jwt: &str, keys: &KnownKeys) -> Self {
        let parsed = UnverifiedFiling::parse(&format!("{jwt}~"), Disclosures::AsFound);
        match parsed {
            Err(refusal) => Self::Refused(refusal),
            Ok(filing) => match keys.parties.get(filing.kid()) {
                None => Self::Unverified(filing),
                Some(key) => Self::verify(filing, key),
            },
        }
    }

    pub fn verify(filing: UnverifiedFiling, key: &PublicKey) -> Self {
        match filing.verify(key) {
            Ok(filing) => Self::Verified(filing),
            Err(refusal) => Self::Refused(refusal),
        }
    }
}

impl EntryLine {
    fn read(sealed: SealedEntry, origin: &str, position: Position, keys: &KnownKeys) -> Self {
        let leaf = Leaf::parse(&sealed.leaf).map_err(SealError::from).and_then(|leaf| {
            if link(&sealed.leaf) == sealed.link { Ok(leaf) } else { Err(SealError::Link) }
        });
        let mut digests = HashSet::new();
        if let Ok(leaf) = &leaf {
            collect_digests(&leaf.event["data"]["body"], &mut digests);
        }
        let digests = digests.len();
        let SealedEntry { link, signature, kid, .. } = &sealed;
        let signed_for = SignedFor::check(origin, position, link, signature, kid, keys);
        Self { leaf, digests, signed_for, sealed }
    }
}
