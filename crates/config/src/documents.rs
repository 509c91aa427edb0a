//! From a text to documents of known kinds: splitting, naming, refusing old and experimental APIs, and decoding.
//!
//! Nothing is defaulted or validated here.

use std::collections::BTreeMap;

use kubeadm_release::facts::config_api::Api;
use kubeadm_yaml::{Document, Position};
use serde_json::{Value, json};

use crate::api::{self, Kind, Master};
use crate::codec::{self, Describe};
use crate::error::{ConfigError, GroupVersionKind, Notice, Place, Placed, Problems, StrictProblem};

/// The group of kubeadm's own API.
pub const GROUP: &str = "kubeadm.k8s.io";
/// Group and version of the kubelet's configuration.
pub const KUBELET_API: &str = "kubelet.config.k8s.io/v1beta1";
/// Group and version of kube-proxy's configuration.
pub const KUBE_PROXY_API: &str = "kubeproxy.config.k8s.io/v1alpha1";

/// How to take a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Whether unknown fields, duplicate keys and unknown kinds are errors (`config validate`, `config migrate`)
    /// instead of warnings.
    pub strict: bool,
    /// Whether API v1 may be used.
    pub allow_experimental: bool,
}

/// A component's configuration as the user wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentDocument {
    /// Group and version, [`KUBELET_API`] or [`KUBE_PROXY_API`].
    pub group_version: &'static str,
    /// The object, with kind and apiVersion.
    pub value: Value,
    /// The file it came from, for messages.
    pub source_name: String,
    /// Places of its fields; empty when it was embedded in another object.
    pub positions: BTreeMap<String, Position>,
    /// Whether kubeadm made it and nobody changed it since, as its checksum in the cluster says.
    pub generated: bool,
}

/// One document of kubeadm's own API.
#[derive(Clone, Debug)]
struct Own {
    api: Api,
    kind: Kind,
    document: Document,
}

/// A file, read.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    own: Vec<Own>,
    components: Vec<ComponentDocument>,
    foreign: Vec<(GroupVersionKind, Place)>,
}

/// An object with the version it was written in.
pub(crate) struct Decoded<T> {
    pub(crate) value: T,
    pub(crate) api: Api,
}

impl Documents {
    /// Reads a text; `name` is the file for messages.
    pub fn read(
        text: &str,
        name: &str,
        how: Reading,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, ConfigError> {
        let mut named = Vec::new();
        for document in kubeadm_yaml::parse_documents(text, name)? {
            named.push((identify(&document)?, document));
        }
        refuse_twins(&named)?;
        // Upstream handles documents in the order of their names, whatever their order in the file.
        named.sort_by_key(|(gvk, _)| gvk.to_string());
        let mut documents = Documents::default();
        for (gvk, document) in named {
            documents.take(gvk, document, how, notices)?;
        }
        documents.refuse_beside_master()?;
        Ok(documents)
    }

    fn take(
        &mut self,
        gvk: GroupVersionKind,
        document: Document,
        how: Reading,
        notices: &mut Vec<Notice>,
    ) -> Result<(), ConfigError> {
        let place = root_place(&document);
        let group_version = gvk.group_version();
        if gvk.group == GROUP {
            refuse_versions(&gvk, how, &place)?;
            let known = Api::of_group_version(&group_version);
            if let Some((api, kind)) = known.and_then(|api| Some((api, Kind::of(api, &gvk.kind)?))) {
                let own = Own { api, kind, document };
                own.check_fields(&gvk, how, notices)?;
                self.own.push(own);
                return Ok(());
            }
        }
        for wanted in [KUBELET_API, KUBE_PROXY_API] {
            let group = wanted.split('/').next().unwrap_or_default();
            if gvk.group != group {
                continue;
            }
            if group_version != wanted {
                return Err(ConfigError::ComponentVersion { found: group_version, wanted, place });
            }
            strict(duplicates(&document), &gvk, how, notices)?;
            self.components.push(ComponentDocument {
                group_version: wanted,
                source_name: document.source_name,
                value: document.value,
                positions: document.positions,
                generated: false,
            });
            return Ok(());
        }
        if gvk.group == GROUP || how.strict {
            refuse_or_say(
                StrictProblem::UnknownKind { gvk: gvk.clone(), place: place.clone() },
                how,
                notices,
            )?;
        }
        self.foreign.push((gvk, place));
        Ok(())
    }

    fn refuse_beside_master(&self) -> Result<(), ConfigError> {
        if self.find(Kind::Master).is_none() {
            return Ok(());
        }
        let other = [Kind::Cluster, Kind::Init].into_iter().find_map(|kind| self.find(kind));
        match other {
            None => Ok(()),
            Some(own) => {
                Err(ConfigError::BesideMaster { other: own.kind.name(), place: root_place(&own.document) })
            }
        }
    }

    fn find(&self, kind: Kind) -> Option<&Own> {
        self.own.iter().find(|own| own.kind == kind)
    }

    /// Whether the file has one of these kinds.
    pub fn has(&self, kinds: &[Kind]) -> bool {
        self.own.iter().any(|own| kinds.contains(&own.kind))
    }

    /// Component configurations of the file, embedded ones included.
    pub fn components(&self) -> Result<Vec<ComponentDocument>, ConfigError> {
        let mut components = self.components.clone();
        if let Some(master) = self.master()? {
            let embedded = [
                (KUBELET_API, "KubeletConfiguration", master.value.kubelet.config),
                (KUBE_PROXY_API, "KubeProxyConfiguration", master.value.kube_proxy.config),
            ];
            for (group_version, kind, config) in embedded {
                let Some(mut value) = config else { continue };
                value["apiVersion"] = json!(group_version);
                value["kind"] = json!(kind);
                let source_name = self.source_name().to_owned();
                components.push(ComponentDocument {
                    group_version,
                    value,
                    source_name,
                    positions: BTreeMap::new(),
                    generated: false,
                });
            }
        }
        Ok(components)
    }

    /// Warns about documents that a command has no use for.
    pub(crate) fn say_ignored(&self, used: &[Kind], notices: &mut Vec<Notice>) {
        let mut ignored: Vec<(String, Place)> =
            self.foreign.iter().map(|(gvk, place)| (gvk.to_string(), place.clone())).collect();
        for own in self.own.iter().filter(|own| !used.contains(&own.kind)) {
            let name = format!("{}, Kind={}", own.api.group_version(), own.kind.name());
            ignored.push((name, root_place(&own.document)));
        }
        notices.extend(ignored.into_iter().map(|(name, place)| {
            Notice::warning(format!(
                "[config] WARNING: Ignored configuration document with GroupVersionKind {name} ({place})"
            ))
        }));
    }

    /// Group, version and kind of each own document, for warnings about their age.
    pub(crate) fn versions(&self) -> impl Iterator<Item = (Api, Kind)> {
        self.own.iter().map(|own| (own.api, own.kind))
    }

    pub(crate) fn master(&self) -> Result<Option<Decoded<Master>>, ConfigError> {
        self.decode(Kind::Master, api::master)
    }

    pub(crate) fn decode<T: Default>(
        &self,
        kind: Kind,
        describe: Describe<T>,
    ) -> Result<Option<Decoded<T>>, ConfigError> {
        let Some(own) = self.find(kind) else { return Ok(None) };
        let (value, faults) = codec::read(own.api, kind.name(), &own.document.value, describe);
        if faults.types.is_empty() {
            return Ok(Some(Decoded { value, api: own.api }));
        }
        let placed = |fault: codec::TypeFault| Placed {
            place: field_place(&own.document, &fault.path).or_else(|| Some(root_place(&own.document))),
            text: fault.text,
        };
        Err(ConfigError::Types(Problems(faults.types.into_iter().map(placed).collect())))
    }

    /// Where a field of one of these kinds is in the file: its own place or that of the nearest thing around it.
    pub(crate) fn place(&self, kinds: &[Kind], path: &str) -> Option<Place> {
        let path = bracketed(path);
        let mut own = self.own.iter().filter(|own| kinds.contains(&own.kind));
        own.find_map(|own| field_place(&own.document, &path))
    }

    fn source_name(&self) -> &str {
        self.own.first().map_or("", |own| &own.document.source_name)
    }
}

impl Own {
    fn check_fields(
        &self,
        gvk: &GroupVersionKind,
        how: Reading,
        notices: &mut Vec<Notice>,
    ) -> Result<(), ConfigError> {
        let value = &self.document.value;
        let faults = match self.kind {
            Kind::Cluster => codec::read(self.api, self.kind.name(), value, api::cluster).1,
            Kind::Init => codec::read(self.api, self.kind.name(), value, api::init).1,
            Kind::Join | Kind::Node => codec::read(self.api, self.kind.name(), value, api::join).1,
            Kind::Master => codec::read(self.api, self.kind.name(), value, api::master).1,
            Kind::Reset => codec::read(self.api, self.kind.name(), value, api::reset).1,
            Kind::Upgrade => codec::read(self.api, self.kind.name(), value, api::upgrade).1,
            Kind::ClusterStatus => return Ok(()),
        };
        let mut problems = duplicates(&self.document);
        problems.extend(faults.unknown.iter().map(|path| Placed {
            text: format!("unknown field {path:?}"),
            place: field_place(&self.document, path),
        }));
        strict(problems, gvk, how, notices)
    }
}

fn duplicates(document: &Document) -> Vec<Placed> {
    let placed = |duplicate: &kubeadm_yaml::Duplicate| Placed {
        text: format!("key {:?} already set in map", duplicate.key),
        place: Some(Place {
            source: document.source_name.clone(),
            line: duplicate.line,
            column: duplicate.column,
        }),
    };
    document.duplicate_keys.iter().map(placed).collect()
}

fn strict(
    problems: Vec<Placed>,
    gvk: &GroupVersionKind,
    how: Reading,
    notices: &mut Vec<Notice>,
) -> Result<(), ConfigError> {
    if problems.is_empty() {
        return Ok(());
    }
    refuse_or_say(StrictProblem::Fields { gvk: gvk.clone(), problems }, how, notices)
}

fn refuse_or_say(problem: StrictProblem, how: Reading, notices: &mut Vec<Notice>) -> Result<(), ConfigError> {
    if how.strict {
        return Err(ConfigError::Strict(problem));
    }
    notices.push(Notice::warning(problem.to_string()));
    Ok(())
}

/// Group, version and kind of a document, all of which it must give.
fn identify(document: &Document) -> Result<GroupVersionKind, ConfigError> {
    let text = |key: &str| document.value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let (group, version) = match api_version.split_once('/') {
        Some((group, version)) => (group.to_owned(), version.to_owned()),
        None => (String::new(), api_version),
    };
    let gvk = GroupVersionKind { group, version, kind };
    if gvk.group.is_empty() || gvk.version.is_empty() || gvk.kind.is_empty() {
        return Err(ConfigError::Anonymous { gvk, place: root_place(document) });
    }
    Ok(gvk)
}

/// A kind may come once; its group is not looked at (upstream: `kubeadmutil.SplitYAMLDocuments`).
fn refuse_twins(named: &[(GroupVersionKind, Document)]) -> Result<(), ConfigError> {
    let mut twice = Vec::new();
    for (index, (gvk, document)) in named.iter().enumerate() {
        if named[..index].iter().any(|(earlier, _)| earlier.kind == gvk.kind) {
            twice.push(Placed {
                text: format!("invalid configuration: kind {:?} is specified twice in YAML file", gvk.kind),
                place: Some(root_place(document)),
            });
        }
    }
    if twice.is_empty() { Ok(()) } else { Err(ConfigError::Twice(Problems(twice))) }
}

/// Refuses what no release served here reads, and what has to be allowed first.
fn refuse_versions(gvk: &GroupVersionKind, how: Reading, place: &Place) -> Result<(), ConfigError> {
    let (group_version, kind) = (gvk.group_version(), gvk.kind.clone());
    match Api::of_group_version(&group_version) {
        Some(Api::V1Alpha1) => {
            Err(ConfigError::OldApi { group_version, kind, kubeadm: "v1.11", place: place.clone() })
        }
        Some(Api::V1) if !how.allow_experimental => {
            Err(ConfigError::Experimental { group_version, kind, place: place.clone() })
        }
        _ => Ok(()),
    }
}

fn root_place(document: &Document) -> Place {
    let position = document.position("").unwrap_or(Position { line: document.start_line, column: 1 });
    Place { source: document.source_name.clone(), line: position.line, column: position.column }
}

/// The place of a field or of the nearest thing around it that is not the whole document.
fn field_place(document: &Document, path: &str) -> Option<Place> {
    let mut path = path;
    while !path.is_empty() {
        if let Some(position) = document.positions.get(path) {
            let source = document.source_name.clone();
            return Some(Place { source, line: position.line, column: position.column });
        }
        path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
    }
    None
}

/// `a.0.b`, as validation writes paths, in the form `a[0].b`.
fn bracketed(path: &str) -> String {
    path.split('.').fold(String::new(), |mut out, part| {
        if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
            out.push_str(&format!("[{part}]"));
            return out;
        }
        if !out.is_empty() {
            out.push('.');
        }
        out + part
    })
}
