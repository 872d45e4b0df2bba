//! `GET /v1/stats`: counts of the whole ledger, public. No count is about a person or a
//! party.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Params, Shared, queries};

pub async fn all(State(app): State<Shared>, params: Params) -> Result<Json<Value>, Problem> {
    params.only(&[])?;
    let stats = queries::stats(&app).await?;
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
    let accesses: u64 = stats.verdicts.values().sum();
    Ok(Json(json!({
        "size": stats.entries,
        "events": stats.events,
        "register": register,
        "accesses": {"total": accesses, "verdicts": stats.verdicts, "regimes": stats.regimes},
        "findings": stats.findings,
    })))
}
