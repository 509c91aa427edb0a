//! Flags and file to a spec: the order of work before the first phase of `init`, as upstream has it
//! (cmd/kubeadm/app/cmd/init.go: newInitData, 1.37). Everything after this is decided by the engine.

use std::path::{Path, PathBuf};

use kubeadm_config::components::{self, ComponentConfigs};
use kubeadm_config::error::{ConfigError, Notice};
use kubeadm_config::load::{InitConfig, Loaded, Options, Source, init_from_flags, load_init};
use kubeadm_config::types::{BootstrapToken, ClusterConfiguration, Patches};
use kubeadm_config::{address, validate};
use kubeadm_engine::phase::{Selection, select};
use kubeadm_engine::phases::{INIT, audit, external_ca};
use kubeadm_engine::ports::{Access, Effects};
use kubeadm_engine::run::Executor;
use kubeadm_engine::spec::{ADMIN_CONF, Ignored, InitSpec, KUBERNETES, Layout};
use kubeadm_pki::CertificateKey;

use crate::error::CommandError;
use crate::parse::Call;
use crate::session::Session;
use crate::values::Values;
use crate::wish;

/// What a command needs of its spec; single phases need less than all of `init`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Needs {
    /// Whether a version label is looked up, or stands for kubeadm's own version.
    pub(crate) version: bool,
    /// Whether the host is searched for a container runtime.
    pub(crate) runtime: bool,
}

/// A spec, and which phases the flags or the file leave out.
pub(crate) struct Resolved {
    pub(crate) spec: InitSpec,
    pub(crate) skip: Vec<String>,
}

/// Resolves the spec of `init` or of one of its phases. Warnings are said even if it fails.
pub(crate) fn init(flags: &Values, needs: Needs, session: &Session) -> Result<Resolved, CommandError> {
    kubeadm_config::flags::check_mixed(flags.names())?;
    let mut notices = Vec::new();
    let resolved = load(flags, needs, session, &mut notices).and_then(|mut loaded| {
        let skip = skip_phases(flags, &loaded.config.init.skip_phases);
        let skip = reconcile_addons(&mut loaded.config.cluster, skip);
        // What cannot be done is refused before a dry run makes its folder.
        select(INIT, &Selection::Skip(skip.clone()))?;
        let spec = complete(flags, loaded, session, &mut notices)?;
        audit::validate(&spec, &*session.fx.files)?;
        // Looks at the real host even in a dry run.
        external_ca::validate(&spec, Executor::new(&spec.context(), &session.fx).view())?;
        Ok(Resolved { spec, skip })
    });
    session.tell(&notices);
    resolved
}

/// Resolves the spec of `certs generate-csr`: that of `init`, but nothing is looked up on the network, and what an
/// external authority still has to sign need not be there.
pub(crate) fn signing_requests(flags: &Values, session: &Session) -> Result<InitSpec, CommandError> {
    let mut notices = Vec::new();
    let needs = Needs { version: false, runtime: false };
    let resolved = load(flags, needs, session, &mut notices).and_then(|mut loaded| {
        // The folder may be given beside a file.
        if flags.given("cert-dir") {
            loaded.config.cluster.certificates_dir = flags.text("cert-dir");
        }
        loaded.config.init.dry_run = false;
        complete(flags, loaded, session, &mut notices)
    });
    session.tell(&notices);
    resolved
}

/// Loads the configuration of `init` from the file, or from the flags where there is none.
pub(crate) fn load(
    flags: &Values,
    needs: Needs,
    session: &Session,
    notices: &mut Vec<Notice>,
) -> Result<Loaded<InitConfig>, CommandError> {
    let mut options = options(needs);
    options.node_name = Some(flags.text("node-name")).filter(|n| !n.is_empty());
    let mut host = session;
    let path = flags.text("config");
    if path.is_empty() {
        let wish = wish::init(flags, notices)?;
        return Ok(init_from_flags(wish, &options, &mut host, notices)?);
    }
    let text = session.read_config(&path)?;
    Ok(load_init(Source { text: &text, name: &path }, &options, &mut host, notices)?)
}

/// The tokens that `token create` stores: those of the file, or the one that its flags describe.
pub(crate) fn tokens(call: &Call<'_>, session: &Session) -> Result<Vec<BootstrapToken>, CommandError> {
    let flags = &call.flags;
    kubeadm_config::flags::check_mixed(flags.names())?;
    let mut notices = Vec::new();
    let needs = Needs { version: false, runtime: false };
    let loaded = match flags.text("config").is_empty() {
        false => load(flags, needs, session, &mut notices),
        true => {
            let mut config = InitConfig::default();
            config.init.bootstrap_tokens = vec![wish::token_to_create(call)?];
            // A token needs no address: upstream fails here on a machine without a default route.
            config.init.local_api_endpoint.advertise_address = "1.2.3.4".into();
            let options = options(needs);
            let mut host = session;
            init_from_flags(config, &options, &mut host, &mut notices).map_err(CommandError::from)
        }
    };
    session.tell(&notices);
    Ok(loaded?.config.init.bootstrap_tokens)
}

/// The phases that are left out: those of the flag, else those of the configuration.
pub(crate) fn skip_phases(flags: &Values, configured: &[String]) -> Vec<String> {
    match flags.list("skip-phases") {
        none if none.is_empty() => configured.to_vec(),
        given => given,
    }
}

/// The checks whose errors are warnings: those of the flag and those of the configuration.
pub(crate) fn ignored_checks(flags: &Values, configured: &[String]) -> Result<Ignored, CommandError> {
    let given = flags.list("ignore-preflight-errors");
    let ignored = validate::ignored_preflight_errors(&given, configured).map_err(ConfigError::Invalid)?;
    Ok(Ignored(ignored.into_iter().collect()))
}

/// Whether a switch is on: by the flag where it is given, even as `--name=false`, else by the configuration.
pub(crate) fn switch(flags: &Values, name: &str, configured: bool) -> bool {
    if flags.given(name) { flags.bool(name) } else { configured }
}

/// Whether nothing is really done.
pub(crate) fn is_dry(flags: &Values, configured: bool) -> bool {
    switch(flags, "dry-run", configured)
}

/// The directory of patches: that of the flag, else that of the configuration.
pub(crate) fn patches(flags: &Values, configured: Option<&Patches>) -> Option<PathBuf> {
    let given = Some(flags.text("patches")).filter(|p| !p.is_empty());
    let configured = configured.map(|p| p.directory.clone()).filter(|p| !p.is_empty());
    given.or(configured).map(PathBuf::from)
}

pub(crate) fn options(needs: Needs) -> Options {
    let mut options = Options::new(wish::own_version());
    options.look_up_version = needs.version;
    options.detect_runtime = needs.runtime;
    options
}

fn complete(
    flags: &Values,
    loaded: Loaded<InitConfig>,
    session: &Session,
    notices: &mut Vec<Notice>,
) -> Result<InitSpec, CommandError> {
    let fx = &session.fx;
    let ComponentConfigs { kubelet, kube_proxy } = components::complete(&loaded, notices);
    let Loaded { config: InitConfig { init, cluster }, version, release, .. } = loaded;
    let ignored = ignored_checks(flags, &init.node_registration.ignore_preflight_errors)?;
    let advertise_address = address::verify_bind_address(&init.local_api_endpoint.advertise_address)?;
    let dry = is_dry(flags, init.dry_run);
    let kubeconfigs =
        if flags.given("kubeconfig-dir") { flags.text("kubeconfig-dir").into() } else { KUBERNETES.into() };
    let mut layout = Layout { pki: cluster.certificates_dir.clone().into(), kubeconfigs, landing: None };
    let external = external_ca::detect(&layout, &*fx.files)?;
    if dry {
        layout.landing = Some(dry_run_folder(fx, "init", notices)?);
    }
    let upload_certs = flags.bool("upload-certs");
    let given_key = wish::certificate_key(&init.certificate_key);
    let certificate_key = match &given_key {
        None if upload_certs => Some(CertificateKey::generate()?.reveal().to_string()),
        key => key.clone(),
    };
    let patches = patches(flags, init.patches.as_ref());
    let kubeconfig = if flags.given("kubeconfig") { flags.text("kubeconfig") } else { ADMIN_CONF.into() };
    let administrators_own = kubeconfig == ADMIN_CONF;
    let mut spec = InitSpec {
        // A name that is none was refused by validation.
        algorithm: cluster.key_algorithm().parse().unwrap_or_default(),
        access: Access::new(kubeconfig),
        binds_admin: administrators_own,
        external_ca: external.ca,
        external_front_proxy_ca: external.front_proxy,
        joins: false,
        upload_certs,
        certificate_key,
        certificate_key_given: given_key.is_some(),
        skip_certificate_key_print: flags.bool("skip-certificate-key-print"),
        skip_token_print: flags.bool("skip-token-print"),
        ignored,
        patches,
        proxy_env: proxy_env(fx),
        kubeadm_version: wish::own_version(),
        release,
        version,
        init,
        cluster,
        advertise_address,
        kubelet,
        kube_proxy,
        layout,
    };
    if administrators_own {
        // The address that was advertised may not be served yet; the one on this host is.
        spec.access.server = Some(spec.local_endpoint());
    }
    Ok(spec)
}

/// `dns.disabled` and `proxy.disabled` mean the same as leaving out the add-on, and the other way round.
fn reconcile_addons(cluster: &mut ClusterConfiguration, mut skip: Vec<String>) -> Vec<String> {
    let skipped = |path: &str| skip.iter().any(|s| s.to_lowercase().trim_end_matches('/') == path);
    let all = skipped("addon");
    let (dns, proxy) = (all || skipped("addon/coredns"), all || skipped("addon/kube-proxy"));
    if cluster.dns.disabled && !dns {
        skip.push("addon/coredns".into());
    }
    if cluster.proxy.disabled && !proxy {
        skip.push("addon/kube-proxy".into());
    }
    cluster.dns.disabled |= dns;
    cluster.proxy.disabled |= proxy;
    skip
}

/// The folder of a dry run of a command: the one that was named, or a new one.
pub(crate) fn dry_run_folder(
    fx: &Effects,
    command: &str,
    notices: &mut Vec<Notice>,
) -> Result<PathBuf, CommandError> {
    let verb = command.split(' ').next().unwrap_or_default();
    let variable = format!("KUBEADM_{}_DRYRUN_DIR", verb.to_uppercase());
    if let Some(given) = fx.system.env().get(&variable).filter(|v| !v.is_empty()) {
        return Ok(given.into());
    }
    let parent = Path::new(KUBERNETES).join("tmp");
    fx.files.create_dir(&parent, 0o700)?;
    let mut bytes = [0; 4];
    kubeadm_pki::random(&mut bytes)?;
    let command = command.replace(' ', "-");
    let folder = parent.join(format!("kubeadm-{command}-dryrun{}", u32::from_ne_bytes(bytes)));
    fx.files
        .create_dir(&folder, 0o700)
        .map_err(|e| CommandError::new(format!("could not create a temporary directory: {e}")))?;
    notices.push(Notice::warning(format!(
        "Using dry-run directory {}. To override it, set the environment variable {variable}",
        folder.display()
    )));
    Ok(folder)
}

/// The proxy settings of this process, which the components get too: `*_proxy` in any case, sorted by name.
pub(crate) fn proxy_env(fx: &Effects) -> Vec<(String, String)> {
    let proxies =
        fx.system.env().iter().filter(|(k, v)| k.to_lowercase().ends_with("_proxy") && !v.is_empty());
    proxies.map(|(k, v)| (k.clone(), v.clone())).collect()
}
