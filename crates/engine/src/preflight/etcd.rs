//! Checks of etcd, on this node or elsewhere.

use std::path::Path;
use std::time::Duration;

use kubeadm_config::types::ExternalEtcd;
use kubeadm_release::{Version, skew};
use serde_json::Value;

use super::own::Own;
use super::{Outcome, network};
use crate::ports::{HttpGet, HttpTrust, View};
use crate::spec::InitSpec;

/// How often an external etcd is asked. cmd/kubeadm/app/preflight/checks.go: getEtcdVersionResponse.
const TRIES: u32 = 4;

/// A port of an etcd on this node, at the address it will listen on where the release looks there.
pub(super) fn port(spec: &InitSpec, view: View<'_>, port: u16) -> Outcome {
    let extra = &spec.cluster.api_server.component.extra_args;
    let given = extra.iter().rev().find(|a| a.name == "advertise-address");
    let advertised = given.map_or_else(|| spec.advertise_address.to_string(), |a| a.value.clone());
    let address = if spec.release.preflight.ports_at_address { &advertised } else { network::ANY };
    network::port_open(view, address, port, "etcd", Own::look(spec, view).etcd)
}

/// The versions of all endpoints of an external etcd.
pub(super) async fn external_versions(spec: &InitSpec, view: View<'_>) -> Outcome {
    let Some(etcd) = &spec.cluster.etcd.external else { return Outcome::good() };
    let trust = match trust(etcd, view) {
        Ok(trust) => trust,
        Err(error) => return Outcome::error(error),
    };
    let endpoints = if etcd.http_endpoints.is_empty() { &etcd.endpoints } else { &etcd.http_endpoints };
    let mut outcome = Outcome::good();
    for endpoint in endpoints {
        outcome.errors.extend(version(spec, view, endpoint, trust.clone()).await.err());
    }
    outcome
}

fn trust(etcd: &ExternalEtcd, view: View<'_>) -> Result<HttpTrust, String> {
    let read = |what: &str, path: &str| match view.files.read(Path::new(path)) {
        _ if path.is_empty() => Ok(None),
        Ok(Some(content)) => Ok(Some(content)),
        Ok(None) => Err(format!("couldn't load external etcd's {what} {path}: it does not exist")),
        Err(error) => Err(format!("couldn't load external etcd's {what} {path}: {error}")),
    };
    let ca = read("server certificate", &etcd.ca_file)?;
    let identity = read("certificate", &etcd.cert_file)?.zip(read("key", &etcd.key_file)?);
    Ok(HttpTrust::Mutual { ca, identity })
}

/// Asks one endpoint. cmd/kubeadm/app/preflight/checks.go: ExternalEtcdVersionCheck. A server that does not answer is
/// asked again, a refused connection included: etcd may be starting too.
async fn version(spec: &InitSpec, view: View<'_>, endpoint: &str, trust: HttpTrust) -> Result<(), String> {
    let url = format!("{}/version", endpoint.trim_end_matches('/'));
    let request = HttpGet { url: url.clone(), timeout: Duration::from_secs(10), proxy: true, trust };
    let mut failure = String::new();
    for attempt in 0..TRIES {
        if attempt > 0 {
            view.clock.pause(Duration::from_secs(1 << attempt)).await;
        }
        match view.net.get(&request).await {
            Ok(answer) if answer.status >= 500 => {
                failure = format!("server responded with non-successful status: {}", answer.status);
            }
            Ok(answer) => {
                let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                let text = body["etcdserver"].as_str().unwrap_or_default();
                let version: Version = text.parse().map_err(|_| {
                    format!("couldn't parse external etcd version {text:?} that {url} answered")
                })?;
                if skew::external_etcd_supported(&version, &spec.version) {
                    return Ok(());
                }
                let minimum = skew::minimum_external_etcd(&spec.version);
                return Err(format!(
                    "this version of kubeadm only supports external etcd version >= {minimum}. Current version: {text}"
                ));
            }
            Err(error) => failure = error.to_string(),
        }
    }
    Err(format!("external etcd at {url} does not answer: {failure}"))
}
