//! `kubeadm token`: bootstrap tokens in a running cluster. cmd/kubeadm/app/cmd/token.go, 1.37.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kubeadm_config::token::{BootstrapTokenString, TOKEN_ID_PATTERN, TOKEN_PATTERN, is_token_id};
use kubeadm_engine::objects::kubeconfig::cluster_of;
use kubeadm_engine::objects::{KUBE_SYSTEM, tokens};
use kubeadm_engine::ports::{Access, Effects, Selector, WriteApi};
use kubeadm_engine::resource::SECRETS;
use kubeadm_engine::spec::{ADMIN_CONF, KUBERNETES, Layout};
use kubeadm_pki::Certificate;

use super::token_table::{Listed, table};
use crate::error::CommandError;
use crate::parse::Call;
use crate::session::Session;
use crate::structured::Format;
use crate::{output, resolve};

/// `token generate`: prints a random token.
pub(crate) fn generate() -> Result<(), CommandError> {
    output::line(&BootstrapTokenString::random(kubeadm_pki::random)?.to_string());
    Ok(())
}

/// `token create`: stores tokens and prints the first, or the command that joins with it.
pub(crate) fn create(call: &Call<'_>) -> Result<(), CommandError> {
    let key = call.flags.text("certificate-key");
    let join = call.flags.bool("print-join-command");
    // Before anything is created: upstream refuses after it (quirk 33).
    if !key.is_empty() && !join {
        return Err(CommandError::new("cannot use --certificate-key without --print-join-command"));
    }
    let session = Session::start()?;
    let tokens = resolve::tokens(call, &session)?;
    let target = Target::of(call, &session)?;
    let command = match join {
        true => Some(join_command(&target, &tokens[0].token, &key)?),
        false => None,
    };
    session.block_on(async {
        let api = target.api();
        for token in &tokens {
            let name = tokens::secret_name(&token.token.id);
            if api.get(SECRETS, KUBE_SYSTEM, &name).await?.is_some() {
                let id = &token.token.id;
                return Err(CommandError::new(format!("a token with id {id:?} already exists")));
            }
        }
        for token in &tokens {
            api.create(SECRETS, &tokens::secret(token, target.fx.clock.now())).await?;
        }
        Ok(())
    })?;
    output::line(&command.unwrap_or_else(|| tokens[0].token.to_string()));
    Ok(())
}

/// The join command on one line, with the blank at its end that upstream's template leaves for workers.
fn join_command(target: &Target, token: &BootstrapTokenString, key: &str) -> Result<String, CommandError> {
    let cluster = cluster_of(&*target.fx.files, &target.kubeconfig)?;
    let pins: String = Certificate::all_from_pem(&cluster.ca)?
        .iter()
        .map(|ca| format!("--discovery-token-ca-cert-hash {} ", ca.pin()))
        .collect();
    let server = cluster.server.trim_start_matches("https://");
    let control_plane =
        if key.is_empty() { String::new() } else { format!("--control-plane --certificate-key {key}") };
    Ok(format!("kubeadm join {server} --token {token} {pins}{control_plane}"))
}

/// `token list`.
pub(crate) fn list(call: &Call<'_>) -> Result<(), CommandError> {
    let format = Format::of(&call.flags)?;
    let session = Session::start()?;
    let target = Target::of(call, &session)?;
    let secrets = session.block_on(async {
        let fields = Some(format!("type={}", tokens::SECRET_TYPE));
        let selector = Selector { labels: None, fields };
        let secrets = target.api().list(SECRETS, KUBE_SYSTEM, &selector).await;
        secrets.map_err(|e| CommandError::new(format!("failed to list bootstrap tokens: {e}")))
    })?;
    let mut listed = Vec::new();
    for secret in &secrets {
        match Listed::from_secret(secret) {
            Ok(token) => listed.push(token),
            Err(problem) => output::note(&format!("{problem}\n")),
        }
    }
    let now = target.fx.clock.now();
    format.print(&listed, |listed| table(listed, now))
}

/// `token delete`: by id or by the whole token. All are read before the first is deleted.
pub(crate) fn delete(call: &Call<'_>) -> Result<(), CommandError> {
    if call.args.is_empty() {
        return Err(CommandError::new(format!(
            "missing argument; 'token delete' is missing token of form {TOKEN_PATTERN:?} or {TOKEN_ID_PATTERN:?}"
        )));
    }
    let mut ids = Vec::new();
    for text in &call.args {
        match text.parse::<BootstrapTokenString>() {
            Ok(token) => ids.push(token.id),
            Err(_) if is_token_id(text) => ids.push(text.clone()),
            Err(_) => {
                return Err(CommandError::new(format!(
                    "given token didn't match pattern {TOKEN_ID_PATTERN:?} or {TOKEN_PATTERN:?}"
                )));
            }
        }
    }
    let session = Session::start()?;
    let target = Target::of(call, &session)?;
    session.block_on(async {
        let api = target.api();
        for id in &ids {
            let name = tokens::secret_name(id);
            let failed = |reason: String| {
                CommandError::new(format!("failed to delete bootstrap token {id:?}: {reason}"))
            };
            match api.delete(SECRETS, KUBE_SYSTEM, &name).await {
                Ok(true) => output::line(&format!("bootstrap token {id:?} deleted")),
                Ok(false) => return Err(failed(format!("secrets {name:?} not found"))),
                Err(error) => return Err(failed(error.to_string())),
            }
        }
        Ok(())
    })
}

/// The cluster a command speaks to, really or as a dry run.
struct Target {
    fx: Effects,
    kubeconfig: PathBuf,
}

impl Target {
    fn of(call: &Call<'_>, session: &Session) -> Result<Self, CommandError> {
        let fx = session.fx.clone();
        let kubeconfig = match call.flags.given("kubeconfig") {
            true => call.flags.text("kubeconfig").into(),
            false => search(&fx),
        };
        if !fx.files.exists(&kubeconfig) {
            let path = kubeconfig.display();
            return Err(CommandError::new(format!(
                "failed to load admin kubeconfig: open {path}: no such file or directory"
            ))
            .hint(
                "Name the kubeconfig file of the cluster's administrator with --kubeconfig or KUBECONFIG.",
            ));
        }
        if !call.flags.bool("dry-run") {
            return Ok(Self { fx, kubeconfig });
        }
        // Tokens write no file, so the folder of a dry run is not needed.
        let layout = Layout { pki: PathBuf::new(), kubeconfigs: KUBERNETES.into(), landing: None };
        Ok(Self { fx: kubeadm_engine::dryrun::over(&fx, &layout), kubeconfig })
    }

    fn api(&self) -> Arc<dyn WriteApi> {
        self.fx.cluster.writer(&Access::new(self.kubeconfig.clone()))
    }
}

/// The first that exists of `KUBECONFIG` (or `~/.kube/config`) and `/etc/kubernetes/admin.conf`, else the first.
/// cmd/kubeadm/app/cmd/util/cmdutil.go: GetKubeConfigPath, 1.37.
fn search(fx: &Effects) -> PathBuf {
    let env = fx.system.env();
    let mut places: Vec<PathBuf> = match env.get("KUBECONFIG").filter(|v| !v.is_empty()) {
        Some(list) => list.split(':').filter(|p| !p.is_empty()).map(PathBuf::from).collect(),
        None => env.get("HOME").map(|home| Path::new(home).join(".kube/config")).into_iter().collect(),
    };
    places.push(ADMIN_CONF.into());
    places.iter().find(|p| fx.files.exists(p)).unwrap_or(&places[0]).clone()
}
