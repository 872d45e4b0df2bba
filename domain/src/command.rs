//! A command: one item of a verified filing, with all that deciding on it may know.
//!
//! `decide` reads nothing else: the time, the register, the rulebook and the accesses the
//! body names are handed in, so that the same command before the same register gives the
//! same events.

use std::sync::Arc;

use crate::body::Body;
use crate::date::Timestamp;
use crate::event::Event;
use crate::filing::{Filing, Item};
use crate::kind::{Kind, StreamOf, StreamType};
use crate::refusal::{Refusal, RefusalCode as C};
use crate::register::{Party, Register};
use crate::rules::Rulebook;
use crate::seal::Position;
use crate::verdict::Verdict;

/// An access already in the ledger, as far as another filing about it needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAccess {
    pub position: Position,
    pub iss: String,
    pub processing: String,
    pub recipient: String,
    pub discloser: Option<String>,
}

/// What deciding may know besides the aggregate's own state.
#[derive(Clone)]
pub struct Context {
    /// The ledger's clock.
    pub now: Timestamp,
    /// Where the entry will stand.
    pub position: Position,
    pub register: Arc<Register>,
    pub rulebook: &'static Rulebook,
    /// Of the accesses the body names, those that exist.
    pub accesses: Vec<KnownAccess>,
}

/// One item of a filing, to be decided.
#[derive(Clone)]
pub struct Command {
    pub filing: Arc<Filing>,
    pub item: usize,
    pub context: Context,
}

impl Command {
    pub fn kind(&self) -> Kind {
        self.filing.kind
    }

    pub fn item(&self) -> &Item {
        &self.filing.items[self.item]
    }

    pub fn body(&self) -> &Body {
        &self.item().body
    }

    pub fn register(&self) -> &Register {
        &self.context.register
    }

    /// Where a member of this body stands in the payload.
    pub fn pointer(&self, member: &str) -> String {
        if self.filing.items.len() == 1 && !self.filing.batch {
            format!("/body{member}")
        } else {
            format!("/body/{}{member}", self.item)
        }
    }

    /// The author, as enrolled. Errors: `key-unknown` when nobody of that name is.
    pub fn author(&self) -> Result<&Party, Refusal> {
        author(self.register(), &self.filing.iss)
    }

    /// The event of a kind that is not judged.
    pub fn event(&self) -> Event {
        Event::Filed(self.filing.event(self.item, self.kind().event(), None))
    }

    /// The event of an access, with its verdict.
    pub fn judged(&self, event_type: crate::kind::EventType, verdict: Verdict) -> Event {
        Event::Filed(self.filing.event(self.item, event_type, Some(Arc::new(verdict))))
    }
}

/// A party as enrolled. Errors: `key-unknown` when nobody of that name is.
pub fn author<'r>(register: &'r Register, iss: &str) -> Result<&'r Party, Refusal> {
    register.party(iss).ok_or_else(|| unknown_author(iss))
}

pub fn unknown_author(iss: &str) -> Refusal {
    Refusal::at(
        "/iss",
        C::KeyUnknown,
        format!("« {iss} » n’est pas une partie inscrite ; demander son inscription au greffe"),
        format!("`{iss}` is not a registered party; ask the registrar to register it"),
    )
}

/// Accesses that a body names by position.
pub fn named_accesses(body: &Body) -> Vec<Position> {
    match body {
        Body::RecordRuling(b) => b.accesses.iter().copied().map(Position).collect(),
        Body::RecordUse(b) => b.access.into_iter().map(Position).collect(),
        Body::ContestAccess(b) => vec![Position(b.access)],
        Body::AnswerContest(b) => vec![Position(b.access)],
        Body::RecordStatement(b) => about_access(&b.about).into_iter().collect(),
        Body::RecordMilestone(b) => about_access(&b.about).into_iter().collect(),
        _ => Vec::new(),
    }
}

fn about_access(about: &crate::body::About) -> Option<Position> {
    (about.kind == StreamType::Access).then(|| about.id.parse().ok()).flatten().map(Position)
}

/// The stream an item belongs to, if it will stand at `position`.
///
/// Errors: `id-unknown` when the formality acknowledged is not in the register.
pub fn stream_of(
    filing: &Filing,
    item: usize,
    position: Position,
    register: &Register,
) -> Result<(StreamType, String), Refusal> {
    let signed = &filing.items[item].signed;
    let member = |name: &str| signed[name].as_str().unwrap_or_default().to_owned();
    Ok(match filing.kind.stream() {
        StreamOf::Member(stream, "formality") => {
            let id = member("formality");
            let (processing, _) = register.formality(&id).ok_or_else(|| {
                Refusal::at(
                    "/body/formality",
                    C::IdUnknown,
                    format!("aucune formalité « {id} » n’est enregistrée"),
                    format!("no formality `{id}` is recorded"),
                )
            })?;
            (stream, processing.to_owned())
        }
        StreamOf::Member(stream, name) => (stream, member(name)),
        StreamOf::About => {
            let about = &signed["about"];
            let stream = serde_json::from_value(about["type"].clone()).map_err(|_| {
                Refusal::at("/body/about/type", C::CodeUnknown, "type inconnu", "unknown type")
            })?;
            (stream, about["id"].as_str().unwrap_or_default().to_owned())
        }
        StreamOf::OwnPosition(stream) => (stream, position.to_string()),
        StreamOf::AccessPosition => (StreamType::Access, signed["access"].to_string()),
    })
}
