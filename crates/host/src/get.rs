//! GET requests outside the API client: version labels, health endpoints, external etcd.

use std::io;

use http::header::{HOST, LOCATION, PROXY_AUTHORIZATION, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use kubeadm_engine::ports::{HttpAnswer, HttpError, HttpGet, HttpTrust};

use crate::connect::{Connector, cause};
use crate::tls;

/// Redirects that are followed, as many as Go's client follows.
const REDIRECTS: usize = 10;
/// Bytes of a body that are read: answers to kubeadm's questions are short.
const BODY: usize = 4 << 20;

/// What names us to servers.
pub(crate) const AGENT: &str = concat!("kubeadm/v", env!("CARGO_PKG_VERSION"), " (linux)");

/// Sends the request, and those that redirects ask for, within its time limit.
pub(crate) async fn get(request: &HttpGet, connector: Connector) -> Result<HttpAnswer, HttpError> {
    let failed = |(reason, refused): (String, bool)| HttpError {
        reason: format!("Get {:?}: {reason}", request.url),
        refused,
    };
    match tokio::time::timeout(request.timeout, follow(request, connector)).await {
        Ok(result) => result.map_err(|error| failed(cause(error.as_ref()))),
        Err(_) => {
            let reason = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
            Err(failed((reason.into(), false)))
        }
    }
}

async fn follow(request: &HttpGet, connector: Connector) -> Result<HttpAnswer, tower::BoxError> {
    let mut url: Uri = request.url.parse()?;
    for _ in 0..=REDIRECTS {
        let mut next = Request::get(&url).header(USER_AGENT, AGENT);
        if let Some(authority) = url.authority() {
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            next = next.header(HOST, host);
        }
        if let Some(credentials) = connector.proxy_authorization(&url) {
            next = next.header(PROXY_AUTHORIZATION, credentials);
        }
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(trust(&request.trust, &url)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector.clone());
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(https);
        let response = client.request(next.body(Empty::<Bytes>::new())?).await?;
        match redirect(&url, &response)? {
            Some(to) => url = to,
            None => {
                let status = response.status().as_u16();
                let body = Limited::new(response.into_body(), BODY).collect().await?.to_bytes();
                return Ok(HttpAnswer { status, body: String::from_utf8_lossy(&body).into_owned() });
            }
        }
    }
    Err(io::Error::other(format!("stopped after {REDIRECTS} redirects")).into())
}

fn trust(trust: &HttpTrust, url: &Uri) -> io::Result<rustls::ClientConfig> {
    match trust {
        // Nobody is going to show a certificate, so no roots are read.
        _ if url.scheme_str() == Some("http") => tls::unverified(),
        HttpTrust::System => tls::system(),
        HttpTrust::Unverified => tls::unverified(),
        HttpTrust::Mutual { ca, identity } => {
            tls::mutual(ca.as_deref(), identity.as_ref().map(|(c, k)| (c.as_slice(), k.as_slice())))
        }
    }
}

/// Where an answer sends us.
fn redirect(from: &Uri, response: &Response<Incoming>) -> Result<Option<Uri>, tower::BoxError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
    resolve(from, location.to_str()?).map(Some)
}

/// A reference relative to a URL, in the forms servers send: whole, from the root, or from the same folder.
fn resolve(from: &Uri, location: &str) -> Result<Uri, tower::BoxError> {
    if let Some(rest) = location.strip_prefix("//") {
        return Ok(format!("{}://{rest}", from.scheme_str().unwrap_or("https")).parse()?);
    }
    if location.contains("://") {
        return Ok(location.parse()?);
    }
    let path = if location.starts_with('/') {
        location.to_owned()
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{location}")
    };
    let mut parts = from.clone().into_parts();
    parts.path_and_query = Some(path.parse()?);
    Ok(Uri::from_parts(parts)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references() {
        let from: Uri = "https://dl.k8s.io/release/stable.txt".parse().unwrap();
        let to = |location| resolve(&from, location).unwrap().to_string();
        assert_eq!(
            to("https://cdn.dl.k8s.io/release/stable.txt"),
            "https://cdn.dl.k8s.io/release/stable.txt"
        );
        assert_eq!(to("//cdn/x"), "https://cdn/x");
        assert_eq!(to("/x?y=1"), "https://dl.k8s.io/x?y=1");
        assert_eq!(to("x"), "https://dl.k8s.io/release/x");
    }
}
