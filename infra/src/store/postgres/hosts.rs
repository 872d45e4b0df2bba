//! The hosts of a database, each by itself.
//!
//! The client tries them in turn, but its limit ends when a host takes the connection: one
//! that then says nothing would keep the next, which may have taken its place, from being
//! asked. Tried one by one, each can be given its time.

use tokio_postgres::Config;
use tokio_postgres::config::{Host, LoadBalanceHosts};

/// One configuration a host, in order. A single one, as given, where hosts are to be taken at
/// random or do not go with their ports and addresses, which the client then says.
pub(super) fn each_host(config: &Config) -> Vec<Config> {
    let hosts = config.get_hosts().len();
    let addresses = config.get_hostaddrs().len();
    let ports = config.get_ports().len();
    let count = hosts.max(addresses);
    let fits = |len: usize| len == 0 || len == count;
    let in_order = config.get_load_balance_hosts() == LoadBalanceHosts::Disable;
    if count < 2 || !in_order || !fits(hosts) || !fits(addresses) || ports > 1 && !fits(ports) {
        return vec![config.clone()];
    }
    (0..count).map(|index| host(config, index)).collect()
}

fn host(config: &Config, index: usize) -> Config {
    let mut one = Config::new();
    match config.get_hosts().get(index) {
        Some(Host::Tcp(name)) => {
            one.host(name);
        }
        Some(Host::Unix(path)) => {
            one.host_path(path);
        }
        None => {}
    }
    if let Some(address) = config.get_hostaddrs().get(index) {
        one.hostaddr(*address);
    }
    let ports = config.get_ports();
    if let Some(port) = ports.get(index).or(ports.first()) {
        one.port(*port);
    }
    if let Some(user) = config.get_user() {
        one.user(user);
    }
    if let Some(password) = config.get_password() {
        one.password(password);
    }
    if let Some(name) = config.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = config.get_options() {
        one.options(options);
    }
    if let Some(name) = config.get_application_name() {
        one.application_name(name);
    }
    if let Some(limit) = config.get_connect_timeout() {
        one.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        one.tcp_user_timeout(*limit);
    }
    if let Some(pause) = config.get_keepalives_interval() {
        one.keepalives_interval(pause);
    }
    if let Some(tries) = config.get_keepalives_retries() {
        one.keepalives_retries(tries);
    }
    one.keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs());
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(url: &str) -> Vec<Config> {
        each_host(&url.parse().expect("a URL"))
    }

    #[test]
    fn each_host_keeps_everything_but_the_others() {
        let url = "postgres://u:p@db1:5433,db2:5434/ledger?sslmode=require&options=-c%20jit%3Doff\
                   &application_name=a&connect_timeout=3&tcp_user_timeout=4&keepalives_idle=7\
                   &keepalives_interval=8&keepalives_retries=9&target_session_attrs=read-write\
                   &channel_binding=disable";
        let expected = [
            url.replace("db1:5433,db2:5434", "db1:5433"),
            url.replace("db1:5433,db2:5434", "db2:5434"),
        ]
        .map(|url| url.parse::<Config>().expect("a URL"));
        assert_eq!(split(url), expected);
    }

    #[test]
    fn what_cannot_be_split_is_left_as_it_is() {
        for (url, count) in [
            ("postgres://u@db1/ledger", 1),
            ("postgres://u@db1,db2/ledger", 2),
            ("postgres://u@db1,db2/ledger?load_balance_hosts=random", 1),
            ("host=db1,db2 port=1,2,3", 1),
            ("postgres://u@db1,%2Frun%2Fpostgresql/ledger", 2),
            ("host=db1,db2 hostaddr=10.0.0.1,10.0.0.2 port=5432", 2),
            ("host=db1,db2 hostaddr=10.0.0.1", 1),
        ] {
            assert_eq!(split(url).len(), count, "{url}");
        }
    }
}
