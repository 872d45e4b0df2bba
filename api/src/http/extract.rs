//! What a request carries, read once and the same way everywhere: query, body, language,
//! `known_at`.

use std::collections::HashMap;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::json;
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::Shared;
use super::problem::Problem;
use crate::words::Lang;

/// Most bytes of a request.
pub const MAX_REQUEST_BYTES: usize = 8 * 1024 * 1024;
/// Most rows of one answer.
pub const MAX_LIMIT: usize = 1_000;
const DEFAULT_LIMIT: usize = 100;

/// The query, each name once; unknown names are refused by `only`.
pub struct Params(HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::parameter("?", "requête illisible", "unreadable query"))?;
        let mut params = HashMap::new();
        for (name, value) in pairs.0 {
            if params.insert(name.clone(), value).is_some() {
                return Err(Problem::parameter(&name, "donné deux fois", "given twice"));
            }
        }
        Ok(Self(params))
    }
}

impl Params {
    /// Refuses names that this address does not know: a misspelt filter would answer too much.
    pub fn only(&self, names: &[&str]) -> Result<&Self, Problem> {
        match self.0.keys().find(|k| *k != "lang" && !names.contains(&k.as_str())) {
            None => Ok(self),
            Some(name) if names.is_empty() => Err(Problem::parameter(
                name,
                "paramètre inconnu ; cette adresse n’en a pas",
                "unknown parameter; this address has none",
            )),
            Some(name) => Err(Problem::parameter(
                name,
                &format!("paramètre inconnu ; attendu : {}", names.join(", ")),
                &format!("unknown parameter; expected {}", names.join(", ")),
            )),
        }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|t| !t.is_empty())
    }

    pub fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        self.parsed(name, |t| t.parse().ok(), "un entier positif", "a positive integer")
    }

    pub fn date(&self, name: &str) -> Result<Option<LegalDate>, Problem> {
        self.parsed(name, LegalDate::parse, "une date AAAA-MM-JJ", "a date YYYY-MM-DD")
    }

    /// A UTC time, or the first instant of a day (the last one if `end`).
    pub fn instant(&self, name: &str, end: bool) -> Result<Option<Timestamp>, Problem> {
        let read = |text: &str| match LegalDate::parse(text) {
            Some(day) if end => Some(last_instant(day)),
            Some(day) => Some(day.start()),
            None => Timestamp::parse(text),
        };
        self.parsed(name, read, "une date ou une heure UTC (…Z)", "a date or a UTC time (…Z)")
    }

    /// Refuses bounds in the wrong order, which would answer that there is nothing.
    pub fn in_order<T: Ord>(
        (first, from): (&str, Option<T>),
        (last, to): (&str, Option<T>),
    ) -> Result<(), Problem> {
        match (from, to) {
            (Some(from), Some(to)) if from > to => Err(Problem::bounds(first, last)),
            _ => Ok(()),
        }
    }

    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        let read = |t: &str| match t {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        };
        Ok(self.parsed(name, read, "true ou false", "true or false")?.unwrap_or(false))
    }

    pub fn limit(&self) -> Result<usize, Problem> {
        let read = |t: &str| t.parse::<usize>().ok().filter(|n| (1..=MAX_LIMIT).contains(n));
        Ok(self.parsed("limit", read, "de 1 à 1 000", "from 1 to 1,000")?.unwrap_or(DEFAULT_LIMIT))
    }

    /// A value of a list or a shape, or a problem that names the parameter.
    pub fn parsed<T>(
        &self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
        fr: &str,
        en: &str,
    ) -> Result<Option<T>, Problem> {
        match self.text(name) {
            None => Ok(None),
            Some(text) => read(text).map(Some).ok_or_else(|| {
                Problem::parameter(name, &format!("attendu : {fr}"), &format!("expected {en}"))
            }),
        }
    }

    /// The tree size `known_at` stands for; now if it is absent.
    pub async fn known_at(&self, app: &Shared) -> Result<u64, Problem> {
        match Known::parse(self.text("known_at"))? {
            None => Ok(app.ledger.size().0),
            Some(known) => known.size(app).await,
        }
    }
}

fn last_instant(day: LegalDate) -> Timestamp {
    Timestamp::from_micros(day.add_days(1).start().micros() - 1)
}

/// What "as known at" means: a position (included), a time, or the end of a UTC day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    Position(u64),
    Time(Timestamp),
}

impl Known {
    pub fn parse(text: Option<&str>) -> Result<Option<Self>, Problem> {
        let Some(text) = text else { return Ok(None) };
        let known = if let Some(day) = LegalDate::parse(text) {
            Some(Self::Time(last_instant(day)))
        } else if let Some(time) = Timestamp::parse(text) {
            Some(Self::Time(time))
        } else {
            text.parse().ok().map(Self::Position)
        };
        known.map(Some).ok_or_else(|| {
            Problem::parameter(
                "known_at",
                "attendu : une position, une heure UTC (…Z) ou une date AAAA-MM-JJ",
                "expected a position, a UTC time (…Z) or a date YYYY-MM-DD",
            )
        })
    }

    /// Tree size, never more than that of now.
    pub async fn size(self, app: &Shared) -> Result<u64, Problem> {
        let now = app.ledger.size().0;
        Ok(match self {
            Self::Position(position) => position.saturating_add(1).min(now),
            Self::Time(time) => app.ledger.size_at(time).await?.0.min(now),
        })
    }
}

/// The reader's language.
pub struct Language(pub Lang);

impl<S: Send + Sync> FromRequestParts<S> for Language {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut request = Request::new(());
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        Ok(Self(super::language(&request.map(|()| axum::body::Body::empty()))))
    }
}

/// A body of at most 8 MiB, UTF-8.
pub struct Text(pub String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = match Limited::new(request.into_body(), MAX_REQUEST_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
                return Err(Problem::body_too_large());
            }
            Err(_) => {
                return Err(Refusal::new(
                    C::Malformed,
                    "la requête s’est interrompue ; la renvoyer",
                    "the request broke off; send it again",
                )
                .into());
            }
        };
        String::from_utf8(bytes.into()).map(Self).map_err(|_| {
            Refusal::new(C::Malformed, "texte UTF-8 attendu", "expected UTF-8 text").into()
        })
    }
}

/// A JSON body, read strictly.
pub struct Json(pub Value);

impl<S: Send + Sync> FromRequest<S> for Json {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if media_type(request.headers()).is_some_and(|t| t != "application/json") {
            return Err(unsupported_media_type());
        }
        let Text(text) = Text::from_request(request, state).await?;
        Ok(Self(json::parse(text.as_bytes()).map_err(|e| e.refusal())?))
    }
}

/// The media type, without its parameters.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

pub fn unsupported_media_type() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media-type-unsupported",
        "ce type de contenu n’est pas lu ici",
        "this media type is not read here",
    )
}
