//! One module per verb. A verb starts what it needs itself: `version` and `token generate` read no file and
//! build no client.

mod alpha;
mod certs;
mod completion;
mod config;
mod config_images;
mod failure;
mod init;
mod join;
mod kubeconfig;
mod release;
mod reset;
mod token;
mod token_table;
mod upgrade;
pub(crate) mod version;

pub use release::page as releases_page;

use kubeadm_engine::dryrun;
use kubeadm_engine::phase::{Phase, Selection};
use kubeadm_engine::run::Context;
use kubeadm_engine::spec::Layout;

use crate::cli::{Node, Verb};
use crate::error::CommandError;
use crate::parse::{Call, UsageError};
use crate::session::Session;
use crate::{help, output};

/// Runs the command of a call.
pub(crate) fn run(call: &Call<'_>, root: &Node) -> Result<(), CommandError> {
    if call.flags.bool("help") {
        output::text_as_is(&help::render(&call.path));
        return Ok(());
    }
    match &call.node().verb {
        Verb::Help => {
            output::text_as_is(&help::render(&call.path));
            Ok(())
        }
        Verb::Group => {
            output::text_as_is(&help::render(&call.path));
            Err(UsageError::NoSubcommand.into())
        }
        Verb::HelpOf => help_of(call, root),
        Verb::Completion => completion::run(call, root),
        Verb::Version => version::run(call),
        Verb::TokenGenerate => token::generate(),
        Verb::TokenCreate => token::create(call),
        Verb::TokenList => token::list(call),
        Verb::TokenDelete => token::delete(call),
        Verb::Init => init::run(call),
        Verb::InitPhase(path) => init::run_phase(call, path),
        Verb::Reset => reset::run(call),
        Verb::ResetPhase(path) => reset::run_phase(call, path),
        Verb::Join => join::run(call),
        Verb::JoinPhase(path) => join::run_phase(call, path),
        Verb::UpgradeApply => upgrade::apply(call),
        Verb::UpgradeApplyPhase(path) => upgrade::apply_phase(call, path),
        Verb::UpgradeDiff => upgrade::diff(call),
        Verb::UpgradeNode => upgrade::node(call),
        Verb::UpgradeNodePhase(path) => upgrade::node_phase(call, path),
        Verb::UpgradePlan => upgrade::plan(call),
        Verb::ReleaseList => release::list(call),
        Verb::ReleaseShow => release::show(call),
        Verb::ReleaseDiff => release::diff(call),
        Verb::ConfigPrint(kind) => config::print(call, *kind),
        Verb::PrintDefault => config::print_default(call),
        Verb::ConfigView => config::view(call),
        Verb::ConfigValidate => config::validate(call),
        Verb::ConfigMigrate => config::migrate(call),
        Verb::ImagesList => config_images::list(call),
        Verb::ImagesPull => config_images::pull(call),
        Verb::CertificateKey => certs::certificate_key(),
        Verb::CheckExpiration => certs::check_expiration(call),
        Verb::GenerateCsr => certs::generate_csr(call),
        Verb::Renew(what) => certs::renew(call, *what),
        Verb::KubeconfigUser => kubeconfig::user(call),
        Verb::Pivot => alpha::pivot(call),
        Verb::ConvertFromStaticPods => alpha::convert_from_static_pods(call),
        Verb::EnableDynamicKubelet => alpha::enable_dynamic_kubelet(call),
    }
}

fn help_of(call: &Call<'_>, root: &Node) -> Result<(), CommandError> {
    let mut path = vec![root];
    for word in &call.args {
        match path[path.len() - 1].child(word) {
            Some(child) => path.push(child),
            None => return Err(CommandError::new(format!("unknown help topic {:?}", call.args.join(" ")))),
        }
    }
    output::text_as_is(&help::render(&path));
    Ok(())
}

/// Runs phases of a workflow: really, or over the ports of a dry run with this layout.
fn run_phases<S>(
    tree: &'static [Phase<S>],
    selection: &Selection,
    spec: &S,
    context: &Context,
    layout: &Layout,
    session: &Session,
) -> Result<(), CommandError> {
    let effects = match context.dry {
        true => dryrun::over(&session.fx, layout),
        false => session.fx.clone(),
    };
    session
        .block_on(kubeadm_engine::run::run(tree, selection, spec, context, &effects))
        .map_err(|error| failure::explain(error, &*effects.output))
}
