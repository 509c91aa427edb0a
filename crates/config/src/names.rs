//! DNS names as Kubernetes allows them, with the texts it refuses them with.
//!
//! Source: `k8s.io/apimachinery/pkg/util/validation`.

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
    '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const WILDCARD: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which \
    must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. \
    '*.example.com', regex used for validation is \
    '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const TOO_LONG: &str = "must be no more than 253 characters";

/// Why a name is no DNS-1123 subdomain; empty if it is one.
pub fn dns_subdomain(name: &str) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    if name.len() > 253 {
        reasons.push(TOO_LONG);
    }
    if !name.split('.').all(is_label) {
        reasons.push(SUBDOMAIN);
    }
    reasons
}

/// Why a name is no wildcard of a DNS-1123 subdomain; empty if it is one.
pub fn wildcard_subdomain(name: &str) -> Vec<&'static str> {
    match name.strip_prefix("*.") {
        Some(rest) if rest.split('.').all(is_label) => Vec::new(),
        _ => vec![WILDCARD],
    }
}

fn is_label(label: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = label.as_bytes();
    bytes.iter().all(|b| plain(*b) || *b == b'-')
        && bytes.first().copied().is_some_and(plain)
        && bytes.last().copied().is_some_and(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_pattern() {
        for name in ["a", "example.com", "1.2", "a-b.c"] {
            assert!(dns_subdomain(name).is_empty(), "{name}");
        }
        for name in ["", "A", "a_b", "-a", "a-", "a..b", "a.", "é"] {
            assert_eq!(dns_subdomain(name), [SUBDOMAIN], "{name}");
        }
        assert_eq!(dns_subdomain(&"a".repeat(254)), [TOO_LONG]);
        assert!(wildcard_subdomain("*.example.com").is_empty());
        for name in ["*", "*.", "a.*.b", "**.a"] {
            assert!(!wildcard_subdomain(name).is_empty(), "{name}");
        }
    }
}
