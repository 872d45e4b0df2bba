//! Streams that hold one act each: reference texts, rulings, statements, erasures.

use std::collections::HashSet;

use super::{Aggregate, admit, already_exists, decide_about};
use crate::body::Body;
use crate::command::Command;
use crate::event::Event;
use crate::kind::StreamType;
use crate::refusal::Refusal;

macro_rules! records {
    ($($(#[$doc:meta])* $name:ident => $stream:ident),+ $(,)?) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
            pub struct $name {
                recorded: bool,
            }

            impl Aggregate for $name {
                const TYPE: StreamType = StreamType::$stream;

                fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
                    decide(self.recorded, command)
                }

                fn evolve(&mut self, event: &Event) {
                    self.recorded |= event.filed().is_some();
                }
            }
        )+
    };
}

records! {
    /// A text that others refer to.
    Reference => Reference,
    Ruling => Ruling,
    Statement => Statement,
    /// Erasures, and refusals to erase.
    Subject => Subject,
}

fn decide(recorded: bool, command: &Command) -> Result<Vec<Event>, Refusal> {
    admit(command)?;
    let register = command.register();
    match command.body() {
        Body::PublishReference(body) if recorded => Err(already_exists(
            command,
            "/reference",
            register.reference(&body.reference).map_or(0, |r| r.position),
            &body.reference,
        )),
        Body::RecordRuling(body) if recorded => Err(already_exists(
            command,
            "/ruling",
            register.ruling(&body.ruling).map_or(0, |r| r.position),
            &body.ruling,
        )),
        Body::RecordRuling(body) => {
            let mut seen = HashSet::new();
            if let Some(twice) = body.accesses.iter().find(|a| !seen.insert(**a)) {
                return Err(Refusal::at(
                    command.pointer("/accesses"),
                    crate::refusal::RefusalCode::Malformed,
                    format!("l’accès {twice} est nommé deux fois"),
                    format!("the access {twice} is named twice"),
                ));
            }
            Ok(vec![command.event()])
        }
        _ => decide_about(command),
    }
}
