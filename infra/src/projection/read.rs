//! Entries, read for the projections: what is needed of each, and nothing written yet.
//!
//! From the store's rows, which runs on all cores, or from memory, where they were just
//! recorded: that saves most of the work.

use std::sync::Arc;

use greffe_domain::body::Body;
use greffe_domain::date::Timestamp;
use greffe_domain::encoding::{Hash32, base64url_decode};
use greffe_domain::event::{Event, Filed};
use greffe_domain::kind::EventType;
use greffe_domain::register::{Register, View};
use greffe_domain::rules::CURRENT;
use greffe_domain::rules::touch::{Scope, touched};
use greffe_domain::sdjwt::Disclosure;
use greffe_domain::seal::{Position, SealedEntry, StreamRef};
use greffe_domain::vocabulary::Role;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use crate::entry::Entry;
use crate::recent::Run;
use crate::store::{Disclosed, DisclosureRow, EntryRow, Fault, FaultKind, each_with_its_own};

/// Fewer entries than this are read where they are: waking a core costs more.
const READ_ALONE: usize = 64;
/// Entries read at a stretch. The cores that read also sign for the ledger, and take up what
/// waits to be signed only between two stretches.
const READ_TOGETHER: usize = 256;

/// Members whose clear text a reader may look for.
const SEARCHED: &[&str] = &[
    "title",
    "name",
    "number",
    "label",
    "reference",
    "controller",
    "decision",
    "formality",
    "ruling",
    "court",
    "commune",
    "experiment",
    "processing",
    "party",
];

/// One entry, ready to be written.
pub(super) struct ReadEntry {
    pub position: u64,
    pub link: Hash32,
    pub event_type: EventType,
    pub stream: StreamRef,
    pub recorded: Timestamp,
    pub event: Arc<Event>,
    /// Who disclosed: as filed, or the controller as known at that position.
    pub discloser: Option<String>,
    /// As `fold` gives them, one line for each text, the id of its stream too;
    /// empty for accesses.
    pub folded: String,
    /// Digests whose values it erases.
    pub erased: Vec<Hash32>,
    /// The accesses it may touch.
    pub scope: Scope,
    /// Judged by the rules that judge now.
    pub current_rules: bool,
}

/// Reads entries with those of their disclosures that still exist.
///
/// `register`: at least as far as the last of them.
pub(super) fn read_entries(
    disclosed: Disclosed,
    with_register: impl Fn(&mut dyn FnMut(&Register)),
) -> Result<Vec<ReadEntry>, Fault> {
    let mut rows = each_with_its_own(disclosed);
    let mut entries: Vec<ReadEntry> = Vec::with_capacity(rows.len());
    loop {
        let together: Vec<_> = rows.by_ref().take(READ_TOGETHER).collect();
        if together.is_empty() {
            break;
        }
        let from = entries.len();
        if together.len() < READ_ALONE {
            for row in together {
                entries.push(read_entry(row)?);
            }
        } else {
            let read: Vec<ReadEntry> =
                together.into_par_iter().map(read_entry).collect::<Result<_, _>>()?;
            entries.extend(read);
        }
        place(&mut entries[from..], &with_register);
    }
    Ok(entries)
}

/// The same of entries that are still in memory, with everything they disclosed.
pub(super) fn take_entries(
    run: &Run,
    with_register: impl Fn(&mut dyn FnMut(&Register)),
) -> Vec<ReadEntry> {
    let mut entries: Vec<ReadEntry> = run.iter().map(take_entry).collect();
    for together in entries.chunks_mut(READ_TOGETHER) {
        place(together, &with_register);
    }
    entries
}

/// Adds what the register says of a few entries. It is held for nothing else: the ledger's
/// writer waits meanwhile.
fn place(entries: &mut [ReadEntry], with_register: impl Fn(&mut dyn FnMut(&Register))) {
    with_register(&mut |register| {
        for entry in &mut *entries {
            let access = entry.event.filed().and_then(|f| f.body.access());
            if let Some(access) = access
                && entry.discloser.is_none()
            {
                entry.discloser = controller(register.view(entry.position), &access.processing);
            }
            entry.scope = touched(&entry.event, register.view(entry.position + 1));
        }
    });
}

/// The controller of a processing as known at a size: the first that a declaration named,
/// or that declared it itself (`Register` folds the same, and keeps no date of it).
pub(super) fn controller(view: View<'_>, processing: &str) -> Option<String> {
    let versions = view.known(&view.processing(processing)?.versions);
    versions.iter().find_map(|version| match &version.data.controller {
        Some(named) => Some(named.clone()),
        None => {
            let author = view.party(&version.iss)?;
            author.has(Role::Controller).then(|| version.iss.to_string())
        }
    })
}

/// The event of an entry, with the disclosures at hand.
pub(super) fn read_event(row: &EntryRow, disclosures: &[DisclosureRow]) -> Result<Event, Fault> {
    read_judged(row, disclosures).map(|(event, _)| event)
}

/// The event, and the version of the rules in force when it was recorded.
fn read_judged(row: &EntryRow, disclosures: &[DisclosureRow]) -> Result<(Event, String), Fault> {
    /// The rest of a leaf stands in the row's columns; `greffe fsck` checks that they agree.
    #[derive(Deserialize)]
    struct EventOf {
        event: Value,
        #[serde(default)]
        rulebook: String,
    }
    let corrupt = |why: String| {
        let on = format!("the entry at position {}", row.position);
        Fault::new(FaultKind::Corrupt, "read an entry", on).because(why)
    };
    let leaf: EventOf =
        serde_json::from_slice(&row.sealed.leaf).map_err(|e| corrupt(e.to_string()))?;
    let disclosures = disclosures
        .iter()
        .map(|d| Disclosure::parse(&d.encoded).map_err(|e| corrupt(e.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let event = Event::read_disclosed(&leaf.event, &disclosures);
    Ok((event.map_err(|e| corrupt(e.to_string()))?, leaf.rulebook))
}

fn read_entry((row, own): (EntryRow, Vec<DisclosureRow>)) -> Result<ReadEntry, Fault> {
    let (event, rulebook) = read_judged(&row, &own)?;
    let EntryRow { position, stream, time, sealed: SealedEntry { link, .. }, .. } = row;
    Ok(of_event(position, link, stream, time, Arc::new(event), &rulebook))
}

fn take_entry(entry: &Entry) -> ReadEntry {
    let Entry { position, link, stream, time, event, rulebook, .. } = entry;
    of_event(*position, *link, stream.clone(), *time, Arc::clone(event), rulebook)
}

fn of_event(
    position: Position,
    link: Hash32,
    stream: StreamRef,
    recorded: Timestamp,
    event: Arc<Event>,
    rulebook: &str,
) -> ReadEntry {
    let filed = event.filed();
    let access = filed.and_then(|f| f.body.access());
    let mut folded = match (filed, access) {
        (Some(filed), None) => searched_text(filed),
        _ => String::new(),
    };
    if stream.id != position.0.to_string() {
        folded.push_str(&fold(&stream.id));
        folded.push('\n');
    }
    let erased = match filed.map(|f| &*f.body) {
        Some(Body::EraseSubject(body)) => body.digests.iter().filter_map(|d| digest(d)).collect(),
        _ => Vec::new(),
    };
    ReadEntry {
        position: position.0,
        link,
        event_type: event.event_type(),
        stream,
        recorded,
        discloser: access.and_then(|a| a.discloser.clone()),
        folded,
        erased,
        scope: Scope::default(),
        current_rules: rulebook == CURRENT.version,
        event,
    }
}

/// 32 bytes from base64url: a digest, or a subject reference.
pub(super) fn digest(text: &str) -> Option<Hash32> {
    base64url_decode(text)?.try_into().ok().map(Hash32)
}

/// A text without case or accents: what is looked for, and what it is looked for in.
pub(super) fn fold(text: &str) -> String {
    text.nfkd()
        .filter(|c| !('\u{300}'..='\u{36f}').contains(c))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Clear texts by which an entry is looked for. Concealed values are digests here.
pub(super) fn searched_text(filed: &Filed) -> String {
    fn collect(value: &Value, out: &mut String) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    match value {
                        Value::String(text) if SEARCHED.contains(&name.as_str()) => {
                            out.push_str(&fold(text));
                            out.push('\n');
                        }
                        _ => collect(value, out),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|v| collect(v, out)),
            _ => {}
        }
    }
    let mut out = String::new();
    if let Some(reference) = &filed.reference {
        out.push_str(&fold(reference));
        out.push('\n');
    }
    collect(&filed.signed, &mut out);
    out
}
