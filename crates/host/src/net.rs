//! The network as kubeadm looks at it: interfaces, ports, names, and single GET requests.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use http::Uri;
use kubeadm_engine::ports::{HttpAnswer, HttpError, HttpGet, Interface, ListenError, Net};

use crate::connect::Connector;
use crate::proxy::{Proxies, display};
use crate::resolve::Resolver;
use crate::{get, interfaces, listen};

/// The network of this machine.
#[derive(Debug, Clone)]
pub struct HostNet {
    proxies: Proxies,
    resolver: Resolver,
}

impl HostNet {
    /// The network with the proxies that these variables name.
    pub fn new(env: &BTreeMap<String, String>) -> Self {
        Self { proxies: Proxies::from_env(env), resolver: Resolver::default() }
    }
}

#[async_trait]
impl Net for HostNet {
    fn interfaces(&self) -> Vec<Interface> {
        // A process that may not ask the kernel sees no interfaces.
        interfaces::interfaces().unwrap_or_default()
    }

    fn can_listen(&self, address: SocketAddr) -> Result<(), ListenError> {
        listen::can_listen(address)
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, String> {
        self.resolver.lookup(host).await.map_err(|e| e.to_string())
    }

    async fn get(&self, request: &HttpGet) -> Result<HttpAnswer, HttpError> {
        let connector =
            if request.proxy { Connector::new(self.proxies.clone()) } else { Connector::default() };
        get::get(request, connector).await
    }

    fn proxy_for(&self, url: &str) -> Option<String> {
        self.proxies.of(&url.parse::<Uri>().ok()?).map(display)
    }
}
