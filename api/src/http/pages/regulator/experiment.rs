//! `/regulator/experiments/{id}`: how an experiment grew, against what was filed, allowed and
//! planned for it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use greffe_domain::date::Interval;
use greffe_domain::kind::StreamType;
use greffe_domain::rules::generalise;
use greffe_infra::projection::AccessFilter;

use super::super::super::problem::Problem;
use super::super::super::register::When;
use super::super::super::{Params, Shared, queries};
use super::super::Frame;
use super::super::growth::{Growth, growth};
use super::super::home::{FindingView, tell};
use super::accesses::{AccessView, views};
use super::{Authority, address, processing_title};

#[derive(Template)]
#[template(path = "regulator/experiment.html")]
struct Page {
    frame: Frame,
    id: String,
    processing: (String, String),
    growth: Growth,
    obstacles: Vec<FindingView>,
    accesses: Vec<AccessView>,
    all_accesses: String,
    dossier: String,
    lines: String,
}

/// Accesses shown; the search has the others.
const ACCESSES: usize = 10;

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
    let when = When { as_of: None, size: app.ledger.size().0 };
    let page = app.ledger.with_register(|register| {
        let experiment = register.experiment(&id)?;
        let days = Interval { earliest: None, latest: None };
        let found = generalise::obstacles(register.now(), StreamType::Experiment, &id, &days);
        Some(Page {
            processing: (
                experiment.processing.clone(),
                processing_title(register, &experiment.processing),
            ),
            growth: growth(&frame, register.view(when.size), &when, &id)?,
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
