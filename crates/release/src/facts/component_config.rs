//! The component configurations of kubelet and kube-proxy: which fields a minor knows, in which form, and what the
//! component itself takes for those left out.
//!
//! kubeadm reads these documents into Go types and writes them back, so the result holds every field that Go always
//! writes, and no other empty one. That is all this table says: what the fields mean is the component's business.

mod kube_proxy;
mod kubelet;

use crate::column::Span;
use crate::facts::kubelet::ConfigDefaults;
use crate::listing::Facts;
use crate::release::Release;

/// The form of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Form {
    /// A string.
    Text,
    /// A boolean.
    Bool,
    /// A number, whole or not.
    Number,
    /// A duration, such as `1m0s`.
    Duration,
    /// A duration that is a number of nanoseconds, or a string such as `5s`.
    Nanoseconds,
    /// A quantity of bytes, such as `64Ki`.
    Size,
    /// A list of anything.
    List,
    /// A mapping with keys of the user's choice.
    Map,
    /// A mapping whose fields are in this table.
    Struct,
}

/// When a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Written {
    /// Always, with the zero value of its form if nothing else.
    Always,
    /// Always, as null if it was not given.
    Null,
    /// If it was given, whatever the value.
    Given,
    /// If it is not zero or empty.
    NonZero,
}

/// A field of a component configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub struct Field {
    /// The path, with dots.
    pub path: &'static str,
    /// The form of its value.
    pub form: Form,
    /// When it is written.
    pub written: Written,
}

/// A value for a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Facts)]
pub enum Literal {
    /// A string, also for a duration.
    #[fact(bare)]
    Text(&'static str),
    /// A whole number.
    #[fact(bare)]
    Number(i64),
    /// A boolean.
    #[fact(bare)]
    Bool(bool),
    /// A list of strings.
    #[fact(bare)]
    Texts(&'static [&'static str]),
    /// A mapping of strings.
    #[fact(bare)]
    Pairs(&'static [(&'static str, &'static str)]),
}

/// A path and the value it has unless set.
type Default = (&'static str, Literal);

/// What a minor knows of one component configuration.
#[derive(Debug, Clone, Facts)]
pub struct ComponentConfig {
    /// `group/version` of the documents.
    pub api_version: &'static str,
    /// Their kind.
    pub kind: &'static str,
    /// Its fields, parents before children.
    pub fields: Vec<Field>,
    /// Bounds of whole numbers, both included: path, least, greatest. The component does not start beyond them.
    pub ranges: &'static [(&'static str, i64, i64)],
    /// Gates of kubeadm's that are handed on in `featureGates` as they are set.
    pub gates: Vec<&'static str>,
    /// The component's own defaults, where kubeadm fills them in; else nothing.
    pub defaults: Vec<(&'static str, Literal)>,
}

/// KubeletConfiguration as a release knows it.
pub fn kubelet(release: &Release) -> ComponentConfig {
    ComponentConfig {
        api_version: "kubelet.config.k8s.io/v1beta1",
        kind: "KubeletConfiguration",
        fields: Span::at(kubelet::FIELDS, release.minor),
        ranges: kubelet::RANGES,
        gates: Span::at(kubelet::GATES, release.minor),
        defaults: defaults(kubelet::DEFAULTS, release),
    }
}

/// KubeProxyConfiguration as a release knows it.
pub fn kube_proxy(release: &Release) -> ComponentConfig {
    ComponentConfig {
        api_version: "kubeproxy.config.k8s.io/v1alpha1",
        kind: "KubeProxyConfiguration",
        fields: Span::at(kube_proxy::FIELDS, release.minor),
        ranges: kube_proxy::RANGES,
        gates: Span::at(kube_proxy::GATES, release.minor),
        defaults: defaults(kube_proxy::DEFAULTS, release),
    }
}

fn defaults(rows: &'static [Span<Default>], release: &Release) -> Vec<Default> {
    match release.kubelet.config_defaults {
        ConfigDefaults::Filled => Span::at(rows, release.minor),
        ConfigDefaults::Zero => Vec::new(),
    }
}

const fn ever(path: &'static str, form: Form, written: Written) -> Span<Field> {
    Span::always(Field { path, form, written })
}

const fn since(minor: u32, path: &'static str, form: Form, written: Written) -> Span<Field> {
    Span::since(minor, Field { path, form, written })
}

const fn until(minor: u32, path: &'static str, form: Form, written: Written) -> Span<Field> {
    Span::until(minor, Field { path, form, written })
}

const fn within(since: u32, until: u32, path: &'static str, form: Form, written: Written) -> Span<Field> {
    Span::within(since, until, Field { path, form, written })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_unique_and_below_a_struct() {
        for minor in 11..=crate::NEWEST_MINOR {
            for rows in [kubelet::FIELDS, kube_proxy::FIELDS] {
                let fields = Span::at(rows, minor);
                for (index, field) in fields.iter().enumerate() {
                    let before = &fields[..index];
                    assert!(before.iter().all(|f| f.path != field.path), "1.{minor} {}", field.path);
                    if let Some((parent, _)) = field.path.rsplit_once('.') {
                        assert!(
                            before.iter().any(|f| f.path == parent && f.form == Form::Struct),
                            "1.{minor} {}",
                            field.path
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn ranges_belong_to_numbers() {
        for (ranges, fields) in [(kubelet::RANGES, kubelet::FIELDS), (kube_proxy::RANGES, kube_proxy::FIELDS)]
        {
            for (path, least, greatest) in ranges {
                let number = |row: &Span<Field>| row.item.path == *path && row.item.form == Form::Number;
                assert!(fields.iter().any(number), "{path}");
                assert!(least < greatest, "{path}");
            }
        }
    }

    #[test]
    fn defaults_belong_to_fields() {
        for minor in 11..17 {
            for (rows, fields) in
                [(kubelet::DEFAULTS, kubelet::FIELDS), (kube_proxy::DEFAULTS, kube_proxy::FIELDS)]
            {
                let fields = Span::at(fields, minor);
                for (path, _) in Span::at(rows, minor) {
                    assert!(fields.iter().any(|f| f.path == path), "1.{minor} {path}");
                }
            }
        }
    }
}
