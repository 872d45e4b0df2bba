//! `greffe health`: whether a server on this machine runs, for supervisors without a client
//! of their own.

use super::CliError;
use crate::client::Client;

#[derive(clap::Args)]
pub struct Args {
    /// The server. Without it, the one that this environment would start.
    #[arg(long, env = "GREFFE_URL")]
    url: Option<String>,
    /// Address it listens on; from there it is asked on the loopback.
    #[arg(long, env = "GREFFE_LISTEN", value_name = "ADDR", conflicts_with = "url")]
    listen: Option<std::net::SocketAddr>,
    /// Whether it is of use, not only alive: its store answers and no entry is missing.
    #[arg(long)]
    ready: bool,
}

pub fn run(args: &Args) -> Result<(), CliError> {
    let url = args.url.clone().unwrap_or_else(|| {
        let mut at = args.listen.unwrap_or_else(super::serve::default_address);
        if at.ip().is_unspecified() {
            at.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        format!("http://{at}")
    });
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let answer = Client::new(&url).get(path)?;
    say!("{}", answer.body);
    if answer.is_ok() {
        return Ok(());
    }
    Err(CliError::no(
        format!("{url}{path} answers {}", answer.status),
        "its log says why; docs/operations.md says what to do",
    ))
}
