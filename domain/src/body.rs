//! The typed bodies: what a filing says, after `schema::check`.
//!
//! Shapes follow `schema.rs` member for member (a test holds the two together). A concealed
//! value carries its digest, and the value itself only while its disclosure is at hand:
//! after an erasure the facts remain readable and the person does not.

use serde::Deserialize;
use serde_json::Value;

use crate::edtf::Edtf;
use crate::kind::{Kind, StreamType};
use crate::vocabulary::{
    Category, FormalityKind, Identifiability, InformationStep, LegalBasis, Outcome, Purpose,
    RecipientRole, Role, RuleCode,
};

/// A personal value: its salted digest, and the value if its disclosure is at hand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Concealed<T> {
    pub digest: String,
    #[serde(default = "Option::default")]
    pub value: Option<T>,
}

/// Digests of an object whose disclosures are not at hand; which member each one stands
/// for is then unknown.
pub type Withheld = Vec<String>;

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident : $ty:ty),* $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Deserialize)]
            pub struct $name { $($(#[$attr])* pub $field: $ty),* }
        )+
    };
}

bodies! {
    About { #[serde(rename = "type")] kind: StreamType, id: String }

    RegisterParty {
        party: String, name: String, roles: Vec<Role>, siren: Option<String>, key: Value,
        proof: String,
    }
    EnrolKey { party: String, key: Value, proof: String }
    RevokeKey { party: String, kid: String, reason: String }
    PublishReference {
        reference: String, kind: String, number: Option<String>, title: String,
        objects: Vec<Purpose>, authority: String,
    }

    DeclaredPurpose { code: Purpose, label: Option<String>, #[serde(default)] main: bool }
    DeclaredCategory {
        code: Category, label: Option<String>,
        /// Days the controller keeps it.
        retention_days: Option<i64>,
    }
    DeclaredRecipient { role: RecipientRole, party: Option<String> }
    Declaration {
        processing: String, controller: Option<String>, title: String,
        purposes: Vec<DeclaredPurpose>, categories: Vec<DeclaredCategory>,
        subjects: Vec<String>, recipients: Vec<DeclaredRecipient>,
        legal_basis: Vec<LegalBasis>,
        #[serde(default)] special_basis: Vec<LegalBasis>,
        monitors_staff: Option<bool>, identifiability: Option<Identifiability>,
        high_risk: Option<bool>,
        #[serde(default)] transfers: Vec<String>,
        #[serde(default)] security: Vec<String>,
    }
    Deploy { processing: String, #[serde(default)] capabilities: Vec<String> }
    Withdraw { processing: String, reason: String }
    FileFormality {
        formality: String, processing: String, kind: FormalityKind, reference: Option<String>,
        number: Option<String>, purposes: Vec<Purpose>,
    }
    AcknowledgeFormality { formality: String, number: String }
    RecordInformation {
        processing: String, step: InformationStep, audience: String, means: Option<String>,
    }
    WorksCouncilOpine { processing: String, opinion: Opinion, on: String }
    RecordConsultation {
        about: About, step: InformationStep, held: bool, outcome: Option<Opinion>,
    }
    FileAssessment {
        processing: String, residual_risk: ResidualRisk, consulted_regulator: Option<bool>,
    }
    RecordAgreement {
        processing: String, subject: Option<Concealed<String>>, scope: String,
        #[serde(rename = "_sd", default)] withheld: Withheld,
    }
    Ground { fact: Option<RuleCode>, text: Option<String> }
    Condition { condition: String, text: Option<String> }
    PurposeOutcome {
        purpose: Purpose, outcome: Outcome,
        #[serde(default)] grounds: Vec<Ground>,
        #[serde(default)] conditions: Vec<Condition>,
    }
    RenderDecision {
        decision: String, number: Option<String>, formality: Option<String>,
        processing: String, outcomes: Vec<PurposeOutcome>, effective_from: Option<Edtf>,
        until: Option<Edtf>,
    }
    EndDecision {
        decision: String, how: Ending, effective_from: Edtf,
        /// The purposes it ends; `None` = all.
        purposes: Option<Vec<Purpose>>,
    }
    Established { fact: RuleCode, holds: bool }
    RecordRuling {
        ruling: String, court: String, processing: Option<String>,
        #[serde(default)] accesses: Vec<u64>,
        outcome: Outcome, awarded_cents: Option<i64>, appeal: Option<Appeal>,
        establishes: Vec<Established>, excludes_evidence: Option<bool>,
    }
    Claim {
        fact: RuleCode, holds: bool, text: Option<Concealed<String>>,
        #[serde(rename = "_sd", default)] withheld: Withheld,
    }
    RecordStatement { about: About, claims: Vec<Claim> }
    RecordMilestone {
        about: About, milestone: String, when: Option<Edtf>, note: Option<Concealed<String>>,
        #[serde(rename = "_sd", default)] withheld: Withheld,
    }
    /// Indirect cost as a multiple of direct cost, in thousandths, both ends included.
    CostRange { low: i64, high: i64 }
    LaunchExperiment {
        experiment: String, processing: String, unit: Unit,
        /// Headcount that must be exceeded, strictly.
        headcount_above: Option<i64>,
        categories: Vec<Category>,
        #[serde(default)] regions: Vec<String>,
        start: Edtf, minimum_days: Option<i64>, end: Option<Edtf>,
        evaluation_planned: Option<bool>, indirect_cost_permille: Option<CostRange>,
    }
    Site {
        id: String, name: String, siret: Option<String>, commune: Option<String>,
        headcount: Option<i64>, headcount_on: Option<Edtf>,
    }
    EnrolSite { experiment: String, site: Site }
    PlanExpansion {
        experiment: String, target_sites: Option<i64>, approximate: Option<bool>,
        by: Option<Edtf>,
    }
    ExpandExperiment {
        experiment: String,
        #[serde(default)] sites: Vec<Site>,
        #[serde(default)] categories: Vec<Category>,
        end: Option<Edtf>,
    }
    EvaluateExperiment { experiment: String, conclusions: Vec<String> }
    EndExperiment { experiment: String }
    SetCondition { about: About, condition: String }
    MeetCondition { about: About, condition: String, evidence: Option<String> }
    DecideGeneralisation { about: About }

    AccessSite { id: String, siret: Option<String>, headcount: Option<i64> }
    Recipient {
        party: String, role: RecipientRole, site: Option<AccessSite>,
        agent: Option<Concealed<String>>,
        #[serde(rename = "_sd", default)] withheld: Withheld,
    }
    ClaimedBasis { codes: Vec<LegalBasis>, reference: Option<String> }
    Cell {
        units: Vec<String>, categories: Vec<Category>, value: Option<Concealed<i64>>,
        unit: Measure, suppressed: bool, largest_share_permille: Option<Concealed<i64>>,
        #[serde(rename = "_sd", default)] withheld: Withheld,
    }
    Cohort {
        headcount: Option<i64>, absentees: Option<Concealed<i64>>, units: Vec<String>,
        cells: Vec<Cell>,
        #[serde(default)] members: Vec<Concealed<String>>,
        #[serde(rename = "_sd", default)] withheld: Withheld,
    }
    Access {
        processing: String, experiment: Option<String>, purpose: Purpose,
        categories: Vec<Category>, recipient: Recipient, discloser: Option<String>,
        identifiability: Option<Identifiability>, period: Option<Edtf>, basis: ClaimedBasis,
        data_retention_until: Option<Edtf>,
        #[serde(default)] subjects: Vec<Concealed<String>>,
        cohort: Option<Cohort>, channel: String,
    }
    RecordUse {
        processing: String, access: Option<u64>, purpose: Purpose,
        subject: Option<Concealed<String>>, consequence: String,
        #[serde(rename = "_sd", default)] withheld: Withheld,
    }
    ContestAccess {
        access: u64, subject: Option<Concealed<String>>, ground: Option<Concealed<String>>,
        #[serde(rename = "_sd", default)] withheld: Withheld,
    }
    AnswerContest {
        access: u64, outcome: String, reason: Option<Concealed<String>>,
        #[serde(rename = "_sd", default)] withheld: Withheld,
    }
    EraseSubject { digests: Vec<String>, ground: String, scope: String }
    RefuseErasure { ground: String }
}

macro_rules! words {
    ($rename:literal $name:ident { $($variant:ident),+ }) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, serde::Serialize)]
        #[serde(rename_all = $rename)]
        pub enum $name { $($variant),+ }
    };
}

words!("kebab-case" Opinion { Favourable, Unfavourable, None });
words!("kebab-case" ResidualRisk { Low, Medium, High });
words!("kebab-case" Appeal { Open, Reserved, Closed, None });
words!("kebab-case" Unit { Establishment, Company, Region, Fund });
words!("kebab-case" Measure { Days, Spells, Persons, Cents, Permille });
words!("SCREAMING-KEBAB-CASE" Ending {
    AnnulledExTunc, AnnulledDeferred, WithdrawnExTunc, RepealedExNunc, Suspended, Expired
});

impl Ending {
    /// Treated as if the decision had never been taken.
    pub fn is_retroactive(self) -> bool {
        matches!(self, Self::AnnulledExTunc | Self::WithdrawnExTunc)
    }
}

macro_rules! body_enum {
    ($($kind:ident => $variant:ident($ty:ident)),+ $(,)?) => {
        /// A body, by what it does.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Body { $($variant($ty)),+ }

        impl Body {
            /// Reads a revealed body (`sdjwt::reveal`) of that kind.
            ///
            /// Errors: the JSON does not have the shape; after `schema::check` passed, only
            /// an undisclosed value can be missing, and those are optional here.
            pub fn read(kind: Kind, revealed: Value) -> Result<Self, serde_json::Error> {
                match kind {
                    $(Kind::$kind => serde_json::from_value::<$ty>(revealed).map(Body::$variant)),+
                }
            }
        }
    };
}

impl Body {
    /// The access this body is about, if it is one.
    pub fn access(&self) -> Option<&Access> {
        match self {
            Body::RequestAccess(access) | Body::ReportAccess(access) => Some(access),
            _ => None,
        }
    }
}

body_enum! {
    PartyRegister => RegisterParty(RegisterParty),
    PartyEnrolKey => EnrolKey(EnrolKey),
    PartyRevokeKey => RevokeKey(RevokeKey),
    ReferencePublish => PublishReference(PublishReference),
    ProcessingDeclare => Declare(Declaration),
    ProcessingAmend => Amend(Declaration),
    ProcessingDeploy => Deploy(Deploy),
    ProcessingWithdraw => Withdraw(Withdraw),
    FormalityFile => FileFormality(FileFormality),
    FormalityAcknowledge => AcknowledgeFormality(AcknowledgeFormality),
    InformationRecord => RecordInformation(RecordInformation),
    WorksCouncilOpine => WorksCouncilOpine(WorksCouncilOpine),
    ConsultationRecord => RecordConsultation(RecordConsultation),
    AssessmentFile => FileAssessment(FileAssessment),
    AgreementRecord => RecordAgreement(RecordAgreement),
    ObjectionRecord => RecordObjection(RecordAgreement),
    DecisionRender => RenderDecision(RenderDecision),
    DecisionEnd => EndDecision(EndDecision),
    RulingRecord => RecordRuling(RecordRuling),
    StatementRecord => RecordStatement(RecordStatement),
    MilestoneRecord => RecordMilestone(RecordMilestone),
    ExperimentLaunch => LaunchExperiment(LaunchExperiment),
    ExperimentEnrol => EnrolSite(EnrolSite),
    ExperimentPlanExpansion => PlanExpansion(PlanExpansion),
    ExperimentExpand => ExpandExperiment(ExpandExperiment),
    ExperimentEvaluate => EvaluateExperiment(EvaluateExperiment),
    ExperimentEnd => EndExperiment(EndExperiment),
    ConditionSet => SetCondition(SetCondition),
    ConditionMeet => MeetCondition(MeetCondition),
    GeneraliseDecide => DecideGeneralisation(DecideGeneralisation),
    AccessRequest => RequestAccess(Access),
    AccessReport => ReportAccess(Access),
    UseRecord => RecordUse(RecordUse),
    AccessContest => ContestAccess(ContestAccess),
    AccessAnswer => AnswerContest(AnswerContest),
    SubjectErase => EraseSubject(EraseSubject),
    ErasureRefuse => RefuseErasure(RefuseErasure),
}
