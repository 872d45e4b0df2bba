//! The one map from what went wrong to a status code and an RFC 9457 document.
//!
//! A handler answers `Err(Problem)`; `words::localise` writes its text in the reader's
//! language on the way out. Titles and advice are in `locales/`, one entry a code, and are
//! also the pages `/problems/<code>`.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use greffe_domain::refusal::{FieldError, Refusal, RefusalCode as C, Words};
use greffe_infra::store::{Fault, FaultKind};

use crate::words::{Lang, problem_words};
use greffe_infra::submit::SubmitError;

/// Why a request was not answered as asked.
#[derive(Debug, Clone)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: Words,
    pub errors: Vec<FieldError>,
    /// The entry that forbids it.
    pub position: Option<u64>,
    /// Seconds after which the same request may succeed.
    pub retry_after_s: Option<u32>,
}

/// Codes of this surface, beside those of refusals.
pub const OWN_CODES: &[&str] = &[
    "not-found",
    "method-not-allowed",
    "parameter-invalid",
    "media-type-unsupported",
    "too-many-requests",
    "unknown-outcome",
    "unavailable",
    "form-expired",
    "sign-in-refused",
    "sign-in-unavailable",
    "no-subject-desk",
];

/// Every code that has a page.
pub fn codes() -> impl Iterator<Item = &'static str> {
    C::ALL.iter().map(|c| c.as_str()).chain(OWN_CODES.iter().copied())
}

fn status_of(code: C) -> StatusCode {
    match code {
        C::Malformed
        | C::FieldMissing
        | C::FieldUnknown
        | C::CodeUnknown
        | C::IdUnknown
        | C::NumberNotInteger
        | C::DateInvalid
        | C::IdentifierInvalid
        | C::PersonalDataInClear
        | C::DisclosureMissing
        | C::DisclosureUnexpected
        | C::BatchTooLong => StatusCode::BAD_REQUEST,
        C::SignatureInvalid
        | C::KeyUnknown
        | C::KeyRevoked
        | C::AudMismatch
        | C::IatOutOfWindow
        | C::TokenInvalid => StatusCode::UNAUTHORIZED,
        C::RoleNotAllowed | C::NotYours => StatusCode::FORBIDDEN,
        C::FilingTooLarge | C::LeafTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        C::KeyWeak | C::ProofInvalid => StatusCode::UNPROCESSABLE_ENTITY,
        C::JtiReused
        | C::AlreadyExists
        | C::NotDeclared
        | C::NotLaunched
        | C::NotEnrolled
        | C::AlreadyEnded
        | C::AlreadyRevoked
        | C::LastRegistrarKey
        | C::TimeWentBack => StatusCode::CONFLICT,
        C::ReadOnly | C::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Seconds a caller waits before it tries again.
const RETRY_AFTER_S: u32 = 2;

impl Problem {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        fr: impl Into<String>,
        en: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            detail: Words::new(fr, en),
            errors: Vec::new(),
            position: None,
            retry_after_s: None,
        }
    }

    pub fn not_found(what: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("rien ici : {what}"),
            format!("nothing here: {what}"),
        )
    }

    pub fn parameter(name: &str, fr: &str, en: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "parameter-invalid",
            format!("« {name} » : {fr}"),
            format!("`{name}`: {en}"),
        )
    }

    /// Two bounds of a stretch of time, the first of which is after the last.
    pub fn bounds(first: &str, last: &str) -> Self {
        let fr = format!("doit précéder ou égaler « {last} » : échanger les deux ?");
        let en = format!("it must be before `{last}` or the same: exchange the two?");
        let at = |name: &str| FieldError {
            pointer: format!("/{name}"),
            code: C::Malformed,
            detail: Words::new(
                format!("« {first} » est après « {last} »"),
                format!("`{first}` is after `{last}`"),
            ),
        };
        Self { errors: vec![at(first), at(last)], ..Self::parameter(first, &fr, &en) }
    }

    pub fn too_many_requests(retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too-many-requests",
                "trop de demandes en une minute ; attendre un peu",
                "too many requests within a minute; wait a little",
            )
        }
    }

    /// Lists do not hold yet what is recorded: an answer would leave something out.
    pub fn late() -> Self {
        Self {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "les listes n’ont pas encore rejoint le registre : une réponse serait incomplète ; réessayer dans un instant",
                "the lists have not caught up with the ledger: an answer would leave something out; try again in a moment",
            )
        }
    }

    /// A defect of ours stopped the answer. `records`: the request may have been to file.
    pub fn defect(records: bool) -> Self {
        let (code, fr, en) = if records {
            (
                "unknown-outcome",
                "un défaut du service a interrompu la réponse ; s’il s’agissait d’un dépôt, renvoyer les mêmes octets dira s’il est inscrit, sans double inscription",
                "a defect of the service stopped the answer; if it was a filing, sending the same bytes again tells whether it was recorded, and records nothing twice",
            )
        } else {
            (
                "unavailable",
                "un défaut du service a interrompu la réponse ; le signaler à qui l’exploite",
                "a defect of the service stopped the answer; tell whoever runs it",
            )
        };
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code, fr, en)
    }

    pub fn body_too_large() -> Self {
        Refusal::new(
            C::FilingTooLarge,
            "une requête tient en 8 Mio ; la scinder",
            "a request holds at most 8 MiB; split it",
        )
        .into()
    }

    /// The document, without its status.
    pub fn document(&self, lang: Lang) -> serde_json::Value {
        let (title, _) = problem_words(lang, self.code);
        let say = |words: &Words| lang.of(words).into_owned();
        let mut document = serde_json::json!({
            "type": format!("/problems/{}", self.code),
            "title": title,
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": say(&self.detail),
        });
        if !self.errors.is_empty() {
            document["errors"] = self
                .errors
                .iter()
                .map(|e| {
                    serde_json::json!({"pointer": e.pointer, "code": e.code, "detail": say(&e.detail)})
                })
                .collect();
        }
        if let Some(position) = self.position {
            document["position"] = position.into();
        }
        document
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let status = status_of(refusal.code);
        Self {
            status,
            code: refusal.code.as_str(),
            detail: refusal.detail,
            errors: refusal.errors,
            position: refusal.position,
            retry_after_s: (status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_S),
        }
    }
}

impl From<&Fault> for Problem {
    /// What failed is for the operator's log; the caller learns what to do.
    fn from(fault: &Fault) -> Self {
        let (code, fr, en) = match fault.kind() {
            FaultKind::ReadOnly | FaultKind::InUse | FaultKind::Full => (
                C::ReadOnly.as_str(),
                "le registre ne peut rien inscrire pour l’instant ; réessayer plus tard",
                "the ledger cannot record anything just now; try again later",
            ),
            _ => (
                "unavailable",
                "le registre n’a pas pu répondre ; réessayer plus tard",
                "the ledger could not answer; try again later",
            ),
        };
        Self {
            retry_after_s: Some(RETRY_AFTER_S),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, fr, en)
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        crate::log::fault(&fault);
        Self::from(&fault)
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::NotRecorded(fault) => {
                crate::log::fault(&fault);
                Self::from(&*fault)
            }
            SubmitError::Unknown(fault) => {
                crate::log::fault(&fault);
                Self {
                    retry_after_s: Some(RETRY_AFTER_S),
                    ..Self::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "unknown-outcome",
                        "on ne sait pas si ce dépôt est inscrit ; renvoyer les mêmes octets le dira, sans double inscription",
                        "it is not known whether this filing was recorded; sending the same bytes again tells, and records nothing twice",
                    )
                }
            }
        }
    }
}

impl IntoResponse for Problem {
    /// The text is written by `words::localise`, which knows the reader's language.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_words_in_both_languages() {
        for code in codes() {
            for lang in [Lang::Fr, Lang::En] {
                let (title, advice) = problem_words(lang, code);
                assert!(!title.is_empty() && !advice.is_empty(), "{code} in {lang:?}");
            }
        }
    }
}
