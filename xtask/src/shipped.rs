//! What must hold of the program that is shipped: it needs nothing of the machine it runs on, and it is small.

use kubeadm_lab::command::Run;
use kubeadm_lab::kubeadm::Kubeadm;
use kubeadm_lab::{Error, Result, progress};

/// The most that the program may weigh.
const LIMIT: u64 = 15_000_000;

/// Runs the program in a folder that holds nothing else, and weighs it.
pub(crate) fn check(kubeadm: &Kubeadm) -> Result<()> {
    if kubeadm.reference {
        progress::step("static binary: not checked for the reference");
        return Ok(());
    }
    progress::step("static binary: run kubeadm in an empty chroot");
    let io = |source| Error::Io { action: "prepare a chroot for", path: kubeadm.path.clone(), source };
    let root = tempfile::tempdir().map_err(io)?;
    std::fs::copy(&kubeadm.path, root.path().join("kubeadm")).map_err(io)?;
    for args in
        [&["version", "-o", "short"][..], &["config", "print", "init-defaults"], &["token", "generate"]]
    {
        let output = Run::new("chroot").args([root.path()]).args(["/kubeadm"]).args(args).read()?;
        if output.trim().is_empty() {
            return Err(Error::Unfit(format!(
                "kubeadm {} prints nothing in an empty chroot",
                args.join(" ")
            )));
        }
    }
    let size = kubeadm.path.metadata().map_err(io)?.len();
    progress::detail(format!("{:.1} MB", size as f64 / 1e6));
    match size <= LIMIT {
        true => Ok(()),
        false => Err(Error::Unfit(format!("the program weighs {size} bytes: more than {LIMIT}"))),
    }
}
