//! `config print`, `config validate`, `config migrate` and `config images list` of every recorded minor, byte for
//! byte. What may differ stands in `fixtures/golden/differences.txt`, as it does for the whole program.

use kubeadm_config::commands;
use kubeadm_config::documents::Reading;
use kubeadm_config::error::ConfigError;
use kubeadm_config::images::Images;
use kubeadm_config::load::{self, InitConfig, Options, Source};
use kubeadm_release::{Release, Version};

use crate::host::host;
use crate::recorded::{Case, cases, releases};

fn options(version: &Version) -> Options {
    let reading = Reading { strict: true, allow_experimental: false };
    Options { reading, target: Some(version.clone()), ..Options::new(version.clone()) }
}

fn migrate(text: &str, options: &Options) -> Result<String, ConfigError> {
    let source = Source { text, name: "in.yaml" };
    commands::migrate(source, options, &mut host(), &|_| false, &mut Vec::new())
}

fn print(case: &Case, kind: &str, release: &Release) -> Result<String, ConfigError> {
    let names = case.flag("--component-configs").unwrap_or_default();
    let names: Vec<String> = names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect();
    let components = commands::component_defaults(&commands::component_kinds(&names)?, release);
    Ok(match kind {
        "init-defaults" => commands::print_init_defaults(release, "vm", &components),
        "join-defaults" => commands::print_join_defaults(release, "vm"),
        "reset-defaults" => commands::print_reset_defaults(release),
        "upgrade-defaults" => commands::print_upgrade_defaults(),
        _ => panic!("{}: no such defaults", case.name),
    })
}

fn images(case: &Case, version: &Version) -> Result<String, ConfigError> {
    let options = Options::new(version.clone());
    let loaded = match case.text("in.yaml") {
        Some(text) => {
            load::load_init(Source { text: &text, name: "in.yaml" }, &options, &mut host(), &mut Vec::new())
        }
        None => {
            let mut config = InitConfig::default();
            config.cluster.kubernetes_version = case.flag("--kubernetes-version").unwrap_or_default();
            config.cluster.image_repository = case.flag("--image-repository").unwrap_or_default();
            let options =
                Options { feature_gates: case.flag("--feature-gates").unwrap_or_default(), ..options };
            load::init_from_flags(config, &options, &mut host(), &mut Vec::new())
        }
    }?;
    let (cluster, release) = (&loaded.config.cluster, &loaded.release);
    let images = Images { cluster, release, version: &loaded.version, arch: "amd64" };
    Ok(images.list().iter().map(|image| format!("{image}\n")).collect())
}

/// What our commands make of a case; nothing where it is the program's business.
fn run(case: &Case, version: &Version) -> Option<Result<String, ConfigError>> {
    let release = Release::of(version).unwrap();
    let text = case.text("in.yaml").unwrap_or_default();
    let args = case.args();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    Some(match words.as_slice() {
        ["config", "print", kind, ..] => print(case, kind, &release),
        ["config", "print-default", ..] => {
            let kinds: Vec<String> = case.flag("--api-objects").into_iter().collect();
            commands::print_default(&kinds, &release, "vm", "192.0.2.2")
        }
        ["config", "migrate", ..] => migrate(&text, &options(version)),
        ["config", "validate", ..] => {
            let source = Source { text: &text, name: "in.yaml" };
            commands::validate(source, &options(version), &mut host(), &|_| false, &mut Vec::new())
                .map(|()| "ok\n".into())
        }
        ["config", "images", "list", .., "-o", _] => return None,
        ["config", "images", "list", ..] => images(case, version),
        _ => return None,
    })
}

/// A text with no random token, and with the time-out whose default the originals of 1.31 to 1.36 forgot.
fn settled(text: &str, given: &str) -> String {
    let line = |line: &str| match line.split_once("token: ") {
        Some((before, token))
            if token.len() == 23 && token != "abcdef.0123456789abcdef" && !given.contains(token) =>
        {
            format!("{before}token: <random token>\n")
        }
        _ => line.replace("ComponentHealthCheck: 0s", "ComponentHealthCheck: 4m0s") + "\n",
    };
    text.lines().map(line).collect()
}

/// What differs from the recordings on purpose, by case.
fn deliberate() -> Vec<(String, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/golden/differences.txt");
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let words = lines.filter_map(|line| line.split_once(' '));
    words
        .map(|(case, rest)| (case.to_owned(), rest.split(' ').next().unwrap_or_default().to_owned()))
        .collect()
}

/// Matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => {
            text.strip_prefix(start).is_some_and(|tail| (0..=tail.len()).any(|at| matches(rest, &tail[at..])))
        }
    }
}

#[test]
fn commands_do_as_recorded() {
    let deliberate = deliberate();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for (minor, version) in releases() {
        for case in cases(&minor, "commands", "") {
            let Some(result) = run(&case, &version) else { continue };
            let excused = |aspect: &str| {
                let name = case.name.rsplit('/').next().unwrap_or_default();
                let covers = |(pattern, of): &(String, String)| {
                    (matches(pattern, &case.name) || matches(pattern, name)) && (of == aspect || of == "*")
                };
                deliberate.iter().any(covers)
            };
            compared += 1;
            let given = case.text("in.yaml").unwrap_or_default();
            match (&result, case.fails()) {
                (Err(_), true) => {}
                (Ok(text), false) => {
                    let (ours, theirs) = (settled(text, &given), settled(&case.must("stdout"), &given));
                    if ours != theirs && !excused("stdout") {
                        wrong.push(format!("{}:\n{}", case.name, difference(&theirs, &ours)));
                    }
                }
                _ if excused("exit") => {}
                (Ok(_), true) => wrong.push(format!("{}: should be refused", case.name)),
                (Err(error), false) => wrong.push(format!("{}: {error}", case.name)),
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(compared > 80, "{compared}");
}

fn difference(theirs: &str, ours: &str) -> String {
    let only = |these: &str, those: &str, mark: char| -> String {
        let lines = these.lines().filter(|line| !those.lines().any(|other| other == *line));
        lines.map(|line| format!("{mark} {line}\n")).collect()
    };
    only(theirs, ours, '-') + &only(ours, theirs, '+')
}

#[test]
fn kinds_that_are_none_are_refused() {
    assert!(commands::component_kinds(&["Nope".into()]).is_err());
    assert!(commands::print_default(&["Nope".into()], &Release::newest(), "vm", "").is_err());
}

#[test]
fn a_migrated_file_migrates_to_itself() {
    for (minor, version) in releases() {
        for case in cases(&minor, "commands", "").iter().filter(|case| case.name.contains("/migrate-")) {
            let Ok(once) = migrate(&case.must("in.yaml"), &options(&version)) else { continue };
            assert_eq!(migrate(&once, &options(&version)).unwrap(), once, "{}", case.name);
        }
    }
}

#[test]
fn the_release_that_is_asked_for_decides() {
    let text = "apiVersion: kubeadm.k8s.io/v1beta3\nkind: InitConfiguration\n---\n\
        apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nimageMaximumGCAge: 1h\n";
    let validate = |version: Version| {
        let source = Source { text, name: "in.yaml" };
        commands::validate(source, &options(&version), &mut host(), &|_| false, &mut Vec::new())
    };
    assert!(validate(Version::new(1, 36, 3)).is_ok());
    let refusal = validate(Version::new(1, 13, 12)).unwrap_err().to_string();
    assert!(refusal.contains("imageMaximumGCAge"), "{refusal}");
}

#[test]
fn an_empty_file_is_valid() {
    let (source, options) = (Source { text: "", name: "empty.yaml" }, options(&Version::new(1, 37, 2)));
    commands::validate(source, &options, &mut host(), &|_| false, &mut Vec::new()).unwrap();
}
