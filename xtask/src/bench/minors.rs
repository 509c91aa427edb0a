//! What knowing every minor costs: two programs that show what is known of a release, built as kubeadm is. One has the crate
//! `release` as it is; in the other each table holds only what the newest minor needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use kubeadm_lab::{Error, Result, progress};
use kubeadm_release::{NEWEST_MINOR, SERVED_MINORS};
use quote::ToTokens as _;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, ExprArray, ExprCall, ItemConst, Lit};

use super::measure::{Cost, measure};
use super::summary;
use crate::build::{self, cargo, repository};

/// The heading of the section in BENCHMARKS.md.
const HEADING: &str = "## What knowing every minor costs\n";

/// The most that all other minors may weigh.
const GOAL_KIB: f64 = 100.0;

/// How often each program is started.
const STARTS: usize = 201;

/// Measures it, and puts the section in the place of the one in BENCHMARKS.md.
pub(crate) fn write() -> Result<()> {
    let section = section()?;
    let path = repository().join("BENCHMARKS.md");
    let text = std::fs::read_to_string(&path).map_err(|source| io("read", &path, source))?;
    let before = text.split(HEADING).next().unwrap_or_default().trim_end();
    std::fs::write(&path, format!("{before}\n\n{section}")).map_err(|source| io("write", &path, source))?;
    progress::plain(section);
    Ok(())
}

/// The section, measured now.
pub(super) fn section() -> Result<String> {
    let every = program("every", |source| Ok(source.to_owned()))?;
    let newest = program("newest", cut)?;
    let bytes = |path: &Path| path.metadata().map(|about| about.len()).map_err(|e| io("look at", path, e));
    let kib = |path: &Path| bytes(path).map(|bytes| bytes as f64 / 1024.0);
    let (every_kib, newest_kib) = (kib(&every)?, kib(&newest)?);
    progress::step(format!("start both ({STARTS} times each)"));
    let (mut every_costs, mut newest_costs) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        every_costs.push(measure(&mut Command::new(&every))?);
        newest_costs.push(measure(&mut Command::new(&newest))?);
    }
    let wall = |cost: &Cost| cost.wall.as_secs_f64() * 1e3;
    let (every_start, newest_start) = (summary(&every_costs, wall), summary(&newest_costs, wall));
    let more = every_kib - newest_kib;
    let verdict = if more < GOAL_KIB { "" } else { " **missed**" };
    Ok(format!(
        "{HEADING}\n\
         Two programs that show what is known of a release, built as kubeadm is: one of the crate `release` as it is, the\n\
         other of a copy whose tables hold what the newest minor needs and nothing else. A start is the program without\n\
         arguments, in turns, {STARTS} times each. `cargo xtask bench --minors` writes this section, and every whole run does.\n\n\
         | | {} minors | the newest alone | difference |\n|---|---|---|---|\n\
         | size | {every_kib:.1} KiB | {newest_kib:.1} KiB | {more:.1} KiB, goal {GOAL_KIB:.0}{verdict} |\n\
         | start | {:.3} ({:.3}) ms | {:.3} ({:.3}) ms | {:+.3} ({:+.3}) ms |\n",
        SERVED_MINORS.len(),
        every_start.1,
        every_start.0,
        newest_start.1,
        newest_start.0,
        every_start.1 - newest_start.1,
        every_start.0 - newest_start.0,
    ))
}

/// Builds the program of a copy of the crate, each file changed.
fn program(name: &str, change: fn(&str) -> Result<String>) -> Result<PathBuf> {
    let folder = repository().join("target/bench/minors").join(name);
    copy(&repository().join("crates/release/src"), &folder.join("src"), change)?;
    let write = |file: &str, text: &str| {
        let path = folder.join(file);
        std::fs::write(&path, text).map_err(|source| io("write", &path, source))
    };
    let root = repository().join("Cargo.toml");
    let manifest = std::fs::read_to_string(&root).map_err(|source| io("read", &root, source))?;
    let profile = manifest.split_once("[profile.release]").map_or("", |(_, rest)| rest);
    let profile = profile.split("\n[").next().unwrap_or_default();
    let derive = repository().join("crates/release-derive").display().to_string();
    write(
        "Cargo.toml",
        &format!(
            "[package]\nname = \"facts\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
             [lib]\nname = \"kubeadm_release\"\n\n[[bin]]\nname = \"facts\"\npath = \"main.rs\"\n\n\
             [dependencies]\nkubeadm-release-derive = {{ path = {derive:?} }}\n\n[profile.release]{profile}\n"
        ),
    )?;
    write("main.rs", MAIN)?;
    let (from, to) = (repository().join("Cargo.lock"), folder.join("Cargo.lock"));
    std::fs::copy(&from, &to).map_err(|source| io("copy", &from, source))?;
    let host = build::host()?;
    progress::during(format!("build the program of {name} minor"), || {
        cargo()
            .dir(&folder)
            .args(["build", "--quiet", "--release", "--offline", "--target", &host, "--target-dir"])
            .args([folder.join("target")])
            // What a cut table leaves unused is not worth a word.
            .env("RUSTFLAGS", "-Ctarget-feature=+crt-static -Awarnings")
            .show()
    })?;
    Ok(folder.join("target").join(host).join("release/facts"))
}

/// Uses every table, as kubeadm does.
const MAIN: &str = r#"
use kubeadm_release::facts::{corefile, gone};
use kubeadm_release::{Reference, Release, Version, listing, skew};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [minor, other, word] = words.as_slice() else { return };
    let (Ok(version), Ok(other)) = (Version::first_of_minor(minor), Version::first_of_minor(other)) else { return };
    let (Ok(release), Ok(before)) = (Release::of(&version), Release::of(&other)) else { return };
    println!("{:?}", listing::all(&release));
    println!("{:?}", listing::differences(&before, &release));
    println!("{:?} {:?}", corefile::changes(word, minor), Reference::parse(word));
    println!("{:?} {:?}", gone::flag(word, minor, &other, &version), gone::gate(word, &other, &version));
    println!("{:?} {:?}", gone::value(word, minor, word, &other, &version), gone::locked(word, true, &other, &version));
    println!("{:?} {:?}", gone::environment(&release), skew::kubelet_allowed(&other, &version));
}
"#;

fn copy(from: &Path, to: &Path, change: fn(&str) -> Result<String>) -> Result<()> {
    std::fs::create_dir_all(to).map_err(|source| io("make", to, source))?;
    for entry in from.read_dir().map_err(|source| io("list", from, source))? {
        let path = entry.map_err(|source| io("list", from, source))?.path();
        let to = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &to, change)?;
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|source| io("read", &path, source))?;
        std::fs::write(&to, change(&text)?).map_err(|source| io("write", &to, source))?;
    }
    Ok(())
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.into(), source }
}

/// A source whose tables hold only what the newest minor needs.
fn cut(source: &str) -> Result<String> {
    let mut file = syn::parse_file(source)
        .map_err(|error| Error::Unfit(format!("a file of crates/release cannot be read: {error}")))?;
    Cut.visit_file_mut(&mut file);
    Ok(file.into_token_stream().to_string())
}

struct Cut;

impl VisitMut for Cut {
    /// Of a column only its last row.
    fn visit_expr_call_mut(&mut self, call: &mut ExprCall) {
        if called(call).as_deref() == Some("Column")
            && let Some(Expr::Reference(rows)) = call.args.first_mut()
            && let Expr::Array(rows) = &mut *rows.expr
        {
            rows.elems = rows.elems.pop().into_iter().collect();
        }
        visit_mut::visit_expr_call_mut(self, call);
    }

    /// Of a list only the items that the newest minor has.
    fn visit_expr_array_mut(&mut self, array: &mut ExprArray) {
        if !array.elems.is_empty() && array.elems.iter().all(|item| there(item).is_some()) {
            let items = std::mem::take(&mut array.elems).into_iter();
            array.elems = items.filter(|item| there(item) == Some(true)).collect();
        }
        visit_mut::visit_expr_array_mut(self, array);
    }

    /// Of the list of minors the newest; of the histories by minor or version nothing: the newest minor needs none of what
    /// went before it.
    fn visit_item_const_mut(&mut self, item: &mut ItemConst) {
        if let Expr::Reference(rows) = &mut *item.expr
            && let Expr::Array(rows) = &mut *rows.expr
        {
            let itself = |minor: u32| item.ident == "MINORS" && minor == NEWEST_MINOR;
            let dated = |row: &Expr| match row {
                Expr::Tuple(row) => {
                    matches!(row.elems.first(), Some(Expr::Array(_)))
                        || first_number(row.elems.first()).is_some_and(|minor| !itself(minor))
                }
                _ => false,
            };
            let kept = std::mem::take(&mut rows.elems).into_iter();
            rows.elems = kept.filter(|row| !dated(row)).collect();
        }
        visit_mut::visit_item_const_mut(self, item);
    }
}

/// The last word of what is called.
fn called(call: &ExprCall) -> Option<String> {
    match &*call.func {
        Expr::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()),
        _ => None,
    }
}

fn first_number(expr: Option<&Expr>) -> Option<u32> {
    match expr? {
        Expr::Lit(lit) => match &lit.lit {
            Lit::Int(number) => number.base10_parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Whether the newest minor has an item of a list that grows and shrinks; `None` for other expressions.
fn there(item: &Expr) -> Option<bool> {
    let Expr::Call(call) = item else { return None };
    let minor = |at: usize| first_number(call.args.iter().nth(at));
    match called(call)?.as_str() {
        "always" | "ever" => Some(true),
        "since" => Some(minor(0)? <= NEWEST_MINOR),
        "until" => Some(minor(0)? > NEWEST_MINOR),
        "within" => Some(minor(0)? <= NEWEST_MINOR && NEWEST_MINOR < minor(1)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_keep_what_the_newest_minor_needs() {
        let source = r#"
            pub const MINORS: &[(u32, Option<u32>)] = &[(11, Some(10)), (12, None), (37, Some(2))];
            const A: Column<&str> = Column(&[(0, "old"), (12, "newer"), (36, "newest")]);
            const B: &[Span<u8>] = &[Span::always(1), until(13, 2), Span::within(12, 14, 3), Span::since(13, 4)];
            const C: &[(u32, &str)] = &[(12, "gone"), (37, "gone too")];
            const D: &[(&str, i64)] = &[("range", 0)];
        "#;
        let cut = cut(source).unwrap().replace(' ', "");
        for kept in [
            "=&[(37,Some(2))]",
            r#"Column(&[(36,"newest")])"#,
            "&[Span::always(1),Span::since(13,4)]",
            r#"&[("range",0)]"#,
        ] {
            assert!(cut.contains(kept), "{kept}\n{cut}");
        }
        assert!(!cut.contains("gone"), "{cut}");
    }
}
