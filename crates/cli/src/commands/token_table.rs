//! Bootstrap tokens as `token list` shows them: read from their Secrets, as objects and as a table.
//! cmd/kubeadm/app/apis/bootstraptoken/v1/utils.go and cmd/token.go, 1.37.

use jiff::Timestamp;
use kubeadm_engine::objects::tokens::secret_name;
use kubeadm_pki::rfc3339;
use serde::Serialize;
use serde_json::Value;

use crate::columns::aligned;
use crate::structured::API_VERSION;

/// A token of the cluster.
#[derive(Debug, Serialize, PartialEq, Eq)]
pub(crate) struct Listed {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    token: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    usages: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
}

/// A Secret that is no token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum SecretError {
    #[error("bootstrap Token Secret has no token-id data: {0}")]
    NoId(String),
    #[error(
        "bootstrap token name is not of the form 'bootstrap-token-(token-id)'. Actual: {actual:?}. Expected: {expected:?}"
    )]
    Name { actual: String, expected: String },
    #[error("bootstrap Token Secret has no token-secret data: {0}")]
    NoSecret(String),
    #[error("bootstrap Token Secret is invalid and couldn't be parsed: {name}: {reason}")]
    Invalid { name: String, reason: String },
    #[error("can't parse expiration time of bootstrap token {name:?}: {reason}")]
    Expiration { name: String, reason: String },
}

impl Listed {
    /// Reads a Secret.
    pub(crate) fn from_secret(secret: &Value) -> Result<Self, SecretError> {
        let name = secret["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let field = |key: &str| -> Result<String, SecretError> {
            let invalid = |reason: String| SecretError::Invalid { name: name.clone(), reason };
            let Some(text) = secret["data"][key].as_str() else { return Ok(String::new()) };
            let bytes = decode(text).map_err(|e| invalid(format!("{key}: {e}")))?;
            String::from_utf8(bytes).map_err(|e| invalid(format!("{key}: {e}")))
        };
        let id = field("token-id")?;
        if id.is_empty() {
            return Err(SecretError::NoId(name));
        }
        if name != secret_name(&id) {
            return Err(SecretError::Name { actual: name, expected: secret_name(&id) });
        }
        let token_secret = field("token-secret")?;
        if token_secret.is_empty() {
            return Err(SecretError::NoSecret(name));
        }
        let token = format!("{id}.{token_secret}");
        if let Err(error) = token.parse::<kubeadm_config::token::BootstrapTokenString>() {
            return Err(SecretError::Invalid { name, reason: error.to_string() });
        }
        let expires = match field("expiration")?.as_str() {
            "" => None,
            text => Some(
                text.parse::<Timestamp>()
                    .map_err(|e| SecretError::Expiration { name: name.clone(), reason: e.to_string() })?,
            ),
        };
        let mut usages = Vec::new();
        for key in secret["data"].as_object().into_iter().flat_map(|data| data.keys()) {
            if let Some(usage) = key.strip_prefix("usage-bootstrap-")
                && field(key)? == "true"
            {
                usages.push(usage.to_owned());
            }
        }
        usages.sort();
        let groups = field("auth-extra-groups")?;
        Ok(Self {
            kind: "BootstrapToken",
            api_version: API_VERSION,
            token,
            description: field("description")?,
            expires,
            usages,
            groups: groups.split(',').filter(|g| !g.is_empty()).map(str::to_owned).collect(),
        })
    }

    fn cells(&self, now: Timestamp) -> [String; 6] {
        let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
        let (ttl, expires) = match self.expires {
            Some(end) => (short(end.duration_since(now).as_secs()), rfc3339(end)),
            None => ("<forever>".into(), "<never>".into()),
        };
        let usages = or(self.usages.join(","), "<none>");
        let description = or(self.description.clone(), "<none>");
        [self.token.clone(), ttl, expires, usages, description, or(self.groups.join(","), "<none>")]
    }
}

fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text)
}

/// Least width of each column, as upstream pads them.
const WIDTHS: [usize; 5] = [10, 9, 10, 22, 56];
const TITLES: [&str; 6] = ["TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS"];

/// One table, its columns wide enough for every row; nothing when there is no token.
pub(crate) fn table(tokens: &[Listed], now: Timestamp) -> String {
    if tokens.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; 6]> =
        [TITLES.map(str::to_owned)].into_iter().chain(tokens.iter().map(|t| t.cells(now))).collect();
    aligned(&rows, &WIDTHS)
}

/// A time in one unit. apimachinery: `duration.ShortHumanDuration`.
fn short(seconds: i64) -> String {
    const DAY: i64 = 24 * 3600;
    match seconds {
        ..-1 => "<invalid>".into(),
        -1..0 => "0s".into(),
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..DAY => format!("{}h", seconds / 3600),
        _ if seconds < 365 * DAY => format!("{}d", seconds / DAY),
        _ => format!("{}y", seconds / (365 * DAY)),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::json;

    use super::*;

    fn secret(fields: &[(&str, &str)]) -> Value {
        let engine = base64::engine::general_purpose::STANDARD;
        let data: serde_json::Map<_, _> =
            fields.iter().map(|(k, v)| ((*k).to_owned(), engine.encode(v).into())).collect();
        json!({"metadata": {"name": "bootstrap-token-abcdef"}, "data": data})
    }

    fn good() -> Vec<(&'static str, &'static str)> {
        vec![
            ("token-id", "abcdef"),
            ("token-secret", "0123456789abcdef"),
            ("usage-bootstrap-signing", "true"),
            ("usage-bootstrap-authentication", "true"),
            ("usage-bootstrap-other", "false"),
        ]
    }

    #[test]
    fn a_table_with_aligned_columns() {
        let now: Timestamp = "2026-11-23T20:00:00Z".parse().unwrap();
        assert_eq!(table(&[], now), "");
        let forever = Listed::from_secret(&secret(&good())).unwrap();
        let mut fields = good();
        fields.extend([
            ("expiration", "2026-11-24T19:30:00Z"),
            ("auth-extra-groups", "system:bootstrappers:a,system:bootstrappers:b"),
            ("description", "d"),
        ]);
        let day = Listed::from_secret(&secret(&fields)).unwrap();
        let text = table(&[forever, day], now);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("TOKEN                     TTL         EXPIRES                USAGES "));
        assert!(lines[1].starts_with(
            "abcdef.0123456789abcdef   <forever>   <never>                authentication,signing   <none> "
        ));
        assert!(lines[2].starts_with(
            "abcdef.0123456789abcdef   23h         2026-11-24T19:30:00Z   authentication,signing   d "
        ));
        assert!(lines[2].ends_with("   system:bootstrappers:a,system:bootstrappers:b"));
    }

    #[test]
    fn what_is_no_token_is_named() {
        let read = |fields: &[(&str, &str)]| Listed::from_secret(&secret(fields)).unwrap_err().to_string();
        assert_eq!(read(&[]), "bootstrap Token Secret has no token-id data: bootstrap-token-abcdef");
        assert_eq!(
            read(&[("token-id", "ghijkl")]),
            "bootstrap token name is not of the form 'bootstrap-token-(token-id)'. Actual: \"bootstrap-token-abcdef\". Expected: \"bootstrap-token-ghijkl\""
        );
        assert_eq!(
            read(&good()[..1]),
            "bootstrap Token Secret has no token-secret data: bootstrap-token-abcdef"
        );
        assert!(read(&[("token-id", "abcdef"), ("token-secret", "x")]).contains("couldn't be parsed"));
        let mut fields = good();
        fields.push(("expiration", "tomorrow"));
        assert!(
            read(&fields)
                .starts_with("can't parse expiration time of bootstrap token \"bootstrap-token-abcdef\"")
        );
    }

    #[test]
    fn times_in_one_unit() {
        let texts = [-5, -1, 59, 61, 7200, 86400 * 3, 86400 * 800].map(short);
        assert_eq!(texts, ["<invalid>", "0s", "59s", "1m", "2h", "3d", "2y"]);
    }
}
