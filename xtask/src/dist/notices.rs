//! Licences and notices of the libraries that are linked into the program: most licences ask that their text goes
//! along.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kubeadm_lab::{Error, Result};
use serde_json::Value;

use crate::build::{cargo, host};

/// The C library is linked too, and cargo does not know of it.
const HEAD: &str = "Libraries that are linked into kubeadm, with their licences and notices.\n\n\
    The GNU C Library, LGPL-2.1-or-later: https://www.gnu.org/software/libc/. The program's source and the commands\n\
    that build it make it possible to link it with another version.\n\n\
    The Rust standard library, MIT OR Apache-2.0: https://github.com/rust-lang/rust.\n";

/// The text for all libraries that the program of this machine is built from.
pub(crate) fn collect() -> Result<String> {
    let text = cargo()
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &host()?])
        .read()?;
    let metadata: Value = serde_json::from_str(&text)
        .map_err(|e| Error::Unfit(format!("cargo metadata wrote what is no JSON: {e}")))?;
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut list = String::new();
    for library in linked(&metadata, "kubeadm") {
        list += &format!("{}: {}\n", library.title, library.license);
        for text in library.texts()? {
            texts.entry(text).or_default().insert(library.title.clone());
        }
    }
    let mut all = format!("{HEAD}\n{list}");
    for (text, libraries) in texts {
        let line = "=".repeat(72);
        let names: Vec<String> = libraries.into_iter().collect();
        all += &format!("\n{line}\n{}\n{line}\n\n{}\n", names.join(", "), text.trim_end());
    }
    Ok(all)
}

struct Library {
    /// Its name and version.
    title: String,
    license: String,
    folder: String,
}

impl Library {
    /// The files in which it keeps its licence and notices.
    fn texts(&self) -> Result<Vec<String>> {
        let folder = Path::new(&self.folder);
        let io = |source| Error::Io { action: "read", path: folder.to_owned(), source };
        let mut texts = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(io)?.flatten() {
            let name = entry.file_name().to_string_lossy().to_uppercase();
            let wanted = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
            if wanted.iter().any(|w| name.starts_with(w)) && entry.path().is_file() {
                texts.push(std::fs::read_to_string(entry.path()).map_err(io)?);
            }
        }
        Ok(texts)
    }
}

/// What is linked into a program of the workspace: all that it needs at run time, but for the workspace itself and for
/// macros, which work at build time.
fn linked(metadata: &Value, program: &str) -> Vec<Library> {
    let all = |at: &Value| at.as_array().cloned().unwrap_or_default();
    let text = |at: &Value| at.as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, Value> =
        all(&metadata["packages"]).into_iter().map(|p| (text(&p["id"]), p)).collect();
    let needs: BTreeMap<String, Vec<Value>> =
        all(&metadata["resolve"]["nodes"]).iter().map(|n| (text(&n["id"]), all(&n["deps"]))).collect();
    let is_macro = |id: &str| {
        let targets = all(&packages[id]["targets"]);
        targets.iter().any(|t| all(&t["kind"]).contains(&Value::from("proc-macro")))
    };
    let mut found = BTreeSet::new();
    let mut next: Vec<String> =
        packages.iter().filter(|(_, p)| p["name"] == program).map(|(id, _)| id.clone()).collect();
    while let Some(id) = next.pop() {
        if !packages.contains_key(&id) || is_macro(&id) || !found.insert(id.clone()) {
            continue;
        }
        let at_run_time = |need: &&Value| all(&need["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
        next.extend(needs.get(&id).into_iter().flatten().filter(at_run_time).map(|need| text(&need["pkg"])));
    }
    let mut libraries: Vec<Library> = found
        .iter()
        .map(|id| &packages[id])
        .filter(|package| package["source"].is_string())
        .map(|package| {
            let manifest = text(&package["manifest_path"]);
            Library {
                title: format!("{} {}", text(&package["name"]), text(&package["version"])),
                license: text(&package["license"]),
                folder: manifest.trim_end_matches("/Cargo.toml").into(),
            }
        })
        .collect();
    libraries.sort_by(|a, b| a.title.cmp(&b.title));
    libraries
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_linked_is_listed() {
        let package = |name: &str, source: Value, kind: &str| {
            json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT", "source": source,
                "manifest_path": format!("/src/{name}/Cargo.toml"), "targets": [{"kind": [kind]}]})
        };
        let need = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [
                package("kubeadm", json!(null), "bin"),
                package("kubeadm-engine", json!(null), "lib"),
                package("serde", json!("registry"), "lib"),
                package("derive", json!("registry"), "proc-macro"),
                package("syn", json!("registry"), "lib"),
                package("cc", json!("registry"), "lib"),
                package("proptest", json!("registry"), "lib"),
            ],
            "resolve": {"nodes": [
                {"id": "kubeadm", "deps": [need("kubeadm-engine", json!(null)), need("proptest", json!("dev"))]},
                {"id": "kubeadm-engine", "deps": [need("serde", json!(null)), need("cc", json!("build"))]},
                {"id": "serde", "deps": [need("derive", json!(null))]},
                {"id": "derive", "deps": [need("syn", json!(null))]},
            ]},
        });
        let titles: Vec<String> = linked(&metadata, "kubeadm").into_iter().map(|l| l.title).collect();
        assert_eq!(titles, ["serde 1.0.0"]);
    }

    #[test]
    fn texts_are_those_of_the_librarys_folder() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("LICENSE-MIT", "mit"), ("NOTICE.md", "notice"), ("README.md", "readme")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let folder = folder.path().to_string_lossy().into_owned();
        let mut texts = Library { title: "x 1".into(), license: "MIT".into(), folder }.texts().unwrap();
        texts.sort();
        assert_eq!(texts, ["mit", "notice"]);
    }
}
