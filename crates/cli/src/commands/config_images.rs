//! `kubeadm config images list|pull`. cmd/kubeadm/app/cmd/config.go, 1.37.

use kubeadm_config::error::Notice;
use kubeadm_config::images::Images;
use kubeadm_config::load::{InitConfig, Loaded};
use kubeadm_engine::plan::{Action, PullImages, Step};
use kubeadm_engine::ports::Access;
use kubeadm_engine::run::{Context, Executor};
use kubeadm_engine::spec::ADMIN_CONF;
use serde::Serialize;

use super::version::ARCHITECTURE;
use crate::error::CommandError;
use crate::parse::Call;
use crate::resolve::{self, Needs};
use crate::session::Session;
use crate::structured::{API_VERSION, Format};
use crate::values::Values;

#[derive(Serialize)]
struct Listed {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    images: Vec<String>,
}

/// `config images list`.
pub(crate) fn list(call: &Call<'_>) -> Result<(), CommandError> {
    let format = Format::of(&call.flags)?;
    let session = Session::start()?;
    let loaded = load(&call.flags, Needs { version: true, runtime: false }, &session)?;
    let listed = Listed { kind: "Images", api_version: API_VERSION, images: images(&loaded) };
    format.print(&[listed], |lists| lists.iter().flat_map(|l| &l.images).map(|i| format!("{i}\n")).collect())
}

/// `config images pull`: one after the other, whatever the policy of the file says.
pub(crate) fn pull(call: &Call<'_>) -> Result<(), CommandError> {
    let session = Session::start()?;
    let loaded = load(&call.flags, Needs { version: true, runtime: true }, &session)?;
    let socket = loaded.config.init.node_registration.cri_socket.clone();
    let steps: Vec<Step> = images(&loaded)
        .into_iter()
        .map(|image| {
            let done = format!("[config/images] Pulled {image}");
            let (socket, images) = (socket.clone(), vec![image]);
            let pull = PullImages { socket, images, always: true, serial: true, ignore_errors: false };
            Step::new(Action::PullImages(pull)).done(done)
        })
        .collect();
    let context = Context {
        // Images are not the API server's business: no request is made.
        access: Access::new(ADMIN_CONF),
        socket,
        api_limit: loaded.config.init.timeouts.kubernetes_api_call.to_std(),
        dry: false,
    };
    Ok(session.block_on(Executor::new(&context, &session.fx).all(steps))?)
}

fn images(loaded: &Loaded<InitConfig>) -> Vec<String> {
    let Loaded { config, version, release, .. } = loaded;
    Images { cluster: &config.cluster, release, version, arch: ARCHITECTURE }.list()
}

fn load(flags: &Values, needs: Needs, session: &Session) -> Result<Loaded<InitConfig>, CommandError> {
    let mut notices = Vec::new();
    if !flags.text("config").is_empty() {
        // Upstream says nothing (quirk 35), and refusing would break scripts that work.
        let overruled = ["cri-socket", "feature-gates", "image-repository", "kubernetes-version"];
        notices.extend(overruled.iter().filter(|f| flags.given(f)).map(|flag| {
            Notice::warning(format!("--{flag} has no effect: the file given with --config decides"))
        }));
    }
    let loaded = resolve::load(flags, needs, session, &mut notices);
    session.tell(&notices);
    loaded.map_err(|e| e.prefix("could not convert cfg to an internal cfg"))
}
