//! Which flags may stand beside `--config`.
//!
//! Source: `app/apis/kubeadm/validation/validation.go` ValidateMixedArguments, v1.37.

use crate::error::ConfigError;

const ALLOWED: [&str; 16] = [
    "config",
    "ignore-preflight-errors",
    "dry-run",
    "kubeconfig",
    "node-name",
    "kubeconfig-dir",
    "upload-certs",
    "print-manifest",
    "allow-missing-template-keys",
    "output",
    "show-managed-fields",
    "print-join-command",
    "rootfs",
    "v",
    "log-file",
    "yes",
];

/// Refuses flags that the file would silently overrule. `given` are the flags on the command line, by name.
pub fn check_mixed<'a>(given: impl IntoIterator<Item = &'a str>) -> Result<(), ConfigError> {
    let given: Vec<&str> = given.into_iter().collect();
    if !given.contains(&"config") {
        return Ok(());
    }
    let mut mixed: Vec<String> = given
        .into_iter()
        .filter(|flag| !ALLOWED.contains(flag) && !flag.starts_with("skip-"))
        .map(str::to_owned)
        .collect();
    if mixed.is_empty() {
        return Ok(());
    }
    mixed.sort();
    mixed.dedup();
    Err(ConfigError::MixedArguments(mixed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_flags_that_are_no_configuration_may_be_mixed() {
        assert!(check_mixed(["token", "cri-socket"]).is_ok());
        assert!(check_mixed(["config", "skip-phases", "skip-token-print", "v", "node-name"]).is_ok());
        assert_eq!(
            check_mixed(["token", "config", "apiserver-advertise-address"]).unwrap_err().to_string(),
            "can not mix '--config' with arguments [apiserver-advertise-address token]"
        );
    }
}
