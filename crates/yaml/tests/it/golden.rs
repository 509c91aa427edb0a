//! Every YAML text that the original wrote must come out of our reader and writer unchanged.

use std::path::{Path, PathBuf};

use kubeadm_yaml::{parse_documents, to_string};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden")
}

/// All files below a folder, in a fixed order.
fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files_below(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn assert_unchanged(text: &str, name: &str) {
    let documents = parse_documents(text, name).unwrap_or_else(|e| panic!("{e}"));
    let written: Vec<String> = documents.iter().map(|d| to_string(&d.value)).collect();
    let lead = if text.starts_with("---\n") { "---\n" } else { "" };
    assert_eq!(format!("{lead}{}", written.join("---\n")), text, "{name}");
}

/// The texts inside recorded objects: values of `data` that are YAML documents themselves.
fn embedded<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match (key.as_str(), value) {
                    ("data", Value::Object(data)) => {
                        // kube-proxy's kubeconfig is a template, in its own order.
                        let texts =
                            data.iter().filter(|(name, _)| *name != "kubeconfig.conf").map(|(_, text)| text);
                        found
                            .extend(texts.filter_map(Value::as_str).filter(|t| t.starts_with("apiVersion:")));
                    }
                    _ => embedded(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|v| embedded(v, found)),
        _ => {}
    }
}

#[test]
fn recorded_files_are_rewritten_byte_for_byte() {
    let mut files = Vec::new();
    files_below(&fixtures(), &mut files);
    let mut checked = 0;
    for path in files {
        let name = path.to_string_lossy().into_owned();
        let written_by_go =
            name.contains("/files/") && name.ends_with(".yaml") && !name.ends_with("/instance-config.yaml")
                || name.ends_with("/stdout") && (name.contains("/print-") || name.contains("/migrate-"));
        if !written_by_go {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        if text.starts_with("apiVersion:") || text.starts_with("---\n") || name.contains("/files/") {
            assert_unchanged(&text, &name);
            checked += 1;
        }
    }
    assert!(checked > 300, "only {checked} recordings found");
}

#[test]
fn recorded_config_maps_are_rewritten_byte_for_byte() {
    let mut files = Vec::new();
    files_below(&fixtures(), &mut files);
    let mut checked = 0;
    for path in files.iter().filter(|p| p.ends_with("objects.yaml")) {
        let name = path.to_string_lossy();
        let text = std::fs::read_to_string(path).unwrap();
        for document in parse_documents(&text, &name).unwrap_or_else(|e| panic!("{e}")) {
            let mut texts = Vec::new();
            embedded(&document.value, &mut texts);
            for text in texts {
                // A template of 1.11 drops the final line break.
                assert_unchanged(&format!("{}\n", text.trim_end_matches('\n')), &name);
                checked += 1;
            }
        }
    }
    assert!(checked > 200, "only {checked} texts found");
}
