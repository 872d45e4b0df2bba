//! `greffe serve`: the HTTP service, until SIGTERM or Ctrl-C, then drained.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use tokio::net::TcpListener;

use super::support::{data_directory, open_ledger, runtime};
use super::{Failure, cannot};
use crate::config::Config;
use crate::http::{App, Shared, router};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Directory of the ledger
    #[arg(long, value_name = "DIR", env = "GREFFE_DATA")]
    data: Option<PathBuf>,
    /// Where the ledger is kept: sqlite:PATH
    #[arg(long, value_name = "URL", env = "GREFFE_STORE")]
    store: Option<String>,
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", env = "GREFFE_LISTEN")]
    listen: Option<SocketAddr>,
    /// Settings as JSON: data, store, listen, judgements_per_minute, subjects_per_minute
    #[arg(long, value_name = "FILE", env = "GREFFE_CONFIG")]
    config: Option<PathBuf>,
}

pub const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

pub fn run(arguments: &Arguments) -> Result<(), Failure> {
    let config = match &arguments.config {
        None => Config::default(),
        Some(path) => Config::read(path)
            .map_err(|e| cannot(e, "correct the file; all members are optional"))?,
    };
    // A place on the command line or in the environment sets the file's aside whole.
    let (data, store) = match (&arguments.data, &arguments.store) {
        (None, None) => (config.data.clone(), config.store.clone()),
        (data, store) => (data.clone(), store.clone()),
    };
    let directory = data_directory(data.as_deref(), store.as_deref())?;
    let listen = match arguments.listen.or(config.listen) {
        Some(address) => address,
        None => DEFAULT_LISTEN.parse().expect("the default address is one"),
    };
    let limits = config.limits();
    runtime()?.block_on(async {
        let ledger = open_ledger(&directory).await?;
        let app = App::new(ledger, limits);
        let listener = bind(listen).await?;
        let address = listener.local_addr().unwrap_or(listen);
        println!(
            "greffe: {} entries of {} on http://{address}",
            app.ledger.size(),
            app.ledger.origin()
        );
        serve(app, listener).await
    })
}

pub async fn bind(listen: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(listen).await.map_err(|e| {
        cannot(
            format!("{listen} cannot be listened on: {e}"),
            "choose another address with --listen",
        )
    })
}

/// Serves until told to stop; requests under way are finished, then the ledger is closed.
pub async fn serve(app: Shared, listener: TcpListener) -> Result<(), Failure> {
    let ledger = app.ledger.clone();
    let served = axum::serve(listener, router(app)).with_graceful_shutdown(stop_signal()).await;
    ledger.shutdown().await;
    served.map_err(|e| cannot(format!("the service stopped: {e}"), "start it again"))
}

async fn stop_signal() {
    let interrupt = async {
        // Without a handler there is only SIGTERM left to wait for.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending::<()>().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
