//! `GET /v1/me/accesses`: the signed-in citizen's own history, by the cookie of their session;
//! with `site=`, what was shown about the workplace they name.
//!
//! A line has the shape of `/v1/accesses`: it holds no reference to a person and no disclosed
//! value, so nothing of anybody else. Whose history it is comes from the session alone.

use axum::Json;
use axum::extract::State;
use greffe_domain::body::Body;
use greffe_domain::date::LegalDate;
use greffe_domain::date::Timestamp;
use greffe_domain::subject::SubjectRef;
use greffe_infra::projection::{AccessFilter, AuditFilter};
use greffe_infra::store::Fault;
use serde_json::{Value, json};

use super::accesses::row;
use super::problem::Problem;
use super::queries::{self, Recorded};
use super::session::Visitor;
use super::{App, Params, Shared};

pub const PARAMS: &[&str] = &["site", "from", "to", "cursor", "limit"];

/// Whose accesses, or about which workplace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// Named as an individual or as a member of a group.
    Person(SubjectRef),
    /// Groups at a site, by its id or its SIRET.
    Workplace { site: String, from: Option<LegalDate>, to: Option<LegalDate> },
}

impl About {
    /// Accesses about it, on any page and in any order.
    pub fn filter(&self) -> AccessFilter {
        match self {
            Self::Person(subject) => {
                AccessFilter { subject: Some(*subject), ..AccessFilter::default() }
            }
            Self::Workplace { site, from, to } => AccessFilter {
                site: Some(site.clone()),
                from: *from,
                to: *to,
                groups_only: true,
                ..AccessFilter::default()
            },
        }
    }

    /// Whether an access is about it, as the entry says.
    pub fn holds(&self, recorded: &Recorded<'_>) -> bool {
        let access = recorded.access;
        match self {
            Self::Person(subject) => {
                let text = subject.to_string();
                let members = access.cohort.iter().flat_map(|c| &c.members);
                access.subjects.iter().chain(members).any(|s| s.value.as_ref() == Some(&text))
            }
            Self::Workplace { site, .. } => {
                let of = access.recipient.site.as_ref();
                access.cohort.is_some()
                    && of.is_some_and(|s| s.id == *site || s.siret.as_ref() == Some(site))
            }
        }
    }
}

pub async fn accesses(
    State(app): State<Shared>,
    visitor: Visitor,
    params: Params,
) -> Result<Json<Value>, Problem> {
    let (_, subject) = visitor.citizen()?;
    params.only(PARAMS)?;
    queries::up_to_date(&app).await?;
    let (from, to) = (params.date("from")?, params.date("to")?);
    Params::in_order(("from", from), ("to", to))?;
    let about = match params.text("site") {
        Some(site) => About::Workplace { site: site.to_owned(), from, to },
        None => About::Person(subject),
    };
    let filter = AccessFilter {
        from,
        to,
        cursor: params.number("cursor")?,
        limit: params.limit()?,
        ..about.filter()
    };
    let (found, next) = queries::accesses(&app, filter).await?;
    let mut items = Vec::with_capacity(found.len());
    for (read, found) in found {
        let Some(recorded) = read.recorded().filter(|r| about.holds(r)) else { continue };
        let mut item = app.ledger.with_register(|register| {
            let (now, changed_by) = queries::stored(&recorded, found.now);
            row(&recorded, &now, &changed_by, register.view(now.judged_at))
        });
        item["event"] = read.row.event_type.as_str().into();
        item["about"] = match about {
            About::Person(_) => "person".into(),
            About::Workplace { .. } => "workplace".into(),
        };
        let contest = match found.contested {
            Some(_) => contest_of(&app, recorded.position, subject).await?,
            None => None,
        };
        item["contested"] = json!(contest.map(|c| c.position));
        items.push(item);
    }
    Ok(Json(json!({"items": items, "next": next.map(|n| n.to_string())})))
}

/// What a person contested of an access.
#[derive(Debug, Clone)]
pub struct Contest {
    pub position: u64,
    pub time: Timestamp,
    /// As they wrote it.
    pub ground: Option<String>,
    pub answer: Option<ContestAnswer>,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct ContestAnswer {
    pub position: u64,
    pub time: Timestamp,
    /// Who answered, by id.
    pub by: String,
    /// A slug.
    pub outcome: String,
    /// `None` where somebody else contested the same access: it may be said to them.
    pub reason: Option<String>,
}

/// The person's own contestation of an access. Those of others are not told.
pub async fn contest_of(
    app: &App,
    access: u64,
    subject: SubjectRef,
) -> Result<Option<Contest>, Fault> {
    let mut filter = AuditFilter {
        stream: Some(format!("access/{access}")),
        limit: super::extract::MAX_LIMIT,
        ..AuditFilter::default()
    };
    let own = subject.to_string();
    let mut contest: Option<Contest> = None;
    let mut others = false;
    loop {
        let (entries, next) = queries::audit(app, filter.clone()).await?;
        for read in &entries {
            let Some(filed) = read.filed() else { continue };
            let (position, time) = (read.row.position.0, read.row.time);
            match &*filed.body {
                Body::ContestAccess(body) => {
                    let subject = body.subject.as_ref().and_then(|s| s.value.as_deref());
                    if subject != Some(own.as_str()) {
                        others = true;
                    } else if contest.is_none() {
                        let ground = body.ground.as_ref().and_then(|g| g.value.clone());
                        contest = Some(Contest { position, time, ground, answer: None });
                    }
                }
                Body::AnswerContest(body) => {
                    if let Some(contest) = &mut contest {
                        let reason = body.reason.as_ref().and_then(|r| r.value.clone());
                        contest.answer = Some(ContestAnswer {
                            position,
                            time,
                            by: filed.iss.to_string(),
                            outcome: body.outcome.clone(),
                            reason,
                        });
                    }
                }
                _ => {}
            }
        }
        match next {
            None => break,
            next => filter.cursor = next,
        }
    }
    if others && let Some(answer) = contest.as_mut().and_then(|c| c.answer.as_mut()) {
        answer.reason = None;
    }
    Ok(contest)
}
