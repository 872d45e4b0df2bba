//! `/me`: what the register holds about whoever is signed in, newest first, and what was
//! shown about the workplace they name.
//!
//! Everything here asks for the session of a citizen, whose reference says whose history it
//! is: no address names a person. An access that is not theirs answers as one that does not
//! exist. Lines are here, one access is `access.rs`, the request to the controller
//! `letter.rs`. No value that somebody disclosed about anybody else is read into a page.

mod access;
mod chain;
mod letter;

use std::borrow::Cow;
use std::sync::Arc;

use askama::Template;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, State};
use axum::http::header;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use greffe_domain::kind::EventType;
use greffe_domain::register::Register;
use greffe_domain::subject::SubjectRef;
use greffe_domain::verdict::{Severity, Verdict};
use greffe_infra::export::{Export, Scope};
use greffe_infra::projection::{AccessFilter, Order};
use greffe_infra::store::Fault;

use super::super::me::{About, contest_of};
use super::super::problem::Problem;
use super::super::queries::{self, Recorded};
use super::super::session::{Session, Visitor};
use super::super::{Params, Shared};
use super::home::{FindingView, tell};
use super::signin::redirect;
use super::{Badge, Frame, name_of};
use crate::client::encode;
use crate::words;

pub use access::{access, contest, receipt};
pub use letter::{letter, letter_text};

/// Accesses of one page.
const PAGE: usize = 15;
/// Disclosures about a workplace on one page.
const WORKPLACE_PAGE: usize = 10;
/// Reasons told on a line; the rest are counted.
const REASONS: usize = 3;
/// Workplaces offered as one types.
const OFFERED_SITES: usize = 200;
/// Extracts one person takes within a minute: each reads the whole ledger.
const EXTRACTS_PER_MINUTE: u32 = 6;

/// The citizen signed in. Nobody: to the sign-in, and back here. Somebody else: 403.
pub struct Citizen {
    pub session: Arc<Session>,
    pub subject: SubjectRef,
}

impl FromRequestParts<Shared> for Citizen {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Response> {
        let visitor =
            Visitor::from_request_parts(parts, app).await.map_err(IntoResponse::into_response)?;
        if visitor.0.is_none() {
            let asked = parts.uri.path_and_query().map_or("/me", |p| p.as_str());
            // A form that was sent is not sent again by coming back: its page is.
            let then = asked.strip_suffix("/contest").unwrap_or(asked);
            return Err(redirect(&format!("/signin?then={}", encode(then))));
        }
        let (session, subject) = visitor.citizen().map_err(IntoResponse::into_response)?;
        Ok(Self { session: Arc::clone(session), subject })
    }
}

/// A place of work the register knows.
struct Site {
    id: String,
    name: String,
}

/// What is asked about a workplace, as typed.
#[derive(Default)]
struct Asked {
    site: String,
    from: String,
    to: String,
}

/// One access on a list.
struct Line {
    href: String,
    position: u64,
    /// Year of recording, where it differs from the line before.
    year: Option<i32>,
    days: String,
    recorded: String,
    recipient: String,
    role: String,
    refused: bool,
    purpose: String,
    categories: String,
    basis: String,
    rests_on: Vec<u64>,
    verdicts: Vec<(Cow<'static, str>, Badge)>,
    changed_by: Vec<u64>,
    reasons: Vec<FindingView>,
    /// How many reasons are not told, in words.
    more: Option<String>,
    /// The day on which this person contested it.
    contested: Option<String>,
}

#[derive(Template)]
#[template(path = "me/history.html")]
struct History {
    frame: Frame,
    lines: Vec<Line>,
    /// Of the next page.
    next: Option<String>,
    /// Whether this is a later page.
    later: bool,
    asked: Asked,
    /// The workplace asked for, and what was shown about it.
    workplace: Option<Workplace>,
    sites: Vec<Site>,
    desk: bool,
}

struct Workplace {
    name: String,
    lines: Vec<Line>,
    next: Option<String>,
}

/// Labels of codes, one after the other.
fn labels<'a>(frame: &Frame, codes: impl Iterator<Item = &'a str>) -> String {
    frame.listed(&codes.map(|code| frame.label(code)).collect::<Vec<_>>())
}

/// Both answers, or one where they are the same.
fn verdicts(frame: &Frame, then: &Verdict, now: &Verdict) -> Vec<(Cow<'static, str>, Badge)> {
    if then.verdict == now.verdict {
        return vec![(frame.t("me-then-and-now"), frame.verdict(now.verdict))];
    }
    vec![
        (frame.t("affair-then"), frame.verdict(then.verdict)),
        (frame.t("affair-now"), frame.verdict(now.verdict)),
    ]
}

/// What was found and weighs, the heaviest first, each rule told once.
fn weighing(frame: &Frame, verdict: &Verdict) -> Vec<FindingView> {
    let mut findings: Vec<_> =
        verdict.findings.iter().filter(|f| f.severity != Severity::Info).cloned().collect();
    findings.sort_by_key(|f| std::cmp::Reverse(f.severity));
    tell(frame, &findings)
}

fn line(
    frame: &Frame,
    register: &Register,
    recorded: &Recorded<'_>,
    refused: bool,
    now: &Verdict,
    changed_by: Vec<u64>,
) -> Line {
    let access = recorded.access;
    let mut reasons = weighing(frame, now);
    let more = reasons.len().saturating_sub(REASONS);
    reasons.truncate(REASONS);
    Line {
        href: format!("/me/accesses/{}", recorded.position),
        position: recorded.position,
        year: Some(recorded.time.date().year()),
        days: frame.days(&recorded.filed.at.interval),
        recorded: words::day(frame.lang, recorded.time.date()),
        recipient: name_of(register, &access.recipient.party),
        role: frame.label(access.recipient.role.as_str()),
        refused,
        purpose: frame.label(access.purpose.as_str()),
        categories: labels(frame, access.categories.iter().map(|c| c.as_str())),
        basis: labels(frame, access.basis.codes.iter().map(|b| b.as_str())),
        rests_on: now.basis.clone(),
        verdicts: verdicts(frame, recorded.then, now),
        changed_by,
        reasons,
        more: (more > 0).then(|| frame.count("me-more-reasons", more).into_owned()),
        contested: None,
    }
}

/// A page of lines, newest first, and the cursor of the next.
async fn lines(
    app: &Shared,
    frame: &Frame,
    subject: SubjectRef,
    about: &About,
    cursor: Option<u64>,
    limit: usize,
) -> Result<(Vec<Line>, Option<u64>), Problem> {
    let filter = AccessFilter { order: Order::NewestFirst, cursor, limit, ..about.filter() };
    let (found, next) = queries::accesses(app, filter).await?;
    let mut lines: Vec<Line> = Vec::with_capacity(found.len());
    let mut year = None;
    for (read, found) in found {
        let Some(recorded) = read.recorded().filter(|r| about.holds(r)) else { continue };
        let (now, changed_by) = queries::stored(&recorded, found.now);
        let refused = read.row.event_type == EventType::AccessDenied;
        let mut line = app
            .ledger
            .with_register(|register| line(frame, register, &recorded, refused, &now, changed_by));
        if line.year == year {
            line.year = None;
        } else {
            year = line.year;
        }
        match about {
            About::Person(_) if found.contested.is_some() => {
                let contest = contest_of(app, recorded.position, subject).await?;
                line.contested = contest.map(|c| words::day(frame.lang, c.time.date()));
            }
            About::Person(_) => {}
            About::Workplace { site, .. } => {
                line.href = format!("{}?site={}", line.href, encode(site));
            }
        }
        lines.push(line);
    }
    Ok((lines, next))
}

/// Workplaces of the public register, by name.
fn sites(register: &Register) -> Vec<Site> {
    let mut sites: Vec<Site> = register
        .experiments()
        .flat_map(|(_, e)| &e.sites)
        .map(|fact| Site { id: fact.data.id.clone(), name: fact.data.name.clone() })
        .collect();
    sites.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    sites.dedup_by(|a, b| a.id == b.id);
    sites.truncate(OFFERED_SITES);
    sites
}

pub async fn history(
    State(app): State<Shared>,
    citizen: Citizen,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["cursor", "site", "from", "to", "shown"])?;
    queries::up_to_date(&app).await?;
    let typed = |name: &str| params.text(name).unwrap_or_default().trim().to_owned();
    let asked = Asked { site: typed("site"), from: typed("from"), to: typed("to") };
    let cursor = params.number("cursor")?;
    let person = About::Person(citizen.subject);
    let (lines_of_person, next) =
        lines(&app, &frame, citizen.subject, &person, cursor, PAGE).await?;
    let sites = app.ledger.with_register(sites);
    let mut workplace = None;
    if !asked.site.is_empty() {
        let (from, to) = (params.date("from")?, params.date("to")?);
        Params::in_order(("from", from), ("to", to))?;
        let typed = asked.site.to_lowercase();
        // A name as it is offered, or the id or SIRET itself.
        let known = sites.iter().find(|s| s.id == asked.site || s.name.to_lowercase() == typed);
        let (site, name) = match known {
            Some(site) => (site.id.clone(), site.name.clone()),
            None => (asked.site.clone(), asked.site.clone()),
        };
        let about = About::Workplace { site, from, to };
        let shown = params.number("shown")?;
        let (lines, next) =
            lines(&app, &frame, citizen.subject, &about, shown, WORKPLACE_PAGE).await?;
        let next = next.map(|n| {
            let (site, from, to) = (encode(&asked.site), &asked.from, &asked.to);
            format!("/me?site={site}&from={from}&to={to}&shown={n}#workplace")
        });
        workplace = Some(Workplace { name, lines, next });
    }
    let page = History {
        lines: lines_of_person,
        next: next.map(|n| format!("/me?cursor={n}")),
        later: cursor.is_some(),
        asked,
        workplace,
        sites,
        desk: has_desk(&app),
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

/// Whether contesting can be filed here.
fn has_desk(app: &Shared) -> bool {
    app.desk.as_ref().is_some_and(|d| app.ledger.with_register(|r| d.party(r).is_some()))
}

/// `GET /me/extract.ndjson`: the ledger with what is not about this person hidden, checkable
/// by `greffe-verify` (`docs/format.md` §5). Sent as it is read.
pub async fn extract(
    State(app): State<Shared>,
    citizen: Citizen,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let subject = citizen.subject;
    app.quotas.take("extracts", &subject.to_string(), 1, EXTRACTS_PER_MINUTE)?;
    let head = app.ledger.head()?.signed;
    let name = format!("attachment; filename=\"greffe-{}.ndjson\"", head.size);
    let export = Export::new(head, Scope::Subject(subject));
    let stream = futures_util::stream::try_unfold(export, move |mut export| {
        let app = Arc::clone(&app);
        async move {
            let lines = export.next_run(&**app.ledger.store()).await.map_err(|fault: Fault| {
                // The status is sent; breaking off is the only way left to say so.
                crate::log::fault(&fault);
                std::io::Error::other("the ledger could not be read")
            })?;
            Ok::<_, std::io::Error>(lines.map(|lines| (Bytes::from(lines), export)))
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, Body::from_stream(stream)).into_response())
}
