//! Configurations from any text: no panic, and what was migrated migrates to itself.
#![no_main]

use kubeadm_config::commands;
use kubeadm_config::detect::{Detect, FetchError, Interface, RoutingTables};
use kubeadm_config::documents::Reading;
use kubeadm_config::load::{self, Options, Source};
use libfuzzer_sys::fuzz_target;

struct Host;

impl Detect for Host {
    fn hostname(&mut self) -> Result<String, String> {
        Ok("node".into())
    }
    fn routes(&mut self) -> RoutingTables {
        RoutingTables::default()
    }
    fn interfaces(&mut self) -> Result<Vec<Interface>, String> {
        let addresses = vec!["192.0.2.2".parse().expect("an address")];
        Ok(vec![Interface { name: "eth0".into(), up: true, addresses, ..Interface::default() }])
    }
    fn runtime_answers(&mut self, _: &str) -> bool {
        false
    }
    fn random(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        buffer.fill(17);
        Ok(())
    }
    fn fetch(&mut self, _: &str) -> Result<String, FetchError> {
        Err(FetchError::Unreachable("no network".into()))
    }
}

fuzz_target!(|text: &str| {
    let mut options = Options::new("v1.37.2".parse().expect("a version"));
    let _ = load::load_init(Source { text, name: "any" }, &options, &mut Host, &mut Vec::new());
    options.reading = Reading { strict: true, allow_experimental: true };
    let migrate =
        |text: &str| commands::migrate(Source { text, name: "any" }, &options, &mut Host, &|_| true, &mut Vec::new());
    if let Ok(once) = migrate(text) {
        assert_eq!(migrate(&once).expect("what was migrated"), once);
    }
});
