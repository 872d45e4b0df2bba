//! What was recorded about something, as one list in order of the days it may have happened.
//!
//! From the JSON of the register: each fact becomes an item, with the fields of its body in
//! words and the entry it comes from.

use std::borrow::Cow;

use greffe_domain::date::{Interval, LegalDate};
use serde_json::Value;

use super::field::{Field, fields};
use super::{Badge, Frame};
use crate::words;

pub struct Item {
    pub position: u64,
    pub days: String,
    /// What happened, in a word or two.
    pub kind: Cow<'static, str>,
    pub title: Option<String>,
    pub badge: Option<Badge>,
    pub fields: Vec<Field>,
    /// Outcomes by purpose, for a decision.
    pub outcomes: Vec<Outcome>,
    pub href: Option<String>,
    pub by: String,
    pub evidence: Cow<'static, str>,
    /// Its competent author's own act; else it describes.
    pub formal: bool,
    /// Dates leave open whether it had happened by the day asked.
    pub maybe: bool,
    /// Day of recording, as `2005-03-10` and in words.
    pub recorded: String,
    pub recorded_on: String,
    order: (Option<LegalDate>, Option<LegalDate>, u64),
}

pub struct Outcome {
    pub purpose: String,
    pub badge: Badge,
    pub grounds: Vec<String>,
    pub conditions: Vec<String>,
}

/// Lists of facts in the register's JSON, the words for them, and the fields they show.
const FACTS: &[(&str, &str, &[&str])] = &[
    (
        "versions",
        "fact-declared",
        &[
            "purposes",
            "categories",
            "subjects",
            "recipients",
            "legal_basis",
            "special_basis",
            "identifiability",
            "monitors_staff",
            "high_risk",
            "transfers",
            "security",
        ],
    ),
    ("deployments", "fact-deployed", &["capabilities"]),
    ("withdrawals", "fact-withdrawn", &["reason"]),
    ("formalities", "fact-formality", &["kind", "reference", "number", "purposes"]),
    ("receipts", "fact-receipt", &["number"]),
    ("information", "fact-informed", &["step", "audience", "means"]),
    ("opinions", "fact-opinion", &["opinion", "on"]),
    ("assessments", "fact-assessed", &["residual_risk", "consulted_regulator"]),
    (
        "rulings",
        "fact-ruled",
        &["court", "outcome", "awarded_cents", "appeal", "establishes", "excludes_evidence"],
    ),
    (
        "launches",
        "fact-launched",
        &[
            "unit",
            "headcount_above",
            "categories",
            "regions",
            "start",
            "minimum_days",
            "end",
            "evaluation_planned",
            "indirect_cost_permille",
        ],
    ),
    ("plans", "fact-planned", &["target_sites", "approximate", "by"]),
    ("expansions", "fact-expanded", &["sites", "categories", "end"]),
    ("evaluations", "fact-evaluated", &["conclusions"]),
    ("ends", "fact-ended", &[]),
    ("statements", "fact-stated", &["claims"]),
    ("milestones", "fact-milestone", &["when"]),
    ("consultations", "fact-consulted", &["step", "held", "outcome"]),
    ("conditions_set", "fact-condition-set", &[]),
    ("conditions_met", "fact-condition-met", &[]),
    ("generalisations", "fact-generalised", &[]),
];

/// Every fact of these objects, in order.
pub fn timeline(frame: &Frame, about: &[&Value], name_of: impl Fn(&str) -> String) -> Vec<Item> {
    let mut items = Vec::new();
    for of in about {
        for (list, kind, shown) in FACTS {
            for fact in of[*list].as_array().into_iter().flatten() {
                items.extend(item(frame, list, kind, shown, fact, &name_of));
            }
        }
        for decision in of["decisions"].as_array().into_iter().flatten() {
            items.extend(decided(frame, decision, &name_of));
        }
    }
    items.sort_by_key(|i| i.order);
    items.dedup_by_key(|i| i.position);
    items
}

/// Days of an `{"earliest","latest"}`.
pub fn interval(at: &Value) -> Interval {
    let day = |name: &str| at[name].as_str().and_then(LegalDate::parse);
    Interval { earliest: day("earliest"), latest: day("latest") }
}

fn item(
    frame: &Frame,
    list: &str,
    kind: &str,
    shown: &[&str],
    fact: &Value,
    name_of: &impl Fn(&str) -> String,
) -> Option<Item> {
    let body = &fact["body"];
    let position = fact["position"].as_u64()?;
    let at = interval(&fact["at"]);
    let title = match list {
        "versions" => body["title"].as_str().map(str::to_owned),
        "milestones" => body["milestone"].as_str().map(|m| frame.slug("milestone", m)),
        "conditions_set" | "conditions_met" => {
            body["condition"].as_str().map(|c| frame.slug("condition", c))
        }
        _ => None,
    };
    let badge = (list == "opinions").then(|| match body["opinion"].as_str() {
        Some("favourable") => Badge::new("yes", frame.t("value-favourable")),
        Some("unfavourable") => Badge::new("no", frame.t("value-unfavourable")),
        _ => Badge::new("open", frame.t("value-none")),
    });
    Some(Item {
        position,
        days: frame.days(&at),
        kind: frame.t(kind),
        title,
        badge,
        fields: fields(frame, shown, body),
        outcomes: Vec::new(),
        href: None,
        by: name_of(fact["by"].as_str()?),
        evidence: frame.t(&format!("kind-{}", fact["evidence"].as_str()?)),
        formal: fact["formal"] == true,
        maybe: fact["valid"] == "maybe",
        recorded_on: LegalDate::parse(&recorded(fact))
            .map_or_else(String::new, |day| words::day(frame.lang, day)),
        recorded: recorded(fact),
        order: (at.latest, at.earliest, position),
    })
}

fn recorded(fact: &Value) -> String {
    fact["recorded"].as_str().and_then(|t| t.get(..10)).unwrap_or_default().to_owned()
}

fn decided(frame: &Frame, decision: &Value, name_of: &impl Fn(&str) -> String) -> Option<Item> {
    let mut item = item(frame, "decisions", "fact-decided", &[], decision, name_of)?;
    let id = decision["id"].as_str()?;
    item.title = Some(match decision["number"].as_str() {
        Some(n) => frame.with("decision-no", &[("n", n.into())]).into_owned(),
        None => id.to_owned(),
    });
    item.href = Some(format!("/register/decisions/{id}"));
    item.outcomes = outcomes(frame, decision);
    item.fields = endings(frame, decision);
    Some(item)
}

/// What was decided for each purpose, and on what grounds.
pub fn outcomes(frame: &Frame, decision: &Value) -> Vec<Outcome> {
    decision["outcomes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|o| {
            let code = o["outcome"].as_str()?;
            let list = |name: &str| o[name].as_array().cloned().unwrap_or_default();
            let grounds = list("grounds")
                .iter()
                .filter_map(|g| {
                    let text = g["text"].as_str().map(str::to_owned);
                    text.or_else(|| g["fact"].as_str().map(|f| frame.reason(f)))
                })
                .collect();
            let conditions = list("conditions")
                .iter()
                .filter_map(|c| {
                    let text = c["text"].as_str().map(str::to_owned);
                    text.or_else(|| c["condition"].as_str().map(|s| frame.slug("condition", s)))
                })
                .collect();
            Some(Outcome {
                purpose: frame.label(o["purpose"].as_str()?),
                badge: Badge::new(weight(code), frame.label(code)),
                grounds,
                conditions,
            })
        })
        .collect()
}

/// How an outcome weighs. A receipt or a recorded conformity is not an approval, and a
/// recommendation decides nothing: they stay open.
pub fn weight(outcome: &str) -> &'static str {
    match outcome {
        "ACCEPTED" | "OPINION-FAVOURABLE" | "TACIT-FAVOURABLE" | "TACIT-ACCEPTED" => "yes",
        "ACCEPTED-CONDITIONS" | "PARTIAL" => "partly",
        "REFUSED" | "REFUSED-AS-SUBMITTED" | "TACIT-REJECTED" | "OPINION-UNFAVOURABLE" => "no",
        _ => "open",
    }
}

/// How a decision ended, each with the days of it.
pub fn endings(frame: &Frame, decision: &Value) -> Vec<Field> {
    decision["endings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|e| {
            let how = e["how"].as_str()?;
            let position = e["position"].as_u64()?;
            let text = frame.with(
                "decision-ended",
                &[("how", frame.label(how).into()), ("position", position.into())],
            );
            Some(Field { label: frame.days(&interval(&e["at"])), text: text.into_owned() })
        })
        .collect()
}
