//! The adapter to cqrs-es: what sqlite-es loads from a ledger is what we hold, and each
//! aggregate by the framework's own given-when-then kit.

use std::collections::HashSet;
use std::sync::Arc;

use cqrs_es::persist::PersistedEventRepository;
use cqrs_es::test::TestFramework;
use cqrs_es::{Aggregate as _, DomainEvent};
use greffe_domain::aggregate::{
    Access, Decision, Experiment, Party, Processing, Reference, Ruling, Statement, Subject,
};
use greffe_domain::command::{Command, Context, stream_of};
use greffe_domain::event::Event;
use greffe_domain::filing::{Disclosures, UnverifiedFiling};
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::StreamType;
use greffe_domain::refusal::{Refusal, RefusalCode as C};
use greffe_domain::register::Register;
use greffe_domain::rules::CURRENT;
use greffe_domain::seal::{Leaf, Position};
use greffe_infra::cqrs::{Adaptable, Adapter, LedgerEvent};
use greffe_infra::ledger::Ledger;
use greffe_infra::load::load;
use greffe_infra::store::{SqliteStore, Store};
use greffe_infra::testing::{self, access, access_body, declaration, sign};
use serde_json::{Value, json};
use sqlite_es::SqliteEventRepository;

fn filed(iss: &str, kind: &str, body: Value) -> Value {
    json!({"iss": iss, "kind": kind, "at": "2015-06-01", "body": body})
}

fn decision(id: &str) -> Value {
    filed(
        "cnil",
        "decision.render",
        json!({
            "decision": id, "processing": "suivi",
            "outcomes": [{"purpose": "PUR-CASE-MGMT", "outcome": "ACCEPTED"}],
        }),
    )
}

fn ended(id: &str, how: &str) -> Value {
    filed(
        "cnil",
        "decision.end",
        json!({"decision": id, "how": how, "effective_from": "2015-07-01"}),
    )
}

fn launched(id: &str) -> Value {
    filed(
        "cnamts",
        "experiment.launch",
        json!({
            "experiment": id, "processing": "suivi", "unit": "establishment",
            "categories": ["EMP-IDENTITY"], "start": "2015-06-01",
        }),
    )
}

/// One entry of every stream type, and more than one in most streams.
fn everything() -> Vec<Value> {
    vec![
        filed(
            "cnil",
            "reference.publish",
            json!({
                "reference": "au-1", "kind": "norm", "title": "Norme", "objects": ["PUR-CASE-MGMT"],
                "authority": "CNIL",
            }),
        ),
        filed(
            "cnamts",
            "formality.file",
            json!({
                "formality": "f-1", "processing": "suivi", "kind": "F78-16-DECL", "reference": "au-1",
                "purposes": ["PUR-CASE-MGMT"],
            }),
        ),
        filed("cnil", "formality.acknowledge", json!({"formality": "f-1", "number": "17"})),
        decision("d-1"),
        ended("d-1", "SUSPENDED"),
        filed(
            "court-1",
            "ruling.record",
            json!({
                "ruling": "r-1", "court": "Tribunal", "processing": "suivi", "outcome": "ACCEPTED",
                "establishes": [],
            }),
        ),
        filed(
            "cnamts",
            "statement.record",
            json!({
                "about": {"type": "processing", "id": "suivi"}, "claims": [],
            }),
        ),
        launched("e-1"),
        filed(
            "cnamts",
            "experiment.enrol",
            json!({"experiment": "e-1", "site": {"id": "s-1", "name": "Site"}}),
        ),
        filed("cnamts", "experiment.end", json!({"experiment": "e-1"})),
        filed("cnamts", "erasure.refuse", json!({"ground": "legal-hold"})),
        filed(
            "cnamts",
            "milestone.record",
            json!({
                "about": {"type": "party", "id": "cnil"}, "milestone": "visit", "note": "note",
            }),
        ),
        access("cnamts", "suivi", 1),
    ]
}

async fn recorded(ledger: &Ledger, filing: Value) -> Vec<Position> {
    let kind = filing["kind"].clone();
    match ledger.submit(&sign(filing)).await {
        Ok(receipts) => receipts.iter().map(|r| r.position).collect(),
        Err(error) => panic!("{kind}: {error}"),
    }
}

/// An aggregate folded from our rows.
async fn ours<A: Adaptable>(store: &dyn Store, id: &str) -> (Adapter<A>, usize) {
    let rows = store.stream(A::TYPE, id).await.expect("rows");
    let mut aggregate = Adapter::<A>::default();
    for row in &rows {
        let leaf = Leaf::parse(&row.sealed.leaf).expect("a leaf");
        aggregate.apply(LedgerEvent(Arc::new(Event::read(&leaf.event).expect("an event"))));
    }
    (aggregate, rows.len())
}

async fn compare<A: Adaptable + PartialEq>(
    repository: &impl PersistedEventRepository,
    store: &dyn Store,
    id: &str,
) {
    let events = repository.get_events::<Adapter<A>>(id).await.expect("the view reads");
    let mut theirs = Adapter::<A>::default();
    for (n, row) in events.iter().enumerate() {
        assert_eq!((row.sequence, row.aggregate_id.as_str()), (n + 1, id));
        assert_eq!(row.aggregate_type, A::TYPE.as_str());
        let event: LedgerEvent = serde_json::from_value(row.payload.clone()).expect("an event");
        assert_eq!(
            (event.event_type(), event.event_version()),
            (row.event_type.clone(), row.event_version.clone())
        );
        // Writing it back gives the bytes of the leaf.
        assert_eq!(serde_json::to_value(&event).expect("JSON"), row.payload);
        theirs.apply(event);
    }
    let (ours, count) = ours::<A>(store, id).await;
    assert_eq!(events.len(), count, "{id}");
    assert!(theirs == ours, "{} {id}: {theirs:?} is not {ours:?}", A::TYPE);
}

/// A ledger with every type of stream, on any store.
pub async fn filled(store: Arc<dyn Store>) -> Ledger {
    let ledger = testing::open(store).await.expect("a ledger");
    testing::settle(&ledger).await;
    for filing in everything() {
        recorded(&ledger, filing).await;
    }
    let access = ledger.size().0 - 1;
    recorded(&ledger, json!({"iss": "desk-1", "kind": "access.contest", "body": {
        "access": access, "subject": access_body("suivi", 1)["subjects"][0], "ground": "inexact",
    }}))
    .await;
    ledger
}

/// What another crate's repository loads of every aggregate is what we hold.
pub async fn loads_as_we_do(repository: &impl PersistedEventRepository, store: &dyn Store) {
    let rows = store.entries(Position(0), 1_000).await.expect("rows");
    let streams: HashSet<(StreamType, String)> =
        rows.into_iter().map(|r| (r.stream.kind, r.stream.id)).collect();
    let types: HashSet<StreamType> = streams.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(types.len(), StreamType::NAMES.len(), "every type of stream is compared");
    for (stream, id) in &streams {
        match stream {
            StreamType::Party => compare::<Party>(repository, store, id).await,
            StreamType::Processing => compare::<Processing>(repository, store, id).await,
            StreamType::Decision => compare::<Decision>(repository, store, id).await,
            StreamType::Experiment => compare::<Experiment>(repository, store, id).await,
            StreamType::Access => compare::<Access>(repository, store, id).await,
            StreamType::Reference => compare::<Reference>(repository, store, id).await,
            StreamType::Ruling => compare::<Ruling>(repository, store, id).await,
            StreamType::Statement => compare::<Statement>(repository, store, id).await,
            StreamType::Subject => compare::<Subject>(repository, store, id).await,
            // The ledger's own stream has no aggregate.
            StreamType::Ledger => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_es_loads_every_aggregate_of_a_ledger_as_we_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(SqliteStore::create(directory.path(), testing::ORIGIN).expect("one"));
    let _ledger = filled(Arc::clone(&store) as _).await;
    let pool = sqlx::SqlitePool::connect_with(
        sqlx::sqlite::SqliteConnectOptions::new().filename(store.path()).read_only(true),
    )
    .await
    .expect("a pool");
    loads_as_we_do(&SqliteEventRepository::new(pool), &*store).await;
}

/// The register after these filings, and the events of one stream among them.
async fn given(
    filings: Vec<Value>,
    stream: StreamType,
    id: &str,
) -> (Arc<Register>, Vec<LedgerEvent>) {
    let (ledger, store) = crate::support::settled().await;
    for filing in filings {
        recorded(&ledger, filing).await;
    }
    let rows = store.stream(stream, id).await.expect("rows");
    let events = rows.iter().map(|row| {
        let leaf = Leaf::parse(&row.sealed.leaf).expect("a leaf");
        LedgerEvent(Arc::new(Event::read(&leaf.event).expect("an event")))
    });
    let events = events.collect();
    (Arc::new(load(&*store).await.expect("a register").register), events)
}

fn command(register: &Arc<Register>, filing: Value) -> Command {
    let text = sign(filing);
    let filing = UnverifiedFiling::parse(&text, Disclosures::Complete).expect("readable");
    let key = simulated_party_key(filing.iss());
    let filing = Arc::new(filing.verify(key.public()).expect("verified"));
    let position = Position(register.size());
    stream_of(&filing, 0, position, register).expect("a stream");
    Command {
        filing,
        item: 0,
        context: Context {
            now: greffe_domain::date::Timestamp::from_unix_seconds(testing::OPENED),
            position,
            register: Arc::clone(register),
            rulebook: &CURRENT,
            accesses: Vec::new(),
        },
    }
}

/// Given these filings, when that one: the event it becomes, or why not.
async fn when<A: Adaptable>(
    given_filings: Vec<Value>,
    id: &str,
    filing: Value,
) -> Result<String, Refusal> {
    let (register, events) = given(given_filings, A::TYPE, id).await;
    let result = TestFramework::<Adapter<A>>::with(())
        .given(events)
        .when_async(command(&register, filing))
        .await
        .inspect_result();
    result.map(|events| {
        assert_eq!(events.len(), 1);
        events[0].event_type()
    })
}

async fn refused<A: Adaptable>(given: Vec<Value>, id: &str, filing: Value) -> C {
    when::<A>(given, id, filing).await.expect_err("refused").code
}

#[tokio::test]
async fn a_party_is_registered_once_the_registrar_included() {
    let register = |party: &str| testing::party_register(party, &["employer"]);
    assert_eq!(
        when::<Party>(vec![], "new", register("new")).await.expect("registered"),
        "PartyRegistered"
    );
    assert_eq!(refused::<Party>(vec![], "cnil", register("cnil")).await, C::AlreadyExists);
    assert_eq!(refused::<Party>(vec![], "greffe", register("greffe")).await, C::AlreadyExists);
}

#[tokio::test]
async fn a_processing_is_declared_before_it_is_amended_and_withdrawn_once() {
    let mut amend = declaration("cnamts", "suivi");
    amend["kind"] = "processing.amend".into();
    let withdraw =
        || filed("cnamts", "processing.withdraw", json!({"processing": "suivi", "reason": "fin"}));
    assert_eq!(
        when::<Processing>(vec![], "suivi", amend.clone()).await.expect("amended"),
        "ProcessingAmended"
    );
    assert_eq!(
        refused::<Processing>(vec![], "suivi", declaration("cnamts", "suivi")).await,
        C::AlreadyExists
    );
    amend["body"]["processing"] = "autre".into();
    assert_eq!(refused::<Processing>(vec![], "autre", amend).await, C::NotDeclared);
    assert_eq!(
        when::<Processing>(vec![], "suivi", withdraw()).await.expect("withdrawn"),
        "ProcessingWithdrawn"
    );
    assert_eq!(refused::<Processing>(vec![withdraw()], "suivi", withdraw()).await, C::AlreadyEnded);
}

#[tokio::test]
async fn a_decision_suspended_may_still_be_annulled_and_one_annulled_may_not() {
    let given = |how: &str| vec![decision("d-1"), ended("d-1", how)];
    let annul = || ended("d-1", "ANNULLED-EX-TUNC");
    assert_eq!(
        when::<Decision>(vec![], "d-1", decision("d-1")).await.expect("rendered"),
        "DecisionRendered"
    );
    assert_eq!(
        refused::<Decision>(vec![decision("d-1")], "d-1", decision("d-1")).await,
        C::AlreadyExists
    );
    assert_eq!(
        when::<Decision>(given("SUSPENDED"), "d-1", annul()).await.expect("annulled"),
        "DecisionEnded"
    );
    assert_eq!(
        refused::<Decision>(given("ANNULLED-EX-TUNC"), "d-1", annul()).await,
        C::AlreadyEnded
    );
}

#[tokio::test]
async fn an_experiment_ended_is_still_evaluated_and_nothing_else() {
    let on = |kind: &str, body: Value| filed("cnamts", kind, body);
    let end = || on("experiment.end", json!({"experiment": "e-1"}));
    let evaluate = on("experiment.evaluate", json!({"experiment": "e-1", "conclusions": ["ok"]}));
    let enrol = || {
        on("experiment.enrol", json!({"experiment": "e-1", "site": {"id": "s-1", "name": "Site"}}))
    };
    assert_eq!(refused::<Experiment>(vec![], "e-1", enrol()).await, C::NotLaunched);
    assert_eq!(
        when::<Experiment>(vec![launched("e-1")], "e-1", enrol()).await.expect("enrolled"),
        "SiteEnrolled"
    );
    let over = || vec![launched("e-1"), end()];
    assert_eq!(refused::<Experiment>(over(), "e-1", enrol()).await, C::AlreadyEnded);
    assert_eq!(
        when::<Experiment>(over(), "e-1", evaluate).await.expect("evaluated"),
        "EvaluationPublished"
    );
}

#[tokio::test]
async fn an_access_is_recorded_whatever_its_verdict_and_granted_only_if_covered() {
    let id = "9";
    assert_eq!(
        when::<Access>(vec![], id, access("cnamts", "suivi", 1)).await.expect("recorded"),
        "AccessRecorded"
    );
    let mut request = access("cnamts", "suivi", 1);
    request["kind"] = "access.request".into();
    assert_eq!(when::<Access>(vec![], id, request).await.expect("judged"), "AccessDenied");
    let mut other = access("employer-1", "suivi", 1);
    other["body"]["recipient"]["party"] = "cnil".into();
    assert_eq!(refused::<Access>(vec![], id, other).await, C::NotYours);
}
