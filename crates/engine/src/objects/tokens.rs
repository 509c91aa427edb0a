//! Bootstrap token Secrets. cluster-bootstrap token/api and cmd/kubeadm/app/apis/bootstraptoken/v1/utils.go, 1.37.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kubeadm_config::types::BootstrapToken;
use kubeadm_pki::rfc3339;
use serde_json::{Map, Value, json};

use super::{KUBE_SYSTEM, object};
use crate::resource::SECRETS;

/// The type of a bootstrap token's Secret.
pub const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";

/// Name of the Secret of a token.
pub fn secret_name(id: &str) -> String {
    format!("bootstrap-token-{id}")
}

/// The Secret of a token whose time to live counts from `now`.
pub fn secret(token: &BootstrapToken, now: Timestamp) -> Value {
    let mut data = Map::new();
    let mut set = |key: String, text: &str| data.insert(key, STANDARD.encode(text).into());
    set("token-id".into(), &token.token.id);
    set("token-secret".into(), &token.token.secret);
    if !token.description.is_empty() {
        set("description".into(), &token.description);
    }
    if let Some(end) = expiration(token, now) {
        set("expiration".into(), &end);
    }
    for usage in &token.usages {
        set(format!("usage-bootstrap-{usage}"), "true");
    }
    if !token.groups.is_empty() {
        set("auth-extra-groups".into(), &token.groups.join(","));
    }
    let mut secret = object(SECRETS, KUBE_SYSTEM, &secret_name(&token.token.id));
    secret["data"] = Value::Object(data);
    secret["type"] = json!(SECRET_TYPE);
    secret
}

/// When a token ends, to the second; `None` for never.
fn expiration(token: &BootstrapToken, now: Timestamp) -> Option<String> {
    let end = match (token.expires, token.ttl) {
        (Some(end), _) => end,
        (None, Some(ttl)) => {
            let ttl = ttl.to_std();
            if ttl.is_zero() {
                return None;
            }
            now.saturating_add(ttl).ok()?
        }
        (None, None) => return None,
    };
    Some(rfc3339(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubeadm_config::duration::GoDuration;

    fn text(secret: &Value, key: &str) -> Option<String> {
        let bytes = STANDARD.decode(secret["data"].get(key)?.as_str().unwrap()).unwrap();
        Some(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn every_field_has_its_key() {
        let token = BootstrapToken {
            token: "abcdef.0123456789abcdef".parse().unwrap(),
            description: "first nodes".into(),
            ttl: Some(GoDuration::from_minutes(120)),
            usages: vec!["signing".into(), "authentication".into()],
            groups: vec!["system:bootstrappers:a".into(), "system:bootstrappers:b".into()],
            ..Default::default()
        };
        let now = "2026-11-23T20:00:00.75Z".parse().unwrap();
        let made = secret(&token, now);
        assert_eq!(made["metadata"], json!({ "name": "bootstrap-token-abcdef", "namespace": "kube-system" }));
        assert_eq!(text(&made, "expiration").unwrap(), "2026-11-23T22:00:00Z");
        assert_eq!(
            text(&made, "auth-extra-groups").unwrap(),
            "system:bootstrappers:a,system:bootstrappers:b"
        );
        assert_eq!(text(&made, "usage-bootstrap-signing").unwrap(), "true");
        assert_eq!(text(&made, "token-secret").unwrap(), "0123456789abcdef");

        let forever =
            BootstrapToken { ttl: Some(GoDuration::default()), description: String::new(), ..token };
        let made = secret(&forever, now);
        assert_eq!((text(&made, "expiration"), text(&made, "description")), (None, None));
    }
}
