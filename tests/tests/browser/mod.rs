//! The pages as people meet them: the real programs, Chromium, and a real identity provider.
//!
//! One test a journey; what it does is in `tests/browser/<journey>.mjs`.

use greffe_tests::chromium::{Provider, free_address, settings, walk};
use greffe_tests::server::{Server, create_ledger};

/// The demonstration, and the directory it lives in.
fn demo() -> (tempfile::TempDir, Server) {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::demo(directory.path());
    (directory, server)
}

/// A server with settings, its ledger in a directory of its own.
struct Service {
    _directory: tempfile::TempDir,
    server: Server,
}

impl Service {
    /// Listens on `address`; the settings may name it.
    async fn start(address: &str, settings: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let data = directory.path().join("data");
        create_ledger(&data, &[("caisse", &["controller"]), ("cnil", &["regulator"])]).await;
        let config = directory.path().join("greffe.toml");
        std::fs::write(&config, settings).expect("settings");
        let args = [
            ["--data", data.to_str().expect("UTF-8")],
            ["--config", config.to_str().expect("UTF-8")],
        ];
        let server = Server::try_start_on(address, &args.concat()).expect("the server starts");
        Self { _directory: directory, server }
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
