//! What can be filed: one row per kind, with its event, its stream and who may file it.
//!
//! The shapes of the bodies are in `schema.rs`; the typed bodies in `body.rs`; who may
//! file *for whom* is each aggregate's `decide`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vocabulary::Role;

/// Type of a stream, which is also the name of the aggregate that decides on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StreamType {
    Ledger,
    Party,
    Reference,
    Processing,
    Decision,
    Ruling,
    Statement,
    Experiment,
    Access,
    Subject,
}

impl StreamType {
    pub const NAMES: &'static [&'static str] = &[
        "ledger",
        "party",
        "reference",
        "processing",
        "decision",
        "ruling",
        "statement",
        "experiment",
        "access",
        "subject",
    ];

    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl fmt::Display for StreamType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where the stream of a filing is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamOf {
    /// A member of the body holds the id.
    Member(StreamType, &'static str),
    /// The body's `about {type, id}`.
    About,
    /// The position of the stream's first entry, in decimal: the entry being written.
    OwnPosition(StreamType),
    /// An access named by position in the body's `access`.
    AccessPosition,
}

macro_rules! kinds {
    ($($variant:ident $kind:literal => $event:ident, $stream:expr, [$($role:ident),*];)+) => {
        /// What a filing does.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind { $($variant),+ }

        impl Kind {
            pub const ALL: &'static [Kind] = &[$(Kind::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Kind::$variant => $kind),+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text { $($kind => Some(Kind::$variant),)+ _ => None }
            }

            /// The event it becomes. An `access.request` becomes `AccessGranted` or `AccessDenied`.
            pub fn event(self) -> EventType {
                match self { $(Kind::$variant => EventType::$event),+ }
            }

            pub fn stream(self) -> StreamOf {
                match self { $(Kind::$variant => $stream),+ }
            }

            /// Roles that may file it; empty = any enrolled party.
            pub fn roles(self) -> &'static [Role] {
                match self { $(Kind::$variant => &[$(Role::$role),*]),+ }
            }
        }
    };
}

use StreamOf::{About, AccessPosition, Member, OwnPosition};
use StreamType as S;

kinds! {
    PartyRegister "party.register" => PartyRegistered, Member(S::Party, "party"), [Registrar];
    PartyEnrolKey "party.enrol-key" => KeyEnrolled, Member(S::Party, "party"), [];
    PartyRevokeKey "party.revoke-key" => KeyRevoked, Member(S::Party, "party"), [];
    ReferencePublish "reference.publish" => ReferenceTextPublished, Member(S::Reference, "reference"), [Regulator, Registrar, Observer];
    ProcessingDeclare "processing.declare" => ProcessingDeclared, Member(S::Processing, "processing"), [Controller, Observer];
    ProcessingAmend "processing.amend" => ProcessingAmended, Member(S::Processing, "processing"), [Controller, Observer];
    ProcessingDeploy "processing.deploy" => SystemDeployed, Member(S::Processing, "processing"), [Controller, Observer];
    ProcessingWithdraw "processing.withdraw" => ProcessingWithdrawn, Member(S::Processing, "processing"), [Controller, Observer];
    FormalityFile "formality.file" => FormalityFiled, Member(S::Processing, "processing"), [Controller, Observer];
    FormalityAcknowledge "formality.acknowledge" => ReceiptIssued, Member(S::Processing, "formality"), [Regulator];
    InformationRecord "information.record" => SubjectsInformed, Member(S::Processing, "processing"), [Controller, Regulator, Court, Observer];
    WorksCouncilOpine "works-council.opine" => WorksCouncilOpinion, Member(S::Processing, "processing"), [WorksCouncil, Controller, Observer];
    ConsultationRecord "consultation.record" => ConsultationHeld, About, [];
    AssessmentFile "assessment.file" => ImpactAssessmentFiled, Member(S::Processing, "processing"), [Controller];
    AgreementRecord "agreement.record" => SubjectAgreed, Member(S::Processing, "processing"), [Controller, SubjectDesk];
    ObjectionRecord "objection.record" => SubjectObjected, Member(S::Processing, "processing"), [Controller, SubjectDesk];
    DecisionRender "decision.render" => DecisionRendered, Member(S::Decision, "decision"), [Regulator, Observer];
    DecisionEnd "decision.end" => DecisionEnded, Member(S::Decision, "decision"), [Regulator, Court];
    RulingRecord "ruling.record" => CourtRuling, Member(S::Ruling, "ruling"), [Court, Regulator, Observer];
    StatementRecord "statement.record" => StatementMade, OwnPosition(S::Statement), [];
    MilestoneRecord "milestone.record" => MilestoneRecorded, About, [];
    ExperimentLaunch "experiment.launch" => ExperimentLaunched, Member(S::Experiment, "experiment"), [Controller, Observer];
    ExperimentEnrol "experiment.enrol" => SiteEnrolled, Member(S::Experiment, "experiment"), [Controller, Observer];
    ExperimentPlanExpansion "experiment.plan-expansion" => ExpansionPlanned, Member(S::Experiment, "experiment"), [Controller, Observer];
    ExperimentExpand "experiment.expand" => ExperimentExpanded, Member(S::Experiment, "experiment"), [Controller];
    ExperimentEvaluate "experiment.evaluate" => EvaluationPublished, Member(S::Experiment, "experiment"), [Controller, Observer];
    ExperimentEnd "experiment.end" => ExperimentEnded, Member(S::Experiment, "experiment"), [Controller];
    ConditionSet "condition.set" => GeneralisationConditionSet, About, [Regulator, Controller, Observer];
    ConditionMeet "condition.meet" => GeneralisationConditionMet, About, [Controller, Regulator];
    GeneraliseDecide "generalise.decide" => GeneralisationDecided, About, [Controller];
    AccessRequest "access.request" => AccessGranted, OwnPosition(S::Access), [Controller, Employer];
    AccessReport "access.report" => AccessRecorded, OwnPosition(S::Access), [Controller, Employer, Regulator, Observer];
    UseRecord "use.record" => DataUsedAgainstSubject, Member(S::Processing, "processing"), [Controller, Employer, Court, Observer];
    AccessContest "access.contest" => AccessContested, AccessPosition, [SubjectDesk];
    AccessAnswer "access.answer" => ContestationAnswered, AccessPosition, [Controller, Regulator];
    SubjectErase "subject.erase" => SubjectErased, OwnPosition(S::Subject), [SubjectDesk, Registrar];
    ErasureRefuse "erasure.refuse" => ErasureRefused, OwnPosition(S::Subject), [Controller, Registrar];
}

impl Serialize for Kind {
    fn serialize<Z: serde::Serializer>(&self, s: Z) -> Result<Z::Ok, Z::Error> {
        s.serialize_str(self.as_str())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! event_types {
    ($($name:ident),+ $(,)?) => {
        /// What the ledger records, in the past tense. The text is the variant's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum EventType { $($name),+ }

        impl EventType {
            pub const ALL: &'static [EventType] = &[$(EventType::$name),+];

            pub fn as_str(self) -> &'static str {
                match self { $(EventType::$name => stringify!($name)),+ }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text { $(stringify!($name) => Some(EventType::$name),)+ _ => None }
            }
        }
    };
}

event_types! {
    LedgerOpened, LedgerKeyRotated,
    PartyRegistered, KeyEnrolled, KeyRevoked, ReferenceTextPublished,
    ProcessingDeclared, ProcessingAmended, SystemDeployed, ProcessingWithdrawn,
    FormalityFiled, ReceiptIssued, SubjectsInformed, WorksCouncilOpinion, ConsultationHeld,
    ImpactAssessmentFiled, SubjectAgreed, SubjectObjected,
    DecisionRendered, DecisionEnded, CourtRuling, StatementMade, MilestoneRecorded,
    ExperimentLaunched, SiteEnrolled, ExpansionPlanned, ExperimentExpanded,
    EvaluationPublished, ExperimentEnded,
    GeneralisationConditionSet, GeneralisationConditionMet, GeneralisationDecided,
    AccessGranted, AccessDenied, AccessRecorded, DataUsedAgainstSubject,
    AccessContested, ContestationAnswered, SubjectErased, ErasureRefused,
}

impl EventType {
    /// Version of the event's shape, from 1.
    pub const fn version(self) -> u32 {
        1
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How strong the source of a filing is, as its author says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvidenceKind {
    Act,
    Receipt,
    Judgment,
    Press,
    Statement,
}

impl EvidenceKind {
    pub const NAMES: &'static [&'static str] =
        &["act", "receipt", "judgment", "press", "statement"];

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Act, Self::Receipt, Self::Judgment, Self::Press, Self::Statement]
            .into_iter()
            .find(|e| e.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// An instrument, as opposed to a description.
    pub fn is_formal(self) -> bool {
        matches!(self, Self::Act | Self::Receipt | Self::Judgment)
    }
}
