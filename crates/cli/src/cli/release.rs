//! The commands of `kubeadm release`. The original has none: it knows two minors.

use super::{Args, Node, STRUCTURED, Verb};

pub(super) fn release() -> Node {
    let list = Node::new("list", "List the minors of Kubernetes that this kubeadm knows", Verb::ReleaseList);
    let show = Node {
        usage: "[version]",
        args: Args::AtMost(1),
        ..Node::new("show", "Show what this kubeadm knows of a minor", Verb::ReleaseShow)
    };
    let diff = Node {
        usage: "[version] [version]",
        args: Args::AtMost(2),
        ..Node::new(
            "diff",
            "Show what changes from one minor to another for the files and objects of a cluster",
            Verb::ReleaseDiff,
        )
    };
    Node::group(
        "release",
        "What this kubeadm knows of the minors of Kubernetes",
        vec![
            list.flags(&STRUCTURED),
            show.flags(&STRUCTURED).details(
                "The version is a minor, such as v1.36, or any version of it; kubeadm's own if none is given.\n",
            ),
            diff.flags(&STRUCTURED).details(
                "Facts come first, then what init would write for a cluster that leaves everything to its defaults. \
                 With one version it is compared with kubeadm's own.\n",
            ),
        ],
    )
}
