//! The leaf: canonical JSON of one entry, the only bytes that are ever hashed.
//!
//! Written member by member in RFC 8785 order, without building a tree (general
//! canonicalisers cost ten times as much); read strictly, and refused unless the bytes are
//! the canonical ones.

use serde_json::Value;

use crate::date::Timestamp;
use crate::encoding::Hash32;
use crate::event::Event;
use crate::json;
use crate::kind::StreamType;
use crate::refusal::{Refusal, RefusalCode};
use crate::seal::Position;

/// Most bytes of a leaf.
pub const MAX_LEAF_BYTES: usize = 65_535;
/// Most levels of nesting: a filing's, and the two that a leaf puts around its body.
pub const MAX_LEAF_DEPTH: usize = json::MAX_DEPTH + 2;

/// The filing's item an entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilingRef {
    pub digest: Hash32,
    pub item: u32,
}

/// The stream an entry belongs to, and the stream's version after it, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRef {
    pub id: String,
    pub kind: StreamType,
    pub version: u64,
}

/// An entry decided and not yet sealed.
pub struct PendingEntry<'a> {
    pub event: &'a Event,
    pub filing: Option<FilingRef>,
    /// Random, so that leaf hashes may be public without letting anyone guess a leaf.
    pub nonce: [u8; 16],
    pub origin: &'a str,
    pub position: Position,
    pub prev: Hash32,
    pub rulebook: &'a str,
    pub stream: &'a StreamRef,
    pub time: Timestamp,
}

impl PendingEntry<'_> {
    /// The leaf's canonical bytes. Errors: `leaf-too-large` past [`MAX_LEAF_BYTES`].
    pub fn write_leaf(&self) -> Result<Vec<u8>, Refusal> {
        let mut out = Vec::with_capacity(1536);
        out.extend_from_slice(b"{\"event\":");
        self.event.write_canonical(&mut out);
        out.extend_from_slice(b",\"filing\":");
        match self.filing {
            None => out.extend_from_slice(b"null"),
            Some(filing) => {
                out.extend_from_slice(b"{\"digest\":\"");
                out.extend_from_slice(filing.digest.to_string().as_bytes());
                out.extend_from_slice(b"\",\"item\":");
                out.extend_from_slice(filing.item.to_string().as_bytes());
                out.push(b'}');
            }
        }
        out.extend_from_slice(b",\"nonce\":\"");
        out.extend_from_slice(crate::encoding::base64url(&self.nonce).as_bytes());
        out.extend_from_slice(b"\",\"origin\":");
        json::write_canonical_str(self.origin, &mut out);
        out.extend_from_slice(b",\"position\":");
        out.extend_from_slice(self.position.to_string().as_bytes());
        out.extend_from_slice(b",\"prev\":\"");
        out.extend_from_slice(self.prev.to_string().as_bytes());
        out.extend_from_slice(b"\",\"rulebook\":");
        json::write_canonical_str(self.rulebook, &mut out);
        out.extend_from_slice(b",\"stream\":{\"id\":");
        json::write_canonical_str(&self.stream.id, &mut out);
        out.extend_from_slice(b",\"type\":\"");
        out.extend_from_slice(self.stream.kind.as_str().as_bytes());
        out.extend_from_slice(b"\",\"version\":");
        out.extend_from_slice(self.stream.version.to_string().as_bytes());
        out.extend_from_slice(b"},\"time\":\"");
        out.extend_from_slice(self.time.to_string().as_bytes());
        out.extend_from_slice(b"\",\"v\":1}");
        if out.len() > MAX_LEAF_BYTES {
            return Err(Refusal::new(
                RefusalCode::LeafTooLarge,
                format!(
                    "ce fait occupe {} octets une fois inscrit ; 65 535 au plus : le scinder",
                    out.len()
                ),
                format!(
                    "this fact takes {} bytes once recorded; at most 65,535: split it",
                    out.len()
                ),
            ));
        }
        Ok(out)
    }
}

/// A leaf, read.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// `{"data":…,"type":…,"version":…}`.
    pub event: Value,
    pub filing: Option<FilingRef>,
    pub origin: String,
    pub position: Position,
    pub prev: Hash32,
    pub rulebook: String,
    pub stream: StreamRef,
    pub time: Timestamp,
}

/// Why bytes are not a leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    #[error("the leaf is not JSON that the format allows: {0}")]
    Json(json::JsonError),
    #[error("the leaf's bytes are not the canonical ones (RFC 8785)")]
    NotCanonical,
    #[error("the leaf has {0} bytes; at most 65,535")]
    TooLarge(usize),
    #[error("the leaf's member `{0}` is missing, unknown or not of its form")]
    Member(&'static str),
}

impl Leaf {
    /// Reads and checks the form of stored bytes; compares nothing with the ledger.
    pub fn parse(bytes: &[u8]) -> Result<Self, LeafError> {
        if bytes.len() > MAX_LEAF_BYTES {
            return Err(LeafError::TooLarge(bytes.len()));
        }
        let mut value = json::parse_nested(bytes, MAX_LEAF_DEPTH).map_err(LeafError::Json)?;
        if json::canonical(&value) != bytes {
            return Err(LeafError::NotCanonical);
        }
        let members = value.as_object_mut().ok_or(LeafError::Member("event"))?;
        const MEMBERS: [&str; 10] = [
            "event", "filing", "nonce", "origin", "position", "prev", "rulebook", "stream", "time",
            "v",
        ];
        if members.len() != MEMBERS.len() || MEMBERS.iter().any(|m| !members.contains_key(*m)) {
            return Err(LeafError::Member("v"));
        }
        let event = members["event"].take();
        let value = &*members;
        if value["v"].as_u64() != Some(1) {
            return Err(LeafError::Member("v"));
        }
        if !event.as_object().is_some_and(|e| {
            e.len() == 3
                && e.contains_key("data")
                && e.contains_key("type")
                && e.contains_key("version")
        }) {
            return Err(LeafError::Member("event"));
        }
        let filing = match &value["filing"] {
            Value::Null => None,
            Value::Object(filing) if filing.len() == 2 => Some(FilingRef {
                digest: hash(filing.get("digest")).ok_or(LeafError::Member("filing"))?,
                item: filing
                    .get("item")
                    .and_then(Value::as_u64)
                    .and_then(|n| u32::try_from(n).ok())
                    .ok_or(LeafError::Member("filing"))?,
            }),
            _ => return Err(LeafError::Member("filing")),
        };
        let nonce = value["nonce"].as_str().and_then(crate::encoding::base64url_decode);
        if nonce.is_none_or(|n| n.len() != 16) {
            return Err(LeafError::Member("nonce"));
        }
        let stream = value["stream"].as_object().ok_or(LeafError::Member("stream"))?;
        let read_stream = || {
            (stream.len() == 3).then_some(())?;
            Some(StreamRef {
                id: stream.get("id")?.as_str()?.to_owned(),
                kind: serde_json::from_value(stream.get("type")?.clone()).ok()?,
                version: stream.get("version")?.as_u64()?,
            })
        };
        let text = |name: &'static str| {
            value[name].as_str().map(str::to_owned).ok_or(LeafError::Member(name))
        };
        let time = text("time")?;
        let parsed = Timestamp::parse(&time).filter(|t| t.to_string() == time);
        Ok(Self {
            event,
            filing,
            origin: text("origin")?,
            position: Position(value["position"].as_u64().ok_or(LeafError::Member("position"))?),
            prev: hash(value.get("prev")).ok_or(LeafError::Member("prev"))?,
            rulebook: text("rulebook")?,
            stream: read_stream().ok_or(LeafError::Member("stream"))?,
            time: parsed.ok_or(LeafError::Member("time"))?,
        })
    }
}

fn hash(value: Option<&Value>) -> Option<Hash32> {
    Hash32::parse(value?.as_str()?)
}
