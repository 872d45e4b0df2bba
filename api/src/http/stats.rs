//! `GET /v1/stats`: counts of the whole ledger, public. No count is about a person or a
//! party.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Shared, queries};

pub async fn all(State(app): State<Shared>) -> Result<Json<Value>, Problem> {
    let size = app.ledger.size().0;
    let mut events: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut verdicts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut findings: BTreeMap<&'static str, u64> = BTreeMap::new();
    queries::scan(
        &app,
        0,
        size,
        |_| true,
        |read| {
            *events.entry(read.row.event_type.as_str()).or_default() += 1;
            if let Some(recorded) = read.recorded() {
                *verdicts.entry(recorded.then.verdict.as_str()).or_default() += 1;
                for finding in &recorded.then.findings {
                    *findings.entry(finding.code.as_str()).or_default() += 1;
                }
            }
            true
        },
    )
    .await?;
    let register = app.ledger.with_register(|r| {
        json!({
            "parties": r.parties().count(),
            "processings": r.processings().count(),
            "decisions": r.decisions().count(),
            "experiments": r.experiments().count(),
            "rulings": r.rulings().count(),
            "references": r.references().count(),
        })
    });
    let accesses: u64 = verdicts.values().sum();
    Ok(Json(json!({
        "size": size,
        "events": events,
        "register": register,
        "accesses": {"total": accesses, "verdicts": verdicts},
        "findings": findings,
    })))
}
