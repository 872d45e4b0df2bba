//! The pages as people meet them: the real programs, Chromium, and a real identity provider.
//!
//! One test a journey; what it does is in `tests/browser/<journey>.mjs`.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use greffe_domain::key::simulated_party_key;
use greffe_infra::keystore::write_key;
use greffe_tests::chromium::{Provider, free_address, settings, walk};
use greffe_tests::server::{Server, create_ledger, program, submit};
use greffe_tests::signing::{access, declaration, sign};
use serde_json::json;

/// The demonstration, and the directory it lives in.
fn demo() -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::demo(directory.path());
    (directory, server)
}

/// Walks a journey on a demonstration of its own, with scripts on and off, our programs at hand.
fn walk_demo(journey: &str) {
    for options in [&[][..], &["--no-scripts"]] {
        let (directory, server) = demo();
        let data = directory.path().join("demo");
        walk(journey, &[&[server.url()], &tools(&data)[..], options].concat());
    }
}

/// Where our programs are, and the ledger that is served.
fn tools(data: &Path) -> [&str; 4] {
    static PROGRAMS: LazyLock<PathBuf> =
        LazyLock::new(|| program("greffe").parent().expect("a directory").to_owned());
    let text = |path: &'static Path| path.to_str().expect("UTF-8");
    ["--programs", text(&PROGRAMS), "--data", data.to_str().expect("UTF-8")]
}

/// A server with settings, its ledger in a directory of its own.
struct Service {
    directory: tempfile::TempDir,
    server: Server,
}

const PARTIES: &[(&str, &[&str])] = &[
    ("caisse", &["controller"]),
    ("cnil", &["regulator"]),
    ("employeur", &["employer"]),
    ("guichet", &["subject-desk"]),
];

impl Service {
    /// Listens on `address`; the settings may name it.
    async fn start(address: &str, settings: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        create_ledger(&data, PARTIES).await;
        let config = directory.path().join("greffe.toml");
        let desk = directory.path().join("desk.pem");
        // Simulated, as every key of such a ledger.
        write_key(&desk, &simulated_party_key("guichet")).expect("a key");
        let desk = format!("subject_desk_key = {:?}\n", desk.to_str().expect("UTF-8"));
        std::fs::write(&config, desk + settings).expect("settings");
        let args = [
            ["--data", data.to_str().expect("UTF-8")],
            ["--config", config.to_str().expect("UTF-8")],
        ];
        let server = Server::try_start_on(address, &args.concat()).expect("the server starts");
        Self { directory, server }
    }
}

#[test]
fn a_visitor_reads_a_processing_as_of_a_past_date_by_keyboard_alone() {
    let (_directory, server) = demo();
    walk("past-date", &[server.url()]);
    walk("past-date", &[server.url(), "--no-scripts"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_a_real_provider_and_nothing_less_signs_anybody_in() {
    let (address, strict) = (free_address(), free_address());
    let url = format!("http://{address}");
    let strict_url = format!("http://{strict}");
    let provider = Provider::start(&[&url, &strict_url]);
    let settings = |url: &str| settings(url, provider.issuer());
    let served = Service::start(&address, &settings(&url)).await;
    let asked = format!("{}acr_values = [\"eidas3\"]\n", settings(&strict_url));
    let strict = Service::start(&strict, &asked).await;
    // An issuer where nobody listens.
    let nobody = format!("http://{}", free_address());
    let down = greffe_tests::chromium::settings("http://127.0.0.1:1", &nobody);
    let down = Service::start("127.0.0.1:0", &down).await;
    let arguments = [
        served.server.url(),
        "--provider",
        provider.issuer(),
        "--down",
        down.server.url(),
        "--strict",
        strict.server.url(),
    ];
    walk("sign-in", &arguments);
    walk("sign-in", &[&arguments[..], &["--no-scripts"]].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_citizen_signs_in_finds_the_access_contests_it_and_takes_an_extract_that_verifies() {
    for options in [&[][..], &["--no-scripts"]] {
        let address = free_address();
        let url = format!("http://{address}");
        let provider = Provider::start(&[&url]);
        let served = Service::start(&address, &settings(&url, provider.issuer())).await;
        let other = disclosed(&served.server);
        let data = served.directory.path().join("data");
        let arguments =
            [served.server.url(), "--provider", provider.issuer(), "--other", &other.to_string()];
        walk("citizen", &[&arguments[..], &tools(&data), options].concat());
    }
}

/// The fund declares and discloses: data about the person whom the provider knows as an
/// employee, by the reference that a fund obtains for them, and data about somebody else,
/// whose access is at the position given back.
fn disclosed(server: &Server) -> u64 {
    let fund = server.client_of("caisse");
    // As `people.mjs` has it.
    let identities = json!({"identities": [{
        "family_name": "Invention", "given_names": "Exemple Premier", "sex": "female",
        "birthdate": "1980-02-29", "birthplace": "38185",
    }]});
    let derived = fund.post("/v1/subjects", "application/json", &identities.to_string());
    let derived = derived.and_then(greffe_tests::http::Answer::accepted).expect("a reference");
    let file = |kind: &str, body: serde_json::Value, jti: &str| {
        let receipts = submit(&fund, &sign("caisse", kind, Some("2026-01-15"), body, jti));
        receipts.expect("recorded")[0]["position"].as_u64().expect("a position")
    };
    file("processing.declare", declaration("suivi", &["R-EMPLOYER-HR"]), "declared");
    let mut own = access("suivi", "employeur", "R-EMPLOYER-HR", [0; 32]);
    own["subjects"] = derived["subjects"].clone();
    file("access.report", own, "own");
    file("access.report", access("suivi", "employeur", "R-EMPLOYER-HR", [7; 32]), "another's")
}

#[test]
fn a_citizen_of_the_demonstration_goes_the_same_way() {
    walk_demo("citizen");
}

#[test]
fn a_controller_declares_signs_in_the_browser_and_gets_the_receipt() {
    walk_demo("controller");
}

#[test]
fn the_authority_finds_a_refusal_and_a_changed_answer_and_takes_a_dossier_that_checks() {
    walk_demo("regulator");
}

#[test]
fn every_page_of_a_visitor_is_accessible_light_and_within_its_width() {
    let (_directory, server) = demo();
    walk("every-page", &[server.url()]);
}

#[test]
fn every_page_of_a_citizen_is_accessible_light_and_within_its_width() {
    let (_directory, server) = demo();
    walk("every-page", &[server.url(), "--as", "citizen"]);
}

#[test]
fn every_page_of_a_controller_is_accessible_light_and_within_its_width() {
    let (_directory, server) = demo();
    walk("every-page", &[server.url(), "--as", "controller"]);
}

#[test]
fn every_page_of_the_regulator_is_accessible_light_and_within_its_width() {
    let (_directory, server) = demo();
    walk("every-page", &[server.url(), "--as", "regulator"]);
}
