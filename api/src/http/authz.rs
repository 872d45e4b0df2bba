//! Who may read what: one table, every cell of who × route.
//!
//! A handler asks `admit` first and gets a `Reach`; what `Reach::Own` means for a row is
//! `Reader::concerns`. Filing is not here: whether a filing may be recorded is decided on
//! its signature, not on a token.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use greffe_domain::event::Filed;
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::vocabulary::Role;

use super::Shared;
use super::problem::Problem;

/// What is asked for, as far as rights tell routes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Register, head, vocabulary, statistics, pages, health.
    Public,
    Accesses,
    /// Accesses with `subject=`.
    AccessesOfSubject,
    Findings,
    Audit,
    Entries,
    Judgements,
    /// `POST /v1/subjects`.
    Subjects,
}

impl Route {
    pub const ALL: &'static [Route] = &[
        Route::Public,
        Route::Accesses,
        Route::AccessesOfSubject,
        Route::Findings,
        Route::Audit,
        Route::Entries,
        Route::Judgements,
        Route::Subjects,
    ];
}

/// How much of it a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Everything,
    /// What the party filed, disclosed or received.
    Own,
    Nothing,
}

/// Who reads.
#[derive(Debug, Clone)]
pub enum Reader {
    Anyone,
    Party { id: String, roles: Vec<Role> },
}

/// The table.
pub fn reach(route: Route, reader: &Reader) -> Reach {
    let Reader::Party { roles, .. } = reader else {
        return if route == Route::Public { Reach::Everything } else { Reach::Nothing };
    };
    let has = |role| roles.contains(&role);
    match route {
        Route::Public => Reach::Everything,
        Route::Accesses | Route::Findings | Route::Audit | Route::Entries => {
            if has(Role::Regulator) { Reach::Everything } else { Reach::Own }
        }
        Route::AccessesOfSubject => {
            if has(Role::Regulator) || has(Role::SubjectDesk) {
                Reach::Everything
            } else {
                Reach::Nothing
            }
        }
        Route::Judgements => {
            if has(Role::Regulator) {
                Reach::Everything
            } else {
                Reach::Own
            }
        }
        Route::Subjects => {
            if has(Role::Controller) || has(Role::SubjectDesk) {
                Reach::Everything
            } else {
                Reach::Nothing
            }
        }
    }
}

/// The reach, or why there is none: 401 without a token, 403 with one.
pub fn admit(route: Route, reader: &Reader) -> Result<Reach, Problem> {
    match reach(route, reader) {
        Reach::Nothing => Err(match reader {
            Reader::Anyone => token_invalid(
                "cette adresse demande un jeton (`Authorization: Bearer`) ; POST /v1/tokens en donne",
                "this address needs a token (`Authorization: Bearer`); POST /v1/tokens gives one",
            ),
            Reader::Party { .. } => Refusal::new(
                C::RoleNotAllowed,
                "les rôles de cette partie ne donnent pas accès à cette adresse",
                "this party's roles do not give access to this address",
            )
            .into(),
        }),
        reach => Ok(reach),
    }
}

pub fn token_invalid(fr: &str, en: &str) -> Problem {
    Refusal::new(C::TokenInvalid, fr, en).into()
}

impl Reader {
    pub fn party(&self) -> Option<&str> {
        match self {
            Self::Anyone => None,
            Self::Party { id, .. } => Some(id),
        }
    }

    pub fn has(&self, role: Role) -> bool {
        matches!(self, Self::Party { roles, .. } if roles.contains(&role))
    }

    /// For searches: the party whose own rows alone are searched.
    pub fn sees_only(&self, reach: Reach) -> Option<String> {
        match reach {
            Reach::Everything => None,
            Reach::Own | Reach::Nothing => Some(self.party().unwrap_or_default().to_owned()),
        }
    }

    /// Whether a filed event is the reader's own: filed by it, or an access it disclosed or
    /// received. `controller`: of the access's processing, who discloses when nobody is named.
    pub fn concerns(&self, filed: &Filed, controller: Option<&str>) -> bool {
        let Some(id) = self.party() else { return false };
        filed.iss == id
            || filed.body.access().is_some_and(|access| {
                access.recipient.party == id
                    || access.discloser.as_deref().or(controller) == Some(id)
            })
    }
}

impl FromRequestParts<Shared> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let Some(header) = parts.headers.get(AUTHORIZATION) else { return Ok(Self::Anyone) };
        let token = header
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        let party = token.and_then(|token| app.tokens.party(token)).ok_or_else(|| {
            token_invalid(
                "ce jeton est inconnu ou périmé ; en demander un autre à POST /v1/tokens",
                "this token is unknown or expired; ask POST /v1/tokens for another",
            )
        })?;
        // Roles are those of now, not of when the token was given; so are keys.
        let roles = app.ledger.with_register(|r| r.party(&party.id).map(|p| p.roles.clone()));
        let live = app.ledger.with_register(|r| {
            party
                .kid
                .as_deref()
                .is_none_or(|kid| r.key(kid).is_some_and(|(_, _, key)| key.revoked.is_none()))
        });
        match roles {
            Some(roles) if live => Ok(Self::Party { id: party.id, roles }),
            _ => Err(token_invalid(
                "la clé qui a demandé ce jeton est révoquée ; en demander un autre avec une clé valide",
                "the key that asked for this token is revoked; ask for another with a live key",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(roles: &[Role]) -> Reader {
        Reader::Party { id: "p".into(), roles: roles.to_vec() }
    }

    #[test]
    fn who_by_route_is_the_published_table() {
        use Reach::{Everything as E, Nothing as N, Own as O};
        // Public, Accesses, AccessesOfSubject, Findings, Audit, Entries, Judgements, Subjects.
        let table: &[(Reader, [Reach; 8])] = &[
            (Reader::Anyone, [E, N, N, N, N, N, N, N]),
            (party(&[Role::Regulator]), [E, E, E, E, E, E, E, N]),
            (party(&[Role::Controller]), [E, O, N, O, O, O, O, E]),
            (party(&[Role::Employer]), [E, O, N, O, O, O, O, N]),
            (party(&[Role::SubjectDesk]), [E, O, E, O, O, O, O, E]),
            (party(&[Role::Registrar]), [E, O, N, O, O, O, O, N]),
            (party(&[Role::Court]), [E, O, N, O, O, O, O, N]),
            (party(&[Role::WorksCouncil]), [E, O, N, O, O, O, O, N]),
            (party(&[Role::Observer]), [E, O, N, O, O, O, O, N]),
        ];
        for (reader, row) in table {
            for (route, expected) in Route::ALL.iter().zip(row) {
                assert_eq!(reach(*route, reader), *expected, "{reader:?} {route:?}");
            }
        }
    }
}
