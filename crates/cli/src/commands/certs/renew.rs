//! `kubeadm certs renew …`.

use std::path::Path;

use kubeadm_config::types::Timeouts;
use kubeadm_engine::ports::Access;
use kubeadm_engine::renewal::{Affected, Failure, Managed, Renewal, Settings, affected, restart};
use kubeadm_engine::run::{Context, Executor};

use super::{as_root, settings};
use crate::cli::Renewed;
use crate::error::CommandError;
use crate::output;
use crate::parse::Call;
use crate::session::Session;

/// Renews one certificate, or all that belong on this node.
pub(crate) fn renew(call: &Call<'_>, what: Renewed) -> Result<(), CommandError> {
    let session = Session::start()?;
    let settings = settings(&call.flags, "renew", &session, &output::line)?;
    let items = items(what, &settings, &session)?;
    let with_restart = call.flags.bool("restart");
    let context = Context {
        access: Access::new(Path::new(&call.flags.text("kubeconfig"))),
        // Certificates alone need no container runtime.
        socket: if with_restart { session.kubelets_socket()? } else { String::new() },
        api_limit: Timeouts::default().kubernetes_api_call.to_std(),
        dry: false,
    };
    let executor = Executor::new(&context, &session.fx);
    let view = executor.view();

    let renewal = Renewal::look(&items, &settings, view);
    let algorithms = renewal.algorithms();
    if let Some(first) = algorithms.first() {
        session.keys.prepare(*first, algorithms.iter().filter(|a| *a == first).count());
    }
    let planned = renewal.plan(view);
    let pods = affected(&planned.renewed, &settings, view);
    // What cannot be restarted is told before anything changes.
    let restarts = match with_restart {
        true => Some(session.block_on(restart(&pods, view))?),
        false => None,
    };
    session.block_on(executor.all(planned.steps)).map_err(|e| as_root(e.into(), &session))?;
    if what == Renewed::All {
        output::line("");
        output::line(if with_restart { DONE } else { MUST_RESTART });
    }
    session.block_on(executor.all(restarts.into_iter().collect()))?;
    if !pods.is_empty() {
        output::text_as_is(&of_pods(&pods, with_restart));
    }
    failures(&planned.failed).map_or(Ok(()), |error| Err(as_root(error, &session)))
}

const DONE: &str = "Done renewing certificates.";
/// Upstream's words.
const MUST_RESTART: &str = "Done renewing certificates. You must restart the kube-apiserver, kube-controller-manager, \
    kube-scheduler and etcd, so that they can use the new certificates.";

fn items(
    what: Renewed,
    settings: &Settings,
    session: &Session,
) -> Result<Vec<&'static Managed>, CommandError> {
    let Renewed::One(name) = what else { return Ok(settings.certificates(&*session.fx.files)) };
    match Managed::named(name) {
        Some(item) if settings.local_etcd || !item.is_etcd() => Ok(vec![item]),
        _ => Err(CommandError::new(format!(
            "{name} is not a valid certificate for this cluster: etcd does not run on its control-plane nodes"
        ))),
    }
}

/// Which static pods run with what.
fn of_pods(pods: &[Affected], restarted: bool) -> String {
    let mut text = String::from(match restarted {
        true => "\nThese static Pods of this node were restarted with their new certificates:\n",
        false => "\nThese static Pods of this node still run with the certificates they had before:\n",
    });
    for Affected { component, certificates, .. } in pods {
        text += &format!("  {component}: {}\n", certificates.join(", "));
    }
    if !restarted {
        text += "With '--restart' they are restarted, one after the other, once their certificates are renewed.\n";
    }
    text
}

fn failures(failed: &[Failure]) -> Option<CommandError> {
    match failed {
        [] => None,
        [one] => Some(CommandError::new(one.to_string())),
        many => {
            let lines: String = many.iter().map(|failure| format!("\n\t{failure}")).collect();
            Some(CommandError::new(format!("{} certificates were not renewed:{lines}", many.len())))
        }
    }
}
