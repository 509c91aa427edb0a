//! Which versions an upgrade may go to. cmd/kubeadm/app/phases/upgrade/policy.go, 1.37.
//!
//! This kubeadm knows more than one minor, so it is not bound to its own: a minor whose facts it does not have is refused
//! when its release is looked up.

use kubeadm_release::{Version, skew};

use super::versions::ClusterState;

/// What was allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// Alpha, beta and release candidate versions.
    pub experimental: bool,
    /// Release candidates.
    pub release_candidates: bool,
    /// Whatever can be forced.
    pub force: bool,
}

/// What is against a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objections {
    /// Nothing helps against these.
    pub fatal: Vec<String>,
    /// `--force` does against these.
    pub forceable: Vec<String>,
    /// The same of kubelets that are too old, which an upgrade of theirs helps too.
    pub old_kubelets: Option<String>,
}

/// A version that is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// Not even by force.
    #[error(
        "the version argument is invalid due to these fatal errors:\n\n{}\nPlease fix the misalignments highlighted above and try upgrading again",
        list(.0)
    )]
    Fatal(Vec<String>),
    /// Not without force.
    #[error(
        "the version argument is invalid due to these errors:\n\n{}\nCan be bypassed if you pass the --force flag",
        list(.0)
    )]
    Forceable(Vec<String>),
}

/// One objection a line.
pub fn list(objections: &[String]) -> String {
    objections.iter().map(|text| format!("\t- {text}\n")).collect()
}

impl Objections {
    /// Everything that `--force` does against.
    pub fn all_forceable(&self) -> Vec<String> {
        self.forceable.iter().chain(&self.old_kubelets).cloned().collect()
    }

    /// What is to be said where they are overruled, or the error.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn overruled(self, force: bool) -> Result<Option<String>, PolicyError> {
        if !self.fatal.is_empty() {
            return Err(PolicyError::Fatal(self.fatal));
        }
        let forceable = self.all_forceable();
        match (forceable.len(), force) {
            (0, _) => Ok(None),
            (_, false) => Err(PolicyError::Forceable(forceable)),
            (n, true) => Ok(Some(format!(
                "[upgrade/preflight] Found {n} potential version compatibility errors but skipping since the --force flag is set: \n\n{}",
                list(&forceable)
            ))),
        }
    }
}

/// What is against an upgrade of a cluster to a version. Each API server counts, since a cluster may be amid an upgrade.
pub fn judge(target: &Version, cluster: &ClusterState, kubeadm: &Version, policy: Policy) -> Objections {
    let mut found = Objections::default();
    let released = target.pre.is_empty();
    let mut too_far = |text: String| match released {
        true => found.fatal.push(text),
        false => found.forceable.push(text),
    };
    let limit = skew::upgrade_limit(target);
    let steps: Vec<i64> = cluster.api_servers().map(|v| skew::upgrade_step(&v, target)).collect();
    if steps.iter().any(|step| *step > limit) {
        too_far(format!(
            "Specified version to upgrade to {:?} is too high; kubeadm can upgrade only {limit} minor version at a time",
            target.to_string()
        ));
    }
    if steps.iter().any(|step| *step < -limit) {
        too_far(format!(
            "Specified version to downgrade to {:?} is too low; kubeadm can downgrade only {limit} minor version at a time",
            target.to_string()
        ));
    }
    if skew::newer_than_kubeadm(target, kubeadm) {
        too_far(format!(
            "Specified version to upgrade to {:?} is at least one minor release higher than the kubeadm minor release ({} > {}). Such an upgrade is not supported",
            target.to_string(),
            target.minor,
            kubeadm.minor
        ));
    } else if skew::precedes(kubeadm, target) {
        found.forceable.push(format!(
            "Specified version to upgrade to {:?} is higher than the kubeadm version {:?}. Upgrade kubeadm first using the tool you used to install kubeadm",
            target.to_string(),
            kubeadm.to_string()
        ));
    }
    if steps.iter().any(|step| *step < 0) {
        found.forceable.push(format!(
            "Specified version {:?} is of an earlier minor release than the cluster: what a newer release has stored may not be read by an older one",
            target.to_string()
        ));
    }
    let allowed = policy.experimental || policy.release_candidates && target.pre.starts_with("rc");
    if !released && !allowed {
        found.forceable.push(format!(
            "Specified version to upgrade to {:?} is an unstable version and such upgrades weren't allowed via setting the --allow-*-upgrades flags",
            target.to_string()
        ));
    }
    let kubelets = |what: &str, wrong: &dyn Fn(&Version) -> bool| -> Option<String> {
        let all = cluster.kubelets.keys().map(String::as_str);
        let wrong: Vec<&str> = all.filter(|text| text.parse().is_ok_and(|v| wrong(&v))).collect();
        (!wrong.is_empty()).then(|| {
            format!(
                "There are kubelets in this cluster that are {what} that have these versions [{}]",
                wrong.join(" ")
            )
        })
    };
    found.forceable.extend(kubelets("too new", &|v| skew::kubelet_newer_than_control_plane(v, target)));
    found.old_kubelets = kubelets("too old", &|v| skew::kubelet_left_behind(v, target));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBEADM: &str = "1.37.2";

    fn state(servers: &[&str], kubelets: &[&str]) -> ClusterState {
        let mut state = ClusterState::default();
        let servers = servers.iter().map(|v| ((*v).to_owned(), vec!["cp1".to_owned()]));
        state.components.insert("kube-apiserver".into(), servers.collect());
        state.kubelets = kubelets.iter().map(|v| ((*v).to_owned(), vec!["cp1".to_owned()])).collect();
        state
    }

    /// The first words of what is fatal, and of what may be forced.
    fn judged(
        target: &str,
        servers: &[&str],
        kubelets: &[&str],
        policy: Policy,
    ) -> (Vec<String>, Vec<String>) {
        let target = target.parse().unwrap();
        let found = judge(&target, &state(servers, kubelets), &KUBEADM.parse().unwrap(), policy);
        let forceable = found.all_forceable();
        (found.fatal, forceable)
    }

    #[track_caller]
    fn is(found: (Vec<String>, Vec<String>), fatal: &[&str], forceable: &[&str]) {
        for (found, expected) in [(&found.0, fatal), (&found.1, forceable)] {
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.contains(expected), "{found}");
            }
        }
    }

    #[test]
    fn one_minor_up_and_every_patch_is_allowed() {
        for (target, server) in
            [("1.37.2", "v1.36.3"), ("1.37.2", "v1.37.2"), ("1.37.1", "v1.37.2"), ("1.36.9", "v1.36.3")]
        {
            is(judged(target, &[server], &["v1.36.3"], Policy::default()), &[], &[]);
        }
    }

    #[test]
    fn what_is_too_far_is_fatal_unless_it_is_no_release() {
        let plain = Policy::default();
        is(judged("1.37.2", &["v1.35.4"], &[], plain), &["is too high"], &[]);
        // The oldest API server of a cluster amid an upgrade counts.
        is(judged("1.37.2", &["v1.35.4", "v1.36.1"], &[], plain), &["is too high"], &[]);
        is(judged("1.35.0", &["v1.37.2"], &[], plain), &["is too low"], &["earlier minor"]);
        is(judged("1.38.0", &["v1.37.2"], &[], plain), &["(38 > 37)"], &[]);
        is(
            judged("1.38.0-alpha.1", &["v1.36.0"], &[], plain),
            &[],
            &["is too high", "(38 > 37)", "unstable version"],
        );
    }

    #[test]
    fn what_can_be_forced() {
        let plain = Policy::default();
        is(judged("1.37.3", &["v1.37.2"], &[], plain), &[], &["higher than the kubeadm version \"v1.37.2\""]);
        is(judged("1.36.3", &["v1.37.2"], &[], plain), &[], &["earlier minor"]);
        is(judged("1.36.3", &["v1.37.2"], &["v1.37.2"], plain), &[], &["earlier minor", "too new"]);
        is(judged("1.37.2", &["v1.36.3"], &["v1.33.9", "v1.34.0"], plain), &[], &["versions [v1.33.9]"]);
    }

    #[test]
    fn unstable_versions_are_allowed_by_kind() {
        let experimental = Policy { experimental: true, ..Policy::default() };
        let candidates = Policy { release_candidates: true, ..Policy::default() };
        let judged = |target, policy| judged(target, &["v1.36.3"], &[], policy);
        is(judged("1.37.0-rc.1", candidates), &[], &[]);
        is(judged("1.37.0-beta.0", candidates), &[], &["unstable"]);
        is(judged("1.37.0-beta.0", experimental), &[], &[]);
    }

    #[test]
    fn force_overrules_what_is_not_fatal() {
        let both =
            Objections { fatal: vec!["a".into()], forceable: vec!["b".into()], ..Objections::default() };
        assert_eq!(both.clone().overruled(true), Err(PolicyError::Fatal(vec!["a".into()])));
        let forceable = Objections { fatal: Vec::new(), ..both };
        let error = forceable.clone().overruled(false).unwrap_err().to_string();
        assert!(error.contains("\n\n\t- b\n\nCan be bypassed if you pass the --force flag"), "{error}");
        assert!(forceable.overruled(true).unwrap().unwrap().contains("Found 1 potential"));
        assert_eq!(Objections::default().overruled(false), Ok(None));
    }
}
