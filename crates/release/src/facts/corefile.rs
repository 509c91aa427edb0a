//! What changed in the language of Corefiles, by version of CoreDNS, as far as a Corefile that worked before would
//! stop working or lacks a new default. Only removals and new defaults are here: what is merely deprecated still works.
//!
//! Source: github.com/coredns/corefile-migration v1.0.34, migration/versions.go and migration/plugins.go, and the
//! release notes of CoreDNS.

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorefileChange {
    /// Server blocks that have one of these plugins get a new one, unless they have it.
    AddPlugin {
        /// The new plugin.
        name: &'static str,
        /// The plugins it goes with.
        beside: &'static [&'static str],
    },
    /// A plugin gets an option, unless it has it.
    AddOption {
        /// The plugin.
        plugin: &'static str,
        /// The option and its values.
        option: &'static [&'static str],
    },
    /// An option is gone.
    RemoveOption {
        /// The plugin.
        plugin: &'static str,
        /// The option.
        option: &'static str,
    },
    /// A plugin is gone without a successor.
    RemovePlugin {
        /// The plugin.
        name: &'static str,
    },
    /// `proxy` is gone, `forward` does its work.
    ProxyToForward,
    /// `transfer to` within `kubernetes` is gone, a plugin of its own does its work.
    TransferPlugin,
}

/// Oldest first: the version that brought a change.
const CHANGES: &[(Version, CorefileChange)] = &[
    ([1, 2, 1], CorefileChange::AddPlugin { name: "loop", beside: &["forward", "proxy"] }),
    ([1, 5, 0], CorefileChange::AddPlugin { name: "ready", beside: &["kubernetes"] }),
    ([1, 5, 0], CorefileChange::ProxyToForward),
    ([1, 6, 5], CorefileChange::AddOption { plugin: "health", option: &["lameduck", "5s"] }),
    ([1, 7, 0], CorefileChange::RemoveOption { plugin: "kubernetes", option: "resyncperiod" }),
    ([1, 7, 0], CorefileChange::RemoveOption { plugin: "kubernetes", option: "upstream" }),
    ([1, 7, 0], CorefileChange::RemovePlugin { name: "federation" }),
    ([1, 7, 0], CorefileChange::AddOption { plugin: "forward", option: &["max_concurrent", "1000"] }),
    ([1, 8, 0], CorefileChange::TransferPlugin),
];

type Version = [u32; 3];

/// What changed from one version of CoreDNS (as image tags have it, with or without `v`) to another; `None` if one of
/// them is no version.
pub fn changes(from: &str, to: &str) -> Option<Vec<CorefileChange>> {
    let (from, to) = (parse(from)?, parse(to)?);
    Some(CHANGES.iter().filter(|(at, _)| from < *at && *at <= to).map(|(_, change)| *change).collect())
}

/// Reads `v1.11.3` or `1.11.3-suffix`.
fn parse(tag: &str) -> Option<Version> {
    let core = tag.strip_prefix('v').unwrap_or(tag).split(['-', '_', '+']).next()?;
    let numbers: Vec<u32> = core.split('.').map(|n| n.parse().ok()).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_lie_between_two_versions() {
        assert_eq!(changes("v1.11.1", "v1.14.6"), Some(vec![]));
        assert_eq!(changes("1.6.2", "v1.6.5").map(|c| c.len()), Some(1));
        assert_eq!(changes("1.1.3", "v1.14.6").map(|c| c.len()), Some(CHANGES.len()));
        assert_eq!(changes("v1.14.6", "1.1.3"), Some(vec![]));
        assert_eq!(changes("latest", "1.1.3"), None);
    }
}
