//! `kubeadm certs renew …`.

use std::path::Path;

use kubeadm_config::types::Timeouts;
use kubeadm_engine::kubelet::{self, CLIENT_CERTIFICATE};
use kubeadm_engine::ports::Access;
use kubeadm_engine::renewal::{Affected, Managed, Planned, Renewal, Settings, affected, restart};
use kubeadm_engine::run::{ActionError, Context, Executor};

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
    let Planned { steps, renewed, failed } = renewal.plan(view);
    let pods = affected(&renewed, &settings, view);
    // What cannot be restarted is told before anything changes.
    let restarts = match with_restart {
        true => Some(session.block_on(restart(&pods, view))?),
        false => None,
    };
    let mut failures: Vec<String> = failed.iter().map(ToString::to_string).collect();
    for (name, steps) in steps {
        if let Err(error) = session.block_on(executor.all(steps)) {
            failures.push(format!("failed to renew certificate {name}: {error}"));
        }
    }
    if what == Renewed::All {
        output::line("");
        output::line(if with_restart { DONE } else { MUST_RESTART });
    }
    let restarted = session.block_on(executor.all(restarts.into_iter().collect()));
    if !pods.is_empty() && restarted.is_ok() {
        output::text_as_is(&of_pods(&pods, with_restart));
    }
    if what == Renewed::All {
        warn_of_kubelet(&session);
    }
    match restarted {
        Err(error) => Err(failures.into_iter().fold(explain(error), CommandError::report)),
        Ok(()) => summary(&failures).map_or(Ok(()), |error| Err(as_root(error, &session))),
    }
}

/// Adds what to look at to a wait whose failure has no known cause.
fn explain(error: ActionError) -> CommandError {
    let help = match &error {
        ActionError::Wait(wait) if wait.findings().is_empty() => Some(wait.help()),
        _ => None,
    };
    help.into_iter().fold(error.into(), CommandError::hint)
}

/// The kubelet renews its client certificate itself, through the API server, while it is valid. Afterwards it is left
/// to people, who should know.
fn warn_of_kubelet(session: &Session) {
    let Some(certificate) = kubelet::client_certificate(&*session.fx.files) else { return };
    if certificate.not_after() >= session.fx.clock.now() {
        return;
    }
    let name = certificate.subject().common_name();
    session.fx.output.warn(&format!(
        "the kubelet's own client certificate {CLIENT_CERTIFICATE} has expired on {}, and the kubelet can no longer renew \
         it: write another kubelet.conf with `kubeadm kubeconfig user --client-name {name} --org system:nodes >/etc/kubernetes/kubelet.conf`, \
         remove /var/lib/kubelet/pki/kubelet-client*, and restart the kubelet",
        kubeadm_pki::rfc3339(certificate.not_after())
    ));
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

fn summary(failures: &[String]) -> Option<CommandError> {
    match failures {
        [] => None,
        [one] => Some(CommandError::new(one)),
        many => {
            let lines: String = many.iter().map(|failure| format!("\n\t{failure}")).collect();
            Some(CommandError::new(format!("{} certificates were not renewed:{lines}", many.len())))
        }
    }
}
