//! `GET /v1/audit`: every entry, by type, author, stream, time or a word of it.

use axum::Json;
use axum::extract::State;
use greffe_domain::body::Body;
use greffe_domain::kind::{EventType, StreamType};
use greffe_infra::projection::{AuditFilter, Order};
use serde_json::{Value, json};

use super::accesses::at_json;
use super::authz::{Reader, Route, admit};
use super::problem::Problem;
use super::queries::{self, Read};
use super::{Params, Shared};

pub const PARAMS: &[&str] = &["type", "by", "stream", "from", "to", "q", "cursor", "limit"];

pub async fn list(
    State(app): State<Shared>,
    reader: Reader,
    params: Params,
) -> Result<Json<Value>, Problem> {
    params.only(PARAMS)?;
    let reach = admit(Route::Audit, &reader)?;
    let event_type = params.parsed(
        "type",
        EventType::parse,
        "un type d’événement, par exemple DecisionRendered",
        "an event type, e.g. DecisionRendered",
    )?;
    let stream = params.parsed(
        "stream",
        |text| {
            let kind = text.split('/').next().unwrap_or(text);
            StreamType::NAMES.contains(&kind).then(|| text.to_owned())
        },
        "type ou type/identifiant, par exemple processing/anaiss",
        "type or type/id, e.g. processing/anaiss",
    )?;
    let (from, to) = (params.instant("from", false)?, params.instant("to", true)?);
    Params::in_order(("from", from), ("to", to))?;
    let filter = AuditFilter {
        event_type: event_type.map(|t| t.as_str().to_owned()),
        by: params.text("by").map(str::to_owned),
        stream,
        from,
        to,
        q: params.text("q").map(str::to_owned),
        visible_to: reader.sees_only(reach),
        order: Order::OldestFirst,
        cursor: params.number("cursor")?,
        limit: params.limit()?,
    };
    let (found, next) = queries::audit(&app, filter).await?;
    let items: Vec<Value> = found.iter().map(row).collect();
    Ok(Json(json!({"items": items, "next": next.map(|n| n.to_string())})))
}

fn row(read: &Read) -> Value {
    let row = &read.row;
    let mut item = json!({
        "position": row.position,
        "time": row.time,
        "type": row.event_type,
        "stream": {"type": row.stream.kind, "id": row.stream.id, "version": row.stream.version},
        "link": row.sealed.link,
        "rulebook": read.leaf.rulebook,
    });
    if let Some(filing) = row.filing {
        item["filing"] = json!({"digest": filing.digest, "item": filing.item});
    }
    if let Some(filed) = read.filed() {
        item["by"] = filed.iss.as_str().into();
        item["kind"] = json!(filed.kind);
        item["at"] = at_json(&filed.at);
        item["evidence"] = json!(filed.evidence);
        item["reference"] = json!(filed.reference);
        if let Some(verdict) = &filed.verdict {
            item["verdict"] = json!(verdict.verdict);
        }
        if let Body::RevokeKey(revoked) = &*filed.body {
            item["reason"] = revoked.reason.as_str().into();
        }
    }
    item
}
