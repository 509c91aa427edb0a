//! Tells when containers of static pods start and end, by watching their log folders with inotify: a runtime makes
//! the log file of a container when it starts it and closes the file when it ends.
//!
//! CRI has a call for this, GetContainerEvents, but runtimes that have it hand each event to one listener only, and
//! that has to be the kubelet.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe::Receiver;

/// Pods of the control plane have `NAMESPACE_NAME_UID` as the name of their folder.
const PREFIX: &str = "kube-system_";
/// How often to look where there is nothing to watch.
pub(crate) const FALLBACK: Duration = Duration::from_millis(250);

/// A watch on the log folders of the pods in `kube-system`.
pub(crate) struct PodLogs {
    root: PathBuf,
    /// An inotify descriptor; it is read like a pipe.
    watch: Option<Receiver>,
}

impl Default for PodLogs {
    fn default() -> Self {
        Self::new("/var/log/pods")
    }
}

impl PodLogs {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), watch: None }
    }

    /// Returns when a container started or ended, or after `max`.
    pub(crate) async fn changed(&mut self, max: Duration) {
        if self.follow().is_err() {
            // The folder does not exist yet, or there are no watches left on this machine.
            self.watch = None;
            return tokio::time::sleep(max.min(FALLBACK)).await;
        }
        let Some(watch) = &self.watch else { return };
        let woken =
            tokio::time::timeout(max, async { while watch.readable().await.is_ok() && !drain(watch) {} });
        // Time is up, or something happened: both end the wait.
        let _ = woken.await;
    }

    /// Watches the root, the folders of pods, and those of their containers, as far as they exist.
    fn follow(&mut self) -> io::Result<()> {
        let watch = match self.watch.take() {
            Some(watch) => watch,
            None => {
                let descriptor = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
                Receiver::from_file_unchecked(File::from(descriptor))?
            }
        };
        let add = |path: &Path| {
            let flags = WatchFlags::CREATE
                | WatchFlags::DELETE
                | WatchFlags::MOVED_TO
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::ONLYDIR;
            // Watching the same folder again changes nothing.
            inotify::add_watch(&watch, path, flags)
        };
        add(&self.root)?;
        for pod in folders(&self.root)
            .filter(|p| p.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)))
        {
            // A folder that vanishes meanwhile is an event of the folder above.
            let _ = add(&pod);
            for container in folders(&pod) {
                let _ = add(&container);
            }
        }
        self.watch = Some(watch);
        Ok(())
    }
}

fn folders(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(path).into_iter().flatten().flatten().map(|e| e.path()).filter(|p| p.is_dir())
}

/// Takes all events that are there, and tells whether there were any.
fn drain(watch: &Receiver) -> bool {
    let mut buffer = [0; 4096];
    let mut any = false;
    while watch.try_read(&mut buffer).is_ok_and(|length| length > 0) {
        any = true;
    }
    any
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Does something as soon as the other side waits, and expects it to be woken.
    async fn wakes(logs: &mut PodLogs, action: impl FnOnce()) {
        let start = Instant::now();
        logs.follow().unwrap();
        action();
        logs.changed(LONG).await;
        assert!(start.elapsed() < LONG / 2);
    }

    #[tokio::test]
    async fn starts_and_ends_of_containers() {
        let dir = tempfile::tempdir().unwrap();
        let pod = dir.path().join("kube-system_etcd-node_0123");
        let log = pod.join("etcd/0.log");
        let mut logs = PodLogs::new(dir.path());
        wakes(&mut logs, || std::fs::create_dir_all(log.parent().unwrap()).unwrap()).await;
        let mut file = None;
        wakes(&mut logs, || file = Some(std::fs::File::create(&log).unwrap())).await;
        wakes(&mut logs, || drop(file.take())).await;
        wakes(&mut logs, || std::fs::remove_dir_all(&pod).unwrap()).await;
    }

    #[tokio::test]
    async fn other_pods_and_silence_end_with_the_limit() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("default_web_0123/web");
        std::fs::create_dir_all(&other).unwrap();
        let mut logs = PodLogs::new(dir.path());
        logs.follow().unwrap();
        std::fs::write(other.join("0.log"), "").unwrap();
        let limit = Duration::from_millis(30);
        let start = Instant::now();
        logs.changed(limit).await;
        assert!(start.elapsed() >= limit);
        PodLogs::new("/no/such/folder").changed(Duration::from_millis(1)).await;
    }
}
