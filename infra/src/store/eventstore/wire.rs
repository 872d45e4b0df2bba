//! An entry as an event of the ledger's stream, and back.
//!
//! The event's data is the leaf, byte for byte; its metadata is one JSON object, the rest of
//! the entry (`docs/adr/0034-event-store.md` shows one). A filing's text goes with its
//! entries: each carries its share, so that no event outgrows the others. Personal values
//! are in none of it: a stream forgets nothing.

use bytes::Bytes;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url, base64url_decode};
use greffe_domain::kind::EventType;
use greffe_domain::seal::{FilingRef, Position, SealedEntry, StreamRef};
use kurrentdb::EventData;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::store::{Batch, EntryRow, FilingRow, stream_type_of};

/// Version of the metadata.
const VERSION: u8 = 1;

/// An event as it is sent, and as it waits in the side while its batch is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    pub event_type: String,
    pub leaf: String,
    pub metadata: String,
    pub id: Uuid,
}

/// Metadata of an event. Hashes, signatures and keys are base64url, times microseconds since
/// 1970.
#[derive(Serialize, Deserialize)]
struct Metadata {
    v: u8,
    link: String,
    signature: String,
    kid: String,
    recorded: i64,
    stream: Stream,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filing: Option<Filing>,
}

#[derive(Serialize, Deserialize)]
struct Stream {
    #[serde(rename = "type")]
    kind: String,
    id: String,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct Filing {
    digest: String,
    item: u32,
    /// On the first item only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<Whole>,
    /// This item's share of the text, in order.
    jwt: String,
}

/// What is said once of a filing.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Whole {
    items: u32,
    iss: String,
    jti: String,
}

/// The id of an entry's event: sent again, it is the same event.
pub(super) fn event_id(link: &Hash32) -> Uuid {
    let first: [u8; 16] = link.0[..16].try_into().expect("16 bytes of 32");
    uuid::Builder::from_custom_bytes(first).into_uuid()
}

/// The events of a batch, in order.
pub(super) fn messages(batch: &Batch) -> Vec<Message> {
    let mut filings = batch.filings.iter().peekable();
    let mut current: Option<&FilingRow> = None;
    let of = |entry: &EntryRow| {
        let row = entry.filing?;
        if filings.peek().is_some_and(|f| f.first_position == entry.position) {
            current = filings.next();
        }
        let text = current.filter(|f| entry.first_position() == Some(f.first_position));
        Some(Filing {
            digest: base64url(&row.digest.0),
            item: row.item,
            of: text.filter(|_| row.item == 0).map(|f| Whole {
                items: f.items,
                iss: f.iss.clone(),
                jti: f.jti.clone(),
            }),
            jwt: text.map(|f| share(&f.jwt, row.item, f.items).to_owned()).unwrap_or_default(),
        })
    };
    let filings: Vec<Option<Filing>> = batch.entries.iter().map(of).collect();
    batch.entries.iter().zip(filings).map(|(entry, filing)| message(entry, filing)).collect()
}

fn message(entry: &EntryRow, filing: Option<Filing>) -> Message {
    let EntryRow { sealed, stream, event_type, time, .. } = entry;
    let metadata = Metadata {
        v: VERSION,
        link: base64url(&sealed.link.0),
        signature: base64url(&sealed.signature),
        kid: sealed.kid.clone(),
        recorded: time.micros(),
        stream: Stream {
            kind: stream.kind.as_str().to_owned(),
            id: stream.id.clone(),
            version: stream.version,
        },
        filing,
    };
    Message {
        event_type: event_type.as_str().to_owned(),
        leaf: String::from_utf8(sealed.leaf.clone())
            .expect("a leaf is canonical JSON, hence UTF-8"),
        metadata: serde_json::to_string(&metadata).expect("texts and numbers are JSON"),
        id: event_id(&sealed.link),
    }
}

/// Part `item` of a text cut into as many as there are items.
fn share(text: &str, item: u32, items: u32) -> &str {
    let cut = |part: u32| {
        let at = text.len() as u64 * u64::from(part) / u64::from(items.max(1));
        let mut at = usize::try_from(at).unwrap_or(text.len()).min(text.len());
        while !text.is_char_boundary(at) {
            at += 1;
        }
        at
    };
    &text[cut(item)..cut(item + 1)]
}

impl Message {
    /// What the server counts of it towards its limit on one append, with room to spare.
    pub fn size(&self) -> usize {
        self.leaf.len() + self.metadata.len() + 2 * self.event_type.len() + 64
    }

    pub fn event(&self) -> EventData {
        let leaf = RawValue::from_string(self.leaf.clone())
            .map_err(|_| ())
            .and_then(|leaf| EventData::json(&self.event_type, &leaf).map_err(|_| ()));
        // Kept as bytes, whatever they are: a store does not look into a leaf.
        let event = leaf.unwrap_or_else(|()| {
            EventData::binary(&self.event_type, Bytes::from(self.leaf.clone()))
        });
        event.id(self.id).metadata(Bytes::from(self.metadata.clone()))
    }
}

/// What an event of the stream holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub row: EntryRow,
    whole: Option<(u32, String, String)>,
    jwt: String,
}

/// Why an event is not one of ours.
pub(super) type Unreadable = String;

/// Reads an event that stands at `position`.
pub(super) fn read(
    position: u64,
    event_type: &str,
    data: &[u8],
    metadata: &[u8],
) -> Result<Read, Unreadable> {
    let Metadata { v, link, signature, kid, recorded, stream, filing } =
        serde_json::from_slice(metadata).map_err(|e| format!("its metadata: {e}"))?;
    if v != VERSION {
        return Err(format!("version {v} of its metadata is not known"));
    }
    let hash = |name: &str, text: &str| {
        let bytes = base64url_decode(text).and_then(|b| b.try_into().ok());
        bytes.map(Hash32).ok_or_else(|| format!("`{name}` is no hash of 32 bytes"))
    };
    let filing_ref = match &filing {
        None => None,
        Some(f) => Some(FilingRef { digest: hash("filing.digest", &f.digest)?, item: f.item }),
    };
    let row = EntryRow {
        position: Position(position),
        sealed: SealedEntry {
            leaf: data.to_vec(),
            link: hash("link", &link)?,
            signature: base64url_decode(&signature)
                .and_then(|b| b.try_into().ok())
                .ok_or("`signature` is not 64 bytes")?,
            kid,
        },
        filing: filing_ref,
        stream: StreamRef {
            kind: stream_type_of(&stream.kind)
                .ok_or_else(|| format!("stream type `{}` is not known", stream.kind))?,
            id: stream.id,
            version: stream.version,
        },
        event_type: EventType::parse(event_type)
            .ok_or_else(|| format!("event type `{event_type}` is not known"))?,
        time: Timestamp::from_micros(recorded),
    };
    let (whole, jwt) = match filing {
        None => (None, String::new()),
        Some(f) => (f.of.map(|w| (w.items, w.iss, w.jti)), f.jwt),
    };
    Ok(Read { row, whole, jwt })
}

/// The filings of consecutive entries that begin and end with whole ones.
pub(super) fn filings(entries: &[Read]) -> Result<Vec<FilingRow>, Unreadable> {
    let mut filings: Vec<FilingRow> = Vec::new();
    for Read { row, whole, jwt } in entries {
        if let (Some(filing), Some((items, iss, jti))) = (row.filing, whole) {
            filings.push(FilingRow {
                first_position: row.position,
                items: *items,
                digest: filing.digest,
                iss: iss.clone(),
                jti: jti.clone(),
                jwt: jwt.clone(),
            });
        } else if let Some(first) = row.first_position().filter(|p| *p != row.position) {
            match filings.last_mut() {
                Some(filing) if filing.first_position == first => filing.jwt.push_str(jwt),
                _ => {
                    return Err(format!(
                        "the entry at position {} belongs to a filing that does not begin",
                        row.position
                    ));
                }
            }
        }
    }
    Ok(filings)
}

/// How many entries of the last filing are still to come.
pub(super) fn missing_items(entries: &[Read]) -> usize {
    let Some(last) = entries.last() else { return 0 };
    let first = last.row.first_position();
    let items = entries.iter().rev().find_map(|r| {
        let whole = r.whole.as_ref()?;
        (Some(r.row.position) == first).then_some(whole.0)
    });
    let done = last.row.filing.map_or(0, |f| f.item + 1);
    items.map_or(0, |items| items.saturating_sub(done)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract::Sample;

    #[test]
    fn a_batch_read_back_is_the_batch_and_no_event_says_who_it_is_about() {
        let batch = Sample::default().batch(3, 7);
        let sent = messages(&batch);
        let back: Vec<Read> = sent
            .iter()
            .zip(0..)
            .map(|(m, at)| {
                let event = read(at, &m.event_type, m.leaf.as_bytes(), m.metadata.as_bytes());
                event.expect("one of ours")
            })
            .collect();
        let rows: Vec<EntryRow> = back.iter().map(|r| r.row.clone()).collect();
        assert!(rows == batch.entries);
        assert!(filings(&back).expect("whole") == batch.filings);
        for disclosure in &batch.disclosures {
            let told = |m: &Message| {
                m.leaf.contains(&disclosure.encoded) || m.metadata.contains(&disclosure.encoded)
            };
            assert!(!sent.iter().any(told), "{} is in the stream", disclosure.encoded);
        }
        assert_eq!(missing_items(&back), 0);
        assert_eq!(missing_items(&back[..10]), 5);
        assert!(filings(&back[2..]).is_err(), "a filing without its beginning");
    }

    #[test]
    fn an_event_id_is_a_custom_uuid_of_the_link() {
        // RFC 9562: version 8 in the seventh byte, variant 10 in the ninth.
        let id = event_id(&Hash32([0xff; 32]));
        assert_eq!(id.to_string(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(id.get_version_num(), 8);
    }

    #[test]
    fn what_is_not_ours_is_said() {
        let batch = Sample::default().batch(1, 1);
        let message = &messages(&batch)[1];
        let leaf = message.leaf.as_bytes();
        let metadata = &message.metadata;
        for (wrong, says) in [
            ("{}".to_owned(), "missing field"),
            (metadata.replace("\"v\":1", "\"v\":2"), "version 2"),
            (metadata.replace("\"link\":\"", "\"link\":\"A"), "`link`"),
            (metadata.replace("\"signature\":\"", "\"signature\":\"_"), "`signature`"),
            (metadata.replace("\"access\"", "\"excess\""), "stream type"),
        ] {
            let error = read(1, &message.event_type, leaf, wrong.as_bytes()).expect_err("refused");
            assert!(error.contains(says), "{error}");
        }
        assert!(read(1, "Nonsense", leaf, metadata.as_bytes()).is_err());
    }
}
