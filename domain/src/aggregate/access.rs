//! Accesses: judged when recorded, and never rewritten.

use super::{Aggregate, admit, decide_about, not_yours};
use crate::body::{self, Body};
use crate::command::Command;
use crate::event::Event;
use crate::kind::{EventType, Kind, StreamType};
use crate::refusal::{Refusal, RefusalCode as C};
use crate::rules::{self, Case};
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
                may_file(command, access)?;
                let context = &command.context;
                let case = Case {
                    access,
                    days: command.filing.at.valid_days(context.now.date()),
                    recorded: Some((context.position.0, context.now)),
                };
                let view = context.register.view(context.position.0);
                let judgement = rules::judge(context.rulebook, &case, view)
                    .expect("`admit` refused an access to a processing the register does not hold");
                let event_type = match command.kind() {
                    Kind::AccessReport => EventType::AccessRecorded,
                    _ if judgement.verdict.verdict.is_covered() => EventType::AccessGranted,
                    _ => EventType::AccessDenied,
                };
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

/// Controllers and employers file the accesses they disclose or receive; the authority and
/// observers any.
fn may_file(command: &Command, access: &body::Access) -> Result<(), Refusal> {
    let author = command.author()?;
    if command.kind() == Kind::AccessReport
        && (author.has(Role::Regulator) || author.has(Role::Observer))
    {
        return Ok(());
    }
    let iss = command.filing.iss.as_str();
    let controller =
        command.register().processing(&access.processing).and_then(|p| p.controller.as_deref());
    let discloses = access.discloser.as_deref().or(controller) == Some(iss);
    if discloses || access.recipient.party == iss {
        return Ok(());
    }
    Err(not_yours(
        "un accès est déposé par celui qui communique les données ou par celui qui les reçoit",
        "an access is filed by whoever discloses the data or whoever receives them",
    ))
}
