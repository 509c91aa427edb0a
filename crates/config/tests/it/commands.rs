//! `config print`, `config validate`, `config migrate` and `config images list`, byte for byte.

use kubeadm_config::commands;
use kubeadm_config::documents::Reading;
use kubeadm_config::error::ConfigError;
use kubeadm_config::images::Images;
use kubeadm_config::load::{self, InitConfig, Options, Source};
use kubeadm_release::{Release, Version};

use crate::host::{host, options};
use crate::recorded::{CLIENTS, Case, cases};

fn strict(client: &str) -> Options {
    Options { reading: Reading { strict: true, allow_experimental: false }, ..options(client) }
}

fn migrate(case: &Case, options: &Options) -> Result<String, ConfigError> {
    let text = case.must("in.yaml");
    let source = Source { text: &text, name: "in.yaml" };
    commands::migrate(source, options, &mut host(), &|_| false, &mut Vec::new())
}

#[test]
fn defaults_are_printed_as_recorded() {
    for (minor, client) in &CLIENTS[3..] {
        let release = Release::of(&client.parse().unwrap()).unwrap();
        for (name, text) in [
            ("print-init-defaults", commands::print_init_defaults(&release, "vm", &[])),
            ("print-join-defaults", commands::print_join_defaults(&release, "vm", &[])),
            ("print-reset-defaults", commands::print_reset_defaults(&release)),
            ("print-upgrade-defaults", commands::print_upgrade_defaults()),
        ] {
            let case = &cases(minor, "commands", name)[0];
            assert_eq!(text, case.must("stdout"), "{}", case.name);
        }
    }
    assert!(commands::component_kinds(&["Nope".into()]).is_err());
}

#[test]
fn defaults_of_old_are_printed_as_recorded() {
    let release = |minor: &str| Release::of(&format!("{minor}.0").parse().unwrap()).unwrap();
    let recorded = |minor: &str, name: &str| {
        let found = cases(minor, "commands", name);
        found.into_iter().find(|case| case.name.ends_with(name)).unwrap().must("stdout")
    };
    let new = release("1.13");
    assert_eq!(commands::print_init_defaults(&new, "vm", &[]), recorded("1.13", "print-init-defaults"));
    assert_eq!(commands::print_join_defaults(&new, "vm", &[]), recorded("1.13", "print-join-defaults"));
    let mut compared = 0;
    for minor in ["1.11", "1.12"] {
        for case in cases(minor, "commands", "print-default") {
            let kinds: Vec<String> = case.flag("--api-objects").into_iter().collect();
            let text = commands::print_default(&kinds, &release(minor), "vm", "192.0.2.2").unwrap();
            assert_eq!(text, case.must("stdout"), "{}", case.name);
            compared += 1;
        }
    }
    assert_eq!(compared, 9);
    assert!(commands::print_default(&["Nope".into()], &new, "vm", "").is_err());
}

#[test]
fn defaults_of_components_are_printed_as_recorded() {
    for (minor, client) in &CLIENTS[2..] {
        let release = Release::of(&client.parse().unwrap()).unwrap();
        for case in cases(minor, "commands", "print-init-defaults-") {
            let names: Vec<String> =
                case.flag("--component-configs").unwrap().split(',').map(str::to_owned).collect();
            let kinds = commands::component_kinds(&names).unwrap();
            let components = commands::component_defaults(&kinds, &release);
            let text = commands::print_init_defaults(&release, "vm", &components);
            assert_eq!(text, case.must("stdout"), "{}", case.name);
        }
    }
}

#[test]
fn files_are_migrated_as_recorded() {
    for (minor, client) in &CLIENTS[3..] {
        for case in cases(minor, "commands", "migrate-") {
            if case.name == "1.36/commands/migrate-old-min" {
                continue; // holds a random token; see below
            }
            match (migrate(&case, &strict(client)), case.fails()) {
                (Ok(text), false) => {
                    // 1.36 forgot the default of one time-out wherever it read no v1beta3.
                    let forgotten = "controlPlaneComponentHealthCheck: 0s";
                    let expected =
                        case.must("stdout").replace(forgotten, "controlPlaneComponentHealthCheck: 4m0s");
                    assert_eq!(text, expected, "{}", case.name);
                }
                // 1.37 reads v1beta4 only; one binary for all releases reads what 1.36 read.
                (Ok(_), true) => {
                    assert!(case.name.starts_with("1.37/commands/migrate-old-"), "{}", case.name)
                }
                (Err(error), true) => assert!(!error.to_string().is_empty()),
                (Err(error), false) => panic!("{}: {error}", case.name),
            }
        }
    }
}

/// The kubeadm of 1.13 wrote its own API whatever the cluster's version, and component configurations, which newer
/// ones never do: only kubeadm's own documents are compared.
#[test]
fn old_files_are_migrated_as_recorded() {
    let options = Options { target: Some("v1.13.12".parse().unwrap()), ..strict("v1.13.12") };
    for case in cases("1.13", "commands", "migrate-") {
        let result = migrate(&case, &options);
        if case.fails() {
            assert!(result.is_err(), "{}", case.name);
            continue;
        }
        let text = result.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let token =
            |text: &str| text.lines().any(|line| line.contains("  token: ") && !line.contains("abcdef"));
        let own: Vec<String> = case
            .must("stdout")
            .split("---\n")
            .filter(|document| document.contains("kubeadm.k8s.io"))
            .map(str::to_owned)
            .collect();
        let ours: Vec<&str> = text.split("---\n").collect();
        assert_eq!(ours.len(), own.len(), "{}", case.name);
        for (ours, own) in ours.iter().zip(&own) {
            let stable = |text: &str| {
                let lines = text.lines().filter(|line| !token(line));
                lines.map(str::to_owned).collect::<Vec<_>>()
            };
            assert_eq!(stable(ours), stable(own), "{}", case.name);
        }
    }
}

#[test]
fn a_migrated_file_migrates_to_itself() {
    for (minor, client) in &CLIENTS[3..] {
        for case in cases(minor, "commands", "migrate-full") {
            let once = migrate(&case, &strict(client)).unwrap();
            let source = Source { text: &once, name: "once.yaml" };
            let twice = commands::migrate(source, &strict(client), &mut host(), &|_| false, &mut Vec::new());
            assert_eq!(twice.unwrap(), once);
        }
    }
}

#[test]
fn files_are_validated_as_recorded() {
    for (minor, client) in &CLIENTS[3..] {
        for case in cases(minor, "commands", "validate-") {
            let text = case.must("in.yaml");
            let source = Source { text: &text, name: "in.yaml" };
            let result =
                commands::validate(source, &strict(client), &mut host(), &|_| false, &mut Vec::new());
            if case.name == "1.37/commands/validate-old-full" {
                assert!(result.is_ok(), "{}: one binary reads what older releases read", case.name);
                continue;
            }
            assert_eq!(result.is_err(), case.fails(), "{}: {result:?}", case.name);
        }
    }
    let empty = Source { text: "", name: "empty.yaml" };
    commands::validate(empty, &strict("v1.37.2"), &mut host(), &|_| false, &mut Vec::new()).unwrap();
}

#[test]
fn images_are_listed_as_recorded() {
    for (minor, client) in CLIENTS {
        for case in cases(minor, "commands", "images-") {
            let gate = case.flag("--feature-gates");
            if case.fails() || (case.flag("-o").is_some()) {
                continue; // a gate that 1.13 refuses (see features), and the same list in other clothes
            }
            let version = case.flag("--kubernetes-version").unwrap_or_default();
            let parsed: Option<Version> = version.trim_start_matches("ci/").parse().ok();
            if parsed.is_some_and(|version| Release::of(&version).is_err()) {
                continue; // a minor that is not exact yet
            }
            if parsed_minor(&version).is_some_and(|found| found != minor) {
                continue; // the kubeadm of another minor decided here
            }
            let mut config = InitConfig::default();
            config.cluster.kubernetes_version = version;
            if gate.is_some() {
                config.cluster.feature_gates.insert("CoreDNS".into(), false);
            }
            if let Some(repository) = case.flag("--image-repository") {
                config.cluster.image_repository = repository;
            }
            let loaded = match case.text("in.yaml") {
                Some(text) => {
                    let source = Source { text: &text, name: "in.yaml" };
                    load::load_init(source, &options(client), &mut host(), &mut Vec::new())
                }
                None => load::init_from_flags(config, &options(client), &mut host(), &mut Vec::new()),
            };
            let loaded = loaded.unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let images = Images {
                cluster: &loaded.config.cluster,
                release: &loaded.release,
                version: &loaded.version,
                arch: "amd64",
            };
            let mut list = images.list();
            if minor == "1.11" && gate.is_some() {
                // 1.11 forgot two of the three images of the pod.
                assert_eq!(list.len(), 9);
                list.truncate(7);
            }
            let expected = case.must("stdout");
            assert_eq!(list, expected.lines().collect::<Vec<_>>(), "{}", case.name);
        }
    }
}

fn parsed_minor(version: &str) -> Option<String> {
    let version: Version = version.trim_start_matches("ci/").parse().ok()?;
    Some(version.major_minor())
}
