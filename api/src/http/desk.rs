//! The subject desk: files what a signed-in citizen contests, with a key that this server
//! holds (ADR 0030).
//!
//! The desk's party, its role and whether its key still lives are read from the register at
//! each filing. What is filed goes the same way as any other party's filing. Who signs in and
//! whether an access is about them is not decided here.

use std::path::Path;

use axum::http::StatusCode;
use greffe_domain::encoding::base64url;
use greffe_domain::event::ClockKind;
use greffe_domain::key::SecretKey;
use greffe_domain::kind::{EvidenceKind, Kind};
use greffe_domain::refusal::RefusalCode as C;
use greffe_domain::register::Register;
use greffe_domain::subject::SubjectRef;
use greffe_domain::vocabulary::Role;
use greffe_infra::entropy;
use greffe_infra::receipt::Receipt;
use serde_json::json;

use super::App;
use super::problem::Problem;
use crate::failure::{CliError, read_key};
use crate::sign::{Draft, Stamp, salts};

/// Who files for citizens on this server.
pub struct Desk {
    key: SecretKey,
}

impl Desk {
    /// Reads its private key (PKCS#8 PEM).
    pub fn open(path: &Path) -> Result<Self, CliError> {
        Ok(Self { key: read_key(path)? })
    }

    pub fn kid(&self) -> &str {
        self.key.public().kid()
    }

    /// The party whose key it is. `None` unless the key lives and the party is a subject desk.
    pub fn party(&self, register: &Register) -> Option<String> {
        let (id, party, key) = register.key(self.kid())?;
        (key.revoked.is_none() && party.has(Role::SubjectDesk)).then(|| id.to_owned())
    }

    /// Names the filing of one person about one access. Two requests that cross then meet in
    /// the ledger, which records one; without the desk's key the name tells nothing.
    fn jti(&self, origin: &str, access: u64, subject: SubjectRef) -> String {
        let text = format!("greffe v1 contest\n{origin}\n{access}\n{subject}\n");
        base64url(blake3::hash(&self.key.sign(text.as_bytes())).as_bytes())
    }

    /// Files that a person contests an access. `None`: it was filed before.
    ///
    /// `ground`: 1 to 2,000 characters; concealed, like the person's reference.
    /// Errors: `no-subject-desk`; what the ledger refuses.
    pub async fn contest(
        &self,
        app: &App,
        access: u64,
        subject: SubjectRef,
        ground: &str,
    ) -> Result<Option<Receipt>, Problem> {
        let party = app.ledger.with_register(|register| self.party(register));
        let draft = Draft {
            iss: party.ok_or_else(no_desk)?,
            kind: Kind::AccessContest,
            at: None,
            evidence: EvidenceKind::Act,
            reference: None,
            body: json!({"access": access, "subject": subject.to_string(), "ground": ground}),
        };
        let origin = app.ledger.origin();
        let jti = self.jti(origin, access, subject);
        let stamp = Stamp { aud: origin, iat: now_s(app), jti: &jti };
        let filing = draft.sign(&stamp, &mut salts(entropy::draw()?), &self.key);
        match app.ledger.submit(&filing).await.map_err(Problem::from) {
            Ok(mut receipts) => Ok(receipts.pop()),
            Err(problem) if problem.code == C::JtiReused.as_str() => Ok(None),
            Err(problem) => Err(problem),
        }
    }
}

/// Seconds since 1970. On a simulated ledger a filing's time is the entry's, and never goes
/// back: that of the last entry if it is later than the clock.
fn now_s(app: &App) -> i64 {
    let ledger = app.ledger.now();
    match app.ledger.clock() {
        ClockKind::Real => ledger.unix_seconds(),
        ClockKind::Simulated => {
            let rounded_up = (ledger.micros() + 999_999).div_euclid(1_000_000);
            rounded_up.max(app.clock.now().unix_seconds())
        }
    }
}

pub fn no_desk() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "no-subject-desk",
        "aucun guichet des personnes n’est ouvert sur ce serveur : rien n’a été déposé",
        "no subject desk is open on this server: nothing was filed",
    )
}
