//! `GET /openapi.json`: the service described to programs (OpenAPI 3.1).
//!
//! Written as data beside the routes; a test holds the two together.

use axum::Json;
use serde_json::{Map, Value, json};

use super::{accesses, audit, findings, me, session};

/// One operation.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    /// Needs a bearer token.
    token: bool,
    query: &'static [&'static str],
    request: Option<(&'static str, &'static str)>,
    /// Status and schema of success.
    success: (u16, &'static str),
}

const fn get(
    path: &'static str,
    summary: &'static str,
    token: bool,
    query: &'static [&'static str],
    schema: &'static str,
) -> Operation {
    Operation { method: "get", path, summary, token, query, request: None, success: (200, schema) }
}

const fn post(
    path: &'static str,
    summary: &'static str,
    token: bool,
    query: &'static [&'static str],
    request: (&'static str, &'static str),
    success: (u16, &'static str),
) -> Operation {
    Operation { method: "post", path, summary, token, query, request: Some(request), success }
}

const WHEN: &[&str] = &["as_of", "known_at"];
const WHEN_LIST: &[&str] = &["as_of", "known_at", "cursor", "limit"];

const OPERATIONS: &[Operation] = &[
    post(
        "/v1/filings",
        "Record a signed filing, or many as NDJSON (all or nothing unless partial=true)",
        false,
        &["partial"],
        ("application/sd-jwt", "Text"),
        (201, "Receipts"),
    ),
    post(
        "/v1/judgements",
        "Would this access be covered? Nothing is recorded",
        true,
        &[],
        ("application/json", "Question"),
        (200, "Judgement"),
    ),
    post(
        "/v1/tokens",
        "A bearer token for fifteen minutes, from a signed request accepted once",
        false,
        &[],
        ("application/jwt", "Text"),
        (201, "Token"),
    ),
    post(
        "/v1/subjects",
        "References of persons, in order; nothing about them is stored",
        true,
        &[],
        ("application/json", "Identities"),
        (200, "Subjects"),
    ),
    get("/v1/head", "The ledger's signed head", false, &[], "Head"),
    get(
        "/v1/entries",
        "Sealed entries as NDJSON; those of others are hidden",
        true,
        &["from", "limit"],
        "Sealed",
    ),
    get("/v1/entries/{position}", "One sealed entry", true, &[], "Sealed"),
    get("/v1/processings", "Processings", false, WHEN_LIST, "Page"),
    get(
        "/v1/processings/{id}",
        "One processing, each fact with the position it comes from",
        false,
        WHEN,
        "Object",
    ),
    get("/v1/decisions", "Decisions", false, WHEN_LIST, "Page"),
    get("/v1/decisions/{id}", "One decision, one outcome a purpose", false, WHEN, "Decision"),
    get("/v1/experiments", "Experiments", false, WHEN_LIST, "Page"),
    get(
        "/v1/experiments/{id}",
        "One experiment, its scope and what stands in the way of generalising",
        false,
        WHEN,
        "Object",
    ),
    get("/v1/parties", "Parties", false, WHEN_LIST, "Page"),
    get("/v1/parties/{id}", "One party, with its keys", false, WHEN, "Object"),
    get(
        "/v1/accesses",
        "Who saw what under which basis, then and now",
        true,
        accesses::PARAMS,
        "Accesses",
    ),
    get(
        "/v1/accesses/{position}",
        "One access, both verdicts, and the entries they rest on",
        true,
        WHEN,
        "Access",
    ),
    get(
        "/v1/me/accesses",
        "The signed-in citizen's own history, or with site= what was shown about that workplace",
        false,
        me::PARAMS,
        "Accesses",
    ),
    get(
        "/v1/findings",
        "What rules found, one line each: what stands, what changed and what was taken away",
        true,
        findings::PARAMS,
        "Findings",
    ),
    get("/v1/audit", "Every entry, searched", true, audit::PARAMS, "Page"),
    get("/v1/stats", "Counts of the whole ledger", false, &[], "Object"),
    get(
        "/v1/vocabulary",
        "Code lists, filings with their concealed paths, rules, regimes",
        false,
        &[],
        "Object",
    ),
    get("/v1/regimes", "The law in force on a day", false, &["at"], "Object"),
    get("/healthz", "The process lives", false, &[], "Object"),
    get("/readyz", "The store answers and the head verifies", false, &[], "Object"),
    get("/metrics", "Counters for Prometheus, as text", false, &[], "Text"),
    get("/problems", "Every problem code in words, as a page", false, &[], "Text"),
    get("/problems/{code}", "A problem code in words, as a page", false, &[], "Text"),
    get("/openapi.json", "This document", false, &[], "Object"),
    get("/", "The first page", false, &[], "Text"),
];

pub async fn document() -> Json<Value> {
    Json(build())
}

fn build() -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let entry = paths.entry(operation.path).or_insert_with(|| json!({}));
        entry[operation.method] = describe(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Greffe",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "A regulatory ledger: who saw what, on what basis, and who had allowed it.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": session::COOKIE},
            },
            "parameters": parameters(),
            "schemas": schemas(),
            "responses": {"Problem": {
                "description": "Not done as asked: what happened, and what to do (RFC 9457)",
                "content": {"application/problem+json": {"schema": reference("Problem")}},
            }},
        },
    })
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}

fn describe(operation: &Operation) -> Value {
    let mut parameters: Vec<Value> = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema = match name {
                "position" => json!({"type": "integer", "minimum": 0}),
                _ => json!({"type": "string"}),
            };
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect();
    parameters.extend(
        operation
            .query
            .iter()
            .map(|name| json!({"$ref": format!("#/components/parameters/{name}")})),
    );
    let media = match operation.path {
        "/v1/entries" => "application/x-ndjson",
        "/" | "/problems" | "/problems/{code}" => "text/html",
        "/metrics" => "text/plain",
        _ => "application/json",
    };
    let (status, schema) = operation.success;
    let id = format!("{}{}", operation.method, operation.path.replace(['/', '{', '}', '.'], "_"));
    let mut described = json!({
        "operationId": id,
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            status.to_string(): {
                "description": operation.summary,
                "content": {media: {"schema": reference(schema)}},
            },
            "default": {"$ref": "#/components/responses/Problem"},
        },
    });
    if let Some((media, schema)) = operation.request {
        let mut content = json!({media: {"schema": reference(schema)}});
        if operation.path == "/v1/filings" {
            content["application/x-ndjson"] = json!({"schema": reference("Text")});
        }
        described["requestBody"] = json!({"required": true, "content": content});
    }
    described["security"] = match (operation.token, operation.path.starts_with("/v1/me/")) {
        (true, _) => json!([{"bearer": []}]),
        (false, true) => json!([{"session": []}]),
        (false, false) => json!([]),
    };
    described
}

fn parameters() -> Value {
    let mut out = Map::new();
    let mut add = |name: &str, description: &str, schema: Value| {
        let value =
            json!({"name": name, "in": "query", "description": description, "schema": schema});
        out.insert(name.to_owned(), value);
    };
    let text = || json!({"type": "string"});
    let date = || json!({"type": "string", "format": "date"});
    add(
        "partial",
        "Record what can be recorded, and answer line by line",
        json!({"type": "boolean"}),
    );
    add("as_of", "The register as valid on that day", date());
    add(
        "known_at",
        "As known at a position (included), a UTC time, or the end of a UTC day",
        text(),
    );
    add("cursor", "What `next` of the page before said", text());
    add(
        "limit",
        "Most items",
        json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}),
    );
    add("subject", "A subject reference (regulator, subject desk)", text());
    add("party", "Recipient, discloser or author", text());
    add("recipient", "Party that received", text());
    add("discloser", "Party that disclosed: as filed, or the controller as known then", text());
    add("experiment", "Id of an experiment", text());
    add("site", "Id or SIRET of the recipient's site", text());
    add("processing", "Id of a processing", text());
    add("purpose", "Purpose code", text());
    add("category", "Category code", text());
    add("basis", "Legal basis claimed", text());
    add("verdict", "Verdict recorded", reference("Outcome"));
    add("finding", "Code of a finding recorded", text());
    add("from", "From that day on; for /v1/entries a position", text());
    add("to", "Up to that day", date());
    add("code", "Rule code", text());
    add("since", "Found, changed or closed by an entry recorded from that time on", text());
    add("now", "Verdict as known now; not with known_at", reference("Outcome"));
    add(
        "state",
        "open: stands as recorded; changed: stands, brought or weighed otherwise by a later entry; closed: no longer stands",
        json!({"enum": ["open", "changed", "closed"]}),
    );
    add("type", "Event type", text());
    add("by", "Party that filed", text());
    add("stream", "type or type/id", text());
    add("q", "A word of the leaf, in clear", text());
    add("at", "A day", date());
    Value::Object(out)
}

fn schemas() -> Value {
    let text = || json!({"type": "string"});
    let object = |required: &[&str], properties: Value| json!({"type": "object", "required": required, "properties": properties});
    let many = |items: Value| json!({"type": "array", "items": items});
    let position = || json!({"type": "integer", "minimum": 0});
    let page = |items: Value| {
        object(
            &["items", "next"],
            json!({"items": many(items), "next": {"type": ["string", "null"]}}),
        )
    };
    // Beside the findings on accesses, what stands in the way of generalisations.
    let mut findings = page(reference("StandingFinding"));
    findings["properties"]["generalisations"] = many(reference("HinderedGeneralisation"));
    json!({
        "Text": text(),
        "Object": {"type": "object"},
        "Page": page(json!({"type": "object"})),
        "Outcome": {"enum": ["COVERED", "COVERED-WITH-RESERVATIONS", "NOT-COVERED", "UNDETERMINED"]},
        "Finding": object(&["code", "severity", "evidence", "positions", "source"], json!({
            "code": text(),
            "severity": {"enum": ["INFO", "MINOR", "MAJOR", "BLOCKING"]},
            "evidence": {"enum": ["CONTRADICTED", "NOT-EVIDENCED", "UNCERTAIN"]},
            "positions": many(position()),
            "rests_on": many(text()),
            "cells": many(object(&["categories", "unit", "units"], json!({
                "categories": many(text()),
                "period": text(),
                "unit": {"enum": ["days", "spells", "persons", "cents", "permille"]},
                "units": many(text()),
            }))),
            "source": text(),
            "reason": {"type": "string", "description": "Plain sentence, in judgements only"},
        })),
        "Verdict": object(&["verdict", "findings", "basis", "regime", "judged_at"], json!({
            "verdict": reference("Outcome"),
            "findings": many(reference("Finding")),
            "basis": many(position()),
            "regime": text(),
            "judged_at": {"type": "integer", "description": "Tree size the judge saw"},
            "valid_until": {"type": "string", "format": "date", "description": "Last day on which it may be served, if it is granted"},
            "reasons": {"type": "object", "additionalProperties": {"type": "string"}},
        })),
        "Judgement": object(&["verdict", "findings", "basis", "regime", "judged_at", "event", "notice"], json!({
            "verdict": reference("Outcome"),
            "findings": many(reference("Finding")),
            "basis": many(position()),
            "regime": text(),
            "judged_at": {"type": "integer", "description": "Tree size the judge saw"},
            "valid_until": {"type": "string", "format": "date", "description": "Last day on which it may be served, if it is granted"},
            "reasons": {"type": "object", "additionalProperties": {"type": "string"}},
            "event": {"enum": ["AccessGranted", "AccessDenied", "AccessRecorded", null], "description": "What recording it now would write; null as known earlier"},
            "notice": text(),
        })),
        "Access": object(&["position", "at", "recipient", "processing", "purpose", "categories", "basis", "then", "now", "changed_by"], json!({
            "position": position(),
            "recorded": {"type": "string", "format": "date-time"},
            "at": {"type": "object"},
            "recipient": {"type": "object"},
            "discloser": {"type": ["string", "null"]},
            "processing": text(),
            "purpose": text(),
            "categories": many(text()),
            "basis": {"type": "object"},
            "then": reference("Verdict"),
            "now": reference("Verdict"),
            "changed_by": many(position()),
            "good_faith": {"type": "boolean", "description": "Covered then, and not now because a decision was annulled or withdrawn as if it had never been, after the access"},
            "notes": many(object(&["position", "note"], json!({
                "position": position(),
                "note": {"type": "string", "description": "LATE-RECORDED, or how a decision for the purpose ended"},
            }))),
            "costs": many(json!({"type": "object"})),
            "entries": many(position()),
        })),
        "Accesses": page(reference("Access")),
        "Moment": object(&["position", "time"], json!({
            "position": position(), "time": {"type": "string", "format": "date-time"},
        })),
        "StandingFinding": object(&["position", "code", "severity", "evidence", "state", "since", "until", "cause", "then"], json!({
            "position": position(),
            "recorded": {"type": "string", "format": "date-time"},
            "code": text(),
            "severity": {"enum": ["INFO", "MINOR", "MAJOR", "BLOCKING"]},
            "evidence": {"enum": ["CONTRADICTED", "NOT-EVIDENCED", "UNCERTAIN"]},
            "positions": many(position()),
            "state": {"enum": ["open", "changed", "closed"]},
            "since": reference("Moment"),
            "until": {"oneOf": [reference("Moment"), {"type": "null"}]},
            "cause": {"type": ["integer", "null"], "description": "Entry that made the state what it is; null: the rules changed"},
            "then": {"type": ["object", "null"], "description": "Severity and evidence as recorded; null: not found then"},
            "source": {"type": ["string", "null"]},
            "reason": {"type": ["string", "null"]},
            "processing": text(),
            "recipient": text(),
            "discloser": {"type": ["string", "null"]},
        })),
        "Findings": findings,
        "HinderedGeneralisation": object(&["about", "processing", "findings"], json!({
            "about": {"type": "object"},
            "processing": text(),
            "controller": {"type": ["string", "null"]},
            "decided": {
                "type": ["object", "null"],
                "description": "days on which it was decided; null: only considered",
            },
            "findings": many(reference("Finding")),
        })),
        "Decision": object(&["id", "position", "processing", "outcome", "outcomes", "endings"], json!({
            "id": text(),
            "position": position(),
            "number": {"type": ["string", "null"]},
            "processing": text(),
            "outcome": {"type": ["string", "null"], "description": "PARTIAL when purposes differ"},
            "outcomes": many(json!({"type": "object"})),
            "endings": many(json!({"type": "object"})),
        })),
        "Head": object(&["origin", "size", "link", "signature", "key", "time"], json!({
            "origin": text(), "size": position(), "link": text(), "signature": text(),
            "key": text(), "time": {"type": "string", "format": "date-time"},
        })),
        "Sealed": object(&["link", "signature", "key"], json!({
            "leaf": {"type": "object"}, "link": text(), "signature": text(), "key": text(),
        })),
        "Receipts": object(&["receipts"], json!({"receipts": many(reference("Receipt"))})),
        "Receipt": object(&["origin", "position", "link", "signature", "key", "time", "filing", "leaf"], json!({
            "origin": text(), "position": position(), "link": text(), "signature": text(),
            "key": text(), "time": {"type": "string", "format": "date-time"},
            "filing": {"type": ["string", "null"]}, "leaf": {"type": "object"},
            "verdict": reference("Verdict"), "valid_until": {"type": "string", "format": "date"},
        })),
        "Question": object(&["kind", "body"], json!({
            "kind": {"enum": ["access.request", "access.report", "generalise.decide"]},
            "at": {"type": "string", "description": "EDTF"},
            "known_at": {"type": ["string", "integer"]},
            "body": {"type": "object"},
        })),
        "Token": object(&["access_token", "token_type", "expires_in", "party"], json!({
            "access_token": text(), "token_type": {"const": "Bearer"},
            "expires_in": {"type": "integer"}, "party": text(),
        })),
        "Identities": object(&["identities"], json!({"identities": many(object(
            &["family_name", "given_names", "sex", "birthdate", "birthplace"],
            json!({"family_name": text(), "given_names": text(), "sex": text(),
                   "birthdate": {"type": "string", "format": "date"}, "birthplace": text()}),
        ))})),
        "Subjects": object(&["subjects"], json!({"subjects": many(text())})),
        "Problem": object(&["type", "title", "status", "code", "detail"], json!({
            "type": text(), "title": text(), "status": {"type": "integer"}, "code": text(),
            "detail": text(), "position": position(),
            "errors": many(object(&["pointer", "code", "detail"],
                json!({"pointer": text(), "code": text(), "detail": text()}))),
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_every_parameter_defined() {
        let source = include_str!("mod.rs");
        let routes: Vec<String> = source
            .lines()
            .filter_map(|l| l.trim().strip_prefix(".route(\"")?.split('"').next())
            .map(|path| path.replace("{*", "{"))
            // Pages are for people; the document is for programs.
            .filter(|path| {
                let pages = ["/register", "/search", "/signin", "/signout", "/me", "/favicon.ico"];
                let within = |page: &str| {
                    path.strip_prefix(page)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                !pages.iter().any(|page| within(page))
            })
            .collect();
        assert!(routes.len() > 20);
        let document = build();
        for route in &routes {
            assert!(document["paths"].get(route).is_some(), "{route} is not described");
        }
        assert_eq!(document["paths"].as_object().map(Map::len), Some(routes.len()));
        for operation in OPERATIONS {
            for name in operation.query {
                assert!(document["components"]["parameters"].get(name).is_some(), "{name}");
            }
        }
    }
}
