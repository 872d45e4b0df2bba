//! Decisions of the authority: rendered once, ended at most once in each way.

use super::{Aggregate, admit, already_exists, decide_about, processing::check_declared};
use crate::body::{Body, Ending};
use crate::command::Command;
use crate::event::Event;
use crate::kind::StreamType;
use crate::refusal::{Refusal, RefusalCode as C};
use crate::vocabulary::Purpose;

#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Decision {
    rendered: bool,
    /// Ended as a whole, in a way that leaves nothing to end.
    ended: bool,
}

impl Aggregate for Decision {
    const TYPE: StreamType = StreamType::Decision;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        admit(command)?;
        let register = command.register();
        match command.body() {
            Body::RenderDecision(body) => {
                if self.rendered {
                    let position =
                        register.decision(&body.decision).map_or(0, |d| d.rendered.position);
                    return Err(already_exists(command, "/decision", position, &body.decision));
                }
                if let Some(formality) = &body.formality {
                    let filed = register.formality(formality);
                    if filed.is_none_or(|(processing, _)| processing != body.processing) {
                        return Err(Refusal::at(
                            command.pointer("/formality"),
                            C::IdUnknown,
                            format!(
                                "aucune formalité « {formality} » n’est enregistrée pour ce traitement"
                            ),
                            format!("no formality `{formality}` is recorded for this processing"),
                        ));
                    }
                }
                if command.filing.evidence.is_formal() {
                    let purposes: Vec<Purpose> = body.outcomes.iter().map(|o| o.purpose).collect();
                    check_declared(command, &body.processing, &purposes)?;
                }
            }
            Body::EndDecision(body) => {
                if self.ended {
                    let endings = register.decision(&body.decision).map(|d| &d.endings);
                    let position = endings.and_then(|e| e.last()).map_or(0, |e| e.position);
                    return Err(Refusal::forbidden_by(
                        position,
                        C::AlreadyEnded,
                        format!("cette décision a pris fin (entrée {position})"),
                        format!("this decision has ended (entry {position})"),
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
            Body::RenderDecision(_) => self.rendered = true,
            // A decision repealed, expired or suspended may still be annulled.
            Body::EndDecision(body) => {
                self.ended |= body.purposes.is_none()
                    && matches!(
                        body.how,
                        Ending::AnnulledExTunc | Ending::WithdrawnExTunc | Ending::AnnulledDeferred
                    );
            }
            _ => {}
        }
    }
}
