//! `kubeadm upgrade diff`: what an upgrade would change in the static pod manifests of this node.

use kubeadm_config::error::Notice;
use kubeadm_engine::phases::upgrade::control_plane::manifests;
use kubeadm_engine::run::Executor;
use kubeadm_engine::spec::ADMIN_CONF;
use similar::TextDiff;

use super::{access, argument, configuration, spec, version_of};
use crate::error::CommandError;
use crate::output;
use crate::parse::Call;
use crate::session::Session;

/// `upgrade diff`.
pub(crate) fn diff(call: &Call<'_>) -> Result<(), CommandError> {
    kubeadm_config::flags::check_mixed(call.flags.names())?;
    let session = Session::start()?;
    let mut notices = Vec::new();
    let run = run(call, &session, &mut notices);
    session.tell(&notices);
    run
}

fn run(call: &Call<'_>, session: &Session, notices: &mut Vec<Notice>) -> Result<(), CommandError> {
    let config = configuration(&call.flags, session, notices)?;
    let lines = match config.diff.context_lines {
        // The file says nothing of it (quirk Q33: upstream then shows none).
        0 => call.flags.int("context-lines").into(),
        lines => lines,
    };
    let lines = usize::try_from(lines)
        .map_err(|_| CommandError::new(format!("context-lines: expected a number from 0, found {lines}")))?;
    let access = access(&call.flags, ADMIN_CONF, session)?;
    let target = match argument(call).unwrap_or(&config.diff.kubernetes_version) {
        "" => None,
        text => Some(version_of(text, session, notices)?),
    };
    let spec = spec(target, &config, access, "upgrade/diff", session);
    let context = spec.context();
    let executor = Executor::new(&context, &session.fx);
    let found = session.block_on(async {
        let (node, steps) = spec.node(executor.view()).await?;
        executor.all(steps).await?;
        manifests(node, executor.view()).await
    });
    for manifest in found? {
        let diff = TextDiff::from_lines(&manifest.before, &manifest.after);
        let path = manifest.path.display().to_string();
        let text = diff.unified_diff().context_radius(lines).header(&path, "new manifest").to_string();
        output::text_as_is(&text);
    }
    Ok(())
}
