//! Discovery by token: `cluster-info`, read by a stranger, is believed because it is signed with the token and because
//! its authority is pinned. cmd/kubeadm/app/discovery/token/token.go, 1.37.

use std::time::Duration;

use kubeadm_config::token::BootstrapTokenString;
use kubeadm_config::types::BootstrapTokenDiscovery;
use kubeadm_pki::jws;
use kubeadm_pki::kubeconfig::{Cluster, Kubeconfig, KubeconfigForm, User};
use serde_json::{Value, json};

use super::{Asked, DiscoveryError, Judgement, cluster_of};
use crate::ports::{Access, Api, ApiError, KubeconfigSource, View};

/// The prefix of the keys that hold signatures. k8s.io/cluster-bootstrap, token/api: JWSSignatureKeyPrefix.
const SIGNATURE: &str = "jws-kubeconfig-";
/// So long after its making a cluster may not have signed for any token yet (12 s were seen, in 1.20).
const YOUNG: Duration = Duration::from_secs(180);

/// Finds and verifies the cluster.
pub(super) async fn discover(
    by_token: &BootstrapTokenDiscovery,
    limit: Duration,
    view: View<'_>,
) -> Result<Cluster, DiscoveryError> {
    let pins = by_token.ca_cert_hashes.iter().map(|text| pin(text)).collect::<Result<Vec<_>, _>>()?;
    // Validated before.
    let Ok(token) = by_token.token.0.parse::<BootstrapTokenString>() else {
        return Err(DiscoveryError::NoCredentials);
    };
    let endpoint = &by_token.api_server_endpoint;
    let stranger = reader(view, endpoint, None);
    let asked = Asked { endpoint, limit, view };
    let info = asked.until(&*stranger, |answer| judge(&asked, &token.id, answer)).await?;
    let text = text(&info, "kubeconfig").unwrap_or_default();
    let signature = self::text(&info, &format!("{SIGNATURE}{}", token.id)).unwrap_or_default();
    jws::verify(text, signature, &token.id, &token.secret).map_err(DiscoveryError::Signature)?;
    let config = Kubeconfig::parse(text, "cluster-info")?;
    let cluster = cluster_of(&config)
        .ok_or_else(|| DiscoveryError::ClusterInfo("it has no cluster for its current context".into()))?;
    if pins.is_empty() {
        return Ok(cluster.clone());
    }
    let authorities = cluster.authorities().map_err(|e| DiscoveryError::ClusterInfo(e.to_string()))?;
    let found: Vec<String> = authorities.iter().map(|ca| ca.pin()).collect();
    if !found.iter().any(|pin| pins.contains(pin)) {
        return Err(DiscoveryError::NotPinned { found, wanted: pins });
    }
    // Again, now that it is known whom to trust: what was read first came from a stranger.
    let friend = reader(view, endpoint, cluster.certificate_authority_data.clone());
    let again = asked.until(&*friend, |answer| judge(&asked, &token.id, answer)).await?;
    if self::text(&again, "kubeconfig") != Some(text) {
        return Err(DiscoveryError::Changed);
    }
    Ok(cluster.clone())
}

/// A client without credentials, which believes anybody, or only servers that these authorities signed for.
fn reader(view: View<'_>, endpoint: &str, authorities: Option<String>) -> std::sync::Arc<dyn Api> {
    let mut cluster = Cluster { server: format!("https://{endpoint}"), ..Cluster::default() };
    if authorities.is_none() {
        cluster.other.insert("insecure-skip-tls-verify".into(), json!(true));
    }
    cluster.certificate_authority_data = authorities;
    let form = KubeconfigForm { empty_preferences: false, null_lists: false };
    let text =
        Kubeconfig::new("kubernetes", cluster, "token-bootstrap-client", User::default()).to_yaml(form);
    view.cluster.reader(&Access::new(KubeconfigSource::text(text)))
}

/// Takes a `cluster-info` that is signed for the token.
fn judge(asked: &Asked<'_>, id: &str, answer: Result<Option<Value>, ApiError>) -> Result<Value, Judgement> {
    match answer {
        Ok(Some(info)) if text(&info, &format!("{SIGNATURE}{id}")).is_some_and(|s| !s.is_empty()) => Ok(info),
        Ok(Some(info)) => Err(unsigned(asked, id, &info)),
        Ok(None) => Err(Judgement::Wait("the cluster has no cluster-info yet".into())),
        // Rights of strangers come late in the making of a cluster.
        Err(ApiError::Forbidden(reason)) => Err(Judgement::Wait(reason)),
        Err(error) => {
            let (refusal, endpoint) = (asked.failure(error)?, asked.endpoint.to_owned());
            Err(Judgement::Grace(DiscoveryError::Refused { endpoint, reason: refusal.to_string() }))
        }
    }
}

/// Not signed for our token: wrong or expired, unless the cluster is so young that it may not have signed yet.
fn unsigned(asked: &Asked<'_>, id: &str, info: &Value) -> Judgement {
    let known =
        info["data"].as_object().into_iter().flatten().filter(|(k, _)| k.starts_with(SIGNATURE)).count();
    let made = info["metadata"]["creationTimestamp"].as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let young = made.is_some_and(|made| asked.view.clock.now().duration_since(made).unsigned_abs() < YOUNG);
    if known == 0 && young {
        return Judgement::Wait(format!("cluster-info is not signed yet for token id {id:?}"));
    }
    Judgement::Grace(DiscoveryError::UnknownToken { id: id.into(), known })
}

fn text<'a>(map: &'a Value, key: &str) -> Option<&'a str> {
    map["data"][key].as_str()
}

/// Reads a pin, `sha256:` and 64 hexadecimal digits, in any case. cmd/kubeadm/app/util/pubkeypin/pubkeypin.go, 1.37.
fn pin(text: &str) -> Result<String, DiscoveryError> {
    let fail = |reason: String| Err(DiscoveryError::Pin(reason));
    let Some((format, digits)) = text.split_once(':') else {
        return fail("invalid hash, expected \"format:hex-value\". Known format(s) are: sha256".into());
    };
    if !format.eq_ignore_ascii_case("sha256") {
        return fail(format!("unknown hash format {format:?}. Known format(s) are: sha256"));
    }
    if !digits.chars().all(|c| c.is_ascii_hexdigit()) || digits.len() % 2 == 1 {
        return fail(format!("invalid hash {text:?}, could not decode SHA-256 from hex"));
    }
    if digits.len() != 64 {
        let bytes = digits.len() / 2;
        return fail(format!("invalid hash {text:?}, expected a 32 byte SHA-256 hash, found {bytes} bytes"));
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_in_any_case_and_refused_by_what_is_wrong() {
        let good = format!("SHA256:{}", "Ab".repeat(32));
        assert_eq!(pin(&good).unwrap(), format!("sha256:{}", "ab".repeat(32)));
        for (text, part) in [
            ("abc", "format:hex-value"),
            ("md5:00", "unknown hash format \"md5\""),
            ("sha256:0", "could not decode"),
            ("sha256:zz", "could not decode"),
            ("sha256:00ff", "found 2 bytes"),
        ] {
            let error = pin(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
