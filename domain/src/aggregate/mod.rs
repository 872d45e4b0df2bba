//! The aggregates: what may be recorded, given what was.
//!
//! Each is two functions: `decide(state, command) → events or refusal` and
//! `evolve(state, event)`, which accepts whatever was once recorded. State holds only what
//! the aggregate's own stream says; everything across streams is read from the register in
//! the command's context. `admit` is what every kind has in common.

mod access;
mod decision;
mod experiment;
mod party;
mod processing;
mod record;

pub use access::{Access, access_event, may_record_access};
pub use decision::Decision;
pub use experiment::Experiment;
pub use party::Party;
pub use processing::Processing;
pub use record::{Reference, Ruling, Statement, Subject};

use std::collections::HashSet;

use serde_json::Value;

use crate::command::{Command, named_accesses};
use crate::event::Event;
use crate::filing::collect_digests;
use crate::kind::{Kind, StreamType};
use crate::refusal::{Refusal, RefusalCode as C};
use crate::register::{Party as EnrolledParty, Register};
use crate::schema;
use crate::vocabulary::Role;

pub trait Aggregate: Default {
    const TYPE: StreamType;

    /// The events that follow, or why none may. Errors: a `Refusal` with a stable code;
    /// nothing is recorded then.
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal>;

    /// Takes an event in. Never refuses.
    fn evolve(&mut self, event: &Event);
}

/// Checks common to every kind: the role, and that everything named exists.
pub fn admit(command: &Command) -> Result<(), Refusal> {
    check_role(command.kind(), command.author()?)?;
    refuse_erased(command)?;
    let known = |id: &str| is_known_access(command, id);
    let pointer = |member: &str| command.pointer(member);
    let signed = &command.item().signed;
    check_references(command.kind(), signed, command.register(), &known, &pointer)?;
    for position in named_accesses(command.body()) {
        if !is_known_access(command, &position.to_string()) {
            return Err(unknown_id(pointer(""), StreamType::Access, &position.to_string()));
        }
    }
    Ok(())
}

fn check_role(kind: Kind, author: &EnrolledParty) -> Result<(), Refusal> {
    let roles = kind.roles();
    if roles.is_empty() || roles.iter().any(|r| author.has(*r)) {
        return Ok(());
    }
    Err(role_refused(kind))
}

/// Everything that the body names by id is in the register.
///
/// `is_access`: whether an access stands at that position. `pointer`: from a member of the
/// body to its place in the payload.
fn check_references(
    kind: Kind,
    signed: &Value,
    register: &Register,
    is_access: &dyn Fn(&str) -> bool,
    pointer: &dyn Fn(&str) -> String,
) -> Result<(), Refusal> {
    let mut missing = None;
    schema::references(kind, signed, &mut |member, stream, id| {
        // What the aggregate itself refuses with the state it misses.
        let own = matches!(
            (kind, stream),
            (
                Kind::ProcessingAmend | Kind::ProcessingDeploy | Kind::ProcessingWithdraw,
                StreamType::Processing
            ) | (
                Kind::ExperimentEnrol
                    | Kind::ExperimentPlanExpansion
                    | Kind::ExperimentExpand
                    | Kind::ExperimentEvaluate
                    | Kind::ExperimentEnd,
                StreamType::Experiment
            )
        ) || matches!(kind, Kind::ProcessingDeclare) && member == "/processing";
        let known = match stream {
            StreamType::Party => register.party(id).is_some(),
            StreamType::Processing => register.processing(id).is_some(),
            StreamType::Experiment => register.experiment(id).is_some(),
            StreamType::Decision => register.decision(id).is_some(),
            StreamType::Ruling => register.ruling(id).is_some(),
            StreamType::Reference => register.reference(id).is_some(),
            StreamType::Access => is_access(id),
            StreamType::Ledger | StreamType::Statement | StreamType::Subject => false,
        };
        if !own && !known && missing.is_none() {
            missing = Some(unknown_id(pointer(member), stream, id));
        }
    });
    missing.map_or(Ok(()), Err)
}

fn unknown_id(pointer: String, stream: StreamType, id: &str) -> Refusal {
    Refusal::at(
        pointer,
        C::IdUnknown,
        format!("« {id} » ({stream}) n’est pas au registre ; l’y inscrire d’abord"),
        format!("`{id}` ({stream}) is not in the register; record it first"),
    )
}

/// What was erased stays erased: a digest that was is not disclosed again.
fn refuse_erased(command: &Command) -> Result<(), Refusal> {
    if !command.register().has_erasures() || command.item().disclosures.is_empty() {
        return Ok(());
    }
    let mut digests = HashSet::new();
    collect_digests(&command.item().signed, &mut digests);
    if !digests.into_iter().any(|digest| command.register().is_erased(digest)) {
        return Ok(());
    }
    Err(Refusal::at(
        command.pointer(""),
        C::DisclosureUnexpected,
        "une valeur dissimulée ici a été effacée du registre : signer de nouveau, avec d’autres sels",
        "a value concealed here was erased from the ledger: sign again, with other salts",
    ))
}

fn is_known_access(command: &Command, id: &str) -> bool {
    command.context.accesses.iter().any(|a| a.position.to_string() == id)
}

fn role_refused(kind: Kind) -> Refusal {
    let names: Vec<&str> = kind.roles().iter().map(|r| r.as_str()).collect();
    let names = names.join(", ");
    Refusal::new(
        C::RoleNotAllowed,
        format!("« {kind} » se dépose par : {names}"),
        format!("`{kind}` is filed by: {names}"),
    )
}

fn not_yours(fr: &str, en: &str) -> Refusal {
    Refusal::new(C::NotYours, fr, en)
}

/// `member`: where in the body the id stands, as `/processing`.
fn already_exists(command: &Command, member: &str, position: u64, what: &str) -> Refusal {
    let named = Refusal::at(
        command.pointer(member),
        C::AlreadyExists,
        format!("« {what} » existe déjà (entrée {position}) ; choisir un autre identifiant"),
        format!("`{what}` exists already (entry {position}); choose another id"),
    );
    Refusal { position: Some(position), ..named }
}

/// A controller files for its own processings; an observer describes anybody's.
fn own_processing(command: &Command, id: &str) -> Result<(), Refusal> {
    let author = command.author()?;
    let controller = command.register().processing(id).and_then(|p| p.controller.as_deref());
    let describes = command.kind().roles().iter().any(|r| *r != Role::Controller && author.has(*r));
    let acts = author.has(Role::Controller) && controller.is_none_or(|c| c == command.filing.iss);
    if acts || describes {
        return Ok(());
    }
    Err(not_yours(
        "ce traitement relève d’un autre responsable",
        "this processing is another controller's",
    ))
}

/// What a kind filed `about` something needs: nothing more than `admit`, except that only
/// the controller decides to generalise.
fn decide_about(command: &Command) -> Result<Vec<Event>, Refusal> {
    if command.kind() == Kind::GeneraliseDecide {
        let about = &command.item().signed["about"];
        let id = about["id"].as_str().unwrap_or_default();
        let processing = match about["type"].as_str() {
            Some("experiment") => {
                command.register().experiment(id).map(|e| e.processing.clone()).unwrap_or_default()
            }
            _ => id.to_owned(),
        };
        own_processing(command, &processing)?;
    }
    Ok(vec![command.event()])
}
