//! A receipt: proof, checkable offline, that an entry is in the ledger at its place.

use std::sync::{Arc, RwLock};

use greffe_domain::body::Body;
use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::encoding::{Hash32, base64url};
use greffe_domain::event::Event;
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

fn as_base64url<S: Serializer>(bytes: &[u8; 64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&base64url(bytes))
}

fn as_verdict<S: Serializer>(
    verdict: &Option<Arc<Verdict>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    verdict.as_deref().serialize(serializer)
}

/// A leaf's bytes, which are JSON and written out as they stand.
///
/// That they are JSON is looked at when they are written, by whoever writes them: the writer
/// of the ledger has better to do.
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
