//! What marks the Node object of a control-plane node.

use crate::column::Span;
use crate::listing::Facts;

/// Facts of a control-plane node.
#[derive(Debug, Clone, PartialEq, Eq, Facts)]
pub struct NodeFacts {
    /// Labels without value.
    pub labels: Vec<&'static str>,
    /// Keys of the default taints, all of effect NoSchedule and without value.
    pub taints: Vec<&'static str>,
}

impl NodeFacts {
    pub(crate) fn at(minor: u32) -> Self {
        Self { labels: Span::at(LABELS, minor), taints: Span::at(TAINTS, minor) }
    }
}

/// Source: app/phases/markcontrolplane/markcontrolplane.go, v1.13 and v1.37.
const LABELS: &[Span<&str>] = &[
    Span::until(24, "node-role.kubernetes.io/master"), // KEP-2067
    Span::since(20, "node-role.kubernetes.io/control-plane"), // KEP-2067
    Span::since(21, "node.kubernetes.io/exclude-from-external-load-balancers"),
];

/// Source: app/util/config/initconfiguration.go SetNodeRegistrationDynamicDefaults, v1.13 and v1.37.
const TAINTS: &[Span<&str>] = &[
    Span::until(25, "node-role.kubernetes.io/master"), // KEP-2067
    Span::since(24, "node-role.kubernetes.io/control-plane"), // KEP-2067
];
