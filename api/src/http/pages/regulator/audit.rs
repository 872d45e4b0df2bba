//! `/regulator/audit`: every entry, searched; and `/regulator/entries/{position}`: one entry
//! in words and as it is sealed. Also an entry in one line, for the pages that name entries.

use std::borrow::Cow;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use greffe_domain::body::Body;
use greffe_domain::encoding::base64url;
use greffe_domain::kind::{EventType, StreamType};
use greffe_infra::projection::{AuditFilter, Order};

use super::super::super::problem::Problem;
use super::super::super::queries::{self, Read};
use super::super::super::register::overall;
use super::super::super::{Params, Shared};
use super::super::field::{Field, fields};
use super::super::timeline::weight;
use super::super::{Badge, Frame};
use super::accesses::order;
use super::form::{Form, Input};
use super::{Authority, PAGE, day_of, name_of, verdict_badge};

const FIELDS: &[&str] = &["q", "type", "by", "stream", "from", "to"];

/// An entry in one line.
pub struct EntryLine {
    pub position: u64,
    pub kind: Cow<'static, str>,
    /// What it is about: its words, and where that is shown.
    pub about: (String, Option<String>),
    pub by: Option<(String, String)>,
    /// Days on which it happened.
    pub days: Option<String>,
    pub recorded: String,
    pub evidence: Option<Cow<'static, str>>,
    pub badge: Option<Badge>,
}

/// Where what a stream is about is shown.
fn href(kind: StreamType, id: &str) -> Option<String> {
    match kind {
        StreamType::Processing => Some(format!("/register/processings/{id}")),
        StreamType::Decision => Some(format!("/register/decisions/{id}")),
        StreamType::Experiment => Some(format!("/regulator/experiments/{id}")),
        StreamType::Party => Some(format!("/regulator/parties/{id}")),
        StreamType::Access => Some(format!("/regulator/accesses/{id}")),
        _ => None,
    }
}

pub fn line(app: &Shared, frame: &Frame, read: &Read) -> EntryLine {
    let row = &read.row;
    let filed = read.filed();
    let id = row.stream.id.as_str();
    let badge = filed.and_then(|filed| match (&*filed.body, &filed.verdict) {
        (Body::RenderDecision(decision), _) => {
            let codes: Vec<&str> = decision.outcomes.iter().map(|o| o.outcome.as_str()).collect();
            overall(&codes).map(|code| Badge::new(weight(code), frame.label(code)))
        }
        (_, Some(verdict)) => Some(verdict_badge(frame, verdict.verdict.as_str())),
        _ => None,
    });
    EntryLine {
        position: row.position.0,
        kind: frame.t(&format!("event-{}", row.event_type)),
        about: (format!("{}/{id}", row.stream.kind), href(row.stream.kind, id)),
        by: filed.map(|filed| {
            let name = app.ledger.with_register(|r| name_of(r, &filed.iss));
            (filed.iss.clone(), name)
        }),
        days: filed.map(|filed| frame.days(&filed.at.valid_days(row.time.date()))),
        recorded: day_of(frame, row.time),
        evidence: filed.map(|filed| frame.t(&format!("kind-{}", filed.evidence.as_str()))),
        badge,
    }
}

/// The entries at these positions, in their order; at most `most`.
pub async fn lines(
    app: &Shared,
    frame: &Frame,
    positions: impl IntoIterator<Item = u64>,
    most: usize,
) -> Result<Vec<EntryLine>, Problem> {
    let mut lines = Vec::new();
    for position in positions.into_iter().take(most) {
        if let Some(read) = queries::entry(app, position).await? {
            lines.push(line(app, frame, &read));
        }
    }
    Ok(lines)
}

#[derive(Template)]
#[template(path = "regulator/audit.html")]
struct Page {
    frame: Frame,
    form: Form,
    entries: Vec<EntryLine>,
    newest: bool,
    other_order: String,
    next: Option<String>,
}

pub async fn search(
    State(app): State<Shared>,
    _: Authority,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[FIELDS, &["order", "cursor"]].concat())?;
    let mut form = Form::new("/regulator/audit");
    for name in FIELDS {
        let input = match *name {
            "type" => {
                let word = |t: &EventType| {
                    (t.as_str().to_owned(), frame.t(&format!("event-{t}")).into_owned())
                };
                let mut types: Vec<_> = EventType::ALL.iter().map(word).collect();
                types.sort_by(|a, b| a.1.cmp(&b.1));
                Input::Choice(types)
            }
            "by" => Input::Offered("parties"),
            _ => Input::Text,
        };
        form.field(&frame, &params, name, input);
    }
    app.ledger.with_register(|r| form.offer_parties(r));
    let lang = frame.lang;
    let event_type =
        params.parsed("type", EventType::parse, "un type de la liste", "a type of the list");
    let stream = params.parsed(
        "stream",
        |text| {
            let kind = text.split('/').next().unwrap_or(text);
            StreamType::NAMES.contains(&kind).then(|| text.to_owned())
        },
        "type ou type/identifiant, par exemple processing/anaiss",
        "type or type/id, e.g. processing/anaiss",
    );
    let from = form.read(lang, "from", params.instant("from", false))?;
    let to = form.read(lang, "to", params.instant("to", true))?;
    let ordered = Params::in_order(("from", from), ("to", to)).map(|()| None::<()>);
    form.read(lang, "from", ordered)?;
    let filter = AuditFilter {
        event_type: form.read(lang, "type", event_type)?.map(|t| t.as_str().to_owned()),
        by: params.text("by").map(str::to_owned),
        stream: form.read(lang, "stream", stream)?,
        from,
        to,
        q: params.text("q").map(str::to_owned),
        visible_to: None,
        order: order(&params)?,
        cursor: params.number("cursor")?,
        limit: PAGE,
    };
    let newest = filter.order == Order::NewestFirst;
    let (mut entries, mut cursor) = (Vec::new(), None);
    let status = if form.errors() == 0 { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    if status == StatusCode::OK {
        let (found, next) = queries::audit(&app, filter).await?;
        entries = found.iter().map(|read| line(&app, &frame, read)).collect();
        cursor = next;
    }
    let order = if newest { "" } else { "oldest" };
    let next = cursor.map(|c| form.here(&[("order", order), ("cursor", &c.to_string())]));
    let page = Page {
        other_order: form.here(&[("order", if newest { "oldest" } else { "" })]),
        form,
        entries,
        newest,
        next,
        frame: frame.clone(),
    };
    let mut response = frame.render(&page);
    *response.status_mut() = status;
    Ok(response)
}

/// Most bytes of a leaf shown on its page; the dossier has it whole.
const SHOWN_BYTES: usize = 30_000;

/// Members of a body that are shown in words, in order; the leaf has all of them.
const SHOWN: &[&str] = &[
    "title",
    "name",
    "number",
    "kind",
    "reference",
    "purposes",
    "purpose",
    "categories",
    "legal_basis",
    "special_basis",
    "recipients",
    "subjects",
    "identifiability",
    "step",
    "audience",
    "means",
    "opinion",
    "on",
    "how",
    "effective_from",
    "until",
    "milestone",
    "condition",
    "claims",
    "conclusions",
    "start",
    "end",
    "target_sites",
    "by",
    "reason",
    "ground",
    "outcome",
];

#[derive(Template)]
#[template(path = "regulator/entry.html")]
struct EntryPage {
    frame: Frame,
    entry: EntryLine,
    fields: Vec<Field>,
    outcomes: Vec<super::super::timeline::Outcome>,
    time: String,
    moment: String,
    rulebook: String,
    filing: Option<String>,
    link: String,
    prev: String,
    signature: String,
    key: String,
    leaf: String,
    cut: bool,
    before: Option<u64>,
    after: Option<u64>,
}

pub async fn one(
    State(app): State<Shared>,
    Path(position): Path<String>,
    _: Authority,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let nothing = || Problem::not_found(&format!("/regulator/entries/{position}"));
    let number: u64 = position.parse().map_err(|_| nothing())?;
    let read = queries::entry(&app, number).await?.ok_or_else(nothing)?;
    let sealed = &read.row.sealed;
    let body = read.leaf.event["data"]["body"].clone();
    let leaf = String::from_utf8_lossy(&sealed.leaf);
    let cut = leaf.len() > SHOWN_BYTES;
    let shown: String = leaf.chars().take(SHOWN_BYTES).collect();
    let page = EntryPage {
        entry: line(&app, &frame, &read),
        fields: fields(&frame, SHOWN, &body),
        outcomes: super::super::timeline::outcomes(&frame, &body),
        time: read.row.time.to_string(),
        moment: frame.moment(read.row.time),
        rulebook: read.leaf.rulebook.clone(),
        filing: read.row.filing.map(|filing| filing.digest.to_string()),
        link: sealed.link.to_string(),
        prev: read.leaf.prev.to_string(),
        signature: base64url(&sealed.signature),
        key: sealed.kid.to_string(),
        leaf: shown,
        cut,
        before: number.checked_sub(1),
        after: Some(number + 1).filter(|next| *next < app.ledger.size().0),
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}
