//! Connections for HTTP: resolves names with our own resolver, goes through a proxy where one is due, and says what
//! failed as Go's programs do. TLS is laid on top by `hyper-rustls`.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http::header::HeaderValue;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::net::TcpStream;
use tower::{BoxError, Service};

use crate::files::words;
use crate::proxy::Proxies;
use crate::resolve::{LookupError, Resolver};
use crate::tls;

type Pending<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

/// How long one of several addresses is tried before the next has its turn.
const ADDRESS_LIMIT: Duration = Duration::from_secs(3);

/// A TCP connection that was not made.
#[derive(Debug)]
pub(crate) enum DialError {
    /// The host has no address.
    Lookup(LookupError),
    /// The last address that was tried refused, or did not answer.
    Connect {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// The URL names no host.
    NoHost,
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lookup(error) => write!(f, "dial tcp: {error}"),
            Self::Connect { address, error } => write!(f, "dial tcp {address}: connect: {}", words(error)),
            Self::NoHost => f.write_str("no Host in request URL"),
        }
    }
}

impl std::error::Error for DialError {}

/// Opens TCP connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dialer(Resolver);

impl Dialer {
    async fn dial(self, url: Uri) -> Result<TcpStream, DialError> {
        let host = url.host().ok_or(DialError::NoHost)?;
        let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
        let addresses = self.0.lookup(host).await.map_err(DialError::Lookup)?;
        let last = addresses.len().saturating_sub(1);
        let mut failure = DialError::NoHost;
        for (i, ip) in addresses.into_iter().enumerate() {
            let address = SocketAddr::new(ip, port);
            let limit = if i < last { ADDRESS_LIMIT } else { Duration::MAX };
            let result = tokio::time::timeout(limit, TcpStream::connect(address)).await;
            match result.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => {
                    // Requests are small and waited for.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => failure = DialError::Connect { address, error },
            }
        }
        Err(failure)
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = DialError;
    type Future = Pending<Self::Response, DialError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move { dialer.dial(url).await.map(TokioIo::new) })
    }
}

/// Opens connections, through proxies where they are due.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connector {
    dialer: Dialer,
    proxies: Arc<Proxies>,
}

impl Connector {
    /// Connections by these rules.
    pub(crate) fn new(proxies: Proxies) -> Self {
        Self { dialer: Dialer::default(), proxies: Arc::new(proxies) }
    }

    async fn connect(self, url: Uri) -> Result<Stream, BoxError> {
        let dialer = self.dialer;
        let Some(proxy) = self.proxies.of(&url).cloned() else {
            return Ok(Stream::direct(dialer.dial(url).await?));
        };
        if matches!(proxy.scheme_str(), Some("socks5" | "socks5h")) {
            let inner = SocksV5::new(proxy, dialer).call(url).await?;
            return Ok(Stream { inner: MaybeHttpsStream::Http(inner), proxied: false });
        }
        // Roots are read only if the proxy itself wants TLS.
        let roots = if proxy.scheme_str() == Some("https") { tls::system()? } else { tls::unverified()? };
        let mut to_proxy = HttpsConnectorBuilder::new()
            .with_tls_config(roots)
            .https_or_http()
            .enable_http1()
            .wrap_connector(dialer);
        if url.scheme_str() == Some("http") {
            // The request itself names its URL to the proxy.
            return Ok(Stream { inner: to_proxy.call(proxy).await?, proxied: true });
        }
        let credentials = credentials(&proxy);
        let mut tunnel = Tunnel::new(proxy, to_proxy);
        if let Some(credentials) = credentials {
            tunnel = tunnel.with_auth(credentials);
        }
        Ok(Stream { inner: tunnel.call(url).await?, proxied: false })
    }

    /// The header that a plain HTTP request for this URL needs when its proxy asks for a password.
    pub(crate) fn proxy_authorization(&self, url: &Uri) -> Option<HeaderValue> {
        if url.scheme_str() != Some("http") {
            return None;
        }
        credentials(self.proxies.of(url)?)
    }
}

/// `Basic …` from the user information of a proxy's URL.
fn credentials(proxy: &Uri) -> Option<HeaderValue> {
    let (user, _) = proxy.authority()?.as_str().rsplit_once('@')?;
    let plain: Vec<u8> = percent_decode_str(user).collect();
    let mut value = HeaderValue::from_str(&format!("Basic {}", base64(&plain))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = BoxError;
    type Future = Pending<Stream, BoxError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().connect(url))
    }
}

/// A connection to a server or to its proxy.
pub(crate) struct Stream {
    inner: MaybeHttpsStream<TokioIo<TcpStream>>,
    proxied: bool,
}

impl Stream {
    fn direct(stream: TcpStream) -> Self {
        Self { inner: MaybeHttpsStream::Http(TokioIo::new(stream)), proxied: false }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.inner.connected().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The cause of a failed request, without the layers it came through, and whether the peer refused the connection.
pub(crate) fn cause(error: &(dyn std::error::Error + 'static)) -> (String, bool) {
    let mut layer = error;
    loop {
        if let Some(dial) = layer.downcast_ref::<DialError>() {
            let refused = matches!(dial, DialError::Connect { error, .. } if error.kind() == io::ErrorKind::ConnectionRefused);
            return (dial.to_string(), refused);
        }
        match layer.source() {
            Some(next) => layer = next,
            None => break,
        }
    }
    let text = match layer.downcast_ref::<io::Error>() {
        Some(io) => words(io),
        None => layer.to_string(),
    };
    (text, false)
}

/// An error and what caused it, the inside of an I/O error included: that one's source is its inside's.
pub(crate) fn layers<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'e (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |&layer| {
        match layer.downcast_ref::<io::Error>().map(io::Error::get_ref) {
            Some(Some(inside)) => Some(inside as &(dyn std::error::Error + 'static)),
            _ => layer.source(),
        }
    })
}

/// Whether the host's name leads nowhere.
pub(crate) fn is_unknown_host(error: &(dyn std::error::Error + 'static)) -> bool {
    layers(error).any(|layer| matches!(layer.downcast_ref(), Some(DialError::Lookup(_))))
}

/// Whether the two ends of a TLS connection do not accept each other's certificates. The refusal of ours may come as
/// text only: HTTP/2 keeps no more of it.
pub(crate) fn is_distrust(error: &(dyn std::error::Error + 'static)) -> bool {
    layers(error).any(|layer| {
        let text = layer.to_string();
        matches!(layer.downcast_ref(), Some(rustls::Error::InvalidCertificate(_)))
            || REFUSALS.iter().any(|alert| text.ends_with(&format!("received fatal alert: {alert}")))
    })
}

/// How a server says that it does not accept our certificate.
const REFUSALS: &[&str] = &[
    "AccessDenied",
    "BadCertificate",
    "CertificateExpired",
    "CertificateRequired",
    "CertificateRevoked",
    "CertificateUnknown",
    "DecryptError",
    "UnknownCA",
    "UnsupportedCertificate",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_proxies() {
        let proxy: Uri = "http://user:p%40ss@proxy:3128".parse().unwrap();
        assert_eq!(credentials(&proxy).unwrap(), format!("Basic {}", base64(b"user:p@ss")));
        assert_eq!(credentials(&"http://proxy:3128".parse().unwrap()), None);
    }
}
