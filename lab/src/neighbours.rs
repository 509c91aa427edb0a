//! Recipes for releases without a row of their own in [`crate::releases`]: other patches of a minor that has one, and the
//! minors between. They are the row's of a neighbour, but for what is known to change in between.

use crate::releases::{self, Modules, Release, Source};

/// The minors that follow a row.
const FOLLOW: &[(std::ops::RangeInclusive<u32>, &str)] = &[
    (15..=16, "v1.16"),
    // Corefiles need nothing newer than CoreDNS 1.7, and etcd is 3.4 up to 1.21.
    (17..=21, "v1.20"),
    (22..=26, "v1.24"),
    // They ask for a newer Go than 1.19; v1beta4 comes with 1.31.
    (27..=30, "v1.28"),
    (31..=33, "v1.31"),
    (34..=34, "v1.34"),
    (35..=35, "v1.35"),
    (36..=36, "v1.36"),
    (37..=37, "v1.37"),
];

/// Makes the recipe of a release such as `v1.30.14`; `None` where no neighbour's would do. The oldest releases build from
/// lists of packages that are made for one patch each.
pub(crate) fn recipe(version: &str) -> Option<Release> {
    let numbers: Vec<u32> =
        version.strip_prefix("v1.")?.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [minor, _patch] = *numbers.as_slice() else { return None };
    let (_, label) = FOLLOW.iter().find(|(minors, _)| minors.contains(&minor))?;
    let row = releases::ALL.iter().find(|row| row.label == *label)?;
    let Source::Modules(modules) = row.source else { return None };
    // A program looks up one or two.
    let kept = |text: String| -> &'static str { text.leak() };
    Some(Release {
        version: kept(version.to_owned()),
        minor,
        label: kept(format!("v1.{minor}")),
        source: Source::Modules(Modules {
            lacks_openapi: (15..=23).contains(&minor),
            kubelet_with_cgo: minor <= 16,
            ..modules
        }),
        // KEP-2254: kubelets know cgroup v2 from 1.19 on.
        only_cgroup_v1: minor < 19,
        ..*row
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companions::{CoreDns, Etcd};

    #[test]
    fn minors_between_follow_a_neighbour() {
        for (version, etcd, coredns, api, openapi) in [
            ("v1.15.12", Etcd::V3_4, CoreDns::V1_7, "v1beta2", true),
            ("v1.18.20", Etcd::V3_4, CoreDns::V1_7, "v1beta2", true),
            ("v1.22.17", Etcd::V3_5, CoreDns::V1_14, "v1beta3", true),
            ("v1.26.15", Etcd::V3_5, CoreDns::V1_14, "v1beta3", false),
            ("v1.30.14", Etcd::V3_5, CoreDns::V1_14, "v1beta3", false),
            ("v1.33.13", Etcd::V3_5, CoreDns::V1_14, "v1beta4", false),
            ("v1.37.0", Etcd::V3_7, CoreDns::V1_14, "v1beta4", false),
        ] {
            let found = recipe(version).unwrap();
            assert_eq!((found.version, found.etcd, found.coredns), (version, etcd, coredns));
            assert_eq!(format!("v1.{}", found.minor), found.label);
            assert!(found.config.contains(&format!("kubeadm.k8s.io/{api}\n")), "{version}");
            let Source::Modules(modules) = found.source else { panic!("{version}") };
            assert_eq!(modules.lacks_openapi, openapi, "{version}");
        }
    }

    #[test]
    fn rows_are_what_their_own_neighbours_are() {
        for row in releases::ALL.iter().filter(|row| matches!(row.source, Source::Modules(_))) {
            let found = recipe(row.version).unwrap();
            assert_eq!(
                (found.source, found.only_cgroup_v1),
                (row.source, row.only_cgroup_v1),
                "{}",
                row.label
            );
            assert_eq!((found.etcd, found.coredns, found.config), (row.etcd, row.coredns, row.config));
        }
    }

    #[test]
    fn what_no_neighbour_tells_is_refused() {
        for version in ["v1.13.5", "v1.14.10", "v1.38.0", "v1.30", "1.30.14", "v1.30.x", "v2.1.0", ""] {
            assert!(recipe(version).is_none(), "{version}");
        }
    }
}
