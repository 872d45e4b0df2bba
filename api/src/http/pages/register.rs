//! The public register as pages: lists, search, and one page for a processing, a decision,
//! an experiment, a party, each as it was valid on a day and as it was known then.

use std::borrow::Cow;
use std::collections::HashSet;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use greffe_domain::date::{Interval, LegalDate};
use greffe_domain::kind::StreamType;
use greffe_domain::register::Register;
use serde_json::Value;

use super::super::problem::Problem;
use super::super::queries;
use super::super::register::{When, decision_at, experiment_in_short, party_at, processing_at};
use super::super::{Params, Shared};
use super::field::{Field, fields};
use super::growth::{Growth, growth};
use super::home::{FindingView, tell};
use super::timeline::{Item, Outcome, endings, interval, outcomes, timeline, weight};
use super::{Badge, Frame, name_of, processing_title};
use crate::client::encode;

/// Rows of one page of a list, and of each kind in a search.
const PAGE: usize = 50;
/// Sites of one page of an experiment.
const SITES: usize = 100;
/// What may be asked of the page of one thing.
const DATED: &[&str] = &["as_of", "known_at"];

/// One line of a list.
#[derive(Clone)]
pub struct Row {
    pub href: String,
    pub kind: Cow<'static, str>,
    pub title: String,
    pub note: String,
    pub days: String,
    pub badge: Option<Badge>,
    pub position: u64,
}

/// When the register is read, as the reader asked and as the page says.
pub struct Dated {
    pub as_of: String,
    pub known_at: String,
    /// A sentence, where either is asked for.
    pub notice: Option<String>,
}

impl Dated {
    async fn read(app: &Shared, frame: &Frame, params: &Params) -> Result<(Self, When), Problem> {
        let when = When::read(app, params).await?;
        let text = |name: &str| params.text(name).unwrap_or_default().to_owned();
        let known = params.text("known_at").map(|known| match LegalDate::parse(known) {
            Some(day) => crate::words::day(frame.lang, day),
            None => known.to_owned(),
        });
        let valid = when.as_of.map(|day| crate::words::day(frame.lang, day));
        let notice = match (valid, known) {
            (None, None) => None,
            (Some(day), None) => Some(frame.with("as-of-valid", &[("day", day.into())])),
            (None, Some(known)) => Some(frame.with("as-of-known", &[("known", known.into())])),
            (Some(day), Some(known)) => {
                Some(frame.with("as-of-both", &[("day", day.into()), ("known", known.into())]))
            }
        };
        let dated = Self {
            as_of: text("as_of"),
            known_at: text("known_at"),
            notice: notice.map(Cow::into_owned),
        };
        Ok((dated, when))
    }

    /// The same time at another address, from a cursor on.
    fn with(&self, path: &str, cursor: u64) -> String {
        let mut address = format!("{path}?cursor={cursor}");
        for (name, value) in [("as_of", &self.as_of), ("known_at", &self.known_at)] {
            if !value.is_empty() {
                address.push_str(&format!("&{name}={}", encode(value)));
            }
        }
        address
    }
}

#[derive(Template)]
#[template(path = "register/index.html")]
struct Index {
    frame: Frame,
    newest: Vec<Row>,
    counts: Vec<(&'static str, Cow<'static, str>, usize)>,
}

#[derive(Template)]
#[template(path = "register/list.html")]
struct List {
    frame: Frame,
    title: Cow<'static, str>,
    path: &'static str,
    rows: Vec<Row>,
    next: Option<u64>,
}

#[derive(Template)]
#[template(path = "register/search.html")]
struct Search {
    frame: Frame,
    q: String,
    rows: Vec<Row>,
    cut: bool,
}

#[derive(Template)]
#[template(path = "register/processing.html")]
struct ProcessingPage {
    frame: Frame,
    id: String,
    dated: Dated,
    title: String,
    controller: Option<(String, String)>,
    declared: Vec<Field>,
    declared_formal: bool,
    counted: Vec<Field>,
    items: Vec<Item>,
    experiments: Vec<Row>,
    obstacles: Vec<FindingView>,
}

#[derive(Template)]
#[template(path = "register/decision.html")]
struct DecisionPage {
    frame: Frame,
    id: String,
    dated: Dated,
    title: String,
    processing: (String, String),
    by: String,
    formal: bool,
    days: String,
    position: u64,
    overall: Option<Badge>,
    endings: Vec<Field>,
    fields: Vec<Field>,
    outcomes: Vec<Outcome>,
    items: Vec<Item>,
}

#[derive(Template)]
#[template(path = "register/experiment.html")]
struct ExperimentPage {
    frame: Frame,
    id: String,
    dated: Dated,
    processing: (String, String),
    /// How many sites there are, and those shown.
    total: usize,
    sites: Vec<SiteRow>,
    /// Address of the next sites.
    next: Option<String>,
    growth: Growth,
    conditions: Vec<ConditionRow>,
    items: Vec<Item>,
    obstacles: Vec<FindingView>,
}

struct SiteRow {
    name: String,
    commune: String,
    headcount: String,
    days: String,
    position: u64,
}

struct ConditionRow {
    name: String,
    set: u64,
    met: Option<u64>,
}

#[derive(Template)]
#[template(path = "register/party.html")]
struct PartyPage {
    frame: Frame,
    id: String,
    dated: Dated,
    name: String,
    roles: Vec<Cow<'static, str>>,
    siren: Option<String>,
    keys: Vec<(String, u64, Option<u64>)>,
    processings: Vec<Row>,
    /// Address of the next processings.
    next: Option<String>,
    items: Vec<Item>,
}

fn named<'a>(app: &'a Shared) -> impl Fn(&str) -> String + 'a {
    |id| app.ledger.with_register(|register| name_of(register, id))
}

/// A processing, a decision, an experiment or a party as a line; `None` if there is none of
/// that id.
fn row(register: &Register, frame: &Frame, kind: StreamType, id: &str) -> Option<Row> {
    let href = format!("/register/{kind}s/{id}");
    Some(match kind {
        StreamType::Processing => {
            let p = register.processing(id)?;
            let version = p.versions.last()?;
            Row {
                href,
                kind: frame.t("kind-of-processing"),
                title: version.data.title.clone(),
                note: p.controller.as_deref().map(|c| name_of(register, c)).unwrap_or_default(),
                days: frame.days(&version.at),
                badge: (!version.formal).then(|| Badge::new("open", frame.t("described"))),
                position: version.position,
            }
        }
        StreamType::Decision => {
            let rendered = &register.decision(id)?.rendered;
            let data = &rendered.data;
            let codes: Vec<&str> = data.outcomes.iter().map(|o| o.outcome.as_str()).collect();
            let number = data.number.as_deref();
            Row {
                href,
                kind: frame.t("kind-of-decision"),
                title: number.map_or_else(
                    || id.to_owned(),
                    |n| frame.with("decision-number", &[("n", n.into())]).into_owned(),
                ),
                note: processing_title(register, &data.processing),
                days: frame.days(&rendered.at),
                badge: super::super::register::overall(&codes)
                    .map(|code| Badge::new(weight(code), frame.label(code))),
                position: rendered.position,
            }
        }
        StreamType::Experiment => {
            let experiment = register.experiment(id)?;
            let launch = experiment.launches.last()?;
            Row {
                href,
                kind: frame.t("kind-of-experiment"),
                title: id.to_owned(),
                note: processing_title(register, &experiment.processing),
                days: frame.days(&launch.at),
                badge: None,
                position: launch.position,
            }
        }
        StreamType::Party => {
            let party = register.party(id)?;
            let roles: Vec<_> =
                party.roles.iter().map(|r| frame.t(&format!("role-{}", r.as_str()))).collect();
            Row {
                href: format!("/register/parties/{id}"),
                kind: frame.t("kind-of-party"),
                title: party.name.clone(),
                note: roles.join(", "),
                days: String::new(),
                badge: None,
                position: party.position,
            }
        }
        _ => return None,
    })
}

/// What was declared and decided last, newest first, each thing once.
pub fn newest(app: &Shared, frame: &Frame, n: usize) -> Vec<Row> {
    app.ledger.with_register(|register| {
        let mut seen = HashSet::new();
        let acts = register.acts().iter().rev().filter(|(_, kind, id)| seen.insert((*kind, id)));
        acts.filter_map(|(_, kind, id)| row(register, frame, *kind, id)).take(n).collect()
    })
}

pub async fn index(
    State(app): State<Shared>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let counts = app.ledger.with_register(|r| {
        [
            ("/register/processings", "read-processings", StreamType::Processing),
            ("/register/decisions", "read-decisions", StreamType::Decision),
            ("/register/experiments", "read-experiments", StreamType::Experiment),
            ("/register/parties", "read-parties", StreamType::Party),
        ]
        .map(|(path, name, kind)| (path, frame.t(name), r.in_order(kind).len()))
        .into()
    });
    let newest = newest(&app, &frame, PAGE);
    Ok(frame.clone().render(&Index { frame, newest, counts }))
}

/// Everything of one kind, in the order of its recording, from a cursor on.
fn list(
    app: &Shared,
    frame: Frame,
    params: &Params,
    title: &str,
    path: &'static str,
    kind: StreamType,
) -> Result<Response, Problem> {
    params.only(&["cursor"])?;
    let cursor = params.number("cursor")?.unwrap_or(0);
    let (rows, next) = app.ledger.with_register(|register| {
        let all = register.in_order(kind);
        let rest = &all[all.partition_point(|(position, _)| *position < cursor)..];
        let shown = rest.iter().take(PAGE);
        let rows = shown.filter_map(|(_, id)| row(register, &frame, kind, id)).collect();
        (rows, rest.get(PAGE).map(|(position, _)| *position))
    });
    let title = frame.t(title);
    Ok(frame.clone().render(&List { frame, title, path, rows, next }))
}

pub async fn processings(
    State(app): State<Shared>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    let path = "/register/processings";
    list(&app, frame, &params, "read-processings", path, StreamType::Processing)
}

pub async fn decisions(
    State(app): State<Shared>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    list(&app, frame, &params, "read-decisions", "/register/decisions", StreamType::Decision)
}

pub async fn experiments(
    State(app): State<Shared>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    let path = "/register/experiments";
    list(&app, frame, &params, "read-experiments", path, StreamType::Experiment)
}

pub async fn parties(
    State(app): State<Shared>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    list(&app, frame, &params, "read-parties", "/register/parties", StreamType::Party)
}

/// Finds by names, titles, numbers and ids, without case or accents: what was recorded last
/// first. The lists of the ledger are asked; what is shown is the register as it is now.
pub async fn search(
    State(app): State<Shared>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["q"])?;
    let q = params.text("q").unwrap_or_default().trim().to_owned();
    let mut found = queries::named(&app, &q, PAGE + 1).await?;
    let cut = found.len() > PAGE;
    found.truncate(PAGE);
    let rows = app.ledger.with_register(|register| {
        found.iter().filter_map(|(kind, id)| row(register, &frame, *kind, id)).collect()
    });
    Ok(frame.clone().render(&Search { frame, q, rows, cut }))
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Id and title of a processing.
fn titled(app: &Shared, id: &str) -> (String, String) {
    (id.to_owned(), app.ledger.with_register(|r| processing_title(r, id)))
}

fn obstacles(frame: &Frame, answer: &Value) -> Vec<FindingView> {
    let found = serde_json::from_value::<Vec<greffe_domain::verdict::Finding>>(
        answer["generalisation"]["findings"].clone(),
    );
    tell(frame, &found.unwrap_or_default())
}

pub async fn processing(
    State(app): State<Shared>,
    Path(id): Path<String>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(DATED)?;
    let (dated, when) = Dated::read(&app, &frame, &params).await?;
    let answer = processing_at(&app, &id, &when).await?;
    let mut about = vec![&answer, &answer["about"]];
    let mut launched = Vec::new();
    for experiment in answer["experiments"].as_array().into_iter().flatten() {
        let id = experiment.as_str().unwrap_or_default();
        // One launched later than what is known is not among what is shown.
        match experiment_in_short(&app, id, &when).await {
            Ok(found) => launched.push(found),
            Err(problem) if problem.code == "not-found" => {}
            Err(problem) => return Err(problem),
        }
    }
    for experiment in &launched {
        about.extend([experiment, &experiment["about"]]);
    }
    let items = timeline(&frame, &about, named(&app));
    let versions = answer["versions"].as_array().cloned().unwrap_or_default();
    let in_force: Vec<u64> =
        serde_json::from_value(answer["declared"]["in_force"].clone()).unwrap_or_default();
    let shown = versions
        .iter()
        .rev()
        .find(|v| v["position"].as_u64().is_some_and(|p| in_force.contains(&p)))
        .or(versions.last());
    let body = shown.map_or(&Value::Null, |v| &v["body"]);
    let names = [
        "purposes",
        "categories",
        "legal_basis",
        "special_basis",
        "recipients",
        "subjects",
        "identifiability",
    ];
    let counted = ["agreements", "objections", "uses"]
        .iter()
        .filter_map(|name| {
            let n = answer[*name].as_u64().filter(|n| *n > 0)?;
            Some(Field {
                label: frame.t(&format!("counted-{name}")).into_owned(),
                text: n.to_string(),
            })
        })
        .collect();
    let controller = answer["controller"].as_str().map(|c| (c.to_owned(), named(&app)(c)));
    let experiments = app.ledger.with_register(|register| {
        let known = launched.iter().map(|e| string(&e["id"]));
        known.filter_map(|id| row(register, &frame, StreamType::Experiment, &id)).collect()
    });
    let page = ProcessingPage {
        title: body["title"].as_str().map_or_else(|| id.clone(), str::to_owned),
        controller,
        declared: fields(&frame, &names, body),
        declared_formal: shown.is_some_and(|v| v["formal"] == true),
        counted,
        items,
        experiments,
        obstacles: obstacles(&frame, &answer),
        id,
        dated,
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

pub async fn decision(
    State(app): State<Shared>,
    Path(id): Path<String>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(DATED)?;
    let (dated, when) = Dated::read(&app, &frame, &params).await?;
    let answer = decision_at(&app, &id, &when).await?;
    let outcomes = outcomes(&frame, &answer);
    let items = timeline(
        &frame,
        &[&answer["about"], &serde_json::json!({"decisions": [answer.clone()]})],
        named(&app),
    );
    let page = DecisionPage {
        title: match answer["number"].as_str() {
            Some(n) => frame.with("decision-number", &[("n", n.into())]).into_owned(),
            None => id.clone(),
        },
        processing: titled(&app, answer["processing"].as_str().unwrap_or_default()),
        by: named(&app)(answer["by"].as_str().unwrap_or_default()),
        formal: answer["formal"] == true,
        days: frame.days(&interval(&answer["at"])),
        position: answer["position"].as_u64().unwrap_or_default(),
        overall: answer["outcome"].as_str().map(|code| Badge::new(weight(code), frame.label(code))),
        endings: endings(&frame, &answer),
        fields: fields(&frame, &["formality", "effective_from", "until"], &answer),
        outcomes,
        items,
        id,
        dated,
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

pub async fn experiment(
    State(app): State<Shared>,
    Path(id): Path<String>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["as_of", "known_at", "cursor"])?;
    let from = usize::try_from(params.number("cursor")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let (dated, when) = Dated::read(&app, &frame, &params).await?;
    let answer = experiment_in_short(&app, &id, &when).await?;
    let facts = answer["sites"].as_array().into_iter().flatten();
    let mut enrolled: Vec<(Interval, u64, &Value)> = facts
        .map(|fact| (interval(&fact["at"]), fact["position"].as_u64().unwrap_or_default(), fact))
        .collect();
    enrolled.sort_by_key(|(at, position, _)| (at.latest, at.earliest, *position));
    let shown = enrolled.iter().skip(from).take(SITES).map(|(at, position, fact)| {
        let site = &fact["site"];
        let headcount = site["headcount"].as_i64();
        SiteRow {
            name: string(&site["name"]),
            commune: string(&site["commune"]),
            headcount: headcount.map_or_else(
                || frame.t("unknown").into_owned(),
                |n| super::field::amount(&frame, "headcount", n),
            ),
            days: frame.days(at),
            position: *position,
        }
    });
    let sites: Vec<SiteRow> = shown.collect();
    let until = from.saturating_add(sites.len());
    let next = (until < enrolled.len())
        .then(|| dated.with(&format!("/register/experiments/{id}"), until as u64));
    let growth = app
        .ledger
        .with_register(|r| growth(&frame, r.view(when.size), &when, &id))
        .ok_or_else(|| Problem::not_found(&format!("/register/experiments/{id}")))?;
    let conditions = conditions(&frame, &answer["about"]);
    let page = ExperimentPage {
        processing: titled(&app, answer["processing"].as_str().unwrap_or_default()),
        total: enrolled.len(),
        sites,
        next,
        growth,
        conditions,
        items: timeline(&frame, &[&answer, &answer["about"]], named(&app)),
        obstacles: obstacles(&frame, &answer),
        id,
        dated,
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

/// Conditions set for generalising, and whether each is recorded as met.
fn conditions(frame: &Frame, about: &Value) -> Vec<ConditionRow> {
    let facts = |list: &str| about[list].as_array().cloned().unwrap_or_default();
    let met = facts("conditions_met");
    facts("conditions_set")
        .iter()
        .filter_map(|set| {
            let slug = set["body"]["condition"].as_str()?;
            let met = met.iter().find(|m| m["body"]["condition"] == slug);
            Some(ConditionRow {
                name: frame.slug("condition", slug),
                set: set["position"].as_u64()?,
                met: met.and_then(|m| m["position"].as_u64()),
            })
        })
        .collect()
}

pub async fn party(
    State(app): State<Shared>,
    Path(id): Path<String>,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["as_of", "known_at", "cursor"])?;
    let cursor = params.number("cursor")?.unwrap_or(0);
    let (dated, when) = Dated::read(&app, &frame, &params).await?;
    let answer = party_at(&app, &id, &when).await?;
    let strings = |value: &Value| -> Vec<String> {
        serde_json::from_value(value.clone()).unwrap_or_default()
    };
    let keys = answer["keys"].as_array().into_iter().flatten().map(|key| {
        let enrolled = key["enrolled"].as_u64().unwrap_or_default();
        (string(&key["kid"]), enrolled, key["revoked"].as_u64())
    });
    let (processings, next) = app.ledger.with_register(|register| {
        let view = register.view(when.size);
        // Those that were not known yet come last.
        let known = register.controlled_by(&id).iter();
        let mut known = known.filter_map(|id| Some((view.processing(id)?.first, id)));
        let mut known = known.by_ref().skip_while(|(first, _)| *first < cursor);
        let shown: Vec<_> = known.by_ref().take(PAGE).collect();
        let rows = shown
            .iter()
            .filter_map(|(_, id)| row(register, &frame, StreamType::Processing, id))
            .collect();
        (rows, known.next().map(|(first, _)| first))
    });
    let next = next.map(|cursor| dated.with(&format!("/register/parties/{id}"), cursor));
    let page = PartyPage {
        name: string(&answer["name"]),
        roles: strings(&answer["roles"]).iter().map(|r| frame.t(&format!("role-{r}"))).collect(),
        siren: answer["siren"].as_str().map(str::to_owned),
        keys: keys.collect(),
        processings,
        next,
        items: timeline(&frame, &[&answer["about"]], named(&app)),
        id,
        dated,
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}
