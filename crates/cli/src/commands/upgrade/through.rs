//! `kubeadm upgrade apply --through`: across several minors, one after the other.

use kubeadm_config::error::Notice;
use kubeadm_engine::run::Executor;
use kubeadm_engine::spec::ADMIN_CONF;
use kubeadm_engine::upgrade::outlook;
use kubeadm_engine::upgrade::walk::{Walk, WalkError, look};

use super::apply::{OTHERS, Resolved, applying};
use super::stops::{Stops, Wished};
use super::{access, argument, configuration};
use crate::commands::failure;
use crate::error::CommandError;
use crate::output;
use crate::parse::Call;
use crate::session::Session;

/// What to do once a walk has stopped on its way.
const GO_ON: &str = "The hops that were made are kept. Once the cause is gone, the same command goes on from where the cluster stands.";

/// Looks where the cluster stands, and makes one hop after the other.
pub(super) fn walk(call: &Call<'_>, session: &Session) -> Result<(), CommandError> {
    let mut notices = Vec::new();
    let wished = wish(call, session, &mut notices);
    session.tell(&notices);
    let (Resolved { spec, skip }, wished) = wished?;
    let output = &*session.fx.output;
    let context = spec.context();
    let executor = Executor::new(&context, &session.fx);
    let looked = session.block_on(look(&spec, &executor));
    let (from, state) = looked.map_err(|error| failure::explain_alone(error, output))?;
    let Stops { between, to, unknown } = wished.look_up(&from, session, output)?;
    if unknown.contains(&to) {
        let minor = to.major_minor();
        return Err(CommandError::new(format!(
            "the newest version of v{minor} is not known: name one, such as --through v{minor}.N"
        )));
    }
    let walk = Walk::new(from, &between, to)?;
    output.say(&walk.announcement());
    if let Some(text) = walk.allowed(&state, &spec.kubeadm_version, spec.policy)? {
        output.say(&text);
    }
    let ahead = session.block_on(outlook::look(&walk, &spec, executor.view()));
    let ahead = ahead.map_err(|error| failure::explain_alone(error, output))?;
    outlook::unblocked(&walk, ahead, &spec.ignored)?;
    session.block_on(walk.run(&spec, &skip, &session.fx)).map_err(|error| match error {
        WalkError::Before(source) => failure::explain_alone(*source, output),
        WalkError::Hop { from, to, source } => {
            failure::explain(*source, output).prefix(&format!("{from} to {to}")).hint(GO_ON)
        }
        other => CommandError::from(other).hint(GO_ON),
    })?;
    output::line(&format!("\n{OTHERS}"));
    Ok(())
}

fn wish(
    call: &Call<'_>,
    session: &Session,
    notices: &mut Vec<Notice>,
) -> Result<(Resolved, Wished), CommandError> {
    let flags = &call.flags;
    let wished = Wished::of(flags, "through")?;
    if argument(call).is_some() {
        return Err(CommandError::new("name the version by --through or as an argument, not both"));
    }
    let config = configuration(flags, session, notices)?;
    if !config.apply.kubernetes_version.is_empty() {
        return Err(CommandError::new(
            "name the version by --through or in the configuration file, not both",
        ));
    }
    let access = access(flags, ADMIN_CONF, session)?;
    if crate::resolve::is_dry(flags, config.apply.dry_run) {
        return Err(CommandError::new(
            "a hop can be tried on the cluster only that the one before it leaves, so --through has no --dry-run: \
             `kubeadm upgrade plan --to` shows what each hop changes and what blocks it, and `kubeadm upgrade apply \
             VERSION --dry-run` with the first version tries that one",
        ));
    }
    Ok((applying(call, &config, access, None, session, notices)?, wished))
}
