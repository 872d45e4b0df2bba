//! The entries an answer rests on, in plain words, each with the page of the public register
//! that shows it.
//!
//! Declarations, formalities, decisions, information, opinions and rulings are told by the
//! same timeline as the register's pages. What persons filed or had filed about them is named
//! by its kind alone, unless it is this person's own.

use std::collections::{BTreeSet, HashMap};

use greffe_domain::body::Body;
use greffe_domain::event::Filed;
use greffe_domain::kind::StreamType;
use greffe_domain::subject::SubjectRef;

use super::super::super::Shared;
use super::super::super::problem::Problem;
use super::super::super::queries::{self, Read, Recorded};
use super::super::super::register::{When, experiment_in_short, processing_at};
use super::super::field::{Field, fields};
use super::super::timeline::{Item, timeline};
use super::super::{Badge, Frame, name_of};
use crate::words;

/// Entries told one by one; the rest are counted.
const SHOWN: usize = 60;

/// One entry of the chain.
pub struct Link {
    pub position: u64,
    pub kind: String,
    pub title: Option<String>,
    pub badge: Option<Badge>,
    pub days: String,
    pub fields: Vec<Field>,
    pub outcomes: Vec<super::super::timeline::Outcome>,
    /// A sentence where the entry concerns the reader.
    pub own: Option<String>,
    pub by: Option<String>,
    pub evidence: Option<String>,
    pub described: bool,
    /// Day of recording, as `2005-03-10` and in words.
    pub recorded: String,
    pub recorded_on: String,
    /// Its place on a page of the public register.
    pub href: Option<String>,
    /// It changed the answer.
    pub changed: bool,
}

/// The chain of one access, in order of position, and how many entries are not told.
pub async fn chain(
    app: &Shared,
    frame: &Frame,
    recorded: &Recorded<'_>,
    subject: SubjectRef,
    positions: &[u64],
    changed_by: &[u64],
) -> Result<(Vec<Link>, usize), Problem> {
    let mut wanted: BTreeSet<u64> = positions.iter().copied().collect();
    wanted.remove(&recorded.position);
    // Every entry that changed the answer, then the first of the others.
    let mut shown: BTreeSet<u64> =
        changed_by.iter().copied().filter(|p| wanted.contains(p)).take(SHOWN).collect();
    let room = SHOWN - shown.len();
    let others: Vec<u64> = wanted.iter().copied().filter(|p| !shown.contains(p)).collect();
    shown.extend(others.into_iter().take(room));
    let left = wanted.len() - shown.len();

    let mut told = told(app, frame, recorded).await?;
    let mut links = Vec::with_capacity(shown.len());
    for position in shown {
        let changed = changed_by.contains(&position);
        let link = match told.remove(&position) {
            Some((item, href)) => from_item(item, href, changed),
            None => match queries::entry(app, position).await? {
                Some(read) => from_entry(app, frame, &read, subject, changed),
                None => continue,
            },
        };
        links.push(link);
    }
    Ok((links, left))
}

/// What the register's pages tell of the processing and its experiments, by position.
async fn told(
    app: &Shared,
    frame: &Frame,
    recorded: &Recorded<'_>,
) -> Result<HashMap<u64, (Item, String)>, Problem> {
    let when = When { as_of: None, size: app.ledger.size().0 };
    let named = |id: &str| app.ledger.with_register(|register| name_of(register, id));
    let mut told = HashMap::new();
    let id = &recorded.access.processing;
    let answer = processing_at(app, id, &when).await?;
    for item in timeline(frame, &[&answer, &answer["about"]], named) {
        let own = item.href.clone();
        let href = own.unwrap_or_else(|| format!("/register/processings/{id}#e{}", item.position));
        told.insert(item.position, (item, href));
    }
    let experiments = answer["experiments"].as_array().into_iter().flatten();
    let experiments = experiments.filter_map(|e| e.as_str()).map(str::to_owned);
    for id in experiments {
        let answer = match experiment_in_short(app, &id, &when).await {
            Ok(answer) => answer,
            Err(problem) if problem.code == "not-found" => continue,
            Err(problem) => return Err(problem),
        };
        for item in timeline(frame, &[&answer, &answer["about"]], named) {
            let href = format!("/register/experiments/{id}#e{}", item.position);
            told.insert(item.position, (item, href));
        }
    }
    Ok(told)
}

fn from_item(item: Item, href: String, changed: bool) -> Link {
    Link {
        position: item.position,
        kind: item.kind.into_owned(),
        title: item.title,
        badge: item.badge,
        days: item.days,
        fields: item.fields,
        outcomes: item.outcomes,
        own: None,
        by: Some(item.by),
        evidence: Some(item.evidence.into_owned()),
        described: !item.formal,
        recorded: item.recorded,
        recorded_on: item.recorded_on,
        href: Some(href),
        changed,
    }
}

/// Whether a use, an agreement or an objection names this person.
fn is_own(filed: &Filed, subject: SubjectRef) -> bool {
    let named = match &*filed.body {
        Body::RecordUse(body) => body.subject.as_ref(),
        Body::RecordAgreement(body) | Body::RecordObjection(body) => body.subject.as_ref(),
        Body::ContestAccess(body) => body.subject.as_ref(),
        _ => None,
    };
    named.is_some_and(|s| s.value.as_deref() == Some(subject.to_string().as_str()))
}

fn from_entry(
    app: &Shared,
    frame: &Frame,
    read: &Read,
    subject: SubjectRef,
    changed: bool,
) -> Link {
    let row = &read.row;
    let mut link = Link {
        position: row.position.0,
        kind: frame.t(&format!("chain-event-{}", row.event_type.as_str())).into_owned(),
        title: None,
        badge: None,
        days: String::new(),
        fields: Vec::new(),
        outcomes: Vec::new(),
        own: None,
        by: None,
        evidence: None,
        described: false,
        recorded: row.time.date().to_string(),
        recorded_on: day(frame, row.time),
        href: None,
        changed,
    };
    let Some(filed) = read.filed() else { return link };
    // An access that is not this one is somebody else's affair, and so is what a person filed.
    let personal = matches!(
        &*filed.body,
        Body::RequestAccess(_)
            | Body::ReportAccess(_)
            | Body::ContestAccess(_)
            | Body::AnswerContest(_)
            | Body::RecordUse(_)
            | Body::RecordAgreement(_)
            | Body::RecordObjection(_)
            | Body::EraseSubject(_)
            | Body::RefuseErasure(_)
    );
    if personal && !is_own(filed, subject) {
        return link;
    }
    link.days = frame.days(&filed.at.interval);
    link.by = Some(app.ledger.with_register(|r| name_of(r, &filed.iss)));
    link.evidence = Some(frame.t(&format!("kind-{}", filed.evidence.as_str())).into_owned());
    if let Body::RecordUse(body) = &*filed.body {
        let consequence = frame.slug("consequence", &body.consequence);
        let purpose = frame.label(body.purpose.as_str());
        let values = [("consequence", consequence.into()), ("purpose", purpose.into())];
        link.own = Some(frame.with("me-used-against", &values).into_owned());
        return link;
    }
    if personal {
        return link;
    }
    link.fields = fields(
        frame,
        &["how", "purposes", "title", "number", "court", "outcome", "establishes", "headcount"],
        &filed.signed,
    );
    link.href = match row.stream.kind {
        StreamType::Decision => Some(format!("/register/decisions/{}", row.stream.id)),
        StreamType::Experiment => Some(format!("/register/experiments/{}", row.stream.id)),
        StreamType::Processing => Some(format!("/register/processings/{}", row.stream.id)),
        StreamType::Party => Some(format!("/register/parties/{}", row.stream.id)),
        _ => None,
    };
    link
}

/// The day of an entry, in words.
pub fn day(frame: &Frame, time: greffe_domain::date::Timestamp) -> String {
    words::day(frame.lang, time.date())
}
