//! A receipt: proof, checkable offline, that an entry is in the ledger at its place.

use std::sync::{Arc, RwLock};

use greffe_domain::body::Body;
use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::encoding::{Hash32, base64url};
use greffe_domain::event::Event;
use greffe_domain::json::{write_canonical_str, write_integer};
use greffe_domain::kind::EventType;
use greffe_domain::register::Register;
use greffe_domain::rules::{self, Case, Rulebook};
use greffe_domain::seal::Position;
use greffe_domain::verdict::Verdict;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::load::{read_event, read_leaf};
use crate::store::{EntryRow, Fault, Store};

/// What a filer gets for each entry, once it is durable.
///
/// `leaf` holds the stored bytes; the ledger's signature binds them to `position`
/// (`docs/format.md` §2).
#[derive(Debug, Clone, Serialize)]
pub struct Receipt {
    pub origin: String,
    pub position: Position,
    pub link: Hash32,
    #[serde(serialize_with = "as_base64url")]
    pub signature: [u8; 64],
    /// Thumbprint of the ledger's key.
    pub key: String,
    pub time: Timestamp,
    /// Digest of the filing; `None` for the ledger's own events.
    pub filing: Option<Hash32>,
    pub leaf: LeafText,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_verdict")]
    pub verdict: Option<Arc<Verdict>>,
    /// Last day on which a granted access may be served, when its basis has a term.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<LegalDate>,
}

impl Receipt {
    /// RFC 8785 bytes, members in their order; no tree is built, and the leaf, which is in
    /// that form already, goes as it stands.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        let text = |name: &[u8], text: &str, out: &mut Vec<u8>| {
            out.extend_from_slice(name);
            write_canonical_str(text, out);
        };
        match &self.filing {
            Some(digest) => text(b"{\"filing\":", &digest.to_string(), out),
            None => out.extend_from_slice(b"{\"filing\":null"),
        }
        text(b",\"key\":", &self.key, out);
        out.extend_from_slice(b",\"leaf\":");
        out.extend_from_slice(&self.leaf.0);
        text(b",\"link\":", &self.link.to_string(), out);
        text(b",\"origin\":", &self.origin, out);
        out.extend_from_slice(b",\"position\":");
        write_integer(self.position.0, out);
        text(b",\"signature\":", &base64url(&self.signature), out);
        text(b",\"time\":", &self.time.to_string(), out);
        if let Some(day) = self.valid_until {
            text(b",\"valid_until\":", &day.to_string(), out);
        }
        if let Some(verdict) = &self.verdict {
            out.extend_from_slice(b",\"verdict\":");
            verdict.write_canonical(out);
        }
        out.push(b'}');
    }

    /// About as many bytes as it is written in: the leaf holds the verdict too.
    pub fn written_bytes(&self) -> usize {
        2 * self.leaf.0.len() + 512
    }
}

fn as_base64url<S: Serializer>(bytes: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64url(bytes))
}

fn as_verdict<S: Serializer>(
    verdict: &Option<Arc<Verdict>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    verdict.as_deref().serialize(serializer)
}

/// A leaf's bytes, which are canonical JSON (`docs/format.md` §2) and written out as they
/// stand: the ledger wrote them, or read them before it answered with them.
#[derive(Debug, Clone)]
pub struct LeafText(Arc<[u8]>);

impl LeafText {
    pub fn of(leaf: &[u8]) -> Self {
        Self(Arc::from(leaf))
    }

    pub fn get(&self) -> &str {
        std::str::from_utf8(&self.0).expect("a leaf is UTF-8: the ledger wrote it")
    }
}

impl Serialize for LeafText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_slice(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// The receipt of an entry recorded earlier: the same that was given then.
pub async fn receipt_of(
    store: &dyn Store,
    register: &RwLock<Register>,
    row: EntryRow,
) -> Result<Receipt, Fault> {
    let event = read_event(store, &row).await?;
    let rulebook = read_leaf(&row)?.rulebook;
    let register = register.read().expect("no writer panics with this lock");
    let valid_until = valid_until(&event, &rulebook, row.position, row.time, &register);
    Ok(Receipt {
        origin: register.origin().to_owned(),
        position: row.position,
        link: row.sealed.link,
        signature: row.sealed.signature,
        key: row.sealed.kid,
        time: row.time,
        filing: row.filing.map(|f| f.digest),
        leaf: LeafText::of(&row.sealed.leaf),
        verdict: event.filed().and_then(|f| f.verdict.clone()),
        valid_until,
    })
}

/// Last day on which an access may be served, if it was granted with a term.
pub(crate) fn valid_until(
    event: &Event,
    rulebook: &str,
    position: Position,
    time: Timestamp,
    register: &Register,
) -> Option<LegalDate> {
    let filed = event.filed().filter(|filed| filed.event_type == EventType::AccessGranted)?;
    if Rulebook::by_version(rulebook).is_none_or(|rulebook| rulebook.states_term) {
        return filed.verdict.as_ref()?.valid_until;
    }
    let Body::RequestAccess(access) = &*filed.body else { return None };
    let days = filed.at.valid_days(time.date());
    let case = Case { access, days, recorded: Some((position.0, time)) };
    rules::valid_until(&case, register.view(position.0))
}

#[cfg(test)]
mod tests {
    use greffe_domain::json::canonical;
    use greffe_domain::verdict::Outcome;

    use super::*;

    #[test]
    fn the_bytes_written_are_the_canonical_ones_of_the_value() {
        let verdict = Verdict {
            verdict: Outcome::Covered,
            findings: Vec::new(),
            basis: vec![3],
            regime: "LIL-2004".to_owned(),
            judged_at: 7,
            valid_until: LegalDate::from_ymd(2012, 12, 31),
        };
        for (filing, verdict, valid_until) in [
            (None, None, None),
            (Some(Hash32([0xab; 32])), None, None),
            (Some(Hash32::ZERO), Some(Arc::new(verdict)), LegalDate::from_ymd(2012, 12, 31)),
        ] {
            let receipt = Receipt {
                origin: "a.example/\"é\"".to_owned(),
                position: Position(9_007_199_254_740_991),
                link: Hash32([0x1f; 32]),
                signature: [0xfb; 64],
                key: "k_-".to_owned(),
                time: Timestamp::from_unix_seconds(1_700_000_000),
                filing,
                leaf: LeafText::of(br#"{"a":[1,"\u001f"],"b":{}}"#),
                verdict,
                valid_until,
            };
            let mut written = Vec::new();
            receipt.write_canonical(&mut written);
            let value = serde_json::to_value(&receipt).expect("texts and numbers");
            assert_eq!(String::from_utf8(written), String::from_utf8(canonical(&value)));
        }
    }
}
