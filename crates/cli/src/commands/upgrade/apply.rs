//! `kubeadm upgrade apply` and `kubeadm upgrade node`, and their phases.

use kubeadm_config::defaults::CERTIFICATES_DIR;
use kubeadm_config::error::Notice;
use kubeadm_config::types::{ImagePullPolicy, Patches, UpgradeConfiguration};
use kubeadm_engine::phase::{Phase, Selection, select};
use kubeadm_engine::phases::upgrade::{APPLY, NODE};
use kubeadm_engine::ports::Access;
use kubeadm_engine::spec::{ADMIN_CONF, KUBERNETES, Layout};
use kubeadm_engine::upgrade::UpgradeSpec;
use kubeadm_engine::upgrade::policy::Policy;
use kubeadm_release::Version;

use super::{access, argument, configuration, own_kubeconfig, spec, through, version_of};
use crate::commands::run_phases;
use crate::error::CommandError;
use crate::output;
use crate::parse::Call;
use crate::resolve::{self, switch};
use crate::session::Session;

/// The end of a dry run. cmd/kubeadm/app/cmd/upgrade/apply.go, 1.37.
const DRY: &str = "[upgrade/successful] Finished dryrunning successfully!";

/// What is said after an upgrade of a cluster.
pub(super) const OTHERS: &str =
    "[upgrade] Now please proceed with upgrading the rest of the nodes by following the right order.";

/// `upgrade apply`: all phases but those left out.
pub(crate) fn apply(call: &Call<'_>) -> Result<(), CommandError> {
    kubeadm_config::flags::check_mixed(call.flags.names())?;
    let session = Session::start()?;
    if call.flags.given("through") {
        return through::walk(call, &session);
    }
    let Resolved { spec, skip } = resolve(call, &session, to_apply)?;
    let target = spec.target.clone();
    execute(APPLY, &spec, &Selection::Skip(skip), &session)?;
    if spec.landing.is_some() {
        output::line(DRY);
    } else if let Some(version) = target {
        output::line(&format!(
            "\n[upgrade] SUCCESS! A control plane node of your cluster was upgraded to \"{version}\".\n\n{OTHERS}"
        ));
    }
    Ok(())
}

/// `upgrade apply phase …`. Flags count beside a file there.
pub(crate) fn apply_phase(call: &Call<'_>, path: &str) -> Result<(), CommandError> {
    let session = Session::start()?;
    let Resolved { spec, skip } = resolve(call, &session, to_apply)?;
    execute(APPLY, &spec, &Selection::Only { path: path.to_owned(), skip }, &session)
}

/// `upgrade node`: all phases but those left out.
pub(crate) fn node(call: &Call<'_>) -> Result<(), CommandError> {
    kubeadm_config::flags::check_mixed(call.flags.names())?;
    let session = Session::start()?;
    let Resolved { spec, skip } = resolve(call, &session, to_node)?;
    execute(NODE, &spec, &Selection::Skip(skip), &session)?;
    if spec.landing.is_some() {
        output::line(DRY);
    }
    Ok(())
}

/// `upgrade node phase …`. Flags count beside a file there.
pub(crate) fn node_phase(call: &Call<'_>, path: &str) -> Result<(), CommandError> {
    let session = Session::start()?;
    let Resolved { spec, skip } = resolve(call, &session, to_node)?;
    execute(NODE, &spec, &Selection::Only { path: path.to_owned(), skip }, &session)
}

fn execute(
    tree: &'static [Phase<UpgradeSpec>],
    spec: &UpgradeSpec,
    selection: &Selection,
    session: &Session,
) -> Result<(), CommandError> {
    let landing = spec.landing.clone();
    let layout = Layout { pki: CERTIFICATES_DIR.into(), kubeconfigs: KUBERNETES.into(), landing };
    run_phases(tree, selection, spec, &spec.context(), &layout, session)
}

/// A spec, and the phases that are left out.
pub(super) struct Resolved {
    pub(super) spec: UpgradeSpec,
    pub(super) skip: Vec<String>,
}

type Resolve =
    fn(&Call<'_>, UpgradeConfiguration, &Session, &mut Vec<Notice>) -> Result<Resolved, CommandError>;

/// Flags and file to a spec. Warnings are said even if it fails.
fn resolve(call: &Call<'_>, session: &Session, of: Resolve) -> Result<Resolved, CommandError> {
    let mut notices = Vec::new();
    let config = configuration(&call.flags, session, &mut notices);
    let resolved = config.and_then(|config| of(call, config, session, &mut notices));
    session.tell(&notices);
    resolved
}

fn to_apply(
    call: &Call<'_>,
    config: UpgradeConfiguration,
    session: &Session,
    notices: &mut Vec<Notice>,
) -> Result<Resolved, CommandError> {
    let (flags, block) = (&call.flags, &config.apply);
    let text = match argument(call).unwrap_or(&block.kubernetes_version) {
        "" => {
            return Err(CommandError::new(
                "missing one or more required arguments. Required arguments: [version]",
            ));
        }
        text => text,
    };
    let access = access(flags, ADMIN_CONF, session)?;
    let target = version_of(text, session, notices)?;
    applying(call, &config, access, Some(target), session, notices)
}

/// The spec of an upgrade to a version, or to one that is yet to be known.
pub(super) fn applying(
    call: &Call<'_>,
    config: &UpgradeConfiguration,
    access: Access,
    target: Option<Version>,
    session: &Session,
    notices: &mut Vec<Notice>,
) -> Result<Resolved, CommandError> {
    let (flags, block) = (&call.flags, &config.apply);
    let on = |name: &str, configured: bool| switch(flags, name, configured);
    let force = on("force", block.force_upgrade);
    let common = Common {
        ignored: &block.ignore_preflight_errors,
        dry: block.dry_run,
        renewal: block.certificate_renewal,
        etcd: block.etcd_upgrade,
        patches: block.patches.as_ref(),
        skip: &block.skip_phases,
        pull_policy: &block.image_pull_policy,
        pull_serial: block.image_pull_serial,
    };
    let spec = spec(target, config, access, "upgrade", session);
    let Resolved { mut spec, skip } =
        common.complete(spec, call, "upgrade apply", APPLY, session, notices)?;
    spec.policy = Policy {
        experimental: on("allow-experimental-upgrades", block.allow_experimental_upgrades),
        release_candidates: on("allow-release-candidate-upgrades", block.allow_rc_upgrades),
        force,
    };
    spec.print_config = on("print-config", block.print_config);
    spec.interactive = !(on("yes", false) || force || spec.landing.is_some());
    Ok(Resolved { spec, skip })
}

fn to_node(
    call: &Call<'_>,
    config: UpgradeConfiguration,
    session: &Session,
    notices: &mut Vec<Notice>,
) -> Result<Resolved, CommandError> {
    let block = &config.node;
    let access = access(&call.flags, &own_kubeconfig(session), session)?;
    let common = Common {
        ignored: &block.ignore_preflight_errors,
        dry: block.dry_run,
        renewal: block.certificate_renewal,
        etcd: block.etcd_upgrade,
        patches: block.patches.as_ref(),
        skip: &block.skip_phases,
        pull_policy: &block.image_pull_policy,
        pull_serial: block.image_pull_serial,
    };
    let spec = spec(None, &config, access, "upgrade", session);
    common.complete(spec, call, "upgrade node", NODE, session, notices)
}

/// What both blocks of the configuration have.
struct Common<'a> {
    ignored: &'a [String],
    dry: bool,
    renewal: Option<bool>,
    etcd: Option<bool>,
    patches: Option<&'a Patches>,
    skip: &'a [String],
    pull_policy: &'a str,
    pull_serial: Option<bool>,
}

impl Common<'_> {
    fn complete(
        &self,
        mut spec: UpgradeSpec,
        call: &Call<'_>,
        command: &str,
        tree: &'static [Phase<UpgradeSpec>],
        session: &Session,
        notices: &mut Vec<Notice>,
    ) -> Result<Resolved, CommandError> {
        let flags = &call.flags;
        let skip = resolve::skip_phases(flags, self.skip);
        // A wrong name is refused before a dry run makes its folder.
        select(tree, &Selection::Skip(skip.clone()))?;
        spec.ignored = resolve::ignored_checks(flags, self.ignored)?;
        spec.renew_certificates = switch(flags, "certificate-renewal", self.renewal.unwrap_or(true));
        spec.upgrade_etcd = switch(flags, "etcd-upgrade", self.etcd.unwrap_or(true));
        spec.patches = resolve::patches(flags, self.patches);
        // Validated to be one of the three.
        spec.pull_policy = ImagePullPolicy::parse(self.pull_policy).unwrap_or(ImagePullPolicy::IfNotPresent);
        spec.pull_serial = self.pull_serial.unwrap_or(true);
        spec.socket = session.kubelets_socket()?;
        if resolve::is_dry(flags, self.dry) {
            spec.landing = Some(resolve::dry_run_folder(&session.fx, command, notices)?);
        }
        Ok(Resolved { spec, skip })
    }
}
