//! kubeadm's own feature gates, as the flag `--feature-gates` gives them.

use std::collections::BTreeMap;

use kubeadm_release::Release;
use kubeadm_release::facts::config_api::{FeatureGate, Stage};

use crate::error::Notice;

/// Feature gates that cannot be set so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeatureGateError {
    /// No value.
    #[error("missing bool value for feature-gate key:{0}")]
    NoValue(String),
    /// No such gate.
    #[error("unrecognized feature-gate key: {0}")]
    Unknown(String),
    /// A gate that is gone.
    #[error("feature-gate key is deprecated: {name}")]
    Deprecated {
        /// Its name.
        name: String,
        /// What replaced it.
        hint: &'static str,
    },
    /// A value that is no boolean.
    #[error("invalid value {value} for feature-gate key: {name}, use true|false instead")]
    NotBoolean {
        /// The gate.
        name: String,
        /// The value as given.
        value: String,
    },
}

/// Reads `NAME=BOOL,…` for a release.
pub fn parse(
    text: &str,
    release: &Release,
    notices: &mut Vec<Notice>,
) -> Result<BTreeMap<String, bool>, FeatureGateError> {
    let mut gates = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else {
            return Err(FeatureGateError::NoValue(part.trim().to_owned()));
        };
        let (name, value) = (name.trim().to_owned(), value.trim().to_owned());
        let Some(gate) = find(release, &name) else { return Err(FeatureGateError::Unknown(name)) };
        if let Stage::Deprecated(hint) = gate.stage {
            if release.config_api.deprecated_gates_refused {
                return Err(FeatureGateError::Deprecated { name, hint });
            }
            notices.push(Notice::warning(format!(
                "Setting deprecated feature gate {name}={value}. It will be removed in a future release."
            )));
        }
        let Some(flag) = parse_bool(&value) else {
            return Err(FeatureGateError::NotBoolean { name, value });
        };
        gates.insert(name, flag);
    }
    for (gate, needed) in IMPLIED {
        if gates.get(gate) == Some(&true) && find(release, needed).is_some() {
            gates.insert(needed.into(), true);
        }
    }
    Ok(gates)
}

/// Gates that need others, in an order that makes one pass enough (upstream: `ResolveFeatureGateDependencies`).
const IMPLIED: [(&str, &str); 2] =
    [("HighAvailability", "StoreCertsInSecrets"), ("StoreCertsInSecrets", "SelfHosting")];

/// The gate of a name, if the release has it.
pub fn find<'a>(release: &'a Release, name: &str) -> Option<&'a FeatureGate> {
    release.config_api.feature_gates.iter().find(|gate| gate.name == name)
}

/// Whether a gate is on: as set, else as the release defaults it, else off.
pub fn enabled(release: &Release, gates: &BTreeMap<String, bool>, name: &str) -> bool {
    gates.get(name).copied().unwrap_or_else(|| find(release, name).is_some_and(|gate| gate.default))
}

/// What a cluster says of a gate that its release has; nothing where it says nothing, or the release has no such gate.
pub fn said(release: &Release, gates: &BTreeMap<String, bool>, name: &str) -> Option<bool> {
    find(release, name).and_then(|_| gates.get(name).copied())
}

/// The lines that help shows for `--feature-gates`, sorted.
pub fn help(release: &Release) -> Vec<String> {
    let mut lines: Vec<String> = release
        .config_api
        .feature_gates
        .iter()
        .filter(|gate| !gate.hidden)
        .map(|gate| {
            let stage = match gate.stage {
                Stage::Alpha => "ALPHA - ",
                Stage::Beta => "BETA - ",
                Stage::Deprecated(_) => "DEPRECATED - ",
                Stage::Ga => "",
            };
            format!("{}=true|false ({stage}default={})", gate.name, gate.default)
        })
        .collect();
    lines.sort();
    lines
}

/// Go's `strconv.ParseBool`.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubeadm_release::Version;

    fn gates(text: &str, minor: u32) -> Result<BTreeMap<String, bool>, String> {
        let release = Release::of(&Version::new(1, minor, 0)).unwrap();
        parse(text, &release, &mut Vec::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn gates_are_read() {
        let set = gates("RootlessControlPlane = T,", 37).unwrap();
        assert_eq!(set, BTreeMap::from([("RootlessControlPlane".into(), true)]));
        assert!(gates("", 37).unwrap().is_empty());
    }

    #[test]
    fn texts_are_upstreams() {
        for (text, minor, message) in [
            ("Nope=true", 37, "unrecognized feature-gate key: Nope"),
            ("RootlessControlPlane", 37, "missing bool value for feature-gate key:RootlessControlPlane"),
            (
                "RootlessControlPlane=maybe",
                37,
                "invalid value maybe for feature-gate key: RootlessControlPlane, use true|false instead",
            ),
            ("CoreDNS=maybe", 13, "feature-gate key is deprecated: CoreDNS"),
            ("StoreCertsInSecrets=true", 12, "feature-gate key is deprecated: StoreCertsInSecrets"),
        ] {
            assert_eq!(gates(text, minor).unwrap_err(), message);
        }
    }

    #[test]
    fn gates_come_and_go_with_the_minors() {
        for (gate, since, until) in [("IPv6DualStack", 16, 24), ("EtcdLearnerMode", 27, 33)] {
            for minor in 11..=37 {
                let set = gates(&format!("{gate}=true"), minor);
                assert_eq!(set.is_ok(), (since..until).contains(&minor), "{gate} 1.{minor}");
            }
        }
        let mut notices = Vec::new();
        let release = Release::of(&Version::new(1, 29, 0)).unwrap();
        parse("PublicKeysECDSA=true", &release, &mut notices).unwrap();
        assert!(notices[0].text.starts_with("Setting deprecated feature gate PublicKeysECDSA=true."));
    }

    #[test]
    fn a_gate_of_keys_counts_for_more_than_the_field() {
        let mut cluster = crate::types::ClusterConfiguration {
            encryption_algorithm: "RSA-4096".into(),
            ..Default::default()
        };
        assert_eq!(cluster.key_algorithm(), "RSA-4096");
        for (on, algorithm) in [(true, "ECDSA-P256"), (false, "RSA-2048")] {
            cluster.feature_gates = gates(&format!("PublicKeysECDSA={on}"), 31).unwrap();
            assert_eq!(cluster.key_algorithm(), algorithm);
        }
    }

    #[test]
    fn old_gates_imply_others() {
        let set = gates("HighAvailability=true", 11).unwrap();
        assert_eq!(set.len(), 3, "{set:?}");
    }

    #[test]
    fn help_lists_visible_gates() {
        let release = Release::of(&Version::new(1, 37, 0)).unwrap();
        assert_eq!(help(&release), ["RootlessControlPlane=true|false (ALPHA - default=false)"]);
    }
}
