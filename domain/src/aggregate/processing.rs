//! Processings: declarations, formalities, information, consultation, agreements, uses.

use std::collections::BTreeSet;

use super::{Aggregate, admit, already_exists, decide_about, not_yours, own_processing};
use crate::body::{Body, Declaration};
use crate::command::Command;
use crate::event::Event;
use crate::kind::{Kind, StreamType};
use crate::refusal::{Refusal, RefusalCode as C};
use crate::register::Register;
use crate::vocabulary::{Purpose, Role};

#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Processing {
    declared: bool,
    formalities: BTreeSet<String>,
    acknowledged: BTreeSet<String>,
}

impl Aggregate for Processing {
    const TYPE: StreamType = StreamType::Processing;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        admit(command)?;
        let register = command.register();
        match command.body() {
            Body::Declare(body) => {
                if self.declared {
                    let position = register.processing(&body.processing).map_or(0, |p| p.first);
                    return Err(already_exists(command, "/processing", position, &body.processing));
                }
                may_declare(command, body)?;
            }
            Body::Amend(body) => {
                self.must_be_declared(command, &body.processing)?;
                own_processing(command, &body.processing)?;
                may_declare(command, body)?;
            }
            Body::Deploy(body) => {
                self.must_be_declared(command, &body.processing)?;
                own_processing(command, &body.processing)?;
            }
            Body::Withdraw(body) => {
                self.must_be_declared(command, &body.processing)?;
                own_processing(command, &body.processing)?;
                let withdrawn = register
                    .processing(&body.processing)
                    .and_then(|p| p.withdrawals.last().map(|w| w.position));
                if let Some(position) = withdrawn {
                    return Err(Refusal::forbidden_by(
                        position,
                        C::AlreadyEnded,
                        format!("ce traitement est retiré depuis l’entrée {position}"),
                        format!("this processing has been withdrawn since entry {position}"),
                    ));
                }
            }
            Body::FileFormality(body) => {
                own_processing(command, &body.processing)?;
                if let Some((_, filed)) = register.formality(&body.formality) {
                    return Err(already_exists(
                        command,
                        "/formality",
                        filed.position,
                        &body.formality,
                    ));
                }
                if command.filing.evidence.is_formal() {
                    check_declared(command, &body.processing, &body.purposes)?;
                }
            }
            Body::AcknowledgeFormality(body) => {
                if self.acknowledged.contains(&body.formality) {
                    let position = register
                        .formality(&body.formality)
                        .and_then(|(id, _)| register.processing(id))
                        .and_then(|p| {
                            p.receipts.iter().find(|r| r.data.formality == body.formality)
                        })
                        .map_or(0, |r| r.position);
                    return Err(already_exists(command, "/formality", position, &body.formality));
                }
            }
            Body::RecordInformation(body) => own_processing(command, &body.processing)?,
            Body::WorksCouncilOpine(body) => own_processing(command, &body.processing)?,
            Body::FileAssessment(body) => own_processing(command, &body.processing)?,
            Body::RecordAgreement(body) | Body::RecordObjection(body) => {
                own_processing(command, &body.processing)?;
            }
            Body::RecordUse(body) => {
                if let Some(access) = command.context.accesses.first()
                    && access.processing != body.processing
                {
                    return Err(Refusal::at(
                        command.pointer("/access"),
                        C::IdUnknown,
                        "cet accès concerne un autre traitement",
                        "this access is about another processing",
                    ));
                }
            }
            _ => return decide_about(command),
        }
        Ok(vec![command.event()])
    }

    fn evolve(&mut self, event: &Event) {
        let Some(filed) = event.filed() else { return };
        match &*filed.body {
            Body::Declare(_) => self.declared = true,
            Body::FileFormality(body) => {
                self.formalities.insert(body.formality.clone());
            }
            Body::AcknowledgeFormality(body) => {
                self.acknowledged.insert(body.formality.clone());
            }
            _ => {}
        }
    }
}

impl Processing {
    fn must_be_declared(&self, command: &Command, id: &str) -> Result<(), Refusal> {
        if self.declared {
            return Ok(());
        }
        Err(Refusal::at(
            command.pointer("/processing"),
            C::NotDeclared,
            format!(
                "le traitement « {id} » n’est pas déclaré : le déclarer d’abord (processing.declare)"
            ),
            format!("the processing `{id}` is not declared: declare it first (processing.declare)"),
        ))
    }
}

/// A controller declares for itself; only an observer describes somebody else's processing.
fn may_declare(command: &Command, body: &Declaration) -> Result<(), Refusal> {
    let author = command.author()?;
    let for_itself = body.controller.as_deref().is_none_or(|c| c == command.filing.iss);
    if author.has(Role::Observer) || for_itself {
        return Ok(());
    }
    Err(not_yours(
        "un responsable ne déclare que ses propres traitements",
        "a controller declares only its own processings",
    ))
}

/// Refuses, in a formal filing, a purpose that no declaration of the processing ever held.
pub(super) fn check_declared(
    command: &Command,
    processing: &str,
    purposes: &[Purpose],
) -> Result<(), Refusal> {
    let register: &Register = command.register();
    let Some(declared) = register.processing(processing) else { return Ok(()) };
    let Some(missing) =
        purposes.iter().find(|p| !declared.versions.iter().any(|v| v.data.declares_purpose(**p)))
    else {
        return Ok(());
    };
    let position = declared.versions.last().map_or(declared.first, |v| v.position);
    let member = if command.kind() == Kind::FormalityFile { "/purposes" } else { "/outcomes" };
    let mut refusal = Refusal::at(
        command.pointer(member),
        C::NotDeclared,
        format!(
            "la finalité {missing} n’a jamais été déclarée pour ce traitement (dernière version : entrée {position})"
        ),
        format!(
            "the purpose {missing} was never declared for this processing (last version: entry {position})"
        ),
    );
    refusal.position = Some(position);
    Err(refusal)
}
