//! `GET /v1/vocabulary`: code lists with labels, filings with their concealed paths, rules
//! and regimes. `GET /v1/regimes?at=`: the law in force on a day.

use axum::Json;
use greffe_domain::rules::regime::Regime;
use greffe_domain::rules::{CURRENT, generalise};
use greffe_domain::schema;
use greffe_domain::vocabulary::CODELISTS;
use serde_json::{Value, json};

use super::Params;
use super::problem::Problem;

const REGIMES: [Regime; 3] = [Regime::Lil1978, Regime::Lil2004, Regime::Rgpd2018];

fn all_regimes() -> Vec<Value> {
    REGIMES.iter().map(|r| json!({"code": r.as_str(), "from": r.from()})).collect()
}

pub async fn all() -> Json<Value> {
    let rules: Vec<Value> = CURRENT
        .rules()
        .map(|r| {
            let regimes: Vec<&str> = r.regimes.iter().map(|g| g.as_str()).collect();
            json!({
                "code": r.code, "severity": r.severity, "regimes": regimes, "source": r.source,
                "reason_fr": r.reason_fr, "reason_en": r.reason_en,
            })
        })
        .collect();
    let requirements: Vec<Value> = generalise::REQUIREMENTS
        .iter()
        .map(|r| {
            json!({
                "code": r.code, "source": r.source, "reason_fr": r.reason_fr,
                "reason_en": r.reason_en,
            })
        })
        .collect();
    Json(json!({
        "dpv_version": CODELISTS.dpv_version,
        "prefixes": CODELISTS.prefixes,
        "lists": CODELISTS.lists,
        "rule_codes": CODELISTS.rules,
        "rulebook": CURRENT.version,
        "rules": rules,
        "generalisation": requirements,
        "regimes": all_regimes(),
        "filings": schema::describe(),
    }))
}

pub async fn regimes(params: Params) -> Result<Json<Value>, Problem> {
    params.only(&["at"])?;
    Ok(Json(match params.date("at")? {
        None => json!({"items": all_regimes(), "next": null}),
        Some(day) => json!({"at": day, "regime": Regime::on(day).as_str()}),
    }))
}
