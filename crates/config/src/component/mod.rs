//! Configurations of other components: kubelet and kube-proxy.
//!
//! They stay trees: modelling somebody else's API in 27 versions is not our business. What a release knows of their
//! fields is a table in `kubeadm-release`; this module applies it, so that the result is what the original writes after
//! the document went through its Go type. Of values only
//! forms and bounds of numbers are looked at: the component itself refuses the rest.

#[cfg(test)]
mod golden;
mod kube_proxy;
mod kubelet;

use kubeadm_release::facts::component_config::{ComponentConfig, Field, Form, Literal, Written};
use kubeadm_yaml as tree;
use serde_json::{Map, Number, Value, json};

pub use kube_proxy::{ProxyInputs, default_kube_proxy};
pub(crate) use kubelet::keep_cgroup_driver;
pub use kubelet::{
    KubeletInputs, NodeRuntime, RESOLVED_CONF, default_kubelet, fail_cgroup_v1, fail_swap_on, follow_runtime,
    healthz_url, use_systemd_resolved,
};

use crate::duration::GoDuration;

/// Something that is said of a field of a component configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldWarning {
    /// The field, such as `authentication.anonymous.enabled`.
    pub path: &'static str,
    /// What is said of it.
    pub text: String,
}

/// Something in a component configuration that its type does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field, such as `clientConnection.qps`.
    pub path: String,
    /// What is wrong with it.
    pub kind: FieldProblemKind,
}

/// The kinds of [`FieldProblem`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldProblemKind {
    /// The release does not know the field. It is kept, and the component decides.
    #[error("unknown field {0:?}")]
    Unknown(String),
    /// The value has another form than the field, or is a number that the component would not start with.
    #[error("expected {expected}, found {found}")]
    Form {
        /// The form of the field, with its article.
        expected: String,
        /// The value's form, or the value itself.
        found: String,
    },
}

/// What the release's type of a document does not allow in it; unknown fields are for a warning, the rest are errors.
pub fn problems(document: &Value, config: &ComponentConfig) -> Vec<FieldProblem> {
    let mut found = Vec::new();
    check(document, "", config, &mut found);
    found
}

fn check(node: &Value, parent: &str, config: &ComponentConfig, found: &mut Vec<FieldProblem>) {
    for (key, value) in node.as_object().into_iter().flatten() {
        if parent.is_empty() && matches!(key.as_str(), "apiVersion" | "kind") {
            continue;
        }
        let path = if parent.is_empty() { key.clone() } else { format!("{parent}.{key}") };
        let field = config.fields.iter().find(|f| f.path == path && !key.contains('.'));
        let Some(field) = field else {
            let kind = FieldProblemKind::Unknown(path.clone());
            found.push(FieldProblem { path, kind });
            continue;
        };
        if let Some(expected) = misfit(value, field.form).or_else(|| out_of_range(value, &path, config)) {
            let kind = FieldProblemKind::Form { expected, found: describe(value) };
            found.push(FieldProblem { path, kind });
        } else if field.form == Form::Struct {
            check(value, &path, config, found);
        }
    }
}

/// The expected form, if the value does not have it. Null is "not given" everywhere.
fn misfit(value: &Value, form: Form) -> Option<String> {
    let (fits, expected) = match form {
        Form::Text => (value.is_string(), "a string"),
        Form::Bool => (value.is_boolean(), "a boolean"),
        Form::Number => (value.is_number(), "a number"),
        Form::Duration => (duration(value).is_some(), "a duration such as 1m30s"),
        Form::Nanoseconds => {
            (value.is_i64() || duration(value).is_some(), "a duration such as 5s or a number of nanoseconds")
        }
        Form::Size => (value.is_number() || value.is_string(), "a quantity"),
        Form::List => (value.is_array(), "a list"),
        Form::Map | Form::Struct => (value.is_object(), "a mapping"),
    };
    (!fits && !value.is_null()).then(|| expected.to_owned())
}

/// The expected range, if a number is outside of it.
fn out_of_range(value: &Value, path: &str, config: &ComponentConfig) -> Option<String> {
    let (_, least, greatest) = config.ranges.iter().find(|(p, _, _)| *p == path)?;
    let fits = value.as_i64().is_some_and(|n| (*least..=*greatest).contains(&n));
    if fits || value.is_null() {
        return None;
    }
    Some(format!("a whole number from {least} to {greatest}"))
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(b) => format!("boolean {b}"),
        Value::Number(n) => format!("number {n}"),
        Value::String(s) => format!("string {s:?}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
    }
}

fn duration(value: &Value) -> Option<GoDuration> {
    value.as_str()?.parse().ok()
}

/// Starts from what the user wrote, or from nothing.
fn begin(user: Option<Value>, config: &ComponentConfig) -> Value {
    let mut document = user.filter(Value::is_object).unwrap_or_else(|| json!({}));
    tree::set(&mut document, "apiVersion", config.api_version);
    tree::set(&mut document, "kind", config.kind);
    document
}

/// Fills in the component's own defaults, where the release has kubeadm do so.
fn fill_defaults(document: &mut Value, config: &ComponentConfig) {
    for (path, literal) in &config.defaults {
        let Some(field) = config.fields.iter().find(|f| f.path == *path) else { continue };
        if is_unset(document, field) {
            tree::set(document, path, value_of(*literal));
        }
    }
}

/// Whether Go's defaulting takes a field for not set: nil, or zero where the type has no nil.
fn is_unset(document: &Value, field: &Field) -> bool {
    match tree::get(document, field.path) {
        None => true,
        Some(value) => {
            let has_nil = matches!(field.written, Written::Given | Written::Null)
                || matches!(field.form, Form::List | Form::Map);
            !has_nil && is_zero(value, field.form)
        }
    }
}

/// Brings a document into the form its Go type is written in. Fields the release does not know are kept.
fn write_fields(document: &mut Value, config: &ComponentConfig) {
    for field in &config.fields {
        let parent = field.path.rsplit_once('.').map(|(parent, _)| parent);
        if parent.is_some_and(|p| !tree::get(document, p).is_some_and(Value::is_object)) {
            continue;
        }
        match tree::get(document, field.path).map(|value| canonical(value, field.form)) {
            Some(value) if field.written == Written::NonZero && is_zero(&value, field.form) => {
                tree::remove(document, field.path);
            }
            Some(value) => tree::set(document, field.path, value),
            None => match field.written {
                Written::Always => tree::set(document, field.path, zero(field.form)),
                Written::Null => tree::set(document, field.path, Value::Null),
                Written::Given | Written::NonZero => {
                    tree::remove(document, field.path);
                }
            },
        }
    }
}

fn canonical(value: &Value, form: Form) -> Value {
    match (form, value) {
        (Form::Duration | Form::Nanoseconds, Value::String(_)) => {
            duration(value).map_or_else(|| value.clone(), |d| Value::String(d.to_string()))
        }
        (Form::Size, Value::Number(n)) => Value::String(n.to_string()),
        _ => value.clone(),
    }
}

fn is_zero(value: &Value, form: Form) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(b) => !b,
        Value::Number(n) => n.as_f64() == Some(0.0),
        Value::String(s) if form == Form::Duration => {
            s.is_empty() || duration(value).is_some_and(GoDuration::is_zero)
        }
        Value::String(s) => s.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn zero(form: Form) -> Value {
    match form {
        Form::Text => Value::String(String::new()),
        Form::Bool => Value::Bool(false),
        Form::Number | Form::Nanoseconds => Value::Number(Number::from(0)),
        Form::Duration => Value::String("0s".to_owned()),
        Form::Size => Value::String("0".to_owned()),
        Form::List | Form::Map => Value::Null,
        Form::Struct => Value::Object(Map::new()),
    }
}

fn value_of(literal: Literal) -> Value {
    match literal {
        Literal::Text(text) => json!(text),
        Literal::Number(number) => json!(number),
        Literal::Bool(value) => json!(value),
        Literal::Texts(texts) => json!(texts),
        Literal::Pairs(pairs) => {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect::<Map<_, _>>().into()
        }
    }
}

/// Sets an absent or empty text.
fn default_text(document: &mut Value, path: &str, text: &str) {
    if tree::get_str(document, path).unwrap_or("").is_empty() {
        tree::set(document, path, text);
    }
}

/// Sets a field that was left out; upstream's warning where it was set to something else.
fn recommend(
    document: &mut Value,
    kind: &str,
    path: &'static str,
    recommended: &Value,
) -> Option<FieldWarning> {
    match tree::get(document, path).filter(|v| *v != &json!("")) {
        None => {
            tree::set(document, path, recommended.clone());
            None
        }
        Some(given) => (given != recommended).then(|| recommendation(kind, path, recommended, given)),
    }
}

fn recommendation(kind: &str, path: &'static str, recommended: &Value, given: &Value) -> FieldWarning {
    let text = format!(
        "The recommended value for {path:?} in {kind:?} is: {}; the provided value is: {}",
        shown(recommended),
        shown(given)
    );
    FieldWarning { path, text }
}

/// Sets a field whatever the user wrote, and says so where that was something else: upstream does it without a word.
fn impose(document: &mut Value, kind: &str, path: &'static str, value: Value) -> Option<FieldWarning> {
    let given = tree::get(document, path).filter(|given| **given != value && **given != json!("")).cloned();
    let text = given.map(|given| {
        format!(
            "the value of {path:?} in {kind:?} is replaced: kubeadm needs {}; the provided value is: {}",
            shown(&value),
            shown(&given)
        )
    });
    tree::set(document, path, value);
    text.map(|text| FieldWarning { path, text })
}

/// A value as Go's `%v` shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubeadm_release::Release;
    use kubeadm_release::facts::component_config;

    fn told(document: Value) -> Vec<String> {
        let config = component_config::kubelet(&Release::newest());
        problems(&document, &config).into_iter().map(|p| format!("{}: {}", p.path, p.kind)).collect()
    }

    #[test]
    fn unknown_fields_and_wrong_forms_are_told_with_their_paths() {
        let document = json!({
            "apiVersion": "x", "kind": "y", "maxPods": "many", "authentication": {"webhook": {"cacheTTL": "2 minutes"}},
            "evictionHard": {"memory.available": "5%"}, "logging": {"flushFrequency": 5, "colour": true},
            "authorization": [], "syncFrequency": null, "healthzPort": 0, "port": 70000, "oomScoreAdj": 0.5, "maxPodz": 1, "authentication.anonymous": 1
        });
        assert_eq!(
            told(document),
            [
                "authentication.webhook.cacheTTL: expected a duration such as 1m30s, found string \"2 minutes\"",
                "authentication.anonymous: unknown field \"authentication.anonymous\"",
                "authorization: expected a mapping, found a list",
                "logging.colour: unknown field \"logging.colour\"",
                "maxPods: expected a number, found string \"many\"",
                "maxPodz: unknown field \"maxPodz\"",
                "oomScoreAdj: expected a whole number from -1000 to 1000, found number 0.5",
                "port: expected a whole number from 0 to 65535, found number 70000",
            ]
        );
    }

    #[test]
    fn fields_are_written_as_go_writes_them() {
        let config = component_config::kubelet(&Release::newest());
        let mut document = json!({
            "maxPods": 0, "healthzPort": 0, "syncFrequency": "90s", "clusterDNS": [], "userNamespaces": {"idsPerPod": null},
            "logging": {"flushFrequency": "5000ms", "options": {"json": {"infoBufferSize": 64}}}, "future": {"kept": null}
        });
        write_fields(&mut document, &config);
        assert_eq!(tree::get(&document, "maxPods"), None);
        assert_eq!(tree::get_i64(&document, "healthzPort"), Some(0));
        assert_eq!(tree::get_str(&document, "syncFrequency"), Some("1m30s"));
        assert_eq!(tree::get(&document, "clusterDNS"), None);
        assert_eq!(document["userNamespaces"], json!({}));
        assert_eq!(tree::get(&document, "tracing"), None);
        assert_eq!(document["future"], json!({"kept": null}));
        assert_eq!(
            document["logging"],
            json!({"flushFrequency": "5s", "verbosity": 0, "options": {
                "json": {"infoBufferSize": "64"}, "text": {"infoBufferSize": "0"}
            }})
        );
    }
}
