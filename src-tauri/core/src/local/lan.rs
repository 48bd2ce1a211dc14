//! The local store in the local network: on one interface that a person chose, and only in the network that it was
//! in then.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use lapse_local_store::Running;
use netdev::ipnet::Ipv4Net;
use netdev::{Interface, MacAddr};
use serde::Serialize;

use crate::home::Home;
use crate::lapse::Lapse;
use crate::settings::Settings;
use crate::{Code, Error, Result};

/// How often the host looks at the setting and the network.
const LOOK: Duration = Duration::from_secs(2);
/// How long a host may take to do as the setting says.
const FOLLOW: Duration = Duration::from_secs(10);

/// Where the local store listens beside this computer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lan {
    /// The interface's name.
    pub(crate) interface: String,
    /// The network that it was in when it was chosen.
    pub(crate) network: Network,
}

/// An interface that the store may listen on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The system's name for it.
    pub interface: String,
    /// Its address there.
    pub address: Ipv4Addr,
    #[serde(skip)]
    network: Network,
}

/// A network as this computer sees it: `192.168.1.7/24 192.168.1.1 00:00:5e:00:53:01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: Ipv4Net,
    gateway: Option<Ipv4Addr>,
    gateway_mac: Option<MacAddr>,
}

impl Network {
    /// The first private address of an interface that is up: the store isn't for the internet.
    fn of(interface: &Interface) -> Option<Self> {
        if !interface.is_up() || interface.is_loopback() {
            return None;
        }
        let address = interface.ipv4.iter().find(|address| is_private(address.addr()))?;
        let gateway = interface.gateway.as_ref();
        Some(Self {
            address: *address,
            gateway: gateway.and_then(|gateway| gateway.ipv4.first().copied()),
            gateway_mac: gateway
                .map(|gateway| gateway.mac_addr)
                .filter(|mac| *mac != MacAddr::zero()),
        })
    }

    /// This computer's address in it.
    pub(super) fn address(&self) -> Ipv4Addr {
        self.address.addr()
    }

    /// Whether nothing speaks against it that both are one network. A gateway that isn't known says nothing.
    fn is_same(&self, other: &Self) -> bool {
        fn agrees<T: PartialEq + Copy>(one: Option<T>, other: Option<T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        self.address == other.address
            && agrees(self.gateway, other.gateway)
            && agrees(self.gateway_mac, other.gateway_mac)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if let Some(gateway) = self.gateway {
            write!(f, " {gateway}")?;
            if let Some(mac) = self.gateway_mac {
                write!(f, " {mac}")?;
            }
        }
        Ok(())
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let mut words = text.split(' ');
        let address = words.next().ok_or(())?.parse().map_err(|_| ())?;
        let gateway = words.next().map(str::parse).transpose().map_err(|_| ())?;
        let gateway_mac = words.next().map(str::parse).transpose().map_err(|_| ())?;
        if words.next().is_some() { Err(()) } else { Ok(Self { address, gateway, gateway_mac }) }
    }
}

fn is_private(address: Ipv4Addr) -> bool {
    // 100.64.0.0/10 is shared by a provider's customers, and what private overlay networks use.
    let is_shared = address.octets()[0] == 100 && address.octets()[1] & 0b1100_0000 == 64;
    address.is_private() || address.is_link_local() || is_shared
}

/// The interfaces that the store may listen on.
pub(crate) fn candidates() -> Vec<Candidate> {
    let found = netdev::get_interfaces().into_iter();
    found
        .filter_map(|interface| {
            let network = Network::of(&interface)?;
            Some(Candidate { interface: interface.name, address: network.address.addr(), network })
        })
        .collect()
}

/// The interface of that name; without a name the only one there is.
fn choose(name: Option<&str>) -> Result<Lan> {
    let mut found = candidates();
    found.retain(|candidate| name.is_none_or(|name| candidate.interface == name));
    let named: Vec<_> =
        found.iter().map(|found| format!("{} ({})", found.interface, found.address)).collect();
    match (found.pop(), found.is_empty(), name) {
        (Some(one), true, _) => Ok(Lan { interface: one.interface, network: one.network }),
        (Some(_), false, _) => Err(Error::new(
            Code::Usage,
            "this computer is in several networks",
            format!("Choose one with --interface: {}.", named.join(", ")),
        )),
        (None, _, Some(name)) => Err(Error::new(
            Code::Network,
            format!("«{}» isn't an interface with a private IPv4 address", name.escape_debug()),
            "See those there are with `lapse store listen`.",
        )),
        (None, _, None) => Err(Error::new(
            Code::Network,
            "this computer is in no local network",
            "Join one, then try again; the store listens on private IPv4 addresses only.",
        )),
    }
}

impl Lapse {
    /// The interfaces that the local store may listen on.
    pub fn store_interfaces(&self) -> Vec<Candidate> {
        candidates()
    }

    /// Lets the local store listen in the local network, on the interface of that name or on the only one, until
    /// that network changes. Links made from then on carry the address there; what they carry isn't encrypted.
    /// Gives that endpoint.
    pub async fn listen_in_network(&self, interface: Option<&str>) -> Result<String> {
        let lan = choose(interface)?;
        self.change_settings(|settings| {
            settings.set_lan(&lan);
            Ok(())
        })?;
        let address = lan.network.address.addr().to_string();
        let listening =
            |lan: &Option<String>| lan.as_ref().is_some_and(|lan| lan.contains(&address));
        let endpoint = self.wait_for_host(listening).await?.flatten();
        endpoint.ok_or_else(|| {
            Error::new(
                Code::Network,
                format!("the local store couldn't listen on {} ({address})", lan.interface),
                "Restart it: lapse store stop, then try again. Another program may have its port there.",
            )
        })
    }

    /// Lets the local store listen on this computer only.
    pub async fn listen_on_loopback(&self) -> Result<()> {
        self.change_settings(|settings| {
            settings.set_loopback(None);
            Ok(())
        })?;
        if lapse_local_store::host_of(&self.home.store())
            .map_err(|error| super::store_error(&error))?
            .is_some_and(|host| host.lan.is_some())
        {
            self.wait_for_host(Option::is_none).await?;
        }
        Ok(())
    }

    /// The host's endpoint in the local network, once it is as wanted; `None` when that doesn't come about.
    async fn wait_for_host(
        &self,
        is_wanted: impl Fn(&Option<String>) -> bool,
    ) -> Result<Option<Option<String>>> {
        let began = tokio::time::Instant::now();
        while began.elapsed() < FOLLOW {
            let host = super::ensure_up(self).await?;
            if is_wanted(&host.lan) {
                return Ok(Some(host.lan));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(None)
    }
}

/// Does as the setting says, until it is dropped: whoever hosts the store runs this beside it.
pub(super) async fn follow(home: &Home, running: &Running) {
    loop {
        tokio::time::sleep(LOOK).await;
        look_once(home, running).await;
    }
}

/// Listens in the network of the setting, or leaves it.
pub(super) async fn look_once(home: &Home, running: &Running) {
    if let Err(error) = follow_once(home, running).await {
        tracing::warn!(code = error.code.as_str(), %error, "the store can't follow its network setting");
    }
}

async fn follow_once(home: &Home, running: &Running) -> Result<()> {
    let listen =
        async |address| running.listen(address).await.map_err(|error| super::store_error(&error));
    // Whoever wrote a file that can't be read may have meant to leave the network.
    let settings = Settings::read(&home.config_file());
    let Some(lan) = settings.ok().and_then(|settings| settings.lan()) else {
        return listen(None).await;
    };
    let now = candidates().into_iter().find(|candidate| candidate.interface == lan.interface);
    if now.is_some_and(|now| now.network.is_same(&lan.network)) {
        return listen(Some(lan.network.address.addr())).await;
    }
    listen(None).await?;
    tracing::info!(interface = lan.interface, "the network changed, so the store left it");
    Settings::change(home, |settings| {
        // Somebody may have chosen anew meanwhile.
        if settings.lan().as_ref() == Some(&lan) {
            settings.set_loopback(Some(jiff::Timestamp::now()));
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_is_the_same_unless_something_speaks_against_it() {
        let parse = |text: &str| text.parse::<Network>().expect(text);
        let known = "192.168.1.7/24 192.168.1.1 00:00:5e:00:53:01";
        assert_eq!(parse(known).to_string(), known);
        for same in [known, "192.168.1.7/24", "192.168.1.7/24 192.168.1.1"] {
            assert!(parse(known).is_same(&parse(same)), "{same}");
            assert!(parse(same).is_same(&parse(known)), "{same}");
        }
        for other in [
            "192.168.1.8/24 192.168.1.1 00:00:5e:00:53:01",
            "192.168.1.7/16 192.168.1.1 00:00:5e:00:53:01",
            "192.168.1.7/24 192.168.1.2 00:00:5e:00:53:01",
            "192.168.1.7/24 192.168.1.1 00:00:5e:00:53:02",
        ] {
            assert!(!parse(known).is_same(&parse(other)), "{other}");
        }
        for wrong in
            ["", "192.168.1.7", "x/24", "192.168.1.7/24 x", "192.168.1.7/24 192.168.1.1 x y"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_private_addresses_are_for_the_store() {
        for private in ["10.0.0.1", "172.31.0.1", "192.168.0.1", "169.254.3.4", "100.100.0.1"] {
            assert!(is_private(private.parse().expect(private)), "{private}");
        }
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "127.0.0.1", "203.0.113.1"] {
            assert!(!is_private(public.parse().expect(public)), "{public}");
        }
    }
}
