//! One access: who saw what, the answers then and now, the entries they rest on, and what the
//! person can do about it.
//!
//! An access is shown to the person it names, and, if it is about a group, to whoever names
//! the workplace (`?site=`). To anybody else it does not exist.

use std::borrow::Cow;

use askama::Template;
use axum::Form;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use greffe_domain::kind::EventType;
use greffe_domain::refusal::Words;
use greffe_domain::seal::Position;
use greffe_domain::subject::SubjectRef;
use serde::Deserialize;

use super::super::super::accesses::entries;
use super::super::super::desk::no_desk;
use super::super::super::me::{About, Contest, contest_of};
use super::super::super::problem::Problem;
use super::super::super::queries::{self, Read, Recorded};
use super::super::super::{Params, Shared};
use super::super::field::Field;
use super::super::home::{FindingView, tell};
use super::super::signin::redirect;
use super::super::{Badge, Frame, name_of, processing_title};
use super::chain::{Link, chain, day};
use super::{Citizen, has_desk, labels, line};
use crate::client::encode;
use crate::words::{self, Lang};

/// Contestations one person sends within a minute.
const CONTESTS_PER_MINUTE: u32 = 10;
/// Longest free text beside a reason: with the reason's sentence it stays within what a text
/// of a filing may hold.
const MAX_WORDS: usize = 1_500;

/// Reasons to choose from, by the name in the form and of their words.
pub const REASONS: &[&str] =
    &["not-informed", "other-purpose", "not-recipient", "objected", "no-basis", "inaccurate"];

#[derive(Template)]
#[template(path = "me/access.html")]
struct Page {
    frame: Frame,
    position: u64,
    title: String,
    refused: bool,
    /// Shown about a workplace, not about this person by name.
    workplace: Option<String>,
    fields: Vec<Field>,
    processing: (String, String),
    verdicts: Vec<(Cow<'static, str>, Badge)>,
    /// What the answer of now means, in a sentence.
    meaning: Cow<'static, str>,
    good_faith: bool,
    then: Vec<FindingView>,
    now: Vec<FindingView>,
    changed_by: Vec<u64>,
    links: Vec<Link>,
    /// How many entries are not told, in words.
    links_left: Option<String>,
    contest: Option<Contested>,
    reasons: &'static [&'static str],
    can_contest: bool,
    sent: Sent,
    /// Of the letter's address.
    query: String,
}

/// A contestation, as shown to whoever made it.
struct Contested {
    position: u64,
    on: String,
    ground: Option<String>,
    answer: Option<Answered>,
}

struct Answered {
    position: u64,
    on: String,
    by: String,
    outcome: String,
    reason: Option<String>,
}

/// An access that whoever is signed in may read, asked for by its page's address.
pub struct Own {
    pub read: Read,
    pub about: About,
    /// Whoever is signed in.
    pub subject: SubjectRef,
}

impl FromRequestParts<Shared> for Own {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Response> {
        let citizen = Citizen::from_request_parts(parts, app).await?;
        let here = parts.uri.path().to_owned();
        let read = async {
            let nothing = || Problem::not_found(&here);
            let position = Path::<String>::from_request_parts(parts, app).await;
            let Path(position) = position.map_err(|_| nothing())?;
            let params = Params::from_request_parts(parts, app).await?;
            params.only(&["site"])?;
            find(app, &position, citizen.subject, params.text("site")).await
        };
        read.await.map_err(IntoResponse::into_response)
    }
}

impl Own {
    pub fn recorded(&self) -> Recorded<'_> {
        self.read.recorded().expect("`find` answers accesses alone")
    }

    pub fn is_refused(&self) -> bool {
        self.read.row.event_type == EventType::AccessDenied
    }

    /// The workplace by which it was found.
    pub fn site(&self) -> Option<&str> {
        match &self.about {
            About::Person(_) => None,
            About::Workplace { site, .. } => Some(site),
        }
    }

    /// What its address says of the workplace, for the addresses of what belongs to it.
    pub fn query(&self) -> String {
        self.site().map(|s| format!("?site={}", encode(s))).unwrap_or_default()
    }
}

/// The access at a position, if this person may read it.
///
/// Errors: `not-found`, the same for what is not theirs and for what does not exist.
async fn find(
    app: &Shared,
    position: &str,
    subject: SubjectRef,
    site: Option<&str>,
) -> Result<Own, Problem> {
    let nothing = || Problem::not_found(&format!("/me/accesses/{position}"));
    let number: u64 = position.parse().map_err(|_| nothing())?;
    let read = queries::entry(app, number).await?.ok_or_else(nothing)?;
    let workplace = |site: &str| About::Workplace { site: site.to_owned(), from: None, to: None };
    let about = {
        let recorded = read.recorded().ok_or_else(nothing)?;
        [Some(About::Person(subject)), site.map(workplace)]
            .into_iter()
            .flatten()
            .find(|about| about.holds(&recorded))
            .ok_or_else(nothing)?
    };
    Ok(Own { read, about, subject })
}

fn contested(app: &Shared, frame: &Frame, contest: Contest) -> Contested {
    Contested {
        position: contest.position,
        on: day(frame, contest.time),
        ground: contest.ground,
        answer: contest.answer.map(|answer| Answered {
            position: answer.position,
            on: day(frame, answer.time),
            by: app.ledger.with_register(|r| name_of(r, &answer.by)),
            outcome: frame.slug("contest-outcome", &answer.outcome),
            reason: answer.reason,
        }),
    }
}

pub async fn access(
    State(app): State<Shared>,
    own: Own,
    frame: Frame,
) -> Result<Response, Problem> {
    shown(&app, frame, &own, Sent::default()).await
}

/// The form of a contestation as it came back, where it could not be filed.
#[derive(Default)]
struct Sent {
    /// What is wrong with it.
    error: Option<String>,
    reason: String,
    words: String,
}

async fn shown(app: &Shared, frame: Frame, own: &Own, sent: Sent) -> Result<Response, Problem> {
    queries::up_to_date(app).await?;
    let recorded = own.recorded();
    let standing = queries::standing(app, recorded.position).await?;
    let (now, changed_by, positions, good_faith) = app.ledger.with_register(|register| {
        let (now, changed_by) = match standing {
            Some(now) => queries::stored(&recorded, now),
            None => queries::now_and_changes(&recorded, register, register.size()),
        };
        let positions = entries(&recorded, &now, &changed_by, register);
        let good_faith = greffe_domain::rules::again::is_good_faith(
            &recorded.case(),
            recorded.then,
            &now,
            &changed_by,
            register.view(now.judged_at),
        );
        (now, changed_by, positions, good_faith)
    });
    let (links, links_left) =
        chain(app, &frame, &recorded, own.subject, &positions, &changed_by).await?;
    let named = matches!(own.about, About::Person(_));
    let contest = match named {
        true => contest_of(app, recorded.position, own.subject).await?,
        false => None,
    };
    let line = app.ledger.with_register(|register| {
        line(&frame, register, &recorded, own.is_refused(), &now, changed_by.clone())
    });
    let same = recorded.then.findings == now.findings;
    let page = Page {
        position: recorded.position,
        title: format!("{} ({})", line.recipient, line.role),
        refused: line.refused,
        workplace: own.site().map(str::to_owned),
        fields: facts(app, &frame, &recorded),
        processing: processing(app, &recorded),
        verdicts: line.verdicts,
        meaning: frame.t(&format!("me-meaning-{}", now.verdict.as_str())),
        good_faith,
        then: if same { Vec::new() } else { tell(&frame, &recorded.then.findings) },
        now: tell(&frame, &now.findings),
        changed_by,
        links,
        links_left: (links_left > 0).then(|| frame.count("me-chain-more", links_left).into_owned()),
        contest: contest.map(|c| contested(app, &frame, c)),
        reasons: REASONS,
        can_contest: named && has_desk(app),
        sent,
        query: own.query(),
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

/// Id and title of the processing.
fn processing(app: &Shared, recorded: &Recorded<'_>) -> (String, String) {
    let id = &recorded.access.processing;
    (id.clone(), app.ledger.with_register(|r| processing_title(r, id)))
}

/// Who disclosed: as filed, or the controller.
pub fn discloser(app: &Shared, recorded: &Recorded<'_>) -> Option<String> {
    let access = recorded.access;
    app.ledger.with_register(|register| {
        let controller = || register.processing(&access.processing)?.controller.clone();
        let id = access.discloser.clone().or_else(controller)?;
        Some(name_of(register, &id))
    })
}

/// What is said of the access, field by field.
fn facts(app: &Shared, frame: &Frame, recorded: &Recorded<'_>) -> Vec<Field> {
    let access = recorded.access;
    let reference = access.basis.reference.as_deref();
    let by = app.ledger.with_register(|r| name_of(r, &recorded.filed.iss));
    let categories = labels(frame, access.categories.iter().map(|c| c.as_str()));
    let evidence = frame.t(&format!("kind-{}", recorded.filed.evidence.as_str())).into_owned();
    let site = access.recipient.site.as_ref().map(|s| s.id.clone());
    let of = |key: &str, text: Option<String>| {
        Some(Field { label: frame.t(key).into_owned(), text: text? })
    };
    let basis = labels(frame, access.basis.codes.iter().map(|b| b.as_str()));
    let basis = match reference {
        Some(reference) => format!("{basis} ({reference})"),
        None => basis,
    };
    let fields = [
        of("me-field-when", Some(frame.days(&recorded.filed.at.interval))),
        of("me-field-categories", Some(categories)),
        of("me-field-purpose", Some(frame.label(access.purpose.as_str()))),
        of("me-field-basis", Some(basis)),
        of("me-field-site", site),
        of("me-field-discloser", discloser(app, recorded)),
        of("me-field-form", access.identifiability.map(|i| frame.label(i.as_str()))),
        of("me-field-period", access.period.as_ref().map(|p| frame.days(&p.interval()))),
        of("me-field-recorded", Some(words::day(frame.lang, recorded.time.date()))),
        of("me-field-by", Some(by)),
        of("me-field-evidence", Some(evidence)),
    ];
    fields.into_iter().flatten().collect()
}

#[derive(Deserialize)]
pub struct ContestForm {
    csrf: Option<String>,
    reason: Option<String>,
    words: Option<String>,
}

/// The ground as filed, in French, which those who answer read.
fn ground(form: &ContestForm) -> Result<String, Words> {
    let chosen = form.reason.as_deref().and_then(|r| REASONS.iter().find(|known| **known == r));
    let said = form.words.as_deref().map(str::trim).filter(|t| !t.is_empty());
    if said.is_some_and(|t| t.chars().count() > MAX_WORDS) {
        return Err(Words::new(
            "1 500 caractères au plus ; abréger",
            "at most 1,500 characters; shorten it",
        ));
    }
    let chosen = chosen.map(|r| words::word(Lang::Fr, &format!("contest-reason-{r}")));
    match (chosen, said) {
        (Some(reason), Some(said)) => Ok(format!("{reason} {said}")),
        (Some(reason), None) => Ok(reason.into_owned()),
        (None, Some(said)) => Ok(said.to_owned()),
        (None, None) => Err(Words::new(
            "choisir une raison, ou la dire avec vos mots",
            "choose a reason, or say it in your own words",
        )),
    }
}

pub async fn contest(
    State(app): State<Shared>,
    citizen: Citizen,
    Path(position): Path<String>,
    mut frame: Frame,
    Form(form): Form<ContestForm>,
) -> Result<Response, Problem> {
    citizen.session.check_form(form.csrf.as_deref())?;
    // By name alone: whoever only names a workplace contests nothing in its name.
    let own = find(&app, &position, citizen.subject, None).await?;
    let ground = match ground(&form) {
        Ok(ground) => ground,
        Err(wrong) => {
            let error = frame.lang.of(&wrong).into_owned();
            let text = |typed: Option<String>| typed.unwrap_or_default();
            let sent =
                Sent { error: Some(error), reason: text(form.reason), words: text(form.words) };
            // The page is the access's, in either language; only the form was sent here.
            frame.here = format!("/me/accesses/{}", own.recorded().position);
            let mut response = shown(&app, frame, &own, sent).await?;
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(response);
        }
    };
    let number = own.recorded().position;
    let desk = app.desk.as_ref().ok_or_else(no_desk)?;
    app.quotas.take("contests", &citizen.subject.to_string(), 1, CONTESTS_PER_MINUTE)?;
    if contest_of(&app, number, citizen.subject).await?.is_none() {
        desk.contest(&app, number, citizen.subject, &ground).await?;
    }
    Ok(redirect(&format!("/me/accesses/{number}#contest")))
}

/// `GET /me/accesses/{position}/receipt.json`: proof that the contestation is recorded.
pub async fn receipt(
    State(app): State<Shared>,
    citizen: Citizen,
    Path(position): Path<String>,
) -> Result<Response, Problem> {
    let own = find(&app, &position, citizen.subject, None).await?;
    let nothing = || Problem::not_found(&format!("/me/accesses/{position}"));
    let contest = contest_of(&app, own.recorded().position, citizen.subject).await?;
    let contest = contest.ok_or_else(nothing)?;
    let receipt = app.ledger.receipt(Position(contest.position)).await?.ok_or_else(nothing)?;
    let name = format!("attachment; filename=\"greffe-receipt-{}.json\"", contest.position);
    let disposition: [(HeaderName, String); 1] = [(header::CONTENT_DISPOSITION, name)];
    Ok((disposition, axum::Json(receipt)).into_response())
}
