//! The way to a storage: a connection belongs to the address that it began at, and is dead once the computer has
//! another. Nothing tells that: it would be waited for an answer until the time limit.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::profile::Endpoint;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);

/// Ends once an address that this computer reached the storage from isn't its own any more and there is another
/// way. An address that comes back is none: what was under way goes on by itself.
pub(super) async fn lost(endpoint: &Endpoint) {
    let mut before = Vec::new();
    loop {
        tokio::time::sleep(LOOK).await;
        if before.is_empty() {
            before = sources(endpoint).await;
        } else if before.iter().any(is_gone) && !sources(endpoint).await.is_empty() {
            return;
        }
    }
}

/// The addresses that a connection to the storage would begin at now. Nothing is sent.
async fn sources(endpoint: &Endpoint) -> Vec<IpAddr> {
    let Ok(found) = tokio::net::lookup_host(endpoint.host_and_port()).await else {
        return Vec::new();
    };
    found.filter_map(|there| source(there).ok()).collect()
}

fn source(there: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match there {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(there)?;
    Ok(socket.local_addr()?.ip())
}

fn is_gone(address: &IpAddr) -> bool {
    UdpSocket::bind((*address, 0))
        .is_err_and(|error| error.kind() == io::ErrorKind::AddrNotAvailable)
}
