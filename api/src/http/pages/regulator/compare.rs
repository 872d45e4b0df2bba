//! `/regulator/accesses/{position}`: one access, the verdict recorded and the verdict as
//! known now side by side, what came and went between them, and the entries that did it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use greffe_domain::register::View;
use greffe_domain::rules::again;
use greffe_domain::verdict::{Finding, Verdict};
use serde_json::Value;

use super::super::super::accesses::{costs, entries};
use super::super::super::problem::Problem;
use super::super::super::queries::{self, Recorded};
use super::super::super::{Params, Shared};
use super::super::field::{Field, amount, euros};
use super::super::{Badge, Frame};
use super::audit::{self, EntryLine};
use super::{Authority, day_of, name_of, processing_title, severity_badge};
use crate::words::{self, Lang};

/// Entries shown in words; the others are named by position.
const SHOWN: usize = 60;

/// Findings of one code, on one side.
pub struct Found {
    pub code: String,
    pub reason: String,
    pub severity: Badge,
    pub evidence: Cow<'static, str>,
    pub source: String,
    pub times: usize,
    pub positions: Vec<u64>,
    /// Not on the other side, or weighed otherwise there.
    pub differs: bool,
}

pub struct Side {
    pub title: Cow<'static, str>,
    pub badge: Badge,
    pub regime: String,
    /// The last entry the judge knew.
    pub known_at: u64,
    pub valid_until: Option<String>,
    pub basis: Vec<u64>,
    pub findings: Vec<Found>,
}

/// What became of one rule between the two.
pub struct Difference {
    pub how: &'static str,
    pub badge: Badge,
    pub code: String,
    pub reason: String,
    pub detail: String,
}

pub struct Cost {
    pub direct: String,
    pub indirect: Option<String>,
    pub total: Option<String>,
}

pub struct Note {
    pub position: u64,
    pub text: String,
}

#[derive(Template)]
#[template(path = "regulator/compare.html")]
struct Page {
    frame: Frame,
    position: u64,
    refused: bool,
    facts: Vec<Field>,
    links: Vec<(Cow<'static, str>, String, String)>,
    /// As recorded, and as known now.
    sides: [Side; 2],
    differences: Vec<Difference>,
    changed_by: Vec<EntryLine>,
    good_faith: bool,
    notes: Vec<Note>,
    costs: Vec<Cost>,
    entries: Vec<EntryLine>,
    more_entries: Vec<u64>,
    known_at: String,
    dossier: String,
}

fn found(frame: &Frame, findings: &[Finding], other: &[Finding]) -> Vec<Found> {
    let mut told: Vec<Found> = Vec::new();
    for finding in findings {
        let code = finding.code.as_str();
        if let Some(same) = told.iter_mut().find(|f| f.code == code) {
            same.times += 1;
            same.positions.extend(&finding.positions);
            same.positions.sort_unstable();
            same.positions.dedup();
            continue;
        }
        let alike = |f: &&Finding| {
            (f.code, f.severity, f.evidence) == (finding.code, finding.severity, finding.evidence)
        };
        told.push(Found {
            code: code.to_owned(),
            reason: frame.reason(code),
            severity: severity_badge(frame, finding.severity.as_str()),
            evidence: frame.evidence(finding.evidence),
            source: words::spaced(Lang::Fr, &finding.source).into_owned(),
            times: 1,
            positions: finding.positions.clone(),
            differs: !other.iter().any(|f| alike(&f)),
        });
    }
    told
}

fn side(frame: &Frame, title: &str, verdict: &Verdict, other: &Verdict) -> Side {
    Side {
        title: frame.t(title),
        badge: frame.verdict(verdict.verdict),
        regime: verdict.regime.clone(),
        known_at: verdict.judged_at.saturating_sub(1),
        valid_until: verdict.valid_until.map(|day| crate::words::day(frame.lang, day)),
        basis: verdict.basis.clone(),
        findings: found(frame, &verdict.findings, &other.findings),
    }
}

/// Rules whose findings came, went or weigh otherwise.
fn differences(frame: &Frame, then: &Verdict, now: &Verdict) -> Vec<Difference> {
    let weights = |verdict: &Verdict, code: &str| -> Vec<String> {
        let findings = verdict.findings.iter().filter(|f| f.code == *code);
        let mut said: Vec<String> = findings
            .map(|f| {
                let severity = frame.t(&format!("severity-{}", f.severity.as_str()));
                format!("{severity}, {}", frame.evidence(f.evidence))
            })
            .collect();
        said.sort();
        said
    };
    let codes: BTreeSet<&str> =
        then.findings.iter().chain(&now.findings).map(|f| f.code.as_str()).collect();
    let mut differences = Vec::new();
    for code in codes {
        let (before, after) = (weights(then, code), weights(now, code));
        if before == after {
            continue;
        }
        let (how, class) = match (before.is_empty(), after.is_empty()) {
            (true, _) => ("gained", "no"),
            (_, true) => ("lost", "yes"),
            _ => ("reweighed", "partly"),
        };
        let said = |weights: &[String]| frame.listed(weights);
        differences.push(Difference {
            how,
            badge: Badge::new(class, frame.t(&format!("reg-{how}"))),
            code: code.to_owned(),
            reason: frame.reason(code),
            detail: match how {
                "gained" => said(&after),
                "lost" => said(&before),
                _ => format!("{} → {}", said(&before), said(&after)),
            },
        });
    }
    differences
}

fn facts(frame: &Frame, recorded: &Recorded<'_>) -> Vec<Field> {
    let access = recorded.access;
    let recipient = &access.recipient;
    let mut facts = Vec::new();
    let mut say = |key: &str, text: Option<String>| {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            facts.push(Field { label: frame.t(key).into_owned(), text });
        }
    };
    let days = recorded.case().days;
    say("reg-when", Some(frame.days(&days)));
    say("reg-recorded", Some(day_of(frame, recorded.time)));
    say("reg-purpose", Some(frame.label(access.purpose.as_str())));
    let labels = |codes: Vec<&str>| -> String {
        frame.listed(&codes.into_iter().map(|c| frame.label(c)).collect::<Vec<_>>())
    };
    say("field-categories", Some(labels(access.categories.iter().map(|c| c.as_str()).collect())));
    say("reg-basis", Some(labels(access.basis.codes.iter().map(|c| c.as_str()).collect())));
    say("field-reference", access.basis.reference.clone());
    say("reg-role", Some(frame.label(recipient.role.as_str())));
    say("reg-agent", recipient.agent.as_ref().and_then(|a| a.value.clone()));
    if let Some(site) = &recipient.site {
        let siret = site.siret.as_ref().map(|s| format!(" (SIRET {s})")).unwrap_or_default();
        let headcount = site.headcount.map(|n| {
            let n = amount(frame, "headcount", n);
            format!(" · {}{} {n}", frame.t("site-headcount"), frame.colon())
        });
        let text = format!("{}{siret}{}", site.id, headcount.unwrap_or_default());
        say("site-name", Some(text));
    }
    say("field-identifiability", access.identifiability.map(|i| frame.label(i.as_str())));
    say("reg-period", access.period.as_ref().map(|p| p.text().to_owned()));
    say("reg-channel", Some(frame.slug("file-value", &access.channel)));
    say(
        "reg-evidence",
        Some(frame.t(&format!("kind-{}", recorded.filed.evidence.as_str())).into()),
    );
    let about = match &access.cohort {
        Some(cohort) => {
            let units = cohort.units.join(", ");
            let cells = frame.count("reg-cells", cohort.cells.len());
            let headcount =
                cohort.headcount.map(|n| amount(frame, "headcount", n)).unwrap_or_default();
            format!(
                "{} {units} · {} {headcount} · {cells}",
                frame.t("reg-group"),
                frame.t("site-headcount")
            )
        }
        None => frame.count("reg-persons", access.subjects.len()).into_owned(),
    };
    say("reg-about", Some(about));
    facts
}

fn money(frame: &Frame, cost: &Value) -> Option<Cost> {
    let interval = |name: &str| {
        let (low, high) = (cost[name]["low"].as_i64()?, cost[name]["high"].as_i64()?);
        let (low, high) = (euros(frame.lang, low), euros(frame.lang, high));
        let said = frame.with("value-range", &[("low", low.into()), ("high", high.into())]);
        Some(said.into_owned())
    };
    Some(Cost {
        direct: euros(frame.lang, cost["direct_cents"].as_i64()?),
        indirect: interval("indirect_cents"),
        total: interval("total_cents"),
    })
}

fn notes(frame: &Frame, recorded: &Recorded<'_>, changed_by: &[u64], view: View<'_>) -> Vec<Note> {
    again::notes(&recorded.case(), changed_by, view)
        .into_iter()
        .map(|note| Note {
            position: note.position,
            text: match note.note {
                "LATE-RECORDED" => frame.reason(note.note),
                ending => frame.label(ending),
            },
        })
        .collect()
}

pub async fn one(
    State(app): State<Shared>,
    Path(position): Path<String>,
    _: Authority,
    frame: Frame,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["known_at"])?;
    let size = params.known_at(&app).await?;
    let nothing = || Problem::not_found(&format!("/regulator/accesses/{position}"));
    let number: u64 = position.parse().map_err(|_| nothing())?;
    let read = queries::entry(&app, number).await?.ok_or_else(nothing)?;
    let recorded = read.recorded().filter(|r| r.position < size).ok_or_else(nothing)?;
    let stored = match params.text("known_at") {
        Some(_) => None,
        None => queries::standing(&app, number).await?,
    };
    let access = recorded.access;
    let (page, rests_on, changed) = app.ledger.with_register(|register| {
        let (now, changed_by) = match stored {
            Some(now) => queries::stored(&recorded, now),
            None => queries::now_and_changes(&recorded, register, size),
        };
        let view = register.view(now.judged_at);
        let then = recorded.then;
        let party = |id: &str| (name_of(register, id), format!("/regulator/parties/{id}"));
        let mut links = Vec::new();
        let (name, href) = party(&access.recipient.party);
        links.push((frame.t("reg-field-recipient"), name, href));
        let discloser = access.discloser.as_deref().or_else(|| {
            register.processing(&access.processing).and_then(|p| p.controller.as_deref())
        });
        if let Some(discloser) = discloser {
            let (name, href) = party(discloser);
            links.push((frame.t("reg-field-discloser"), name, href));
        }
        links.push((
            frame.t("kind-of-processing"),
            processing_title(register, &access.processing),
            format!("/register/processings/{}", access.processing),
        ));
        if let Some(id) = &access.experiment {
            let href = format!("/regulator/experiments/{id}");
            links.push((frame.t("kind-of-experiment"), id.clone(), href));
        }
        let (name, href) = party(&recorded.filed.iss);
        links.push((frame.t("reg-filed-by"), name, href));
        let page = Page {
            position: number,
            refused: recorded.filed.event_type.as_str() == "AccessDenied",
            facts: facts(&frame, &recorded),
            links,
            sides: [side(&frame, "reg-then", then, &now), side(&frame, "reg-now", &now, then)],
            differences: differences(&frame, then, &now),
            changed_by: Vec::new(),
            good_faith: again::is_good_faith(&recorded.case(), then, &now, &changed_by, view),
            notes: notes(&frame, &recorded, &changed_by, view),
            costs: costs(&recorded, register, size)
                .iter()
                .filter_map(|cost| money(&frame, cost))
                .collect(),
            entries: Vec::new(),
            more_entries: Vec::new(),
            known_at: params.text("known_at").unwrap_or_default().to_owned(),
            dossier: format!("/regulator/dossier?of=access&id={number}&known_at={}", size - 1),
            frame: frame.clone(),
        };
        (page, entries(&recorded, &now, &changed_by, register), changed_by)
    });
    let mut page = page;
    page.changed_by = audit::lines(&app, &frame, changed, SHOWN).await?;
    page.more_entries = rests_on.iter().copied().skip(SHOWN).collect();
    page.entries = audit::lines(&app, &frame, rests_on, SHOWN).await?;
    Ok(frame.render(&page))
}
