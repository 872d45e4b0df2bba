//! The eight cases of an entry recorded after an access: what was found then, what is found
//! now, and which entry changed it, as the service answers it over a ledger on disk.

use std::path::Path;

use greffe_tests::http::Client;
use greffe_tests::server::{Server, create_ledger, submit};
use greffe_tests::signing::sign;
use serde_json::{Value, json};

const PARTIES: &[(&str, &[&str])] = &[
    ("caisse", &["controller"]),
    ("employeur", &["employer"]),
    ("cnil", &["regulator"]),
    ("tribunal", &["court"]),
    ("presse", &["observer"]),
];
const PURPOSE: &str = "PUR-CASE-MGMT";

/// A service, and what was filed with it.
struct Affair {
    server: Server,
    authority: Client,
    filed: u32,
}

impl Affair {
    /// A processing regularly filed in 2020, decided on and announced.
    fn open(directory: &Path) -> Self {
        let server = Server::start(directory);
        let authority = server.client_of("cnil");
        let mut affair = Self { server, authority, filed: 0 };
        affair.file("caisse", "processing.declare", "2020-01-01", json!({
            "processing": "suivi", "title": "Suivi", "purposes": [{"code": PURPOSE, "main": true}],
            "categories": [{"code": "EMP-IDENTITY"}], "subjects": ["Assurés"],
            "recipients": [{"role": "R-EMPLOYER-HR"}], "legal_basis": ["A6-1-E"],
        }));
        affair.file(
            "caisse",
            "formality.file",
            "2020-01-02",
            json!({
                "formality": "registre", "processing": "suivi", "kind": "F18-30-REG",
                "purposes": [PURPOSE],
            }),
        );
        affair.file(
            "caisse",
            "works-council.opine",
            "2020-01-03",
            json!({
                "processing": "suivi", "opinion": "favourable", "on": "le projet",
            }),
        );
        affair
    }

    fn file(&mut self, by: &str, kind: &str, at: &str, body: Value) -> u64 {
        self.filed += 1;
        let text = sign(by, kind, Some(at), body, &format!("filing {}", self.filed));
        submit(&self.server.client(), &text).expect(kind)[0]["position"].as_u64().expect("a number")
    }

    fn inform(&mut self, at: &str) -> u64 {
        self.file(
            "caisse",
            "information.record",
            at,
            json!({
                "processing": "suivi", "step": "I-NOTICE-INDIVIDUAL", "audience": "Assurés",
            }),
        )
    }

    fn decide(&mut self, at: &str, outcome: &str) -> u64 {
        let outcomes = json!([{"purpose": PURPOSE, "outcome": outcome}]);
        let body = json!({"decision": "accord", "processing": "suivi", "outcomes": outcomes});
        self.file("cnil", "decision.render", at, body)
    }

    fn end(&mut self, how: &str, at: &str, from: &str) -> u64 {
        let body = json!({"decision": "accord", "how": how, "effective_from": from});
        self.file("cnil", "decision.end", at, body)
    }

    fn access(&mut self, at: &str) -> u64 {
        self.access_of(at, json!({}))
    }

    /// An access whose recipient has these members too.
    fn access_of(&mut self, at: &str, recipient: Value) -> u64 {
        let mut body = json!({
            "processing": "suivi", "purpose": PURPOSE, "categories": ["EMP-IDENTITY"],
            "recipient": {"party": "employeur", "role": "R-EMPLOYER-HR"},
            "basis": {"codes": ["A6-1-E"]}, "channel": "api",
            "subjects": [greffe_domain::encoding::base64url(&[7; 32])],
        });
        for (name, value) in recipient.as_object().expect("members") {
            body["recipient"][name] = value.clone();
        }
        self.file("caisse", "access.report", at, body)
    }

    fn get(&self, path: &str) -> Value {
        self.authority.get(path).expect("an answer").accepted().expect(path)
    }

    /// The access as its own page and its line of the list answer it: the same.
    fn answer(&self, access: u64) -> Value {
        let one = self.get(&format!("/v1/accesses/{access}"));
        let list = self.get("/v1/accesses");
        let items = list["items"].as_array().expect("a list");
        let line = items.iter().find(|i| i["position"] == access).expect("listed");
        for member in ["then", "now", "changed_by", "good_faith"] {
            assert_eq!(one[member], line[member], "{member}");
        }
        // Worked out from the register instead of stored.
        let head = self.get("/v1/head")["size"].as_u64().expect("a size");
        let out = self.get(&format!("/v1/accesses/{access}?known_at={}", head - 1));
        for member in ["then", "now", "changed_by", "good_faith", "notes"] {
            assert_eq!(one[member], out[member], "{member}");
        }
        one
    }

    /// State and cause of each finding of a code.
    fn findings(&self, code: &str) -> Vec<(String, Value)> {
        let answer = self.get(&format!("/v1/findings?code={code}"));
        let items = answer["items"].as_array().expect("a list");
        items
            .iter()
            .map(|i| (i["state"].as_str().unwrap_or("").into(), i["cause"].clone()))
            .collect()
    }
}

fn codes(verdict: &Value) -> Vec<&str> {
    let findings = verdict["findings"].as_array().expect("findings");
    findings.iter().filter_map(|f| f["code"].as_str()).collect()
}

/// Plays a case against a service of its own.
async fn plays(case: impl FnOnce(&mut Affair) + Send + 'static) {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), PARTIES).await;
    let path = directory.path().to_owned();
    let played = tokio::task::spawn_blocking(move || case(&mut Affair::open(&path)));
    played.await.expect("the case holds");
}

/// Accesses of 2021 under an accord of 2020 that ends in this way in 2022.
async fn ended(how: &'static str, from: &'static str, now: &'static str, good_faith: bool) {
    plays(move |affair| {
        affair.inform("2020-01-04");
        affair.decide("2020-02-01", "ACCEPTED");
        let access = affair.access("2027-01-14");
        let receipt = affair.get(&format!("/v1/entries/{access}"));
        let end = affair.end(how, "2027-01-15", from);
        let answer = affair.answer(access);
        assert_eq!(answer["then"]["verdict"], "COVERED", "{answer:#}");
        assert_eq!(answer["now"]["verdict"], now, "{answer:#}");
        assert_eq!(answer["good_faith"], good_faith);
        assert_eq!(answer["notes"], json!([{"position": end, "note": how}]));
        let changed = if now == "COVERED" { json!([]) } else { json!([end]) };
        assert_eq!(answer["changed_by"], changed);
        if now != "COVERED" {
            assert_eq!(codes(&answer["now"]), ["BASIS-ANNULLED"]);
            assert_eq!(affair.findings("BASIS-ANNULLED"), [("changed".to_owned(), json!(end))]);
            let listed = affair.get(&format!("/v1/accesses?now={now}"));
            assert_eq!(listed["items"][0]["position"], access);
        }
        // Nothing recorded is rewritten.
        assert_eq!(affair.get(&format!("/v1/entries/{access}")), receipt);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annulment_ex_tunc_takes_the_cover_of_who_relied_on_it_in_good_faith() {
    ended("ANNULLED-EX-TUNC", "2020-02-01", "NOT-COVERED", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_does_as_an_annulment_does() {
    ended("WITHDRAWN-EX-TUNC", "2020-02-01", "NOT-COVERED", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_annulment_with_deferred_effects_leaves_earlier_accesses_covered_with_a_note() {
    ended("ANNULLED-DEFERRED", "2027-03-01", "COVERED", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeal_leaves_earlier_accesses_unchanged() {
    ended("REPEALED-EX-NUNC", "2027-01-15", "COVERED", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruling_on_one_access_is_found_on_that_access_alone() {
    plays(|affair| {
        affair.inform("2020-01-04");
        let (ruled, other) = (affair.access("2027-01-14"), affair.access("2027-01-14"));
        let ruling = affair.file("tribunal", "ruling.record", "2027-01-15", json!({
            "ruling": "jugement", "court": "Tribunal", "processing": "suivi", "accesses": [ruled],
            "outcome": "COURT-UNLAWFUL", "establishes": [{"fact": "PURPOSE-INCOMPATIBLE", "holds": true}],
        }));
        let answer = affair.answer(ruled);
        assert_eq!(answer["then"]["verdict"], "COVERED", "{answer:#}");
        assert_eq!(answer["now"]["verdict"], "NOT-COVERED");
        assert_eq!(codes(&answer["now"]), ["PURPOSE-INCOMPATIBLE"]);
        assert_eq!((&answer["changed_by"], &answer["good_faith"]), (&json!([ruling]), &json!(false)));
        let answer = affair.answer(other);
        assert_eq!((&answer["now"]["verdict"], &answer["changed_by"]), (&json!("COVERED"), &json!([])));
        assert_eq!(affair.findings("PURPOSE-INCOMPATIBLE"), [("changed".to_owned(), json!(ruling))]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn information_recorded_late_counts_from_its_own_date_and_is_said_to_be_late() {
    plays(|affair| {
        let access = affair.access("2027-01-14");
        let informed = affair.inform("2020-01-04");
        let answer = affair.answer(access);
        assert_eq!(answer["then"]["verdict"], "COVERED-WITH-RESERVATIONS", "{answer:#}");
        let found = &answer["then"]["findings"][0];
        assert_eq!(
            (&found["code"], &found["evidence"]),
            (&json!("SUBJECTS-NOT-INFORMED"), &json!("NOT-EVIDENCED"))
        );
        assert_eq!(answer["now"]["verdict"], "COVERED");
        assert_eq!(answer["changed_by"], json!([informed]));
        assert_eq!(answer["notes"], json!([{"position": informed, "note": "LATE-RECORDED"}]));
        assert_eq!(
            affair.findings("SUBJECTS-NOT-INFORMED"),
            [("closed".to_owned(), json!(informed))]
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrected_headcount_judges_again_the_accesses_of_that_site() {
    plays(|affair| {
        affair.inform("2020-01-04");
        affair.file(
            "caisse",
            "experiment.launch",
            "2020-03-01",
            json!({
                "experiment": "essai", "processing": "suivi", "unit": "establishment",
                "headcount_above": 200, "categories": ["EMP-IDENTITY"], "start": "2020-03-01",
            }),
        );
        let site = |id: &str, persons: i64| {
            json!({"experiment": "essai", "site": {
                "id": id, "name": "Site", "headcount": persons, "headcount_on": "2026-12-01",
            }})
        };
        for id in ["usine", "atelier"] {
            affair.file("caisse", "experiment.enrol", "2020-04-01", site(id, 412));
        }
        let usine = affair.access_of("2027-01-14", json!({"site": {"id": "usine"}}));
        let atelier = affair.access_of("2027-01-14", json!({"site": {"id": "atelier"}}));
        let corrected = affair.file("caisse", "experiment.enrol", "2020-04-01", site("usine", 198));
        let answer = affair.answer(usine);
        assert_eq!(answer["then"]["verdict"], "COVERED", "{answer:#}");
        assert_eq!(answer["now"]["verdict"], "NOT-COVERED");
        assert_eq!(codes(&answer["now"]), ["HEADCOUNT-BELOW-THRESHOLD"]);
        assert_eq!(answer["changed_by"], json!([corrected]));
        let answer = affair.answer(atelier);
        assert_eq!(
            (&answer["now"]["verdict"], &answer["changed_by"]),
            (&json!("COVERED"), &json!([]))
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_of_the_day_of_the_access_leaves_it_undetermined() {
    plays(|affair| {
        affair.inform("2020-01-04");
        let access = affair.access("2027-01-14");
        let refused = affair.decide("2027-01-14", "REFUSED");
        let answer = affair.answer(access);
        assert_eq!(answer["then"]["verdict"], "COVERED", "{answer:#}");
        assert_eq!(answer["now"]["verdict"], "UNDETERMINED");
        let mut found = codes(&answer["now"]);
        found.sort_unstable();
        assert_eq!(found, ["DATE-UNCERTAIN", "PURPOSE-REFUSED"]);
        assert_eq!(answer["changed_by"], json!([refused]));
        assert_eq!(affair.findings("DATE-UNCERTAIN"), [("changed".to_owned(), json!(refused))]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_of_a_generalisation_is_answered_until_it_is_met() {
    plays(|affair| {
        let about = json!({"type": "processing", "id": "suivi"});
        let unmet = "/v1/findings?code=GENERALISATION-CONDITION-UNMET";
        assert_eq!(affair.get(unmet)["generalisations"], json!([]), "nobody speaks of it");
        let set = affair.file(
            "cnil",
            "condition.set",
            "2021-01-01",
            json!({"about": about, "condition": "scientific-validation"}),
        );
        let answer = affair.get(unmet);
        let asked = &answer["generalisations"][0];
        assert_eq!(answer["items"], json!([]), "it is found on no access");
        assert_eq!(asked["about"], about);
        assert_eq!(asked["controller"], "caisse");
        assert_eq!(asked["findings"][0]["positions"], json!([set]));
        assert_eq!(asked["findings"][0]["evidence"], "NOT-EVIDENCED");
        // The controller's own, and nobody else's.
        for (party, listed) in [("caisse", 1), ("employeur", 0)] {
            let answer = affair.get(&format!("{unmet}&party={party}"));
            let found = answer["generalisations"].as_array().map(Vec::len);
            assert_eq!(found, Some(listed), "{party}");
        }
        affair.file(
            "caisse",
            "condition.meet",
            "2022-01-01",
            json!({"about": about, "condition": "scientific-validation"}),
        );
        // Decided the year before it was met.
        affair.file("caisse", "generalise.decide", "2021-06-01", json!({"about": about}));
        let asked = affair.get(unmet)["generalisations"][0].clone();
        assert_eq!(asked["decided"], json!({"earliest": "2021-06-01", "latest": "2021-06-01"}));
        assert_eq!(asked["findings"][0]["positions"], json!([set]));
        affair.file("caisse", "generalise.decide", "2023-01-01", json!({"about": about}));
        assert_eq!(affair.get(unmet)["generalisations"], json!([]), "met before it was decided");
    })
    .await;
}
