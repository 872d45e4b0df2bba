//! Why a filing was not recorded: stable codes, the field at fault, and what to do.
//!
//! Stands between the reader of outside bytes and whoever must be told. A refusal
//! is an expected answer, never a fault of the machine; nothing is recorded when one
//! is given. Status codes are deliberately not here: `api/src/http/problem.rs` maps them.

use std::fmt;

use serde::Serialize;

/// A sentence in the two languages of the service, French first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Words {
    pub fr: String,
    pub en: String,
}

impl Words {
    pub fn new(fr: impl Into<String>, en: impl Into<String>) -> Self {
        Self { fr: fr.into(), en: en.into() }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.en)
    }
}

macro_rules! codes {
    ($($variant:ident => $code:literal),+ $(,)?) => {
        /// Every published refusal code. The text form is part of the interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum RefusalCode { $($variant),+ }

        impl RefusalCode {
            pub const ALL: &'static [RefusalCode] = &[$(RefusalCode::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(RefusalCode::$variant => $code),+ }
            }
        }
    };
}

codes! {
    // The text cannot be read as a filing.
    Malformed => "malformed",
    FieldMissing => "field-missing",
    FieldUnknown => "field-unknown",
    CodeUnknown => "code-unknown",
    IdUnknown => "id-unknown",
    NumberNotInteger => "number-not-integer",
    DateInvalid => "date-invalid",
    IdentifierInvalid => "identifier-invalid",
    PersonalDataInClear => "personal-data-in-clear",
    DisclosureMissing => "disclosure-missing",
    DisclosureUnexpected => "disclosure-unexpected",
    BatchTooLong => "batch-too-long",
    // The author is not who the filing says, or not now.
    SignatureInvalid => "signature-invalid",
    KeyUnknown => "key-unknown",
    KeyRevoked => "key-revoked",
    AudMismatch => "aud-mismatch",
    IatOutOfWindow => "iat-out-of-window",
    TokenInvalid => "token-invalid",
    // The author is known and may not do this.
    RoleNotAllowed => "role-not-allowed",
    NotYours => "not-yours",
    // Limits.
    FilingTooLarge => "filing-too-large",
    LeafTooLarge => "leaf-too-large",
    // Keys.
    KeyWeak => "key-weak",
    ProofInvalid => "proof-invalid",
    // The state of the ledger forbids it; carries the position of the entry that does.
    JtiReused => "jti-reused",
    AlreadyExists => "already-exists",
    NotDeclared => "not-declared",
    NotLaunched => "not-launched",
    NotEnrolled => "not-enrolled",
    AlreadyEnded => "already-ended",
    AlreadyRevoked => "already-revoked",
    LastRegistrarKey => "last-registrar-key",
    TimeWentBack => "time-went-back",
    // The service cannot record just now.
    ReadOnly => "read-only",
    Overloaded => "overloaded",
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RefusalCode {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

/// One field at fault. `pointer` is an RFC 6901 JSON Pointer into the filing's payload
/// (`""` for the whole), e.g. `/body/recipient/role`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    pub pointer: String,
    pub code: RefusalCode,
    pub detail: Words,
}

/// A filing refused: nothing was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    pub code: RefusalCode,
    pub detail: Words,
    /// Fields at fault; empty when the fault is not in a field.
    pub errors: Vec<FieldError>,
    /// Position of the entry that forbids it, for refusals of state.
    pub position: Option<u64>,
}

impl Refusal {
    pub fn new(code: RefusalCode, fr: impl Into<String>, en: impl Into<String>) -> Self {
        Self { code, detail: Words::new(fr, en), errors: Vec::new(), position: None }
    }

    /// A refusal about one field of the payload.
    pub fn at(
        pointer: impl Into<String>,
        code: RefusalCode,
        fr: impl Into<String>,
        en: impl Into<String>,
    ) -> Self {
        let detail = Words::new(fr, en);
        let error = FieldError { pointer: pointer.into(), code, detail: detail.clone() };
        Self { code, detail, errors: vec![error], position: None }
    }

    /// A refusal of state: `position` is the entry that forbids it.
    pub fn forbidden_by(
        position: u64,
        code: RefusalCode,
        fr: impl Into<String>,
        en: impl Into<String>,
    ) -> Self {
        Self { position: Some(position), ..Self::new(code, fr, en) }
    }

    /// Collects several field errors into one refusal; `None` when there are none.
    pub fn from_errors(errors: Vec<FieldError>) -> Option<Self> {
        let first = errors.first()?;
        Some(Self { code: first.code, detail: first.detail.clone(), errors, position: None })
    }
}
