//! `/regulator/experiments/{id}`: how an experiment grew, against what was filed, allowed and
//! planned for it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use greffe_domain::date::{Interval, LegalDate};
use greffe_domain::event::At;
use greffe_domain::kind::StreamType;
use greffe_domain::rules::generalise;
use greffe_infra::projection::AccessFilter;

use super::super::super::problem::Problem;
use super::super::super::register::overall;
use super::super::super::{Params, Shared, queries};
use super::super::home::{FindingView, tell};
use super::super::timeline::weight;
use super::super::{Badge, Frame};
use super::accesses::{AccessView, views};
use super::{Authority, address, party_name, processing_title};
use crate::charts::{self, Mark, Step};

/// One thing that happened to the experiment or its processing.
struct Event {
    position: u64,
    days: String,
    /// Of the chart: `A` a step allowed by the controller's own act, `F` a formality, `D` a
    /// decision, `P` a plan, `S` a site; lower case where a third party describes it.
    letter: char,
    what: String,
    by: String,
    badge: Option<Badge>,
    /// Sites enrolled by then.
    sites: usize,
    order: (Option<LegalDate>, Option<LegalDate>, u64),
}

#[derive(Template)]
#[template(path = "regulator/experiment.html")]
struct Page {
    frame: Frame,
    id: String,
    processing: (String, String),
    sites: usize,
    allowed: String,
    planned: String,
    chart: Option<String>,
    events: Vec<Event>,
    more_events: usize,
    obstacles: Vec<FindingView>,
    accesses: Vec<AccessView>,
    all_accesses: String,
    dossier: String,
    lines: String,
}

/// Events of the table.
const SHOWN: usize = 100;
/// Accesses shown; the search has the others.
const ACCESSES: usize = 10;

/// Lower case: somebody else describes it, which allows nothing.
fn letter(letter: char, formal: bool) -> char {
    if formal { letter } else { letter.to_ascii_lowercase() }
}

pub async fn one(
    State(app): State<Shared>,
    Path(id): Path<String>,
    _: Authority,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let filter =
        AccessFilter { experiment: Some(id.clone()), limit: ACCESSES, ..AccessFilter::default() };
    queries::caught_up(&app).await;
    let found = app.projections.accesses(filter).await?;
    let accesses = views(&app, &frame, found.items);
    let known_at = app.ledger.size().0.saturating_sub(1).to_string();
    let dossier = [("of", "experiment"), ("id", id.as_str()), ("known_at", known_at.as_str())];
    let of = |path: &str, more: &[(&str, &str)]| address(path, more.iter().copied());
    let page = app.ledger.with_register(|register| {
        let experiment = register.experiment(&id)?;
        let processing = register.processing(&experiment.processing);
        let mut events: Vec<Event> = Vec::new();
        let mut marks: Vec<Mark> = Vec::new();
        let mut add =
            |position: u64, at: &Interval, letter: char, what: String, by: &str, badge| {
                if let (Some(day), true) = (
                    at.latest.or(at.earliest),
                    matches!(letter.to_ascii_uppercase(), 'A' | 'F' | 'D'),
                ) {
                    marks.push(Mark { day, letter });
                }
                events.push(Event {
                    position,
                    days: frame.days(at),
                    letter,
                    what,
                    by: party_name(register, by),
                    badge,
                    sites: 0,
                    order: (at.latest, at.earliest, position),
                });
            };
        let described = |formal: bool| (!formal).then(|| Badge::new("open", frame.t("described")));
        for launch in &experiment.launches {
            let what = frame.t("fact-launched").into_owned();
            add(
                launch.position,
                &launch.at,
                letter('A', launch.formal),
                what,
                &launch.iss,
                described(launch.formal),
            );
        }
        for expansion in &experiment.expansions {
            let what = match expansion.data.sites.len() {
                0 => frame.t("fact-expanded").into_owned(),
                n => format!("{} ({})", frame.t("fact-expanded"), frame.count("reg-sites", n)),
            };
            let badge = described(expansion.formal);
            add(
                expansion.position,
                &expansion.at,
                letter('A', expansion.formal),
                what,
                &expansion.iss,
                badge,
            );
        }
        let mut enrolled: Vec<(Option<LegalDate>, u64)> = Vec::new();
        for site in &experiment.sites {
            let what = format!("{} : {}", frame.t("reg-site-enrolled"), site.data.name);
            add(site.position, &site.at, 'S', what, &site.iss, described(site.formal));
            enrolled.push((site.at.latest.or(site.at.earliest), site.position));
        }
        let mut planned: Vec<(LegalDate, usize)> = Vec::new();
        let mut targets: Vec<String> = Vec::new();
        for plan in &experiment.plans {
            let by = plan.data.by.as_ref().and_then(|by| At::parse(by.text()));
            let by = by.map(|by| by.interval);
            let target = plan.data.target_sites.and_then(|n| usize::try_from(n).ok());
            let day = by.as_ref().and_then(|by| by.latest).or(plan.at.latest);
            planned.extend(day.zip(target));
            let said = match (target, &by) {
                (Some(n), Some(by)) => {
                    frame.with("reg-planned-by", &[("n", n.into()), ("day", frame.days(by).into())])
                }
                (Some(n), None) => frame.count("reg-sites", n),
                (None, _) => frame.t("fact-planned"),
            };
            targets.push(said.clone().into_owned());
            let what = format!("{} : {said}", frame.t("fact-planned"));
            add(plan.position, &plan.at, 'P', what, &plan.iss, described(plan.formal));
        }
        if let Some(processing) = processing {
            for formality in &processing.formalities {
                let kind = frame.label(formality.data.kind.as_str());
                let what = format!("{} : {kind}", frame.t("fact-formality"));
                let badge = described(formality.formal);
                add(
                    formality.position,
                    &formality.at,
                    letter('F', formality.formal),
                    what,
                    &formality.iss,
                    badge,
                );
            }
            for decision in &processing.decisions {
                let rendered = &decision.rendered;
                let outcomes = &rendered.data.outcomes;
                let codes: Vec<&str> = outcomes.iter().map(|o| o.outcome.as_str()).collect();
                let badge = overall(&codes).map(|code| Badge::new(weight(code), frame.label(code)));
                let number = rendered.data.number.as_ref().unwrap_or(&rendered.data.decision);
                let number = frame.with("decision-number", &[("n", number.as_str().into())]);
                add(
                    rendered.position,
                    &rendered.at,
                    letter('D', rendered.formal),
                    number.into_owned(),
                    &rendered.iss,
                    badge,
                );
            }
        }
        for end in &experiment.ends {
            let what = frame.t("fact-ended").into_owned();
            add(
                end.position,
                &end.at,
                letter('A', end.formal),
                what,
                &end.iss,
                described(end.formal),
            );
        }
        enrolled.sort();
        let mut steps: Vec<Step> = Vec::new();
        for (n, (day, _)) in enrolled.iter().enumerate() {
            let Some(day) = *day else { continue };
            match steps.last_mut() {
                Some(step) if step.day == day => step.count = n + 1,
                _ => steps.push(Step { day, count: n + 1 }),
            }
        }
        events.sort_by_key(|event| event.order);
        for event in &mut events {
            // By the last day on which each may have happened.
            event.sites = enrolled.iter().filter(|(day, _)| *day <= event.order.0).count();
        }
        let more_events = events.len().saturating_sub(SHOWN);
        events.truncate(SHOWN);
        let named: usize = experiment.expansions.iter().map(|e| e.data.sites.len()).sum();
        let formal_launches = experiment.launches.iter().filter(|l| l.formal).count();
        let expansions = experiment.expansions.len();
        let days = Interval { earliest: None, latest: None };
        let found = generalise::obstacles(register.now(), StreamType::Experiment, &id, &days);
        Some(Page {
            processing: (
                experiment.processing.clone(),
                processing_title(register, &experiment.processing),
            ),
            sites: experiment.sites.len(),
            allowed: frame
                .with(
                    "reg-allowed-said",
                    &[
                        ("launches", formal_launches.into()),
                        ("expansions", expansions.into()),
                        ("sites", named.into()),
                    ],
                )
                .into_owned(),
            planned: match targets.is_empty() {
                true => frame.t("reg-nothing-planned").into_owned(),
                false => targets.join(" ; "),
            },
            chart: charts::sites(&frame, &steps, &planned, &marks),
            events,
            more_events,
            obstacles: tell(&frame, &found.unwrap_or_default()),
            accesses,
            all_accesses: of("/regulator/accesses", &[("experiment", &id)]),
            dossier: of("/regulator/dossier", &dossier),
            lines: of("/regulator/dossier.ndjson", &dossier),
            id: id.clone(),
            frame: frame.clone(),
        })
    });
    let page = page.ok_or_else(|| Problem::not_found(&format!("/regulator/experiments/{id}")))?;
    Ok(frame.render(&page))
}
