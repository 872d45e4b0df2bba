//! `GET /v1/stats`: counts of the whole ledger, public. No count is about a person or a
//! party.

use axum::Json;
use axum::extract::State;
use greffe_domain::kind::StreamType;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Shared, queries};

pub async fn all(State(app): State<Shared>) -> Result<Json<Value>, Problem> {
    let stats = queries::stats(&app).await?;
    let register = app.ledger.with_register(|r| {
        json!({
            "parties": r.in_order(StreamType::Party).len(),
            "processings": r.in_order(StreamType::Processing).len(),
            "decisions": r.in_order(StreamType::Decision).len(),
            "experiments": r.in_order(StreamType::Experiment).len(),
            "rulings": r.rulings().count(),
            "references": r.references().count(),
        })
    });
    let accesses: u64 = stats.verdicts.values().sum();
    Ok(Json(json!({
        "size": stats.entries,
        "events": stats.events,
        "register": register,
        "accesses": {"total": accesses, "verdicts": stats.verdicts, "regimes": stats.regimes},
        "findings": stats.findings,
    })))
}
