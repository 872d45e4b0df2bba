//! `/controller`: what a controller filed, what it disclosed, and filing by form.
//!
//! `form → review (in words, as JSON, with the dry run's verdict) → signed by its author →
//! POST /v1/filings`. Signing happens where the key is: in the browser by `assets/js/sign.js`,
//! or elsewhere by `greffe sign`, whose output is uploaded here. No private key is ever sent,
//! and nothing is recorded that was not signed. Every page is for agents of a party that is a
//! controller now, and shows that party's own entries only. A batch by CSV is `batch.rs`.

pub mod batch;
mod form;

use std::borrow::Cow;

use askama::Template;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Multipart, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use greffe_domain::event::ClockKind;
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::Kind;
use greffe_domain::refusal::{FieldError, Refusal, RefusalCode as C};
use greffe_domain::verdict::Verdict;
use greffe_domain::vocabulary::Role;
use greffe_infra::projection::Own;
use greffe_infra::receipt::Receipt;
use serde_json::{Value, json};
use std::sync::Arc;

use super::super::authz::Reader;
use super::super::problem::Problem;
use super::super::queries::{self, Read};
use super::super::session::{Session, Visitor};
use super::super::{Params, Shared, judgements};
use super::home::{FindingView, tell as tell_findings};
use super::{Badge, Frame};
use crate::sign::{Draft, tried};
use form::{Node, Offered, Told, Typed};

/// Entries of one page of a list.
const PAGE: usize = 25;
/// Processings on the first page, the last declared first.
const DECLARED: usize = 50;
/// Entries of each kind on the first page.
const NEWEST: usize = 8;

/// An agent of a controller, signed in.
pub struct Controller {
    pub session: Arc<Session>,
    pub reader: Reader,
}

impl FromRequestParts<Shared> for Controller {
    type Rejection = Response;

    /// Whoever is not signed in is led to sign in, and back.
    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, app).await;
        let visitor = visitor.map_err(IntoResponse::into_response)?;
        if visitor.0.is_none() {
            let here = parts.uri.path_and_query().map_or("/controller", |here| here.as_str());
            // What a form sent is gone by then; its page is not.
            let here = if parts.method == "GET" { here } else { "/controller" };
            let to = format!("/signin?then={}", in_query(here));
            return Err(see_other(&to));
        }
        let (session, reader) =
            visitor.agent(app, Role::Controller).map_err(IntoResponse::into_response)?;
        Ok(Self { session: Arc::clone(session), reader })
    }
}

impl Controller {
    pub fn party(&self) -> &str {
        self.reader.party().expect("an agent reads for a party")
    }
}

/// The pages of this part, and the scripts they may load.
pub fn routes() -> Router<Shared> {
    // A file of the most bytes, and the form around it.
    let limit = DefaultBodyLimit::max(batch::MAX_CSV_BYTES + 64 * 1024);
    Router::new()
        .route("/assets/{name}", get(super::assets::one))
        .route("/controller", get(home))
        .route("/controller/filings", get(filings))
        .route("/controller/accesses", get(accesses))
        .route("/controller/accesses/{position}", get(access))
        .route("/controller/receipts/{file}", get(receipt))
        .route("/controller/demonstration-key.pem", get(key))
        .route("/controller/file/{kind}", get(form).post(file))
        .route("/controller/judge", post(judge))
        .route("/controller/draft.json", post(draft))
        .route("/controller/upload", post(upload))
        .route("/controller/batch", get(batch::page).post(batch::receive))
        .route("/controller/batch/report", get(batch::report))
        .route("/controller/batch/filing.json", get(batch::filing))
        .route("/controller/templates/{file}", get(batch::template))
        .layer(limit)
}

/// A text as the value of a query parameter.
fn in_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn see_other(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/controller"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
}

/// A file to keep, never to be shown in place.
fn attachment(name: &str, media_type: &'static str, bytes: impl Into<Vec<u8>>) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    let disposition = HeaderValue::from_str(&disposition).expect("a file name of ASCII");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    (headers, bytes.into()).into_response()
}

/// One filed entry, in a list.
struct Line {
    position: u64,
    what: String,
    about: String,
    href: Option<String>,
    days: String,
    badges: Vec<Badge>,
    /// Whether its receipt is the reader's to keep.
    receipt: bool,
}

/// A kind to file, and what it is called.
struct Choice {
    kind: &'static str,
    name: Cow<'static, str>,
}

#[derive(Template)]
#[template(path = "controller/home.html")]
struct Home {
    frame: Frame,
    name: String,
    groups: Vec<(Cow<'static, str>, Vec<Choice>)>,
    declared: Vec<(String, String, String)>,
    filings: Vec<Line>,
    accesses: Vec<Line>,
    demonstration_key: bool,
}

#[derive(Template)]
#[template(path = "controller/list.html")]
struct List {
    frame: Frame,
    title: Cow<'static, str>,
    note: Cow<'static, str>,
    path: &'static str,
    lines: Vec<Line>,
    next: Option<u64>,
}

#[derive(Template)]
#[template(path = "controller/access.html")]
struct AccessPage {
    frame: Frame,
    position: u64,
    told: Vec<Told>,
    then: VerdictView,
    now: VerdictView,
    changed: bool,
    changed_by: String,
    receipt: bool,
}

#[derive(Template)]
#[template(path = "controller/form.html")]
struct FormPage {
    frame: Frame,
    kind: &'static str,
    title: String,
    help: Option<Cow<'static, str>>,
    csrf: String,
    nodes: Vec<Node>,
    offered: Vec<Offered>,
    others: Vec<String>,
    wrong: Vec<(String, String)>,
    judged: bool,
    has_batch: bool,
}

#[derive(Template)]
#[template(path = "controller/review.html")]
struct Review {
    frame: Frame,
    kind: &'static str,
    title: String,
    csrf: String,
    envelope: Vec<Told>,
    told: Vec<Told>,
    json: String,
    pairs: Vec<(String, String)>,
    verdict: Option<VerdictView>,
    signing: Signing,
}

#[derive(Template)]
#[template(path = "controller/filed.html")]
struct Filed {
    frame: Frame,
    receipts: Vec<Line>,
    refused: Option<Refused>,
}

/// Why a filing was refused, in words.
struct Refused {
    detail: String,
    advice: String,
    code: &'static str,
    errors: Vec<(String, String)>,
}

/// The fragment that a form shows as one types.
#[derive(Template)]
#[template(path = "controller/verdict.html")]
struct Fragment {
    frame: Frame,
    verdict: VerdictView,
}

/// A verdict in words.
pub struct VerdictView {
    pub badge: Badge,
    pub findings: Vec<FindingView>,
    /// What an `access.request` would become.
    pub event: Option<Cow<'static, str>>,
}

impl VerdictView {
    fn of(frame: &Frame, verdict: &Verdict) -> Self {
        Self {
            badge: frame.verdict(verdict.verdict),
            findings: tell_findings(frame, &verdict.findings),
            event: None,
        }
    }

    /// From what `POST /v1/judgements` answers.
    fn answered(frame: &Frame, answer: &Value) -> Self {
        let verdict = serde_json::from_value::<Verdict>(answer.clone());
        let verdict = verdict.expect("an answer to a dry run is a verdict and more");
        let event = match answer["event"].as_str() {
            Some("AccessGranted") => Some(frame.t("file-would-grant")),
            Some("AccessDenied") => Some(frame.t("file-would-deny")),
            _ => None,
        };
        Self { event, ..Self::of(frame, &verdict) }
    }
}

/// What signing in the browser, and elsewhere, needs to know.
pub struct Signing {
    pub origin: String,
    /// Seconds since 1970 on the ledger's clock when the page was written.
    pub now: i64,
    /// Pointers to conceal, as a JSON list.
    pub concealed: String,
    /// Where the draft is, when the page does not hold it.
    pub draft: Option<&'static str>,
    pub party: String,
    /// Address of this service, for programs.
    pub url: String,
    pub csrf: String,
    pub demonstration_key: bool,
}

impl Signing {
    pub fn new(
        app: &Shared,
        who: &Controller,
        kind: Kind,
        headers: &HeaderMap,
        draft: Option<&'static str>,
    ) -> Self {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let url = app.sign_in.public_url.clone();
        Self {
            origin: app.ledger.origin().to_owned(),
            now: app.ledger.now().unix_seconds(),
            concealed: json!(kind.concealed_paths()).to_string(),
            draft,
            party: who.party().to_owned(),
            url: url.unwrap_or_else(|| format!("http://{}", host.unwrap_or("127.0.0.1:8080"))),
            csrf: who.session.csrf.clone(),
            demonstration_key: demonstration_key(app, who).is_some(),
        }
    }
}

/// The key of a party of the demonstration, which anybody can work out from its name: there is
/// nothing to keep secret, and without it nobody could try to file.
fn demonstration_key(app: &Shared, who: &Controller) -> Option<String> {
    let simulated = app.ledger.clock() == ClockKind::Simulated && who.session.demonstration;
    let key = simulated.then(|| simulated_party_key(who.party()))?;
    let enrolled = app.ledger.with_register(|r| {
        r.key(key.public().kid()).is_some_and(|(party, _, _)| party == who.party())
    });
    enrolled.then(|| key.to_pem())
}

fn kind_name(frame: &Frame, kind: Kind) -> Cow<'static, str> {
    frame.t(&format!("file-kind-{}", kind.as_str().replace('.', "-")))
}

/// An entry as a line: what it is, what it is about.
fn line(frame: &Frame, who: &Controller, read: &Read, now: Option<&Verdict>) -> Option<Line> {
    let filed = read.filed()?;
    let kind = filed.kind;
    let position = read.row.position.0;
    let signed = &filed.signed;
    let text = |name: &str| signed[name].as_str().unwrap_or_default().to_owned();
    let (about, href) = match filed.body.access() {
        Some(access) => {
            let about = format!(
                "{} → {} ({})",
                frame.label(access.purpose.as_str()),
                access.recipient.party,
                frame.label(access.recipient.role.as_str())
            );
            (about, Some(format!("/controller/accesses/{position}")))
        }
        None => {
            let named = ["decision", "experiment", "processing"].into_iter().find_map(|member| {
                let id = signed[member].as_str()?;
                Some((id.to_owned(), Some(format!("/register/{member}s/{id}"))))
            });
            let about = || (text("title"), None);
            named.unwrap_or_else(about)
        }
    };
    let name = if form::offered(kind.as_str()).is_some() {
        kind_name(frame, kind).into_owned()
    } else {
        kind.as_str().to_owned()
    };
    let mut badges: Vec<Badge> =
        filed.verdict.iter().map(|verdict| frame.verdict(verdict.verdict)).collect();
    if let (Some(then), Some(now)) = (&filed.verdict, now)
        && then.verdict != now.verdict
    {
        let now = frame.verdict(now.verdict);
        let text = format!("{}{} {}", frame.t("affair-now"), frame.colon(), now.text);
        badges.push(Badge::new(now.class, text));
    }
    Some(Line {
        position,
        what: name,
        about,
        href,
        days: frame.days(&filed.at.interval),
        badges,
        receipt: filed.iss == who.party(),
    })
}

async fn lines(
    app: &Shared,
    frame: &Frame,
    who: &Controller,
    own: Own,
    cursor: Option<u64>,
    limit: usize,
) -> Result<(Vec<Line>, Option<u64>), Problem> {
    let party = who.party().to_owned();
    let (found, next) = queries::newest_of(app, party, own, cursor, limit).await?;
    let mut lines = Vec::with_capacity(found.len());
    for read in &found {
        let now = match (read.recorded(), own) {
            (Some(recorded), Own::Accesses) => queries::standing(app, recorded.position)
                .await?
                .map(|now| queries::stored(&recorded, now).0),
            _ => None,
        };
        lines.extend(line(frame, who, read, now.as_ref()));
    }
    Ok((lines, next))
}

pub async fn home(
    State(app): State<Shared>,
    frame: Frame,
    who: Controller,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let groups = form::OFFERED.iter().map(|(group, kinds)| {
        let choices = kinds
            .iter()
            .map(|kind| Choice { kind: kind.as_str(), name: kind_name(&frame, *kind) })
            .collect();
        (frame.t(&format!("file-group-{group}")), choices)
    });
    let (declared, name) = app.ledger.with_register(|r| {
        let own = r.controlled_by(who.party()).iter().rev().take(DECLARED).filter_map(|id| {
            let version = r.processing(id)?.versions.last()?;
            Some((id.clone(), version.data.title.clone(), frame.days(&version.at)))
        });
        (own.collect(), r.party(who.party()).map(|p| p.name.clone()))
    });
    let (filings, _) = lines(&app, &frame, &who, Own::Filings, None, NEWEST).await?;
    let (accesses, _) = lines(&app, &frame, &who, Own::Accesses, None, NEWEST).await?;
    let page = Home {
        groups: groups.collect(),
        name: name.unwrap_or_else(|| who.party().to_owned()),
        declared,
        filings,
        accesses,
        demonstration_key: demonstration_key(&app, &who).is_some(),
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

pub async fn filings(
    State(app): State<Shared>,
    frame: Frame,
    who: Controller,
    params: Params,
) -> Result<Response, Problem> {
    list(&app, frame, &who, &params, Own::Filings).await
}

pub async fn accesses(
    State(app): State<Shared>,
    frame: Frame,
    who: Controller,
    params: Params,
) -> Result<Response, Problem> {
    list(&app, frame, &who, &params, Own::Accesses).await
}

async fn list(
    app: &Shared,
    frame: Frame,
    who: &Controller,
    params: &Params,
    own: Own,
) -> Result<Response, Problem> {
    params.only(&["cursor"])?;
    let (lines, next) = lines(app, &frame, who, own, params.number("cursor")?, PAGE).await?;
    let (title, note, path) = match own {
        Own::Filings => ("controller-filings", "controller-filings-note", "/controller/filings"),
        Own::Accesses => {
            ("controller-accesses", "controller-accesses-note", "/controller/accesses")
        }
    };
    let (title, note) = (frame.t(title), frame.t(note));
    Ok(frame.clone().render(&List { frame, title, note, path, lines, next }))
}

pub async fn access(
    State(app): State<Shared>,
    Path(position): Path<String>,
    frame: Frame,
    who: Controller,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let nothing = || Problem::not_found(&format!("/controller/accesses/{position}"));
    let read = entry(&app, &position).await?.ok_or_else(nothing)?;
    let recorded = read.recorded().ok_or_else(nothing)?;
    let own = app.ledger.with_register(|r| {
        let processing = r.processing(&recorded.access.processing);
        who.reader.concerns(recorded.filed, processing.and_then(|p| p.controller.as_deref()))
    });
    if !own {
        return Err(nothing());
    }
    let standing = queries::standing(&app, recorded.position).await?;
    let (now, changed_by) = match standing {
        Some(now) => queries::stored(&recorded, now),
        None => (recorded.then.clone(), Vec::new()),
    };
    let page = AccessPage {
        position: recorded.position,
        // As signed: concealed values are not shown, here as elsewhere.
        told: form::tell(&frame, recorded.filed.kind, &recorded.filed.signed),
        then: VerdictView::of(&frame, recorded.then),
        changed: !changed_by.is_empty(),
        changed_by: changed_by.iter().map(u64::to_string).collect::<Vec<_>>().join(", "),
        now: VerdictView::of(&frame, &now),
        receipt: recorded.filed.iss == who.party(),
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

async fn entry(app: &Shared, position: &str) -> Result<Option<Read>, Problem> {
    let Ok(position) = position.parse::<u64>() else { return Ok(None) };
    if position >= app.ledger.size().0 {
        return Ok(None);
    }
    Ok(queries::entry(app, position).await?)
}

/// The receipt of one of the party's own filings, as `POST /v1/filings` answered it and
/// `greffe receipt check` reads it.
pub async fn receipt(
    State(app): State<Shared>,
    Path(file): Path<String>,
    who: Controller,
) -> Result<Response, Problem> {
    let nothing = || Problem::not_found(&format!("/controller/receipts/{file}"));
    let position = file.strip_suffix(".json").ok_or_else(nothing)?;
    let read = entry(&app, position).await?.ok_or_else(nothing)?;
    if read.filed().is_none_or(|filed| filed.iss != who.party()) {
        return Err(nothing());
    }
    let position = read.row.position;
    let receipt = app.ledger.receipt(position).await?.ok_or_else(nothing)?;
    let bytes = serde_json::to_vec(&receipt).expect("a receipt holds only texts and numbers");
    Ok(attachment(&format!("receipt-{position}.json"), "application/json", bytes))
}

pub async fn key(State(app): State<Shared>, who: Controller) -> Result<Response, Problem> {
    let pem = demonstration_key(&app, &who);
    let pem = pem.ok_or_else(|| Problem::not_found("/controller/demonstration-key.pem"))?;
    Ok(attachment("demonstration-key.pem", "application/x-pem-file", pem))
}

fn kind_of(path: &str) -> Result<Kind, Problem> {
    form::offered(path).ok_or_else(|| Problem::not_found(&format!("/controller/file/{path}")))
}

pub async fn form(
    State(app): State<Shared>,
    Path(kind): Path<String>,
    frame: Frame,
    who: Controller,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["processing", "experiment"])?;
    let kind = kind_of(&kind)?;
    let mut typed = Typed::default();
    typed.set("filing.evidence", "act");
    for name in ["processing", "experiment"] {
        if let Some(id) = params.text(name) {
            typed.set(name, id);
        }
    }
    match kind {
        Kind::ProcessingDeclare => typed.set("controller", who.party()),
        Kind::AccessRequest | Kind::AccessReport => typed.set("discloser", who.party()),
        _ => {}
    }
    Ok(written(&app, frame, &who, kind, &typed, None, &[]))
}

fn is_judged(kind: Kind) -> bool {
    matches!(kind, Kind::AccessRequest | Kind::AccessReport)
}

/// The form, with what was typed and what is wrong with it.
fn written(
    app: &Shared,
    frame: Frame,
    who: &Controller,
    kind: Kind,
    typed: &Typed,
    add: Option<&str>,
    errors: &[FieldError],
) -> Response {
    let form =
        app.ledger.with_register(|register| form::form(&frame, kind, typed, add, errors, register));
    let colon = frame.colon();
    let mut wrong = Vec::new();
    for node in &form.nodes {
        match node {
            Node::Control(c) => {
                let said = |e| (c.id.clone(), format!("{}{colon} {e}", c.label));
                wrong.extend(c.errors.iter().map(said));
            }
            Node::Open { id, legend, errors, .. } => {
                wrong.extend(errors.iter().map(|e| (id.clone(), format!("{legend}{colon} {e}"))));
            }
            Node::Close | Node::Add { .. } => {}
        }
    }
    let page = FormPage {
        kind: kind.as_str(),
        title: kind_name(&frame, kind).into_owned(),
        help: crate::words::find_word(
            frame.lang,
            &format!("help-kind-{}", kind.as_str().replace('.', "-")),
            None,
        ),
        csrf: who.session.csrf.clone(),
        nodes: form.nodes,
        offered: form.offered,
        others: form.others,
        wrong,
        judged: is_judged(kind),
        has_batch: batch::has_csv(kind),
        frame: frame.clone(),
    };
    frame.render(&page)
}

/// What a refusal says, by field; itself when it names none.
fn errors_of(refusal: &Refusal) -> Vec<FieldError> {
    errors_in(refusal.errors.clone(), refusal.code, refusal.detail.clone())
}

fn errors_in(
    errors: Vec<FieldError>,
    code: C,
    detail: greffe_domain::refusal::Words,
) -> Vec<FieldError> {
    match errors.is_empty() {
        true => vec![FieldError { pointer: "/body".to_owned(), code, detail }],
        false => errors,
    }
}

/// Everything wrong with a draft. What is beside the body is refused before the body is read:
/// it is then tried again without it.
fn every_error(mut draft: Value, aud: &str) -> Vec<FieldError> {
    let mut found = Vec::new();
    loop {
        let tried = Draft::from_value(draft.clone()).and_then(|d| tried(&d, aud));
        let Err(refusal) = tried else { return found };
        let errors = errors_of(&refusal);
        let beside = ["at", "evidence", "reference"]
            .into_iter()
            .find(|name| errors.iter().any(|e| e.pointer == format!("/{name}")));
        found.extend(errors);
        // `evidence` must be there: any that exists will do to go on.
        let changed = match (beside, draft.as_object_mut()) {
            (Some("evidence"), Some(members)) => {
                let act = Value::from("act");
                members.insert("evidence".to_owned(), act.clone()) != Some(act)
            }
            (Some(name), Some(members)) => members.remove(name).is_some(),
            _ => false,
        };
        if !changed {
            return found;
        }
    }
}

/// Takes the form's token off what was typed, and checks it.
fn own_form(who: &Controller, pairs: Vec<(String, String)>) -> Result<Typed, Problem> {
    let mut typed = Typed::of(pairs);
    who.session.check_form(typed.take("csrf").as_deref())?;
    Ok(typed)
}

pub async fn file(
    State(app): State<Shared>,
    Path(kind): Path<String>,
    headers: HeaderMap,
    frame: Frame,
    who: Controller,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let kind = kind_of(&kind)?;
    let mut typed = own_form(&who, pairs)?;
    let todo = typed.take("do").unwrap_or_default();
    if let Some(path) = todo.strip_prefix("add:") {
        return Ok(written(&app, frame, &who, kind, &typed, Some(path), &[]));
    }
    if todo == "edit" {
        return Ok(written(&app, frame, &who, kind, &typed, None, &[]));
    }
    let draft = form::draft(kind, who.party(), &typed);
    let refused = |frame: Frame, errors: &[FieldError]| {
        let mut response = written(&app, frame, &who, kind, &typed, None, errors);
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    };
    let wrong = every_error(draft.clone(), app.ledger.origin());
    if !wrong.is_empty() {
        return Ok(refused(frame, &wrong));
    }
    let verdict = if is_judged(kind) {
        judgements::take(&app, &who.reader, 1)?;
        match judgements::answer(&app, &who.reader, frame.lang, &question(&draft)).await {
            Ok(answer) => Some(VerdictView::answered(&frame, &answer)),
            Err(problem) if problem.status.is_client_error() => {
                let errors = errors_in(problem.errors, C::Malformed, problem.detail);
                return Ok(refused(frame, &errors));
            }
            Err(problem) => return Err(problem),
        }
    } else {
        None
    };
    let page = Review {
        kind: kind.as_str(),
        title: kind_name(&frame, kind).into_owned(),
        csrf: who.session.csrf.clone(),
        envelope: envelope(&frame, &draft),
        told: form::tell(&frame, kind, &draft["body"]),
        json: serde_json::to_string_pretty(&draft).expect("JSON is written to memory"),
        pairs: typed.pairs().map(|(name, value)| (name.clone(), value.clone())).collect(),
        verdict,
        signing: Signing::new(&app, &who, kind, &headers, None),
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

/// The dry run of a draft, as `POST /v1/judgements` is asked.
fn question(draft: &Value) -> Value {
    let mut question = json!({"kind": draft["kind"], "body": draft["body"]});
    if let Some(at) = draft.get("at") {
        question["at"] = at.clone();
    }
    question
}

/// What is beside the body, in words.
fn envelope(frame: &Frame, draft: &Value) -> Vec<Told> {
    ["iss", "at", "evidence", "reference"]
        .into_iter()
        .filter_map(|name| {
            let text = draft[name].as_str()?;
            Some(Told {
                pointer: format!("/{name}"),
                id: form::id_of(&format!("filing.{name}")),
                label: frame.t(&format!("file-envelope-{name}")).into_owned(),
                text: match name {
                    "evidence" => frame.t(&format!("kind-{text}")).into_owned(),
                    _ => text.to_owned(),
                },
                concealed: false,
            })
        })
        .collect()
}

/// The verdict as one types, as a piece of page. What cannot be judged yet is no error here.
pub async fn judge(
    State(app): State<Shared>,
    frame: Frame,
    who: Controller,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let mut typed = own_form(&who, pairs)?;
    typed.take("do");
    let kind = typed.take("kind").unwrap_or_default();
    let kind = form::offered(&kind).filter(|kind| is_judged(*kind));
    let kind = kind.ok_or_else(|| Problem::not_found("/controller/judge"))?;
    let draft = form::draft(kind, who.party(), &typed);
    let read = Draft::from_value(draft.clone());
    if read.and_then(|d| tried(&d, app.ledger.origin())).is_err() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    judgements::take(&app, &who.reader, 1)?;
    let answer = judgements::answer(&app, &who.reader, frame.lang, &question(&draft)).await?;
    let verdict = VerdictView::answered(&frame, &answer);
    Ok(frame.clone().render(&Fragment { frame, verdict }))
}

/// The draft of a review page, to be signed elsewhere.
pub async fn draft(
    who: Controller,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let mut typed = own_form(&who, pairs)?;
    let text = typed.take("draft").unwrap_or_default();
    Draft::read(text.as_bytes())?;
    Ok(attachment("filing.json", "application/json", text))
}

/// Texts and files of a form that holds files, by name; the form is the one that was shown.
pub async fn checked_parts(
    who: &Controller,
    form: Multipart,
) -> Result<Vec<(String, Vec<u8>)>, Problem> {
    let parts = parts(form).await?;
    let token = part(&parts, "csrf").and_then(|bytes| std::str::from_utf8(bytes).ok());
    who.session.check_form(token)?;
    Ok(parts)
}

async fn parts(mut form: Multipart) -> Result<Vec<(String, Vec<u8>)>, Problem> {
    let unreadable = |e: axum::extract::multipart::MultipartError| {
        if e.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Problem::from(Refusal::new(
                C::FilingTooLarge,
                "le fichier dépasse 2 Mio ; le scinder",
                "the file is over 2 MiB; split it",
            ));
        }
        Refusal::new(C::Malformed, "formulaire illisible", "unreadable form").into()
    };
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        let name = field.name().unwrap_or_default().to_owned();
        parts.push((name, field.bytes().await.map_err(unreadable)?.to_vec()));
    }
    Ok(parts)
}

pub fn part<'a>(parts: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    parts.iter().find(|(n, bytes)| n == name && !bytes.is_empty()).map(|(_, b)| b.as_slice())
}

/// Records a filing signed elsewhere.
pub async fn upload(
    State(app): State<Shared>,
    frame: Frame,
    who: Controller,
    form: Multipart,
) -> Result<Response, Problem> {
    let parts = checked_parts(&who, form).await?;
    let signed = part(&parts, "filing").or_else(|| part(&parts, "text"));
    let signed = signed.map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned());
    let answer = match signed {
        None => Err(Problem::from(Refusal::new(
            C::FieldMissing,
            "choisir le fichier signé, ou coller son contenu",
            "choose the signed file, or paste what is in it",
        ))),
        Some(text) => submit(&app, &who, &text).await,
    };
    let (receipts, refused, status) = match answer {
        Ok(receipts) => {
            let mut rows = Vec::new();
            for receipt in receipts.iter().take(PAGE) {
                let Some(read) = queries::entry(&app, receipt.position.0).await? else { continue };
                rows.extend(line(&frame, &who, &read, None));
            }
            (rows, None, StatusCode::CREATED)
        }
        Err(problem) if problem.status.is_server_error() => return Err(problem),
        Err(problem) => {
            let status = problem.status;
            (Vec::new(), Some(refusal_words(&frame, &problem)), status)
        }
    };
    let mut response = frame.clone().render(&Filed { frame, receipts, refused });
    *response.status_mut() = status;
    Ok(response)
}

async fn submit(app: &Shared, who: &Controller, text: &str) -> Result<Vec<Receipt>, Problem> {
    use greffe_domain::filing::{Disclosures, UnverifiedFiling};
    let filing = UnverifiedFiling::parse(text, Disclosures::Complete)?;
    if filing.iss() != who.party() {
        return Err(Refusal::at(
            "/iss",
            C::NotYours,
            "ce dépôt est signé au nom d’une autre partie que la vôtre",
            "this filing is signed in the name of another party than yours",
        )
        .into());
    }
    Ok(app.ledger.submit(text).await?)
}

fn refusal_words(frame: &Frame, problem: &Problem) -> Refused {
    let (_, advice) = crate::words::problem_words(frame.lang, problem.code);
    let own = |e: &&FieldError| e.detail != problem.detail || !e.pointer.is_empty();
    Refused {
        detail: frame.lang.of(&problem.detail).into_owned(),
        advice: advice.into_owned(),
        code: problem.code,
        errors: problem
            .errors
            .iter()
            .filter(own)
            .map(|e| (e.pointer.clone(), frame.lang.of(&e.detail).into_owned()))
            .collect(),
    }
}
