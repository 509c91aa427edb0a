//! The small texts of a configuration: versions, durations, addresses, endpoints, gates.
#![no_main]

use kubeadm_config::address::{self, Cidr};
use kubeadm_config::duration::GoDuration;
use kubeadm_config::{features, names, version};
use kubeadm_release::{Reference, Release, Version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(version) = text.parse::<Version>() {
        assert_eq!(version.to_string().parse(), Ok(version.clone()));
        let _ = (version.image_tag(), kubeadm_release::skew::cleaned(&version), Release::of(&version).is_ok());
    }
    if let Ok(Reference::Label { .. }) = version::parse(text) {
        assert!(Reference::parse(text).is_ok());
    }
    if let Ok(duration) = text.parse::<GoDuration>() {
        assert_eq!(duration.to_string().parse(), Ok(duration));
    }
    if let Some(block) = Cidr::parse(text) {
        assert!(block.size() > 0 && block.overlaps(&block));
        assert!(block.nth(0).is_some_and(|first| block.contains(first)));
    }
    if let Some(address) = address::parse_ip(text) {
        assert_eq!(address::parse_ip(&address.to_string()), Some(address));
        let _ = address::is_global_unicast(address);
    }
    if let Ok((host, port)) = address::split_host_port(text) {
        assert!(host.len() + port.len() < text.len());
    }
    let _ = address::parse_endpoint(text);
    let _ = names::wildcard_subdomain(text);
    let _ = features::parse(text, &Release::newest(), &mut Vec::new());
});
