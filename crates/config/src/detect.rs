//! What a configuration needs to know of the host and the world, as a trait that the caller implements.

use std::net::IpAddr;

/// Answers about the host. Implementations do the asking; all decisions are made here in the crate.
pub trait Detect {
    /// The host's own name.
    fn hostname(&mut self) -> Result<String, String>;
    /// The kernel's routing tables.
    fn routes(&mut self) -> RoutingTables;
    /// The network interfaces, in the kernel's order.
    fn interfaces(&mut self) -> Result<Vec<Interface>, String>;
    /// Whether a container runtime answers at a `unix://` URL.
    fn runtime_answers(&mut self, socket: &str) -> bool;
    /// Fills a buffer with bytes nobody can guess.
    fn random(&mut self, buffer: &mut [u8]) -> Result<(), String>;
    /// Fetches a version label; the answer's body, or why there is none.
    fn fetch(&mut self, url: &str) -> Result<String, FetchError>;
}

/// Why a version label could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// A server answered with another status than 200 (status text, e.g. `404 Not Found`).
    Status(String),
    /// Nobody answered.
    Unreachable(String),
}

/// Routing tables as `/proc` shows them; absent on hosts without that file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutingTables {
    /// `/proc/net/route`.
    pub ipv4: Option<String>,
    /// `/proc/net/ipv6_route`.
    pub ipv6: Option<String>,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// IFF_UP.
    pub up: bool,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// IFF_POINTOPOINT.
    pub point_to_point: bool,
    /// Its addresses, in the kernel's order.
    pub addresses: Vec<IpAddr>,
}
