//! Patches of kubeadm's own files: a folder of files called `TARGET[SUFFIX][+TYPE].EXT`, each with one or more
//! patches for a target. cmd/kubeadm/app/util/patches/patches.go, 1.37.
//!
//! The suffix orders the files of a target and must not begin with a letter, so that `etcdctl.yaml` is no patch of
//! `etcd` (upstream compares beginnings, quirk 40).

use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::{DaemonSet, Deployment};
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::manifests::Component;
use crate::plan::Step;
use crate::ports::{FileError, FileKind, Files};

mod strategic;

/// What can be patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A static pod.
    Pod(Component),
    /// The kubelet's configuration.
    KubeletConfiguration,
    /// The Deployment of CoreDNS.
    CoreDnsDeployment,
    /// The DaemonSet of kube-proxy.
    KubeProxyDaemonSet,
}

impl Target {
    /// All, in the order messages list them.
    const ALL: [Self; 7] = [
        Self::Pod(Component::Etcd),
        Self::Pod(Component::ApiServer),
        Self::Pod(Component::ControllerManager),
        Self::Pod(Component::Scheduler),
        Self::KubeletConfiguration,
        Self::CoreDnsDeployment,
        Self::KubeProxyDaemonSet,
    ];

    /// Its name in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pod(component) => component.name(),
            Self::KubeletConfiguration => "kubeletconfiguration",
            Self::CoreDnsDeployment => "corednsdeployment",
            Self::KubeProxyDaemonSet => "kubeproxydaemonset",
        }
    }

    /// Reads an object as its type and writes it again, so that a field of the wrong type is found and one that does
    /// not exist goes no further.
    fn typed(self, value: Value) -> Result<Value, serde_json::Error> {
        fn through<T: DeserializeOwned + Serialize>(value: Value) -> Result<Value, serde_json::Error> {
            serde_json::to_value(serde_json::from_value::<T>(value)?)
        }
        match self {
            Self::Pod(_) => through::<Pod>(value),
            Self::CoreDnsDeployment => through::<Deployment>(value),
            Self::KubeProxyDaemonSet => through::<DaemonSet>(value),
            // Its fields depend on the kubelet's version.
            Self::KubeletConfiguration => Ok(value),
        }
    }

    /// Keys by which the items of its lists are told apart in a strategic merge.
    fn merge_keys(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Pod(_) | Self::CoreDnsDeployment | Self::KubeProxyDaemonSet => strategic::POD_KEYS,
            Self::KubeletConfiguration => &[],
        }
    }
}

/// How a patch is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Strategic,
    Merge,
    Json,
}

impl Kind {
    /// By the word after `+`.
    fn of(word: &str) -> Option<Self> {
        match word {
            "strategic" => Some(Self::Strategic),
            "merge" => Some(Self::Merge),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// As messages name it (`k8s.io/apimachinery` types.PatchType).
    fn media_type(self) -> &'static str {
        match self {
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Json => "application/json-patch+json",
        }
    }
}

/// Why patches cannot be read or applied.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// The folder or one of its files cannot be read.
    #[error("could not list patch files for path {:?}: {source}", path.display().to_string())]
    Folder {
        /// The folder given.
        path: PathBuf,
        /// What failed.
        source: FileError,
    },
    /// The folder is none.
    #[error("could not list patch files for path {:?}: {reason}", path.display().to_string())]
    NotAFolder {
        /// The path given.
        path: PathBuf,
        /// What is there instead.
        reason: String,
    },
    /// The word after `+` is no type of patch.
    #[error("{:?}: unknown or missing patch type after '+', must be one of [json merge strategic]", path.display().to_string())]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// The file is neither YAML nor JSON.
    #[error("could not convert patch to JSON: {reason}")]
    Syntax {
        /// File, line and what is wrong.
        reason: String,
    },
    /// A patch does not fit.
    #[error("could not apply the following patch of type {kind:?} to target {target:?}, from {:?}:\n{patch}\n: {reason}", path.display().to_string())]
    Apply {
        /// Media type of the patch.
        kind: &'static str,
        /// Its target.
        target: &'static str,
        /// The file.
        path: PathBuf,
        /// The patch as JSON.
        patch: String,
        /// Why not.
        reason: String,
    },
    /// What came out is no object of the right type.
    #[error("failed to unmarshal patched manifest of {target:?}: {source}")]
    Result {
        /// The target.
        target: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// A patched object.
#[derive(Debug, Clone, PartialEq)]
pub struct Patched {
    /// Say what was found, once in a run, and what was applied.
    pub steps: Vec<Step>,
    /// The object.
    pub value: Value,
}

#[derive(Debug, Clone)]
struct Patch {
    target: Target,
    kind: Kind,
    path: PathBuf,
    content: Value,
}

/// All patches of a folder.
#[derive(Debug, Clone, Default)]
pub struct Patches {
    listing: Vec<String>,
    patches: Vec<Patch>,
}

/// What a file name says.
enum FileName {
    Ignored(String),
    UnknownKind,
    Patch(Target, Kind),
}

impl Patches {
    /// Reads a folder with its sub-folders; without one there is nothing to apply.
    pub fn load(folder: Option<&Path>, files: &dyn Files) -> Result<Self, PatchError> {
        let Some(folder) = folder else { return Ok(Self::default()) };
        let failed = |source| PatchError::Folder { path: folder.to_owned(), source };
        let not_a_folder =
            |reason: &str| PatchError::NotAFolder { path: folder.to_owned(), reason: reason.into() };
        match files.stat(folder).map_err(failed)? {
            None => return Err(not_a_folder("no such file or directory")),
            Some(meta) if matches!(meta.kind, FileKind::File | FileKind::Other) => {
                return Err(not_a_folder("not a directory"));
            }
            Some(_) => {}
        }
        let mut paths = Vec::new();
        collect(folder, files, &mut paths).map_err(failed)?;
        let mut listing =
            vec![format!("[patches] Reading patches from path {:?}", folder.display().to_string())];
        let (mut used, mut ignored, mut patches) = (Vec::new(), Vec::new(), Vec::new());
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let (target, kind) = match parse_name(&name) {
                FileName::Patch(target, kind) => (target, kind),
                FileName::UnknownKind => return Err(PatchError::Kind { path }),
                FileName::Ignored(reason) => {
                    listing.push(format!("[patches] Ignoring file {name:?}: {reason}"));
                    ignored.push(name);
                    continue;
                }
            };
            let content = files.read(&path).map_err(failed)?.unwrap_or_default();
            if content.is_empty() {
                listing.push(format!("[patches] Ignoring empty file: {name:?}"));
                ignored.push(name);
                continue;
            }
            let syntax = |reason: String| PatchError::Syntax { reason };
            let text =
                String::from_utf8(content).map_err(|error| syntax(format!("{}: {error}", path.display())))?;
            let documents = kubeadm_yaml::parse_documents(&text, &path.display().to_string())
                .map_err(|error| syntax(error.to_string()))?;
            patches.extend(documents.into_iter().map(|d| Patch {
                target,
                kind,
                path: path.clone(),
                content: d.value,
            }));
            used.push(name);
        }
        for (title, names) in
            [("Found the following patch files", used), ("Ignored the following files", ignored)]
        {
            if !names.is_empty() {
                listing.push(format!("[patches] {title}: [{}]", names.join(" ")));
            }
        }
        Ok(Self { listing, patches })
    }

    /// Applies all patches of a target, in the order of their files.
    pub fn apply(&self, target: Target, mut value: Value) -> Result<Patched, PatchError> {
        let mut steps: Vec<Step> = self.listing.iter().map(|line| Step::say(line).once()).collect();
        let mut any = false;
        for patch in self.patches.iter().filter(|p| p.target == target) {
            patch.apply(&mut value).map_err(|reason| PatchError::Apply {
                kind: patch.kind.media_type(),
                target: target.name(),
                path: patch.path.clone(),
                patch: patch.content.to_string(),
                reason,
            })?;
            steps.push(Step::say(format!(
                "[patches] Applied patch of type {:?} to target {:?}",
                patch.kind.media_type(),
                target.name()
            )));
            any = true;
        }
        if any {
            let failed = |source| PatchError::Result { target: target.name(), source };
            value = target.typed(value).map_err(failed)?;
        }
        Ok(Patched { steps, value })
    }
}

impl Patch {
    fn apply(&self, value: &mut Value) -> Result<(), String> {
        match self.kind {
            Kind::Json => {
                let patch: json_patch::Patch =
                    serde_json::from_value(self.content.clone()).map_err(|e| e.to_string())?;
                json_patch::patch(value, &patch).map_err(|e| e.to_string())
            }
            Kind::Merge | Kind::Strategic if !self.content.is_object() => {
                Err("the patch is not an object".into())
            }
            Kind::Merge => {
                json_patch::merge(value, &self.content);
                Ok(())
            }
            Kind::Strategic => strategic::apply(value, &self.content, self.target.merge_keys()),
        }
    }
}

/// Files of a folder in lexical order, a sub-folder's at its place.
fn collect(folder: &Path, files: &dyn Files, paths: &mut Vec<PathBuf>) -> Result<(), FileError> {
    for name in files.list(folder)?.unwrap_or_default() {
        let path = folder.join(name);
        match files.stat(&path)? {
            Some(meta) if meta.kind == FileKind::Dir => collect(&path, files, paths)?,
            _ => paths.push(path),
        }
    }
    Ok(())
}

fn parse_name(name: &str) -> FileName {
    let Some(stem) = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".json")) else {
        return FileName::Ignored("the file extension must be one of [json yaml]".into());
    };
    let (target, kind) = stem.split_once('+').map_or((stem, None), |(target, kind)| (target, Some(kind)));
    let fits = |candidate: &Target| {
        target.strip_prefix(candidate.name()).is_some_and(|suffix| {
            !suffix.contains('.') && !suffix.starts_with(|c: char| c.is_ascii_alphabetic())
        })
    };
    let Some(target) = Target::ALL.into_iter().find(fits) else {
        let known = Target::ALL.map(Target::name).join(" ");
        return FileName::Ignored(format!("unknown target, must be one of [{known}]"));
    };
    match kind.map_or(Some(Kind::Strategic), Kind::of) {
        Some(kind) => FileName::Patch(target, kind),
        None => FileName::UnknownKind,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::plan::Line;
    use crate::ports::FileMeta;

    /// Files by path; folders are what lies above them.
    struct Tree(BTreeMap<PathBuf, &'static str>);

    impl Files for Tree {
        fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
            Ok(self.0.get(path).map(|text| text.as_bytes().to_vec()))
        }
        fn stat(&self, path: &Path) -> Result<Option<FileMeta>, FileError> {
            let meta = |kind| {
                Some(FileMeta {
                    kind,
                    mode: 0o644,
                    uid: 0,
                    gid: 0,
                    size: 0,
                    modified: jiff::Timestamp::UNIX_EPOCH,
                })
            };
            Ok(match self.0.contains_key(path) {
                true => meta(FileKind::File),
                false if self.0.keys().any(|p| p.starts_with(path)) => meta(FileKind::Dir),
                false => None,
            })
        }
        fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, FileError> {
            let below = self.0.keys().filter_map(|p| p.strip_prefix(dir).ok()?.iter().next());
            let mut names: Vec<String> = below.map(|n| n.to_string_lossy().into_owned()).collect();
            names.dedup();
            Ok(Some(names))
        }
    }

    fn load(files: &[(&'static str, &'static str)]) -> Result<Patches, PatchError> {
        let tree = Tree(files.iter().map(|(name, text)| (Path::new("/p").join(name), *text)).collect());
        Patches::load(Some(Path::new("/p")), &tree)
    }

    fn pod() -> Value {
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "etcd" }, "spec": { "containers": [
            { "name": "etcd", "image": "old", "command": ["etcd", "--a"] },
        ] } })
    }

    #[test]
    fn files_are_applied_in_order_and_told() {
        let patches = load(&[
            ("README.md", "x"),
            ("etcd+json.yaml", "- {op: add, path: /spec/containers/0/command/-, value: --b}\n"),
            ("etcd.yaml", "---\n# nothing\n---\nspec:\n  containers:\n  - name: etcd\n    image: new\n"),
            ("etcd1+merge.json", "{\"metadata\": {\"labels\": {\"a\": \"b\"}, \"unknownField\": 1}}"),
            ("etcd2.yaml", ""),
            ("etcdctl.yaml", "x: y"),
            ("kube-scheduler.yaml", "metadata: {labels: {c: d}}"),
        ])
        .unwrap();
        let patched = patches.apply(Target::Pod(Component::Etcd), pod()).unwrap();
        let said = patched.steps.iter().flat_map(|s| s.lines.clone()).map(|line| match line {
            Line::Say(text) => text,
            other => panic!("{other:?}"),
        });
        assert_eq!(
            said.collect::<Vec<_>>(),
            [
                "[patches] Reading patches from path \"/p\"",
                "[patches] Ignoring file \"README.md\": the file extension must be one of [json yaml]",
                "[patches] Ignoring empty file: \"etcd2.yaml\"",
                "[patches] Ignoring file \"etcdctl.yaml\": unknown target, must be one of [etcd kube-apiserver kube-controller-manager kube-scheduler kubeletconfiguration corednsdeployment kubeproxydaemonset]",
                "[patches] Found the following patch files: [etcd+json.yaml etcd.yaml etcd1+merge.json kube-scheduler.yaml]",
                "[patches] Ignored the following files: [README.md etcd2.yaml etcdctl.yaml]",
                "[patches] Applied patch of type \"application/json-patch+json\" to target \"etcd\"",
                "[patches] Applied patch of type \"application/strategic-merge-patch+json\" to target \"etcd\"",
                "[patches] Applied patch of type \"application/merge-patch+json\" to target \"etcd\"",
            ]
        );
        let mut expected = pod();
        expected["metadata"]["labels"] = json!({ "a": "b" });
        expected["spec"]["containers"][0]["image"] = json!("new");
        expected["spec"]["containers"][0]["command"] = json!(["etcd", "--a", "--b"]);
        assert_eq!(patched.value, expected);
    }

    #[test]
    fn sub_folders_are_searched() {
        let patches = load(&[("a/etcd.yaml", "metadata: {labels: {a: b}}"), ("b.txt", "")]).unwrap();
        let patched = patches.apply(Target::Pod(Component::Etcd), pod()).unwrap();
        assert_eq!(patched.value["metadata"]["labels"]["a"], "b");
    }

    #[test]
    fn mistakes_are_named() {
        let error = load(&[("etcd+mergeX.yaml", "a: b")]).unwrap_err().to_string();
        assert_eq!(
            error,
            "\"/p/etcd+mergeX.yaml\": unknown or missing patch type after '+', must be one of [json merge strategic]"
        );
        let error = load(&[("etcd.yaml", "a: [")]).unwrap_err().to_string();
        assert!(error.starts_with("could not convert patch to JSON: "), "{error}");

        let patches = load(&[("etcd+json.yaml", "- {op: remove, path: /nothing}")]).unwrap();
        let error = patches.apply(Target::Pod(Component::Etcd), pod()).unwrap_err().to_string();
        assert!(error.contains("\n[{\"op\":\"remove\",\"path\":\"/nothing\"}]\n: "), "{error}");

        let patches = load(&[("etcd.yaml", "spec: {hostNetwork: perhaps}")]).unwrap();
        let error = patches.apply(Target::Pod(Component::Etcd), pod()).unwrap_err().to_string();
        assert!(error.starts_with("failed to unmarshal patched manifest of \"etcd\": "), "{error}");

        let empty = Tree(BTreeMap::new());
        let error = Patches::load(Some(Path::new("/none")), &empty).unwrap_err().to_string();
        assert_eq!(error, "could not list patch files for path \"/none\": no such file or directory");
    }

    #[test]
    fn lists_of_the_kubelets_configuration_are_replaced() {
        let patches =
            load(&[("kubeletconfiguration.yaml", "clusterDNS: [192.0.2.1]\nfutureField: 1\n")]).unwrap();
        let config = json!({ "clusterDNS": ["10.96.0.10"], "clusterDomain": "cluster.local" });
        let patched = patches.apply(Target::KubeletConfiguration, config).unwrap();
        let expected =
            json!({ "clusterDNS": ["192.0.2.1"], "clusterDomain": "cluster.local", "futureField": 1 });
        assert_eq!(patched.value, expected);
    }
}
