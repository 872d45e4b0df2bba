//! Experiments: launched once, enrolled site by site, expanded, evaluated, ended.

use super::{Aggregate, admit, already_exists, decide_about, own_processing};
use crate::body::Body;
use crate::command::Command;
use crate::event::Event;
use crate::kind::StreamType;
use crate::refusal::{Refusal, RefusalCode as C};

#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Experiment {
    launched: bool,
    ended: bool,
}

impl Aggregate for Experiment {
    const TYPE: StreamType = StreamType::Experiment;

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        admit(command)?;
        let register = command.register();
        let id = match command.body() {
            Body::LaunchExperiment(body) => {
                if self.launched {
                    let position = register.experiment(&body.experiment).map_or(0, |e| e.first);
                    return Err(already_exists(command, "/experiment", position, &body.experiment));
                }
                own_processing(command, &body.processing)?;
                return Ok(vec![command.event()]);
            }
            Body::EnrolSite(body) => &body.experiment,
            Body::PlanExpansion(body) => &body.experiment,
            Body::ExpandExperiment(body) => &body.experiment,
            Body::EvaluateExperiment(body) => &body.experiment,
            Body::EndExperiment(body) => &body.experiment,
            _ => return decide_about(command),
        };
        let Some(experiment) = register.experiment(id).filter(|_| self.launched) else {
            return Err(Refusal::at(
                command.pointer("/experiment"),
                C::NotLaunched,
                format!(
                    "l’expérimentation « {id} » n’est pas lancée : la lancer d’abord (experiment.launch)"
                ),
                format!(
                    "the experiment `{id}` is not launched: launch it first (experiment.launch)"
                ),
            ));
        };
        own_processing(command, &experiment.processing)?;
        // An evaluation may come after the end; nothing else does.
        if self.ended && !matches!(command.body(), Body::EvaluateExperiment(_)) {
            let position = experiment.ends.last().map_or(experiment.first, |e| e.position);
            return Err(Refusal::forbidden_by(
                position,
                C::AlreadyEnded,
                format!("cette expérimentation a pris fin (entrée {position})"),
                format!("this experiment has ended (entry {position})"),
            ));
        }
        if let Body::EnrolSite(body) = command.body()
            && let Some(known) = experiment.enrolments(&body.site.id).find(|s| s.data == body.site)
        {
            return Err(already_exists(command, "/site/id", known.position, &body.site.id));
        }
        Ok(vec![command.event()])
    }

    fn evolve(&mut self, event: &Event) {
        let Some(filed) = event.filed() else { return };
        match &*filed.body {
            Body::LaunchExperiment(_) => self.launched = true,
            Body::EndExperiment(_) => self.ended = true,
            _ => {}
        }
    }
}
