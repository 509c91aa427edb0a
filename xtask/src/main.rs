//! The one entry for people and machines: `cargo xtask COMMAND`.
#![allow(clippy::disallowed_methods)]

mod bench;
mod build;
mod dist;
mod golden;
mod root;
mod shipped;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use kubeadm_lab::kubeadm::Kubeadm;
use kubeadm_lab::{Error, Lab, Result, cluster, components, progress, releases};

fn main() -> ExitCode {
    let matches = arguments().get_matches();
    let result = match matches.subcommand() {
        Some(("cluster", matches)) => run_cluster(matches),
        Some(("test", matches)) => test::run(matches),
        Some(("golden", matches)) => run_golden(matches),
        Some(("bench", matches)) => run_bench(matches),
        Some(("dist", matches)) => kubeadm_of(matches).and_then(|kubeadm| dist::make(&kubeadm)).map(|_| true),
        _ => Ok(true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            progress::plain(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Command {
    let kubeadm = || {
        Arg::new("kubeadm")
            .long("kubeadm")
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .help("Use this kubeadm instead of building ours")
    };
    let reference = || {
        Arg::new("reference")
            .long("reference")
            .value_name("PATH")
            .help("The original kubeadm v1.37.2, or `build` to build it")
    };
    Command::new("xtask")
        .bin_name("cargo xtask")
        .about("Builds, runs and tests kubeadm on this machine")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("cluster")
                .about("Makes a one-node cluster on this machine (15 to 25 minutes the first time, under one later)")
                .arg(
                    Arg::new("version")
                        .long("kubernetes-version")
                        .value_name("VERSION")
                        .default_value(releases::ALL[0].version)
                        .help(format!("The release of the cluster: {}", releases::known())),
                )
                .arg(kubeadm())
                .subcommand(Command::new("down").about("Removes it, and what tests left"))
                .subcommand(Command::new("shell").about("Opens a shell on its node")),
        )
        .subcommand(
            Command::new("bench")
                .about("Measures our kubeadm beside the original and writes BENCHMARKS.md")
                .arg(reference().required_unless_present("minors"))
                .arg(
                    flag("minors", "Only what knowing every minor costs: that section is written anew")
                        .conflicts_with_all(["kubeadm", "reference"]),
                )
                .arg(kubeadm()),
        )
        .subcommand(
            Command::new("dist")
                .about("Makes deb and rpm packages of kubeadm for this machine in target/dist")
                .arg(kubeadm()),
        )
        .subcommand(
            Command::new("golden")
                .about("Runs kubeadm on the inputs of fixtures/golden and compares with what the original did")
                .arg(Arg::new("only").value_name("CASE").default_value("*").help("A case, such as 1.37/init/flags-*"))
                .arg(flag("verbose", "Shows every difference in full").short('v'))
                .arg(kubeadm()),
        )
        .subcommand(
            Command::new("test")
                .about("Runs format, lints, unit and golden tests, and the scenarios on real nodes")
                .arg(Arg::new("names").value_name("NAME").action(ArgAction::Append).help("Only these scenarios"))
                .arg(flag("all", "Every scenario, not only the short list"))
                .arg(flag("list", "Lists the scenarios"))
                .arg(flag("keep", "Leaves the scenarios' nodes running"))
                .arg(flag("lab-only", "Leaves out what needs no root: format, lints and tests of the workspace"))
                .arg(
                    Arg::new("packages")
                        .long("packages")
                        .value_names(["DEB", "RPM"])
                        .num_args(2)
                        .value_parser(value_parser!(PathBuf))
                        .help("Use these packages of kubeadm instead of making them"),
                )
                .arg(reference().default_value("build"))
                .arg(kubeadm()),
        )
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

/// Returns the kubeadm that the arguments name, else ours, built.
fn kubeadm_of(matches: &ArgMatches) -> Result<Kubeadm> {
    match matches.get_one::<PathBuf>("kubeadm") {
        Some(path) => Kubeadm::at(path),
        None => Kubeadm::at(&build::release()?),
    }
}

/// Returns the original that the arguments name, built from its Go module when they say `build`.
fn reference_of(lab: &Lab, matches: &ArgMatches) -> Result<Kubeadm> {
    let named = matches.get_one::<String>("reference").map_or("build", String::as_str);
    let reference = match named {
        "build" => {
            let release = &releases::ALL[0];
            components::obtain(lab, release, true)?;
            Kubeadm::at(&release.program(lab, "kubeadm"))?
        }
        path => Kubeadm::at(path.as_ref())?,
    };
    match reference.reference {
        true => Ok(reference),
        false => Err(Error::Unfit(format!("{named} is not the original kubeadm: it was not made with Go"))),
    }
}

fn run_cluster(matches: &ArgMatches) -> Result<bool> {
    let lab = Lab::open();
    match matches.subcommand_name() {
        Some("down") => {
            if !root::have() {
                return root::again(&["cluster", "down"]);
            }
            cluster::down(&lab)?;
        }
        Some("shell") => {
            if !root::have() {
                return root::again(&["cluster", "shell"]);
            }
            cluster::shell(&lab)?;
        }
        _ => {
            let version = matches.get_one::<String>("version").map_or("", String::as_str);
            let release = releases::find(version)?;
            let kubeadm = kubeadm_of(matches)?;
            if !root::have() {
                let path = kubeadm.path.to_string_lossy();
                return root::again(&["cluster", "--kubernetes-version", version, "--kubeadm", &path]);
            }
            cluster::up(&lab, release, &kubeadm)?;
        }
    }
    Ok(true)
}

fn run_golden(matches: &ArgMatches) -> Result<bool> {
    let kubeadm = kubeadm_of(matches)?;
    let only = matches.get_one::<String>("only").map_or("*", String::as_str);
    let verbose = matches.get_flag("verbose");
    if !root::have() {
        let path = kubeadm.path.to_string_lossy();
        let mut args = vec!["golden", only, "--kubeadm", &path];
        args.extend(verbose.then_some("--verbose"));
        return root::again(&args);
    }
    golden::run(&Lab::open(), &golden::Options { kubeadm: &kubeadm.path, only, verbose })
}

fn run_bench(matches: &ArgMatches) -> Result<bool> {
    if matches.get_flag("minors") {
        return bench::minors::write().map(|()| true);
    }
    let lab = Lab::open();
    let reference = matches.get_one::<String>("reference").map_or("build", String::as_str);
    let kubeadm = kubeadm_of(matches)?;
    if !root::have() {
        let path = kubeadm.path.to_string_lossy();
        return root::again(&["bench", "--reference", reference, "--kubeadm", &path]);
    }
    let reference = reference_of(&lab, matches)?;
    bench::run(&lab, &kubeadm, &reference)?;
    Ok(true)
}
