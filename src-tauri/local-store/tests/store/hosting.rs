//! Who hosts, where, and what a start and a stop leave behind.

use lapse_local_store::{Error, Options, endpoint, host_of, start};

use crate::support::Host;

#[tokio::test]
async fn second_start_says_who_hosts() {
    let host = Host::start().await;
    let hosted = start(&host.store(), Options { background: true }).await;
    assert!(matches!(hosted, Err(Error::Hosted(info)) if info == host.running.info()));
    assert_eq!(host_of(&host.store()).unwrap(), Some(host.running.info()));
}

#[tokio::test]
async fn port_stays_over_restarts() {
    let host = Host::start().await;
    let store = host.store();
    let first = host.endpoint();
    host.running.stop().await;
    assert_eq!(host_of(&store).unwrap(), None);
    assert_eq!(endpoint(&store).unwrap().as_ref(), Some(&first));
    let again = start(&store, Options { background: true }).await.unwrap();
    assert_eq!(again.info().endpoint, first);
    assert!(host_of(&store).unwrap().unwrap().background);
    again.stop().await;
}
