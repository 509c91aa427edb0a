//! `cargo xtask golden`: runs kubeadm on the inputs of the recordings in `fixtures/golden` and compares what it does
//! with what the original did.
//!
//! A case counts once for each of its aspects. What differs on purpose stands in `fixtures/golden/differences.txt`
//! with its reason and counts as right.

mod commands;
mod compare;
mod docker;
mod facts;
mod log;
mod record;
mod sandbox;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use kubeadm_lab::{Error, Lab, Result, node, packages, progress};
use kubeadm_release::NEWEST_MINOR;

use crate::build::repository;

/// How many cases run at a time.
const WORKERS: usize = 2;

/// What is compared of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Aspect {
    Exit,
    Files,
    Objects,
    Pki,
    Kubeconfig,
    Stdout,
}

impl Aspect {
    fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Files => "files",
            Self::Objects => "objects",
            Self::Pki => "pki",
            Self::Kubeconfig => "kubeconfig",
            Self::Stdout => "stdout",
        }
    }
}

/// One recorded case.
#[derive(Debug, Clone)]
struct Case {
    minor: String,
    kind: &'static str,
    name: String,
    folder: PathBuf,
    kubelet: String,
}

impl Case {
    fn path(&self) -> String {
        format!("{}/{}/{}", self.minor, self.kind, self.name)
    }

    /// Whether it is of the minor whose words are ours too: only its standard output is compared.
    fn is_newest(&self) -> bool {
        self.minor == format!("1.{NEWEST_MINOR}")
    }

    /// Input that the original refuses, or should: only whether it is refused is compared.
    fn is_bad(&self) -> bool {
        self.name.starts_with("bad-") || self.name.starts_with("h-bad-")
    }

    fn aspects(&self) -> Vec<Aspect> {
        use Aspect::{Exit, Files, Kubeconfig, Objects, Pki, Stdout};
        match self.kind {
            "commands" => vec![Exit, Stdout],
            _ if self.is_bad() => vec![Exit],
            _ if self.is_newest() => vec![Exit, Files, Objects, Pki, Kubeconfig, Stdout],
            _ => vec![Exit, Files, Objects, Pki, Kubeconfig],
        }
    }
}

/// A line of differences.txt.
struct Allowed {
    case: String,
    aspect: String,
}

impl Allowed {
    fn covers(&self, case: &Case, aspect: Aspect) -> bool {
        (self.aspect == aspect.name() || self.aspect == "*")
            && (matches(&self.case, &case.path()) || matches(&self.case, &case.name))
    }
}

/// How a run is wanted.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    /// The kubeadm to run.
    pub(crate) kubeadm: &'a Path,
    /// Only cases whose path (`1.37/init/flags-ha`) or name matches.
    pub(crate) only: &'a str,
    /// Whether each difference is shown in full.
    pub(crate) verbose: bool,
}

/// Runs and compares; `true` when every aspect is right.
pub(crate) fn run(lab: &Lab, options: &Options<'_>) -> Result<bool> {
    packages::install()?;
    node::make_rootfs(lab)?;
    let folder = repository().join("fixtures/golden");
    let cases: Vec<Case> = cases(&folder)?
        .into_iter()
        .filter(|c| matches(options.only, &c.path()) || matches(options.only, &c.name))
        .collect();
    if cases.is_empty() {
        return Err(Error::Unfit(format!("no recorded case matches {}", options.only)));
    }
    let allowed = allowed(&folder.join("differences.txt"))?;
    let output = repository().join("target/golden");
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let differences = run_case(lab, case, options.kubeadm, &output);
            if let Ok(mut all) = results.lock() {
                all.push((case, differences));
            }
        }
    };
    progress::during(format!("{} recorded cases", cases.len()), || {
        std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    });
    let mut results = results.into_inner().map_err(|_| Error::Unfit("a golden worker panicked".into()))?;
    results.sort_by_key(|(case, _)| case.path());
    report(results, &allowed, options.verbose)
}

/// Turns a score that is not full into an error.
pub(crate) fn all_right(right: bool) -> Result<()> {
    if right {
        Ok(())
    } else {
        Err(Error::Unfit("the recordings differ: cargo xtask golden --verbose".into()))
    }
}

type Differences = Result<BTreeMap<Aspect, Vec<String>>>;

fn report(results: Vec<(&Case, Differences)>, allowed: &[Allowed], verbose: bool) -> Result<bool> {
    let mut scores: BTreeMap<(String, Aspect), (u32, u32)> = BTreeMap::new();
    let mut used = vec![false; allowed.len()];
    for (case, differences) in results {
        let differences = differences?;
        for aspect in case.aspects() {
            let score = scores.entry((format!("{} {}", case.minor, case.kind), aspect)).or_default();
            score.1 += 1;
            let Some(found) = differences.get(&aspect).filter(|d| !d.is_empty()) else {
                score.0 += 1;
                continue;
            };
            if let Some(index) = allowed.iter().position(|a| a.covers(case, aspect)) {
                used[index] = true;
                score.0 += 1;
                continue;
            }
            let shown = if verbose { found.join("\n") } else { first_line(&found[0]) };
            progress::detail(format!("{}: {}: {shown}", case.path(), aspect.name()));
        }
    }
    let (mut right, mut total) = (0, 0);
    let mut lines: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for ((group, aspect), (ok, all)) in &scores {
        right += ok;
        total += all;
        lines.entry(group).or_default().push(format!("{} {ok}/{all}", aspect.name()));
    }
    for (group, parts) in lines {
        progress::detail(format!("{group:14} {}", parts.join("  ")));
    }
    for (allowed, _) in allowed.iter().zip(used).filter(|(_, used)| !used).take(usize::from(verbose) * 99) {
        progress::detail(format!("differences.txt: not needed here: {} {}", allowed.case, allowed.aspect));
    }
    progress::step(format!("golden score {right}/{total}"));
    Ok(right == total)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(140).collect()
}

fn run_case(lab: &Lab, case: &Case, kubeadm: &Path, output: &Path) -> Differences {
    let output = output.join(case.path());
    let mut found = BTreeMap::new();
    if case.kind == "commands" {
        let run = record::command(lab, case, kubeadm)?;
        found.insert(Aspect::Exit, commands::exit(case, run.code)?);
        found.insert(Aspect::Stdout, commands::stdout(case, &run.stdout)?);
        record::write_plain(&output, &run)?;
        return Ok(found);
    }
    let recording = record::init(lab, case, kubeadm)?;
    recording.write(&output)?;
    for aspect in case.aspects() {
        found.insert(aspect, compare::aspect(case, aspect, &recording)?);
    }
    Ok(found)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter(|e| e.path().is_dir()).map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn cases(folder: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for release in names(folder) {
        let Some(minor) = release.strip_prefix("kubeadm-") else { continue };
        let of_release = folder.join(&release);
        let kubelet = read(&of_release.join("version"))?.trim().to_owned();
        for kind in ["init", "commands"] {
            for name in names(&of_release.join(kind)) {
                let folder = of_release.join(kind).join(&name);
                cases.push(Case { minor: minor.to_owned(), kind, name, folder, kubelet: kubelet.clone() });
            }
        }
    }
    match cases.is_empty() {
        true => Err(Error::Unfit(format!("there are no recordings in {}", folder.display()))),
        false => Ok(cases),
    }
}

/// Reads `CASE ASPECT reason` lines; CASE may hold `*`, ASPECT may be `*`. A line without a reason is refused.
fn allowed(path: &Path) -> Result<Vec<Allowed>> {
    let text = read(path)?;
    let lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.split_whitespace();
            match (words.next(), words.next(), words.next()) {
                (Some(case), Some(aspect), Some(_)) => {
                    Ok(Allowed { case: case.to_owned(), aspect: aspect.to_owned() })
                }
                _ => Err(Error::Unfit(format!("{}: {line:?} is not CASE ASPECT reason", path.display()))),
            }
        })
        .collect()
}

/// Matches a pattern in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).filter(|i| tail.is_char_boundary(*i)).any(|i| matches(rest, &tail[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("*", "") && matches("1.3*/init/gate-*", "1.36/init/gate-x") && matches("a", "a"));
        assert!(!matches("gate-*", "flags") && !matches("a", "ab"));
    }

    #[test]
    fn differences_name_their_reasons() {
        let path = repository().join("fixtures/golden/differences.txt");
        assert!(allowed(&path).is_ok(), "{:?}", allowed(&path).err());
    }
}
