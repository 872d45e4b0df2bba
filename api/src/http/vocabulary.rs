//! `GET /v1/vocabulary`: code lists with labels, filings with their concealed paths, rules
//! and regimes. `GET /v1/regimes?at=`: the law in force on a day.

use axum::Json;
use greffe_domain::rules::regime::{ANSWERS, ASSESSMENT_GRACE, REGIMES, Regime, RegimeRow, Span};
use greffe_domain::rules::{CURRENT, generalise};
use greffe_domain::schema;
use greffe_domain::vocabulary::CODELISTS;
use serde_json::{Value, json};

use super::problem::Problem;
use super::{Language, Params};

fn all_regimes() -> Vec<Value> {
    let row = |r: &RegimeRow| json!({"code": r.code, "from": r.from, "source": r.source, "verified": r.verified});
    REGIMES.iter().map(row).collect()
}

/// What the authority's silence meant, and the terms the law set.
fn delays() -> Value {
    let span = |span: Span| match span {
        Span::Months(months) => json!({"months": months}),
        Span::Weeks(weeks) => json!({"weeks": weeks}),
    };
    let answers: Vec<Value> = ANSWERS
        .iter()
        .map(|row| {
            json!({
                "formality": row.formality, "silence": row.silence.as_str(),
                "delay": row.delay.map(|d| span(d.plain)),
                "prolonged": row.delay.map(|d| span(d.prolonged)),
                "source": row.source, "verified": row.verified,
            })
        })
        .collect();
    json!({
        "answers": answers,
        "assessment_grace": {
            "last_day": ASSESSMENT_GRACE.last_day, "source": ASSESSMENT_GRACE.source,
            "verified": ASSESSMENT_GRACE.verified,
        },
    })
}

pub async fn all(params: Params) -> Result<Json<Value>, Problem> {
    params.only(&[])?;
    let rules: Vec<Value> = CURRENT
        .rules()
        .map(|r| {
            let regimes: Vec<&str> = r.regimes.iter().map(|g| g.as_str()).collect();
            json!({
                "code": r.code, "severity": r.severity, "regimes": regimes, "source": r.source,
                "reason_fr": r.reason_fr, "reason_en": r.reason_en,
                "verified": r.to_check().is_none(),
                "to_check": r.to_check().map(|open| json!({"fr": open.fr, "en": open.en})),
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
    Ok(Json(json!({
        "dpv_version": CODELISTS.dpv_version,
        "prefixes": CODELISTS.prefixes,
        "lists": CODELISTS.lists,
        "rule_codes": CODELISTS.rules,
        "rulebook": CURRENT.version,
        "rules": rules,
        "generalisation": requirements,
        "regimes": all_regimes(),
        "delays": delays(),
        "filings": schema::describe(),
    })))
}

pub async fn regimes(Language(lang): Language, params: Params) -> Result<Json<Value>, Problem> {
    params.only(&["at"])?;
    let Some(day) = params.date("at")? else {
        return Ok(Json(json!({"items": all_regimes(), "next": null})));
    };
    let regime = Regime::on(day);
    let mut answer = json!({
        "at": day, "regime": regime.as_str(), "from": regime.from(),
        "source": REGIMES[regime as usize].source,
    });
    if day < regime.from() {
        answer["note"] = lang
            .pick(
                "Aucune loi du registre n’était en vigueur ce jour : ce qui précède la première \
                 est jugé selon elle.",
                "No law of the register was in force on that day: what came before the first is \
                 judged by it.",
            )
            .into();
    }
    Ok(Json(answer))
}
