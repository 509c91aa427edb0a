//! What concerns one node: registration, tokens, endpoint, certificate key, reset.

use kubeadm_release::Release;
use kubeadm_release::facts::kubelet::is_dockershim;

use super::Findings;
use super::durations::{not_negative, timeouts};
use crate::address;
use crate::names;
use crate::token::{GROUP_PATTERN, USAGES, is_bootstrap_group};
use crate::types::{
    ApiEndpoint, Arg, BootstrapToken, ImagePullPolicy, MergeMethod, NodeRegistration, ResetConfiguration,
    SecretText,
};
use crate::url;

const NO_NAME: &str = "--node-name or .nodeRegistration.name in the config file is a required value. It seems like \
    this value couldn't be automatically detected in your environment, please specify the desired value using the \
    CLI or config file.";
/// Bytes of a certificate key.
const KEY_SIZE: usize = 32;
/// Flags of umount2(2) that `reset` understands.
const UNMOUNT_FLAGS: [&str; 4] = ["MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"];

pub(super) fn registration(x: &NodeRegistration, release: &Release, f: &mut Findings) {
    if x.name.is_empty() {
        f.required("nodeRegistration", NO_NAME);
    } else {
        for reason in names::dns_subdomain(&x.name) {
            f.invalid("nodeRegistration.name", &x.name, reason);
        }
    }
    cri_socket("nodeRegistration.criSocket", &x.cri_socket, release, f);
    extra_args("nodeRegistration.kubeletExtraArgs", &x.kubelet_extra_args, f);
    pull_policy("nodeRegistration.imagePullPolicy", &x.image_pull_policy, f);
}

pub(super) fn cri_socket(path: &str, socket: &str, release: &Release, f: &mut Findings) {
    if socket.is_empty() {
        f.invalid(path, socket, "empty CRI socket");
        return;
    }
    if is_dockershim(socket) {
        // Whether the release has it is a matter of the check CRI.
        return;
    }
    match url::scheme(socket) {
        Err(reason) => f.invalid(path, socket, format!("URL parsing error: {reason}")),
        Ok("unix") => {}
        // Releases that write sockets as paths take paths.
        Ok("") if !release.kubelet.sockets.url => {
            if !socket.starts_with('/') {
                f.invalid(path, socket, format!("path is not absolute: {socket}"));
            }
        }
        Ok(scheme) => {
            f.invalid(path, socket, format!("only URL scheme \"unix\" is supported, got {scheme:?}"));
        }
    }
}

pub(super) fn extra_args(path: &str, args: &[Arg], f: &mut Findings) {
    for (index, arg) in args.iter().enumerate() {
        if arg.name.is_empty() {
            f.invalid(path, format!("index {index}"), "argument has no name");
        }
        if matches!(arg.merge, MergeMethod::Unknown(_)) {
            f.invalid(path, format!("index {index}"), "argument has an invalid merge method");
        }
    }
}

pub(super) fn pull_policy(path: &str, policy: &str, f: &mut Findings) {
    if ImagePullPolicy::parse(policy).is_none() {
        f.invalid(path, policy, "invalid pull policy");
    }
}

pub(super) fn bootstrap_tokens(tokens: &[BootstrapToken], f: &mut Findings) {
    for (index, x) in tokens.iter().enumerate() {
        let path = format!("bootstrapTokens.{index}");
        if !x.token.is_valid() {
            // The value is left out: a mistyped secret is still most of a secret.
            f.invalid(format!("{path}.token"), "<redacted>", "the bootstrap token is invalid");
        }
        if x.usages.iter().any(|usage| !USAGES.contains(&usage.as_str())) {
            let usages = x.usages.join(",");
            let known = USAGES.join(",");
            let detail =
                format!("invalid bootstrap token usage string: {usages}, valid usage options: {known}");
            f.invalid_list(format!("{path}.usages"), &x.usages, detail);
        }
        bootstrap_groups(&format!("{path}.groups"), x, f);
        if let Some(ttl) = x.ttl {
            not_negative(&format!("{path}.ttl"), ttl, f);
        }
        if x.expires.is_some() && x.ttl.is_some() {
            f.invalid(&path, "", "the BootstrapToken .TTL and .Expires fields are mutually exclusive");
        }
    }
}

fn bootstrap_groups(path: &str, x: &BootstrapToken, f: &mut Findings) {
    if !x.usages.iter().any(|usage| usage == "authentication") {
        if !x.groups.is_empty() {
            let detail = "token groups cannot be specified unless --usages includes \"authentication\"";
            f.invalid_list(path, &x.groups, detail);
        }
        return;
    }
    for group in x.groups.iter().filter(|group| !is_bootstrap_group(group)) {
        f.invalid_list(
            path,
            &x.groups,
            format!("bootstrap group {group:?} is invalid (must match {GROUP_PATTERN})"),
        );
    }
}

pub(super) fn endpoint(path: &str, x: &ApiEndpoint, f: &mut Findings) {
    if address::parse_ip(&x.advertise_address).is_none() {
        f.invalid(format!("{path}.advertiseAddress"), &x.advertise_address, "ip address is not valid");
    }
    if !(1..=65535).contains(&x.bind_port) {
        f.invalid(format!("{path}.bindPort"), x.bind_port, "port number is not valid");
    }
}

pub(super) fn certificate_key(path: &str, key: &SecretText, f: &mut Findings) {
    if key.is_empty() {
        return;
    }
    // The value is left out: a mistyped key is still most of a key.
    let shown = "<redacted>";
    if let Some(bad) = key.0.chars().find(|c| !c.is_ascii_hexdigit()) {
        let code = u32::from(bad);
        let detail =
            format!("certificate key decoding error: encoding/hex: invalid byte: U+{code:04X} '{bad}'");
        f.invalid(path, shown, detail);
    } else if key.0.len() % 2 == 1 {
        f.invalid(path, shown, "certificate key decoding error: encoding/hex: odd length hex string");
    } else if key.0.len() / 2 != KEY_SIZE {
        let size = key.0.len() / 2;
        f.invalid(
            path,
            shown,
            format!("invalid certificate key size {size}, the key must be an AES key of size {KEY_SIZE}"),
        );
    }
}

/// ResetConfiguration.
pub(crate) fn reset(x: &ResetConfiguration, release: &Release) -> Findings {
    let mut f = Findings::default();
    cri_socket("criSocket", &x.cri_socket, release, &mut f);
    f.absolute("certificatesDir", &x.certificates_dir);
    for (index, flag) in x.unmount_flags.iter().enumerate() {
        if !UNMOUNT_FLAGS.contains(&flag.as_str()) {
            f.invalid("unmountFlags", format!("index {index}"), format!("unknown unmount flag {flag}"));
        }
    }
    timeouts(&x.timeouts, None, &mut f);
    f
}
