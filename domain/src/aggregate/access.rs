//! Accesses: judged when recorded, and never rewritten.

use serde_json::Value;

use super::{Aggregate, admit, check_references, check_role, decide_about, not_yours};
use crate::body::{self, Body};
use crate::command::{Command, author};
use crate::event::Event;
use crate::kind::{EventType, Kind, StreamType};
use crate::refusal::{Refusal, RefusalCode as C};
use crate::register::Register;
use crate::rules::{self, Case};
use crate::verdict::Verdict;
use crate::vocabulary::Role;

#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Access {
    recorded: bool,
    contested: u32,
}

impl Aggregate for Access {
    const TYPE: StreamType = StreamType::Access;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        admit(command)?;
        match command.body() {
            Body::RequestAccess(access) | Body::ReportAccess(access) => {
                may_file(command.kind(), &command.filing.iss, access, command.register())?;
                let context = &command.context;
                let case = Case {
                    access,
                    days: command.filing.at.valid_days(context.now.date()),
                    recorded: Some((context.position.0, context.now)),
                };
                let view = context.register.view(context.position.0);
                let judgement = rules::judge(context.rulebook, &case, view)
                    .expect("`admit` refused an access to a processing the register does not hold");
                let event_type = access_event(command.kind(), &judgement.verdict);
                Ok(vec![command.judged(event_type, judgement.verdict)])
            }
            Body::ContestAccess(_) => Ok(vec![command.event()]),
            Body::AnswerContest(_) => {
                self.may_answer(command)?;
                Ok(vec![command.event()])
            }
            _ => decide_about(command),
        }
    }

    fn evolve(&mut self, event: &Event) {
        let Some(filed) = event.filed() else { return };
        match &*filed.body {
            Body::RequestAccess(_) | Body::ReportAccess(_) => self.recorded = true,
            Body::ContestAccess(_) => self.contested += 1,
            _ => {}
        }
    }
}

impl Access {
    fn may_answer(&self, command: &Command) -> Result<(), Refusal> {
        let author = command.author()?;
        let Some(access) = command.context.accesses.first() else { return Ok(()) };
        let controller =
            command.register().processing(&access.processing).and_then(|p| p.controller.as_deref());
        let iss = Some(command.filing.iss.as_str());
        let concerned = controller == iss || access.discloser.as_deref() == iss;
        if !concerned && !author.has(Role::Regulator) {
            return Err(not_yours(
                "seul le responsable de ce traitement, ou la CNIL, répond à cette contestation",
                "only this processing's controller, or the authority, answers this contestation",
            ));
        }
        if self.contested == 0 {
            return Err(Refusal::at(
                command.pointer("/access"),
                C::IdUnknown,
                "cet accès n’a pas été contesté",
                "this access was not contested",
            ));
        }
        Ok(())
    }
}

/// The event that a request or a report becomes.
pub fn access_event(kind: Kind, verdict: &Verdict) -> EventType {
    match kind {
        Kind::AccessReport => EventType::AccessRecorded,
        _ if verdict.verdict.is_covered() => EventType::AccessGranted,
        _ => EventType::AccessDenied,
    }
}

/// Whether `iss` may have this access recorded: all that `decide` would refuse but what is
/// of the filing itself (signature, digests erased before). For a dry run, where nobody
/// signed.
///
/// `signed`: the body as it would be signed, digests in place.
pub fn may_record_access(
    kind: Kind,
    iss: &str,
    signed: &Value,
    access: &body::Access,
    register: &Register,
) -> Result<(), Refusal> {
    check_role(kind, author(register, iss)?)?;
    let pointer = |member: &str| format!("/body{member}");
    check_references(kind, signed, register, &|_| false, &pointer)?;
    may_file(kind, iss, access, register)
}

/// Controllers and employers file the accesses they disclose or receive; the authority and
/// observers any.
fn may_file(
    kind: Kind,
    iss: &str,
    access: &body::Access,
    register: &Register,
) -> Result<(), Refusal> {
    let author = author(register, iss)?;
    if kind == Kind::AccessReport && (author.has(Role::Regulator) || author.has(Role::Observer)) {
        return Ok(());
    }
    let controller = register.processing(&access.processing).and_then(|p| p.controller.as_deref());
    let discloses = access.discloser.as_deref().or(controller) == Some(iss);
    if discloses || access.recipient.party == iss {
        return Ok(());
    }
    Err(not_yours(
        "un accès est déposé par celui qui communique les données ou par celui qui les reçoit",
        "an access is filed by whoever discloses the data or whoever receives them",
    ))
}
