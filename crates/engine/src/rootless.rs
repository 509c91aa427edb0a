//! RootlessControlPlane: whom a static pod runs as, and the files that user must be able to read.
//! cmd/kubeadm/app/util/staticpod/utils_linux.go, 1.37.

use std::path::PathBuf;

use crate::accounts::{Accounts, AccountsError};
use crate::manifests::{Component, Identity};
use crate::plan::{Action, Step};
use crate::ports::{Files, Owner};
use crate::spec::InitSpec;

/// The identity of a component, and the steps that make it ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Rootless {
    /// Whom it runs as.
    pub identity: Identity,
    /// Accounts and owners.
    pub steps: Vec<Step>,
}

/// Plans it for a component.
pub fn plan(spec: &InitSpec, files: &dyn Files, component: Component) -> Result<Rootless, AccountsError> {
    let accounts = Accounts::look(files)?;
    let identity = accounts.identity(component);
    let own = Owner { uid: identity.user, gid: identity.group };
    let mut owned: Vec<(PathBuf, Owner, Option<u32>)> =
        private(spec, component).into_iter().map(|path| (path, own, Some(0o600))).collect();
    match component {
        Component::ApiServer | Component::ControllerManager => {
            let readers = Owner { uid: 0, gid: accounts.sa_key_readers() };
            owned.push((spec.layout.pki_file("sa.key"), readers, Some(0o640)));
        }
        Component::Etcd => {
            let data = spec.cluster.etcd.local.as_ref().map(|etcd| etcd.data_dir.clone().into());
            owned.extend(data.map(|folder| (folder, own, None)));
        }
        Component::Scheduler => {}
    }
    let name = component.name();
    let phase = if component == Component::Etcd { "etcd" } else { "control-plane" };
    let mut steps = vec![
        Step::new(Action::AddAccounts(accounts.missing))
            .would(format!("[{phase}] Would create users and groups for [{name}] to run as non-root")),
        // The doubled word is upstream's.
        Step::new(Action::Nothing)
            .would(format!("[{phase}] Would update static pod manifest for {name:?} to run run as non-root")),
    ];
    steps.extend(
        owned.into_iter().map(|(path, owner, mode)| Step::new(Action::SetOwner { path, owner, mode })),
    );
    Ok(Rootless { identity, steps })
}

/// Files that only the component itself reads, besides root.
fn private(spec: &InitSpec, component: Component) -> Vec<PathBuf> {
    let pki = |name: &str| spec.layout.pki_file(name);
    match component {
        Component::ApiServer => {
            let mut files = vec![
                pki("sa.pub"),
                pki("apiserver.key"),
                pki("apiserver-kubelet-client.key"),
                pki("front-proxy-client.key"),
            ];
            if spec.local_etcd() {
                files.push(pki("apiserver-etcd-client.key"));
            }
            files
        }
        Component::ControllerManager => {
            let mut files = vec![spec.layout.kubeconfig("controller-manager.conf")];
            if !spec.external_ca {
                files.push(pki("ca.key"));
            }
            files
        }
        Component::Scheduler => vec![spec.layout.kubeconfig("scheduler.conf")],
        Component::Etcd => vec![pki("etcd/server.key"), pki("etcd/peer.key")],
    }
}
