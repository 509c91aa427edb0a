//! Recipes for releases without a row of their own in [`crate::releases`]: other patches of a minor that has one, and the
//! minors between. They are the row's of a neighbour, but for what is known to change in between.

use std::ops::RangeInclusive;

use crate::companions::Etcd;
use crate::releases::{self, Release, Source};

/// How minors without a row follow one.
struct Neighbours {
    minors: RangeInclusive<u32>,
    /// Label of the row.
    row: &'static str,
    /// Whether their kubelets run only where cgroup v1 is mounted, though the row's run anywhere.
    only_cgroup_v1: bool,
    /// Whether their modules lack the generated OpenAPI definitions, though the row's have them.
    lacks_openapi: bool,
    /// The etcd that they get in place of the row's.
    etcd: Option<Etcd>,
}

const fn as_they_are(minors: RangeInclusive<u32>, row: &'static str) -> Neighbours {
    Neighbours { minors, row, only_cgroup_v1: false, lacks_openapi: false, etcd: None }
}

const NEIGHBOURS: &[Neighbours] = &[
    as_they_are(15..=15, "v1.16"),
    // KEP-2254: kubelets know cgroup v2 from 1.19 on.
    Neighbours { only_cgroup_v1: true, ..as_they_are(17..=18, "v1.20") },
    // Corefiles need nothing newer than CoreDNS 1.7, and etcd is 3.4 up to 1.21.
    as_they_are(19..=21, "v1.20"),
    // The modules of 1.15 to 1.23 have no definitions. Their client of etcd 3.5.0 sends an authority that gRPC of today takes
    // for a protocol error (etcd-io/etcd#13192); etcd 3.4 of today still takes it.
    Neighbours { lacks_openapi: true, etcd: Some(Etcd::V3_4), ..as_they_are(22..=23, "v1.24") },
    as_they_are(25..=26, "v1.24"),
    // They ask for a newer Go than 1.19; v1beta4 comes with 1.31.
    as_they_are(27..=30, "v1.28"),
    as_they_are(32..=33, "v1.31"),
];

/// Makes the recipe of a release such as `v1.30.14`; `None` where no neighbour's would do. The oldest releases build from
/// lists of packages that are made for one patch each.
pub(crate) fn recipe(version: &str) -> Option<Release> {
    let numbers: Vec<u32> =
        version.strip_prefix("v1.")?.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    let [minor, _patch] = *numbers.as_slice() else { return None };
    let mut release = match releases::ALL.iter().find(|row| row.minor == minor) {
        Some(row) => *row,
        None => between(minor)?,
    };
    if matches!(release.source, Source::Gopath { .. }) {
        return None;
    }
    // A program looks up one or two.
    release.version = version.to_owned().leak();
    Some(release)
}

/// What a minor without a row takes over.
fn between(minor: u32) -> Option<Release> {
    let found = NEIGHBOURS.iter().find(|neighbours| neighbours.minors.contains(&minor))?;
    let mut release = *releases::ALL.iter().find(|row| row.label == found.row)?;
    release.minor = minor;
    release.label = format!("v1.{minor}").leak();
    release.only_cgroup_v1 |= found.only_cgroup_v1;
    release.etcd = found.etcd.unwrap_or(release.etcd);
    if let Source::Modules(modules) = &mut release.source {
        modules.lacks_openapi |= found.lacks_openapi;
    }
    Some(release)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companions::CoreDns;

    #[test]
    fn minors_between_follow_a_neighbour() {
        for (version, etcd, coredns, api, openapi) in [
            ("v1.15.12", Etcd::V3_4, CoreDns::V1_7, "v1beta2", true),
            ("v1.18.20", Etcd::V3_4, CoreDns::V1_7, "v1beta2", true),
            ("v1.22.17", Etcd::V3_4, CoreDns::V1_14, "v1beta3", true),
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
    fn minors_without_a_row_follow_one() {
        for found in NEIGHBOURS {
            assert!(releases::ALL.iter().any(|row| row.label == found.row), "{}", found.row);
        }
        for minor in 15..=37 {
            let found = recipe(&format!("v1.{minor}.1")).unwrap();
            let Source::Modules(modules) = found.source else { panic!("{minor}") };
            assert_eq!(modules.lacks_openapi, minor <= 23, "{minor}");
            assert_eq!(modules.kubelet_with_cgo, minor <= 16, "{minor}");
            assert_eq!(found.only_cgroup_v1, minor < 19, "{minor}");
        }
    }

    #[test]
    fn what_no_neighbour_tells_is_refused() {
        for version in ["v1.13.5", "v1.14.10", "v1.38.0", "v1.30", "1.30.14", "v1.30.x", "v2.1.0", ""] {
            assert!(recipe(version).is_none(), "{version}");
        }
    }
}
