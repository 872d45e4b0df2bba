//! `greffe serve`: a ledger over HTTP, until it is told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::{ListenerExt as _, TapIo};
use greffe_domain::vocabulary::Role;
use greffe_infra::ledger::{Ledger, Purpose, Standing};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{CliError, Place};
use crate::config::{FileSettings, Limits};
use crate::http::desk::Desk;
use crate::http::pages::signin::SignIn;
use crate::http::tokens::Bearer;
use crate::http::{App, Shared, router};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Only follow what another server writes, and never take its place.
    #[arg(long, env = "GREFFE_FOLLOW", value_parser = clap::builder::BoolishValueParser::new())]
    follow: bool,
    /// Address to listen on.
    #[arg(long, env = "GREFFE_LISTEN", value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Settings (TOML); flags and the environment win over it.
    #[arg(long, env = "GREFFE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Private key (PKCS#8 PEM) of the subject desk, which files what citizens contest on
    /// the pages.
    #[arg(long, env = "GREFFE_SUBJECT_DESK_KEY", value_name = "FILE")]
    subject_desk_key: Option<PathBuf>,
}

/// Where a server listens when nobody says.
pub fn default_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let settings = match &args.config {
        Some(path) => FileSettings::read(path)?,
        None => FileSettings::default(),
    };
    let mut place = args.place;
    place.data = place.data.or_else(|| settings.data.clone());
    place.store = place.store.or_else(|| settings.store.clone());
    let desk_key = args.subject_desk_key.or_else(|| settings.subject_desk_key.clone());
    let desk = desk_key.as_deref().map(Desk::open).transpose()?;
    let listen = args.listen.or(settings.listen).unwrap_or_else(default_address);
    let purpose = if args.follow { Purpose::Follow } else { Purpose::Serve };
    let (directory, ledger) = place.open(purpose).await?;
    let listener = bind(listen).await?;
    let at = listener.local_addr().unwrap_or(listen);
    match ledger.standing() {
        Standing::Behind(loss) => complain!(
            "{loss}: served for reading, nothing is signed\nrestore the missing entries from a copy of the store, then start again"
        ),
        Standing::Follows => complain!("following: another server writes, or may"),
        Standing::Writes | Standing::Stopped => {}
    }
    if let Some(desk) = &desk
        && ledger.with_register(|register| desk.party(register).is_none())
    {
        complain!(
            "the subject desk's key {} is not a live key of a party with the role subject-desk: citizens cannot contest on the pages\nregister the party, or enrol the key",
            desk.kid()
        );
    }
    say!("{} ({} entries) on http://{at}", ledger.origin(), ledger.size());
    let (limits, sign_in) = (settings.limits(), settings.sign_in()?);
    serve_until_told(ledger, &directory, listener, limits, sign_in, desk).await
}

pub async fn bind(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address).await.map_err(|e| {
        CliError::broken(
            format!("cannot listen on {address}: {e}"),
            "choose another address with --listen, or stop what uses it",
        )
    })
}

/// Has answers sent as they are written: the end of a long one would otherwise wait until
/// its reader acknowledges what came before, tens of milliseconds.
pub fn at_once(listener: TcpListener) -> TapIo<TcpListener, fn(&mut TcpStream)> {
    listener.tap_io(|stream| {
        // Without it, answers are late and no less right.
        let _ = stream.set_nodelay(true);
    })
}

/// How long requests that were begun may take to end, once told to stop: the next server
/// waits for the right to write.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until SIGTERM or SIGINT, then finishes what was begun.
pub async fn serve_until_told(
    ledger: Ledger,
    directory: &Path,
    listener: TcpListener,
    limits: Limits,
    sign_in: SignIn,
    desk: Option<Desk>,
) -> Result<(), CliError> {
    let app = App::open(ledger.clone(), directory, limits, sign_in, desk).await?;
    let routes = router(app).into_make_service_with_connect_info::<SocketAddr>();
    let (tell, told) = oneshot::channel();
    let serving = axum::serve(at_once(listener), routes).with_graceful_shutdown(async {
        told_to_stop().await;
        let _ = tell.send(());
    });
    let too_long = async {
        if told.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GRACE).await;
    };
    let served = tokio::select! {
        served = serving.into_future() => served,
        () = too_long => {
            complain!("requests that did not end within {} s are given up", GRACE.as_secs());
            Ok(())
        }
    };
    // Requests in flight have their answers, or were given up; now what waits for the disk.
    ledger.shutdown().await;
    served.map_err(|e| CliError::broken(format!("the server stopped: {e}"), "start it again"))
}

pub async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            // Without the handler the signal ends the process, which loses nothing durable.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminate => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Longest wait for the lists of a server that stops.
const CATCH_UP: Duration = Duration::from_secs(60);

/// A server of this process, on a free port of the loopback, for commands that ask HTTP
/// questions of a directory.
pub struct Local {
    address: SocketAddr,
    app: Shared,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Local {
    pub async fn start(ledger: Ledger, directory: &Path) -> Result<Self, CliError> {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let address = listener.local_addr().map_err(|e| {
            CliError::broken(format!("cannot listen on the loopback: {e}"), "try again")
        })?;
        let app =
            App::open(ledger, directory, Limits::unlimited(), SignIn::default(), None).await?;
        let (stop, stopped) = oneshot::channel();
        let routes = router(app.clone()).into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move {
            let _ = axum::serve(at_once(listener), routes)
                .with_graceful_shutdown(async {
                    let _ = stopped.await;
                })
                .await;
        });
        Ok(Self { address, app, stop, task })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A token for whoever holds the directory: the authority's view, if there is one.
    pub fn operator_token(&self) -> Result<String, CliError> {
        let party = self.app.ledger.with_register(|register| {
            let of = |role| register.parties().find(|(_, p)| p.has(role)).map(|(id, _)| id.clone());
            of(Role::Regulator).or_else(|| of(Role::Registrar))
        });
        let id = party.unwrap_or_default();
        self.app
            .tokens
            .issue(Bearer { id, kid: None }, None)
            .map_err(|_| CliError::broken("no token could be made", "try again"))
    }

    /// Stops, once its lists hold what the ledger does, or cannot be brought to. Nothing of it
    /// holds the ledger afterwards: its directory may be opened again.
    pub async fn stop(self) {
        let Self { mut app, stop, task, .. } = self;
        let caught_up = app.projections.wait_for(app.ledger.size());
        let _ = tokio::time::timeout(CATCH_UP, caught_up).await;
        let _ = stop.send(());
        let _ = task.await;
        app.close().await;
        // The task of a connection says that it ends, and lets go of the app just after.
        while let Err(shared) = Arc::try_unwrap(app) {
            app = shared;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Rebuilds a directory's projections from zero; returns the size they then cover.
    pub async fn rebuild(ledger: &Ledger, directory: &Path) -> Result<u64, CliError> {
        Ok(App::rebuild(ledger, directory).await?)
    }
}

#[cfg(test)]
mod tests {
    use greffe_domain::event::ClockKind;
    use greffe_infra::ledger::Genesis;

    use super::*;
    use crate::client::Client;

    /// What `greffe demo` does after loading: its directory is moved and opened again.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn once_a_local_server_has_stopped_its_directory_is_free() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("ledger");
        let genesis = Genesis {
            origin: "a.example/b".to_owned(),
            registrar: "greffe".to_owned(),
            registrar_key: None,
            clock: ClockKind::Real,
            opened_at: None,
        };
        let mut ledger = Ledger::create(&path, genesis).await.expect("a ledger");
        for round in 0..40 {
            let server = Local::start(ledger.clone(), &path).await.expect("it starts");
            let clients: Vec<_> = (0..4).map(|_| Client::new(&server.url())).collect();
            let asked = clients.into_iter().map(|client| {
                tokio::task::spawn_blocking(move || client.get("/v1/entries").map(drop))
            });
            for asked in asked.collect::<Vec<_>>() {
                asked.await.expect("no panic").expect("an answer");
            }
            server.stop().await;
            ledger.shutdown().await;
            drop(ledger);
            let opened = Ledger::open(&path).await;
            ledger = opened.unwrap_or_else(|e| panic!("round {round}: {e}"));
        }
    }
}
