//! Parties and their keys: who may sign, from which position, until which.

use serde_json::Value;

use super::{Aggregate, admit, already_exists, decide_about, not_yours};
use crate::body::Body;
use crate::command::Command;
use crate::encoding::base64url_decode;
use crate::event::Event;
use crate::key::{PublicKey, enrolment_text};
use crate::kind::StreamType;
use crate::refusal::{Refusal, RefusalCode as C};
use crate::vocabulary::Role;

#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Party {
    registered: bool,
    live_keys: Vec<String>,
}

impl Aggregate for Party {
    const TYPE: StreamType = StreamType::Party;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        admit(command)?;
        let register = command.register();
        match command.body() {
            Body::RegisterParty(body) => {
                // The registrar itself is in the register since the ledger was opened, without
                // an event of its own.
                let known = register.party(&body.party).map(|p| p.position);
                if self.registered || known.is_some() {
                    return Err(already_exists(command, "/party", known.unwrap_or(0), &body.party));
                }
                check_key(command, &body.party, &body.key, &body.proof)?;
            }
            Body::EnrolKey(body) => {
                may_manage(command, &body.party)?;
                check_key(command, &body.party, &body.key, &body.proof)?;
            }
            Body::RevokeKey(body) => {
                may_manage(command, &body.party)?;
                self.check_revocation(command, &body.party, &body.kid)?;
            }
            _ => return decide_about(command),
        }
        Ok(vec![command.event()])
    }

    fn evolve(&mut self, event: &Event) {
        let Some(filed) = event.filed() else { return };
        let kid = |jwk: &Value| PublicKey::from_jwk(jwk).ok().map(|k| k.kid().to_owned());
        match &*filed.body {
            Body::RegisterParty(body) => {
                self.registered = true;
                self.live_keys.extend(kid(&body.key));
            }
            Body::EnrolKey(body) => self.live_keys.extend(kid(&body.key)),
            Body::RevokeKey(body) => self.live_keys.retain(|k| *k != body.kid),
            _ => {}
        }
    }
}

impl Party {
    fn check_revocation(&self, command: &Command, party: &str, kid: &str) -> Result<(), Refusal> {
        let register = command.register();
        let pointer = command.pointer("/kid");
        match register.key(kid) {
            Some((owner, _, key)) if owner == party => {
                if let Some(position) = key.revoked {
                    return Err(Refusal::forbidden_by(
                        position,
                        C::AlreadyRevoked,
                        format!("cette clé est révoquée depuis l’entrée {position}"),
                        format!("this key has been revoked since entry {position}"),
                    ));
                }
            }
            _ => {
                return Err(Refusal::at(
                    pointer,
                    C::NotEnrolled,
                    format!("cette clé n’est pas inscrite pour « {party} »"),
                    format!("this key is not enrolled for `{party}`"),
                ));
            }
        }
        let is_registrar = register.party(party).is_some_and(|p| p.has(Role::Registrar));
        if is_registrar && register.live_registrar_keys() <= 1 {
            let position = register.party(party).map_or(0, |p| p.position);
            return Err(Refusal::forbidden_by(
                position,
                C::LastRegistrarKey,
                "c’est la dernière clé valide du greffe : en inscrire une autre d’abord",
                "this is the registrar's last live key: enrol another one first",
            ));
        }
        Ok(())
    }
}

/// The registrar manages every party's keys; a party its own.
fn may_manage(command: &Command, party: &str) -> Result<(), Refusal> {
    if command.filing.iss == party || command.author()?.has(Role::Registrar) {
        return Ok(());
    }
    Err(not_yours(
        "une partie ne gère que ses propres clés ; le greffe gère celles de toutes",
        "a party manages only its own keys; the registrar manages everyone's",
    ))
}

/// A key is new to the ledger, of full order, and its holder has proved to hold it.
fn check_key(command: &Command, party: &str, jwk: &Value, proof: &str) -> Result<(), Refusal> {
    let register = command.register();
    let key = PublicKey::from_jwk(jwk).map_err(|refusal| {
        Refusal::at(command.pointer("/key"), refusal.code, refusal.detail.fr, refusal.detail.en)
    })?;
    if let Some((owner, _, known)) = register.key(key.kid()) {
        return Err(Refusal::forbidden_by(
            known.enrolled,
            C::AlreadyExists,
            format!(
                "cette clé appartient à « {owner} » depuis l’entrée {} ; en créer une autre",
                known.enrolled
            ),
            format!(
                "this key has belonged to `{owner}` since entry {}; create another",
                known.enrolled
            ),
        ));
    }
    let text = enrolment_text(register.origin(), party, key.kid());
    let proved = base64url_decode(proof)
        .and_then(|bytes| bytes.try_into().ok())
        .is_some_and(|signature: [u8; 64]| key.verify(text.as_bytes(), &signature));
    if proved {
        return Ok(());
    }
    Err(Refusal::at(
        command.pointer("/proof"),
        C::ProofInvalid,
        "la preuve de possession ne correspond pas : `greffe keygen --origin --party` la calcule",
        "the proof of possession does not match: `greffe keygen --origin --party` computes it",
    ))
}
