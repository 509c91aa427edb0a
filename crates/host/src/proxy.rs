//! Which proxy a request goes through, by the rules of Go's `net/http` (package `golang.org/x/net/http/httpproxy`),
//! which every component of Kubernetes follows: the same variables must mean the same to kubeadm.

use std::collections::BTreeMap;
use std::net::IpAddr;

use http::Uri;
use kubeadm_config::address::Cidr;

/// The proxies that the environment names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    http: Option<Uri>,
    https: Option<Uri>,
    exceptions: Vec<Exception>,
}

/// One entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    /// `*`
    All,
    /// `10.0.0.0/8`
    Network(Cidr),
    /// `10.0.0.1`, `10.0.0.1:6443`
    Address(IpAddr, Option<String>),
    /// `.example.com` with all below; with `itself` also `example.com`
    Domain { suffix: String, itself: bool, port: Option<String> },
}

impl Proxies {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, or else the same in lower case.
    pub(crate) fn from_env(env: &BTreeMap<String, String>) -> Self {
        let any = |name: &str| {
            [name.to_owned(), name.to_lowercase()]
                .iter()
                .find_map(|name| env.get(name).filter(|value| !value.is_empty()))
                .cloned()
        };
        let no_proxy = any("NO_PROXY").unwrap_or_default();
        Self {
            // A CGI program gets the header `Proxy` of a request as HTTP_PROXY: not to be trusted there.
            http: if env.contains_key("REQUEST_METHOD") {
                None
            } else {
                proxy(&any("HTTP_PROXY").unwrap_or_default())
            },
            https: proxy(&any("HTTPS_PROXY").unwrap_or_default()),
            exceptions: no_proxy.split(',').filter_map(exception).collect(),
        }
    }

    /// One proxy for everything, as a kubeconfig may name it.
    pub(crate) fn always(proxy: Uri) -> Self {
        Self { http: Some(proxy.clone()), https: Some(proxy), exceptions: Vec::new() }
    }

    /// The proxy for a URL.
    pub(crate) fn of(&self, url: &Uri) -> Option<&Uri> {
        let (proxy, port) = match url.scheme_str()? {
            "http" => (self.http.as_ref()?, "80"),
            "https" => (self.https.as_ref()?, "443"),
            _ => return None,
        };
        let host = url.host()?.trim_start_matches('[').trim_end_matches(']').to_lowercase();
        let port = url.port().map_or_else(|| port.to_owned(), |p| p.to_string());
        let ip = host.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        let local = host == "localhost" || ip.is_some_and(|ip| ip.is_loopback());
        let excepted = self.exceptions.iter().any(|e| e.covers(&host, &port, ip));
        (!local && !excepted).then_some(proxy)
    }
}

impl Exception {
    fn covers(&self, host: &str, port: &str, ip: Option<IpAddr>) -> bool {
        let port_fits = |wanted: &Option<String>| wanted.as_deref().is_none_or(|p| p == port);
        match self {
            Self::All => true,
            Self::Network(network) => ip.is_some_and(|ip| network.contains(ip)),
            Self::Address(address, wanted) => ip == Some(*address) && port_fits(wanted),
            Self::Domain { suffix, itself, port: wanted } => {
                let named = host.ends_with(suffix) || (*itself && host == &suffix[1..]);
                named && port_fits(wanted)
            }
        }
    }
}

fn exception(entry: &str) -> Option<Exception> {
    let entry = entry.trim().to_lowercase();
    if entry == "*" {
        return Some(Exception::All);
    }
    if let Some(network) = Cidr::parse(&entry) {
        return Some(Exception::Network(network));
    }
    let (host, port) = host_and_port(&entry);
    if host.is_empty() {
        return None;
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Some(Exception::Address(ip.to_canonical(), port));
    }
    let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    let itself = !host.starts_with('.');
    let suffix = if itself { format!(".{host}") } else { host.to_owned() };
    Some(Exception::Domain { suffix, itself, port })
}

/// Splits `host:port`, `[::1]:port` and `[::1]`; whatever has no port is all host.
fn host_and_port(entry: &str) -> (&str, Option<String>) {
    if let Some(rest) = entry.strip_prefix('[') {
        return match rest.split_once("]:") {
            Some((host, port)) => (host, Some(port.to_owned())),
            None => (rest.strip_suffix(']').unwrap_or(entry), None),
        };
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port.to_owned()).filter(|p| !p.is_empty())),
        _ => (entry, None),
    }
}

/// A proxy as people write it: with or without a scheme.
fn proxy(text: &str) -> Option<Uri> {
    let usable = |uri: &Uri| {
        uri.host().is_some() && matches!(uri.scheme_str(), Some("http" | "https" | "socks5" | "socks5h"))
    };
    let whole: Option<Uri> = text.parse().ok();
    whole.filter(usable).or_else(|| format!("http://{text}").parse().ok().filter(usable))
}

/// A proxy as Go prints it: without the slash that [`Uri`] puts at the end.
pub(crate) fn display(proxy: &Uri) -> String {
    proxy.to_string().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_env(&variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
    }

    fn of(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of(&url.parse().unwrap()).map(display)
    }

    #[test]
    fn variables_and_schemes() {
        let both = proxies(&[
            ("http_proxy", "plain:3128"),
            ("HTTPS_PROXY", "http://tls:3129"),
            ("https_proxy", "low"),
        ]);
        assert_eq!(of(&both, "http://dl.k8s.io/x").as_deref(), Some("http://plain:3128"));
        assert_eq!(of(&both, "https://dl.k8s.io/x").as_deref(), Some("http://tls:3129"));
        assert_eq!(of(&both, "https://localhost:6443"), None);
        assert_eq!(of(&both, "https://127.0.0.7:6443"), None);
        assert_eq!(of(&both, "https://[::1]:6443"), None);
        assert_eq!(of(&proxies(&[("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")]), "http://x/"), None);
        assert_eq!(of(&proxies(&[("https_proxy", "::bad::")]), "https://x/"), None);
    }

    #[test]
    fn exceptions() {
        let excepted = |no_proxy: &str, url: &str| {
            let all = [("http_proxy", "p:1"), ("https_proxy", "p:1"), ("no_proxy", no_proxy)];
            of(&proxies(&all), url).is_none()
        };
        for (no_proxy, url, expected) in [
            ("*", "https://a.b", true),
            ("10.96.0.0/12", "https://10.96.0.1:1234", true),
            ("10.96.0.0/12", "https://10.112.0.1", false),
            ("0.0.0.0/0", "https://8.8.8.8", true),
            ("10.96.0.0/33", "https://10.96.0.1", false),
            ("fd00::/8", "https://[fd00::1]:6443", true),
            ("fd00::/8", "https://10.0.0.1", false),
            ("10.0.0.1", "https://10.0.0.1:6443", true),
            ("10.0.0.1:6443", "https://10.0.0.1:6443", true),
            ("10.0.0.1:6443", "https://10.0.0.1", false),
            ("[fd00::1]:443", "https://[fd00::1]", true),
            ("fd00::1", "https://[fd00::1]", true),
            ("example.com", "https://example.com", true),
            ("example.com", "https://api.EXAMPLE.com:6443", true),
            ("example.com", "https://badexample.com", false),
            (".example.com", "https://example.com", false),
            ("*.example.com", "https://a.example.com", true),
            ("example.com:6443", "https://example.com:6443", true),
            ("example.com:443", "https://example.com", true),
            ("example.com:80", "http://example.com", true),
            ("example.com:80", "https://example.com", false),
            (" other , Example.com ", "https://example.com", true),
            (",:80,", "http://example.com", false),
        ] {
            assert_eq!(excepted(no_proxy, url), expected, "{no_proxy} {url}");
        }
    }
}
