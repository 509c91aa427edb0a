//! `kubeadm config print|validate|migrate`. cmd/kubeadm/app/cmd/config.go, 1.37. What is printed is made in
//! `kubeadm-config`.

use std::path::Path;

use kubeadm_config::address::choose_advertise_address;
use kubeadm_config::commands;
use kubeadm_config::documents::Reading;
use kubeadm_config::error::Notice;
use kubeadm_config::load::{Options, Source};
use kubeadm_engine::ports::{Access, FileKind, Files as _, NewFile, System as _, WriteFiles as _};
use kubeadm_engine::stored::cluster_text;
use kubeadm_host::files::HostFiles;
use kubeadm_release::{Release, Version, VersionError};

use crate::cli::Defaults;
use crate::error::CommandError;
use crate::parse::Call;
use crate::session::Session;
use crate::{output, wish};

/// `config print …`: no file is read, and of the host only its name.
pub(crate) fn print(call: &Call<'_>, kind: Defaults) -> Result<(), CommandError> {
    let release = target(call)?;
    let text = match kind {
        Defaults::Init => {
            let kinds = commands::component_kinds(&call.flags.list("component-configs"))?;
            let components = commands::component_defaults(&kinds, &release);
            commands::print_init_defaults(&release, &hostname(), &components)
        }
        Defaults::Join => commands::print_join_defaults(&release, &hostname()),
        Defaults::Reset => commands::print_reset_defaults(&release),
        Defaults::Upgrade => commands::print_upgrade_defaults(),
    };
    output::text_as_is(&text);
    Ok(())
}

/// `config print-default` of 1.11 to 1.13.
pub(crate) fn print_default(call: &Call<'_>) -> Result<(), CommandError> {
    let kinds = call.flags.list("api-objects");
    let session = Session::start()?;
    let address = choose_advertise_address("", &mut &session, &mut Vec::new())?.to_string();
    output::text_as_is(&commands::print_default(&kinds, &target(call)?, &hostname(), &address)?);
    Ok(())
}

/// `config view` of 1.11 to 1.21: what the cluster keeps, as it is written there.
pub(crate) fn view(call: &Call<'_>) -> Result<(), CommandError> {
    let session = Session::start()?;
    let api = session.fx.cluster.reader(&Access::new(call.flags.text("kubeconfig")));
    output::text_as_is(&session.block_on(cluster_text(&*api))?);
    Ok(())
}

/// The release that is asked for: the newest unless a flag names another.
fn target(call: &Call<'_>) -> Result<Release, CommandError> {
    if !call.flags.given("kubernetes-version") {
        return Ok(Release::newest());
    }
    Ok(Release::of(&version(call)?)?)
}

/// `--kubernetes-version` of a command that looks nothing up: `v1.13.12` or only `v1.13`.
fn version(call: &Call<'_>) -> Result<Version, CommandError> {
    let text = call.flags.text("kubernetes-version");
    let parsed = text.parse::<Version>();
    parsed.or_else(|_| format!("{text}.0").parse()).map_err(|error: VersionError| {
        CommandError::from(error)
            .prefix(&format!("invalid argument {text:?} for \"--kubernetes-version\" flag"))
    })
}

fn hostname() -> String {
    kubeadm_host::system::HostSystem::from_process().hostname().trim().to_lowercase()
}

/// `config validate`: nothing is looked up and no runtime searched for.
pub(crate) fn validate(call: &Call<'_>) -> Result<(), CommandError> {
    let path = call.flags.text("config");
    if path.is_empty() {
        return Err(CommandError::new("the --config flag is mandatory"));
    }
    let options = Options { look_up_version: false, detect_runtime: false, ..options(call)? };
    with_file(&path, |source, session, notices| {
        let is_file = |path: &str| session.fx.files.exists(Path::new(path));
        commands::validate(source, &options, &mut &*session, &is_file, notices)
    })?;
    output::line("ok");
    Ok(())
}

/// `config migrate`.
pub(crate) fn migrate(call: &Call<'_>) -> Result<(), CommandError> {
    let path = call.flags.text("old-config");
    if path.is_empty() {
        return Err(CommandError::new("the --old-config flag is mandatory"));
    }
    let options = options(call)?;
    let text = with_file(&path, |source, session, notices| {
        let is_file = |path: &str| session.fx.files.exists(Path::new(path));
        commands::migrate(source, &options, &mut &*session, &is_file, notices)
    })?;
    let new = call.flags.text("new-config");
    if new.is_empty() {
        output::text_as_is(&text);
        return Ok(());
    }
    write(&new, text).map_err(|reason| {
        CommandError::new(format!("failed to write the new configuration to the file {new:?}: {reason}"))
    })
}

/// Writes a file of the user's choice. What is there and no plain file (a link, `/dev/stdout`) is written to, not
/// replaced.
fn write(path: &str, text: String) -> Result<(), String> {
    let path = std::path::absolute(path).map_err(|e| e.to_string())?;
    let files = HostFiles;
    match files.stat(&path).map_err(|e| e.to_string())? {
        Some(meta) if meta.kind != FileKind::File => std::fs::write(&path, text).map_err(|e| e.to_string()),
        _ => {
            let file = NewFile { path, content: text.into_bytes(), mode: 0o644, secret: false };
            files.write(&file).map_err(|e| e.to_string())
        }
    }
}

/// Problems that `init` only warns of are errors here. `--kubernetes-version` asks for what the kubeadm of that version
/// would say: its release counts for every kind, and it stands for labels.
fn options(call: &Call<'_>) -> Result<Options, CommandError> {
    let reading = Reading { strict: true, allow_experimental: call.flags.bool("allow-experimental-api") };
    let target = call.flags.given("kubernetes-version").then(|| version(call)).transpose()?;
    let client = target.clone().unwrap_or_else(wish::own_version);
    Ok(Options { reading, target, ..Options::new(client) })
}

/// Hands a file to `take` and says what was noticed, even when it fails.
fn with_file<T, E: std::error::Error + 'static>(
    path: &str,
    take: impl FnOnce(Source<'_>, &Session, &mut Vec<Notice>) -> Result<T, E>,
) -> Result<T, CommandError> {
    let session = Session::start()?;
    let text = session.read_config(path)?;
    let mut notices = Vec::new();
    let taken = take(Source { text: &text, name: path }, &session, &mut notices);
    session.tell(&notices);
    Ok(taken?)
}
