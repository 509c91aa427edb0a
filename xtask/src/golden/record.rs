//! Runs kubeadm on the input of a case and takes down what it does.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubeadm_lab::command::Output;
use kubeadm_lab::{Lab, Result};
use serde_json::Value;

use super::sandbox::{Sandbox, io};
use super::{Case, commands, facts, log, read};

/// What one `init --dry-run` did.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// Exit status.
    pub(crate) code: i32,
    /// Content of each file it would write, by its final path.
    pub(crate) files: BTreeMap<String, String>,
    /// API requests.
    pub(crate) objects: Vec<Value>,
    /// Certificates and keys as facts, by file.
    pub(crate) pki: BTreeMap<String, Value>,
    /// Kubeconfig files as facts, by file.
    pub(crate) kubeconfig: BTreeMap<String, Value>,
    /// Log lines.
    pub(crate) stdout: String,
    /// What it warned of.
    pub(crate) stderr: String,
}

impl Recording {
    /// Writes the recording in the form of the fixtures.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let _ = std::fs::remove_dir_all(folder);
        let objects: String =
            self.objects.iter().map(|o| format!("---\n{}", kubeadm_yaml::to_string(o))).collect();
        let json = |map: &BTreeMap<String, Value>| serde_json::to_string_pretty(map).unwrap_or_default();
        let mut texts = vec![
            ("exit".to_owned(), format!("{}\n", self.code)),
            ("objects.yaml".to_owned(), objects),
            ("pki.json".to_owned(), json(&self.pki)),
            ("kubeconfig.json".to_owned(), json(&self.kubeconfig)),
            ("stdout.txt".to_owned(), self.stdout.clone()),
            ("stderr.txt".to_owned(), self.stderr.clone()),
        ];
        texts.extend(self.files.iter().map(|(path, text)| (format!("files{path}"), text.clone())));
        texts.iter().try_for_each(|(path, text)| write(&folder.join(path), text))
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|e| io("make", folder, e))?;
    std::fs::write(path, text).map_err(|e| io("write", path, e))
}

/// Writes what a plain command printed.
pub(crate) fn write_plain(folder: &Path, run: &Output) -> Result<()> {
    write(&folder.join("exit"), &format!("{}\n", run.code))?;
    write(&folder.join("stdout"), &run.stdout)?;
    write(&folder.join("stderr"), &run.stderr)
}

/// The arguments of a case, as recorded.
pub(super) fn arguments(case: &Case) -> Vec<String> {
    let text = read(&case.folder.join("args")).unwrap_or_default();
    text.lines().filter(|l| !l.trim().is_empty()).map(str::to_owned).collect()
}

/// Runs a plain command of the recordings.
pub(crate) fn command(lab: &Lab, case: &Case, kubeadm: &Path) -> Result<Output> {
    let sandbox = Sandbox::new(lab, case, kubeadm)?;
    let input = case.folder.join("in.yaml");
    if input.exists() {
        sandbox.write("case/in.yaml", &read(&input)?)?;
    }
    sandbox.run(&commands::arguments(case))
}

/// Records one dry run of init.
pub(crate) fn init(lab: &Lab, case: &Case, kubeadm: &Path) -> Result<Recording> {
    let sandbox = Sandbox::new(lab, case, kubeadm)?;
    let mut args: Vec<String> =
        ["init", "--dry-run", "--ignore-preflight-errors=all"].map(str::to_owned).into();
    let mut given = read(&case.folder.join("args")).unwrap_or_default();
    let config = case.folder.join("config.yaml");
    if config.exists() {
        let text = read(&config)?;
        sandbox.write("case/config.yaml", &text)?;
        given += &text;
        args.extend(["--config", "/case/config.yaml"].map(str::to_owned));
    }
    args.extend(arguments(case));
    let run = sandbox.run(&args)?;

    let mut recording = Recording { code: run.code, stderr: run.stderr.clone(), ..Recording::default() };
    let mut name = String::new();
    if let Some(folder) = sandbox.dry_run_folders().first() {
        let inside = folder.strip_prefix(sandbox.path("")).unwrap_or(folder);
        name = Path::new("/").join(inside).to_string_lossy().into_owned();
        read_folder(folder, &name, &mut recording)?;
    }
    let parsed = log::parse(&run.stdout);
    let mut swap = Swap::default();
    recording.objects = parsed.requests;
    for object in &mut recording.objects {
        swap.settle_token(object, &given);
    }
    if !name.is_empty() {
        swap.0.insert(name.clone(), "/etc/kubernetes".into());
    }
    recording.objects.iter_mut().for_each(|o| swap.apply(o));
    swap.0.insert(name, "<dir>".into());
    recording.stdout = plain_log(&swap.text(&parsed.lines.join("\n")));
    Ok(recording)
}

/// Files by the name under which a dry run of the original keeps them, where that is not their own place.
const PLACES: &[(&str, &str)] = &[
    ("kubeadm-flags.env", "/var/lib/kubelet/kubeadm-flags.env"),
    ("config.yaml", "/var/lib/kubelet/config.yaml"),
    ("instance-config.yaml", "/var/lib/kubelet/instance-config.yaml"),
];

fn read_folder(folder: &Path, name: &str, recording: &mut Recording) -> Result<()> {
    for path in files_below(folder) {
        let relative = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).map_err(|e| io("read", &path, e))?;
        let mode = path.metadata().map_err(|e| io("look at", &path, e))?.permissions().mode() & 0o7777;
        let with_mode = |mut facts: Value| {
            facts["mode"] = format!("0o{mode:o}").into();
            facts
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let file = relative.rsplit('/').next().unwrap_or(&relative).to_owned();
        match file.rsplit('.').next() {
            Some("crt") => drop(recording.pki.insert(relative, with_mode(facts::certificate(&bytes)?))),
            Some("key" | "pub") => drop(recording.pki.insert(relative, with_mode(facts::key(&text)))),
            Some("conf") => drop(recording.kubeconfig.insert(file, with_mode(facts::kubeconfig(&text)?))),
            _ => {
                let place = PLACES.iter().find(|(n, _)| *n == relative).map(|(_, place)| (*place).to_owned());
                let place = place.unwrap_or_else(|| match relative.contains('/') {
                    true => format!("/{relative}"),
                    false => format!("/etc/kubernetes/manifests/{relative}"),
                });
                recording.files.insert(place, text.replace(name, "/etc/kubernetes"));
            }
        }
    }
    Ok(())
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Texts that differ from run to run and what stands for them.
#[derive(Default)]
struct Swap(HashMap<String, String>);

impl Swap {
    /// Notes a made-up bootstrap token and hides its expiry.
    fn settle_token(&mut self, object: &mut Value, given: &str) {
        let Some(data) = object.pointer_mut("/body/data").and_then(Value::as_object_mut) else { return };
        let part = |name: &str| {
            let bytes = data.get(name)?.as_str().and_then(|d| STANDARD.decode(d).ok())?;
            String::from_utf8(bytes).ok()
        };
        let (Some(id), Some(secret)) = (part("token-id"), part("token-secret")) else { return };
        if !given.contains(&format!("{id}.{secret}")) {
            for (text, stands) in [(&id, "<random id>"), (&secret, "<random secret>")] {
                self.0.insert(text.clone(), stands.into());
                self.0.insert(STANDARD.encode(text), stands.into());
            }
        }
    }

    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in self.0.iter().filter(|(from, _)| !from.is_empty()) {
            text = text.replace(from, to);
        }
        text
    }

    fn apply(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = log::hide_authority(&self.text(text)),
            Value::Array(items) => items.iter_mut().for_each(|i| self.apply(i)),
            Value::Object(map) => {
                let entries = std::mem::take(map);
                for (key, mut value) in entries {
                    self.apply(&mut value);
                    map.insert(self.text(&key), value);
                }
            }
            _ => {}
        }
    }
}

/// Hides the CA's hash.
fn plain_log(text: &str) -> String {
    let mut parts = text.split("sha256:");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let hex = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        plain += if hex == 64 { "sha256:<pin>" } else { "sha256:" };
        plain += if hex == 64 { &part[64..] } else { part };
    }
    plain
}
