//! `GET /v1/audit`: every entry, by type, author, stream, time or a word of it.

use axum::Json;
use axum::extract::State;
use greffe_domain::body::Body;
use greffe_domain::kind::{EventType, StreamType};
use serde_json::{Value, json};

use super::accesses::at_json;
use super::authz::{Reach, Reader, Route, admit};
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
    // `type/id`, or a type alone.
    let stream = params.parsed(
        "stream",
        |t| {
            let (kind, id) =
                t.split_once('/').map_or((t, None), |(k, id)| (k, Some(id.to_owned())));
            let kind: StreamType = serde_json::from_value(Value::from(kind)).ok()?;
            Some((kind, id))
        },
        "type ou type/identifiant, par exemple processing/anaiss",
        "type or type/id, e.g. processing/anaiss",
    )?;
    let by = params.text("by");
    let word = params.text("q").map(str::to_lowercase);
    let (since, until) = (params.date("from")?, params.date("to")?);
    let size = app.ledger.size().0;
    let from = params.number("cursor")?.unwrap_or(0);
    let limit = params.limit()?;
    let mut items = Vec::new();
    let ledger = app.ledger.clone();
    let wanted = |row: &greffe_infra::store::EntryRow| {
        let day = row.time.date();
        event_type.is_none_or(|t| row.event_type == t)
            && stream.as_ref().is_none_or(|(kind, id)| {
                row.stream.kind == *kind && id.as_ref().is_none_or(|id| row.stream.id == *id)
            })
            && since.is_none_or(|s| s <= day)
            && until.is_none_or(|u| day <= u)
    };
    let next = queries::scan(&app, from, size, wanted, |read| {
        if by.is_some_and(|by| read.filed().is_none_or(|f| f.iss != by))
            || word.as_deref().is_some_and(|w| !holds_word(&read, w))
        {
            return true;
        }
        let visible = reach == Reach::Everything
            || ledger.with_register(|register| {
                read.filed().is_some_and(|filed| {
                    let controller = filed
                        .body
                        .access()
                        .and_then(|a| register.processing(&a.processing))
                        .and_then(|p| p.controller.as_deref());
                    reader.concerns(filed, controller)
                })
            });
        if visible {
            items.push(row(&read));
        }
        items.len() < limit
    })
    .await?;
    Ok(Json(json!({"items": items, "next": next.map(|n| n.to_string())})))
}

/// In what the leaf shows: concealed values are not searched.
fn holds_word(read: &Read, word: &str) -> bool {
    String::from_utf8_lossy(&read.row.sealed.leaf).to_lowercase().contains(word)
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
