//! `cargo xtask test`: everything that must hold, from the fastest check to clusters on real nodes.

use std::path::PathBuf;

use clap::ArgMatches;
use kubeadm_lab::kubeadm::Kubeadm;
use kubeadm_lab::scenario::{self, Options, Packages, Scenario, Verdict};
use kubeadm_lab::{Error, Lab, Result, cluster, packages, progress, scenarios};

use crate::{build, dist, golden, kubeadm_of, reference_of, root, shipped};

/// Counts what passed, failed and was skipped.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: Vec<String>,
    skipped: u32,
}

impl Tally {
    fn note(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(error) => {
                progress::step(format!("FAILED: {name}"));
                progress::detail(error.to_string());
                self.failed.push(name.to_owned());
            }
        }
    }

    /// Tells the result, and whether nothing failed.
    fn tell(&self) -> bool {
        let Self { passed, failed, skipped } = self;
        progress::plain(format!("{passed} passed, {} failed, {skipped} skipped", failed.len()));
        failed.is_empty()
    }
}

/// Runs what the arguments ask for; `false` when something failed.
pub(crate) fn run(matches: &ArgMatches) -> Result<bool> {
    if matches.get_flag("list") {
        for scenario in scenarios::ALL {
            let kind = if scenario.default { "" } else { " (with --all or by name)" };
            progress::plain(format!("{:18} {}{kind}", scenario.name, scenario.about));
        }
        return Ok(true);
    }
    let names: Vec<&str> =
        matches.get_many::<String>("names").into_iter().flatten().map(String::as_str).collect();
    let chosen = choose(&names, matches.get_flag("all"))?;
    if root::have() {
        cluster::check_machine()?;
        // Here already: tests of the workspace run openssl.
        packages::install()?;
    }
    let mut tally = Tally::default();
    if names.is_empty() && !matches.get_flag("lab-only") {
        static_checks(&mut tally);
    }
    let kubeadm = kubeadm_of(matches)?;
    let packages = packages_of(matches, &chosen, &kubeadm)?;
    if !root::have() {
        return as_root(matches, &names, &kubeadm, packages.as_ref(), &tally);
    }
    if names.is_empty() {
        let options = golden::Options { kubeadm: &kubeadm.path, only: "*", verbose: false };
        tally.note("golden", golden::run(&Lab::open(), &options).and_then(golden::all_right));
        tally.note("static binary", shipped::check(&kubeadm));
    }
    run_scenarios(&mut tally, &chosen, &kubeadm, packages.as_ref(), matches)?;
    if !tally.failed.is_empty() {
        progress::step(format!("failed: {}", tally.failed.join(", ")));
    }
    Ok(tally.tell())
}

fn choose(names: &[&str], all: bool) -> Result<Vec<&'static Scenario>> {
    if names.is_empty() {
        return Ok(scenarios::ALL.iter().copied().filter(|s| all || s.default).collect());
    }
    let find =
        |name: &&str| {
            scenarios::ALL.iter().copied().find(|s| s.name == *name).ok_or_else(|| {
                Error::Unfit(format!("there is no scenario {name}: see cargo xtask test --list"))
            })
        };
    names.iter().map(find).collect()
}

fn static_checks(tally: &mut Tally) {
    let checks: [(&str, &[&str]); 3] = [
        ("format", &["fmt", "--all", "--check"]),
        ("clippy", &["clippy", "--quiet", "--workspace", "--all-targets", "--", "--deny", "warnings"]),
        ("unit and whole-binary tests", &["test", "--quiet", "--workspace"]),
    ];
    for (name, args) in checks {
        let result = progress::during(format!("{name}: cargo {}", args.join(" ")), || {
            build::cargo().args(args).show()
        });
        tally.note(name, result);
    }
}

/// The packages that the arguments name, else those of the kubeadm under test, if a scenario installs them.
fn packages_of(
    matches: &ArgMatches,
    chosen: &[&'static Scenario],
    kubeadm: &Kubeadm,
) -> Result<Option<Packages>> {
    let named: Vec<&PathBuf> = matches.get_many("packages").into_iter().flatten().collect();
    match named.as_slice() {
        [deb, rpm] => Ok(Some(Packages { deb: (*deb).clone(), rpm: (*rpm).clone() })),
        _ if !kubeadm.reference && chosen.iter().any(|s| s.packaged) => dist::make(kubeadm).map(Some),
        _ => Ok(None),
    }
}

fn run_scenarios(
    tally: &mut Tally,
    chosen: &[&'static Scenario],
    kubeadm: &Kubeadm,
    packages: Option<&Packages>,
    matches: &ArgMatches,
) -> Result<()> {
    let lab = Lab::open();
    let folder = build::repository().join("target/lab");
    let mixed = chosen.iter().any(|s| s.mixed);
    let (reference, lacking) = match mixed.then(|| reference_of(&lab, matches)).transpose() {
        Ok(reference) => (reference, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let options = Options {
        kubeadm,
        reference: reference.as_ref(),
        packages,
        keep: matches.get_flag("keep"),
        folder: &folder,
    };
    for scenario in chosen {
        if let (true, Some(error)) = (scenario.mixed, &lacking) {
            tally
                .note(scenario.name, Err(Error::Unfit(format!("there is no original to mix with: {error}"))));
            continue;
        }
        match scenario::run(&lab, scenario, &options) {
            Verdict::Passed => tally.passed += 1,
            Verdict::Failed => tally.failed.push(scenario.name.to_owned()),
            Verdict::Skipped => tally.skipped += 1,
        }
    }
    Ok(())
}

/// Runs the scenarios under sudo. What failed before is told by the exit status of the whole.
fn as_root(
    matches: &ArgMatches,
    names: &[&str],
    kubeadm: &Kubeadm,
    packages: Option<&Packages>,
    tally: &Tally,
) -> Result<bool> {
    if !tally.failed.is_empty() {
        return Ok(tally.tell());
    }
    let path = kubeadm.path.to_string_lossy();
    let mut args = vec!["test", "--lab-only", "--kubeadm", &path];
    args.extend(matches.get_one::<String>("reference").into_iter().flat_map(|r| ["--reference", r]));
    args.extend(["all", "keep"].iter().filter(|f| matches.get_flag(f)).map(|f| match *f {
        "all" => "--all",
        _ => "--keep",
    }));
    let packages: Vec<&str> =
        packages.into_iter().flat_map(|p| [&p.deb, &p.rpm]).filter_map(|path| path.to_str()).collect();
    if let [deb, rpm] = packages.as_slice() {
        args.extend(["--packages", deb, rpm]);
    }
    args.extend(names);
    root::again(&args)
}
