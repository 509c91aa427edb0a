//! Carries plans out: one phase is planned, executed, and then the next is planned, because what a phase finds may
//! be what the one before it made.
//!
//! There is one executor. A dry run gives it other ports ([`crate::dryrun`]) and nothing else.

use std::path::Path;
use std::time::Duration;

use crate::backoff::{Backoff, retry};
use crate::etcd;
use crate::etcd::join::Joining;
use crate::objects::KUBE_SYSTEM;
use crate::phase::{Phase, Selected, Selection, SelectionError, select};
use crate::phases::PhaseError;
use crate::plan::*;
use crate::ports::*;
use crate::queue::Queue;
use crate::replace::{self, ReplaceError};
use crate::wait::{self, WaitError};
use crate::{hand_over, restart, trial};

mod objects;

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The selection of phases is wrong; nothing was done.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// A phase could not be planned or carried out.
    #[error("error execution phase {path}: {source}")]
    Phase {
        /// `certs/apiserver`
        path: String,
        /// What happened.
        source: Box<PhaseError>,
    },
}

/// An action that failed.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A request to the API server, with what it was about.
    #[error("unable to {verb} {object}: {source}")]
    Api {
        /// `create`, `update`, `get`, `patch`.
        verb: &'static str,
        /// `ConfigMap kube-system/kubeadm-config`.
        object: String,
        /// The answer.
        source: ApiError,
    },
    /// The container runtime.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Checks of a preflight that could only be made by acting, such as pulling images: each fault with its cause.
    #[error("{}", faults.join("\n"))]
    Check {
        /// Name of the check.
        check: &'static str,
        /// What is wrong.
        faults: Vec<String>,
    },
    /// A wait that was in vain.
    #[error(transparent)]
    Wait(#[from] Box<WaitError>),
    /// A static pod that cannot be restarted.
    #[error("unable to restart the static Pod {component}: {source}")]
    Restart {
        /// Name of its container.
        component: String,
        /// What the container runtime said.
        source: RuntimeError,
    },
    /// A member of etcd that the others do not let go.
    #[error(
        "failed to remove etcd member {id}: {source}; nothing on this node was stopped or deleted. Start the \
         members that do not run, or remove them with `etcdctl member remove`, and run reset again; with \
         --skip-phases=remove-etcd-member it leaves this node's member in etcd, and its data"
    )]
    RemoveEtcdMember {
        /// Its id, as etcd's tools print it.
        id: String,
        /// etcd's words.
        source: EtcdError,
    },
    /// The administrators' binding cannot be made.
    #[error("could not bootstrap the admin user in file {}: {reason}", path.display())]
    BindAdmin {
        /// The kubeconfig of the administrator.
        path: std::path::PathBuf,
        /// What is missing or refused.
        reason: String,
    },
    /// This node could not become a member of etcd.
    #[error("error creating local etcd static pod manifest file: {0}")]
    JoinEtcd(#[from] crate::etcd::join::JoinEtcdError),
    /// The accounts of RootlessControlPlane.
    #[error("failed to create users and groups: {0}")]
    Accounts(String),
    /// A static pod that did not come up with its new manifest.
    #[error(transparent)]
    Replace(Box<ReplaceError>),
    /// etcd gave no snapshot.
    #[error(transparent)]
    Etcd(#[from] EtcdError),
    /// A Deployment that does not come up.
    #[error("the Deployment {KUBE_SYSTEM}/{name} has no Pod that is ready: {reason}")]
    NotReady {
        /// Its name.
        name: &'static str,
        /// What was found last.
        reason: String,
    },
    /// A component that its DaemonSet did not take over.
    #[error("error creating self hosted control plane: {0}")]
    HandOver(#[from] hand_over::HandOverError),
    /// The user does not want to go on.
    #[error("won't proceed; the user didn't answer (Y|y) in order to continue")]
    Declined,
}

/// What the executor needs to know of a spec, whatever its workflow.
#[derive(Debug, Clone)]
pub struct Context {
    /// How the administrator reaches the cluster.
    pub access: Access,
    /// CRI socket.
    pub socket: String,
    /// Limit for retrying one API operation (`timeouts.kubernetesAPICall`).
    pub api_limit: Duration,
    /// Whether the ports are those of a dry run: then the words of a dry run are said, and nothing is waited for.
    pub dry: bool,
}

/// Runs the selected phases of a workflow.
pub async fn run<S>(
    tree: &'static [Phase<S>],
    selection: &Selection,
    spec: &S,
    context: &Context,
    effects: &Effects,
) -> Result<(), RunError> {
    let executor = Executor::new(context, effects);
    let outcome = phases(tree, selection, spec, &executor).await;
    // Whatever happened, others need not wait for this node any more.
    executor.queue.leave(&*executor.api).await;
    outcome
}

async fn phases<S>(
    tree: &'static [Phase<S>],
    selection: &Selection,
    spec: &S,
    executor: &Executor<'_>,
) -> Result<(), RunError> {
    for Selected { path, phase } in select(tree, selection)? {
        let Some(plan) = phase.plan else { continue };
        if !(phase.applies)(spec) {
            tracing::debug!(phase = path, "does not apply");
            continue;
        }
        tracing::debug!(phase = path, "planning");
        let outcome = match plan(spec, executor.view()).await {
            Ok(steps) => executor.all(steps).await.map_err(PhaseError::from),
            Err(error) => Err(error),
        };
        outcome.map_err(|source| RunError::Phase { path, source: Box::new(source) })?;
    }
    Ok(())
}

/// Executes steps through ports.
pub struct Executor<'a> {
    context: &'a Context,
    fx: &'a Effects,
    api: std::sync::Arc<dyn WriteApi>,
    runtime: std::sync::Arc<dyn WriteRuntime>,
    /// Steps that are not to be repeated.
    once: std::sync::Mutex<Vec<Step>>,
    queue: Queue,
}

impl<'a> Executor<'a> {
    /// Opens (lazily connecting) clients for a context.
    pub fn new(context: &'a Context, fx: &'a Effects) -> Self {
        let api = fx.cluster.writer(&context.access);
        let runtime = fx.runtimes.writer(&context.socket);
        Self { context, fx, api, runtime, once: Default::default(), queue: Queue::default() }
    }

    /// What phases may look at.
    pub fn view(&self) -> View<'_> {
        View {
            files: &*self.fx.files,
            api: &*self.api,
            cluster: &*self.fx.cluster,
            etcds: &*self.fx.etcds,
            runtime: &*self.runtime,
            services: &*self.fx.services,
            system: &*self.fx.system,
            net: &*self.fx.net,
            clock: &*self.fx.clock,
            keys: &*self.fx.keys,
            progress: &*self.fx.output,
        }
    }

    /// Executes steps in order and stops at the first failure.
    pub async fn all(&self, steps: Vec<Step>) -> Result<(), ActionError> {
        for step in steps {
            self.step(step).await?;
        }
        Ok(())
    }

    async fn step(&self, step: Step) -> Result<(), ActionError> {
        self.queue.renew(&*self.api, &*self.fx.clock).await;
        if step.once {
            let mut done = self.once.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            if done.contains(&step) {
                return Ok(());
            }
            done.push(step.clone());
        }
        let lines = if self.context.dry { step.would.as_ref().unwrap_or(&step.lines) } else { &step.lines };
        for line in lines {
            match line {
                Line::Say(text) => self.fx.output.say(text),
                Line::Warn(text) => self.fx.output.warn(text),
                Line::Note(text) => self.fx.output.note(text),
            }
        }
        match (self.act(&step.action).await, &step.lenient) {
            (Err(error), Some(words)) => {
                self.fx.output.warn(&format!("{words}: {error}"));
                return Ok(());
            }
            (outcome, _) => outcome?,
        }
        if let Some(done) = &step.done {
            self.fx.output.say(done);
        }
        Ok(())
    }

    async fn act(&self, action: &Action) -> Result<(), ActionError> {
        let files = &self.fx.files;
        match action {
            Action::Nothing => Ok(()),
            Action::CreateDir { path, mode } => Ok(files.create_dir(path, *mode)?),
            Action::WriteFile(file) => Ok(files.write_changed(&[file])?),
            Action::WritePair { key, certificate } => Ok(files.write_changed(&[key, certificate])?),
            Action::SetOwner { path, owner, mode } => Ok(files.set_owner(path, *owner, *mode)?),
            Action::AddAccounts(accounts) => {
                crate::accounts::add(&**files, accounts).map_err(ActionError::Accounts)
            }
            Action::RemoveAccounts => Ok(crate::accounts::remove(&**files)?),
            Action::Service { verb, service, warning, advice } => {
                self.service(*verb, service, warning, advice.as_deref()).await;
                Ok(())
            }
            Action::PullImages(pull) => self.pull(pull).await,
            Action::Apply { how, resource, object } => self.apply(*how, *resource, object).await,
            Action::ReplaceDeployment { old, new, limit } => self.replace_deployment(old, new, *limit).await,
            Action::MarkNode(marks) => self.mark(marks).await,
            Action::BindAdmin { binding, super_admin } => self.bind_admin(binding, super_admin).await,
            Action::Show(paths) => {
                if self.context.dry {
                    self.show(paths)?;
                }
                Ok(())
            }
            Action::EmptyDir(dir) => Ok(files.empty_dir(dir)?),
            Action::Unmount { paths, flags } => {
                Ok(paths.iter().try_for_each(|path| files.unmount(path, flags))?)
            }
            Action::RemovePods { only } => Ok(self.remove_pods(*only).await?),
            Action::EnterQueue { .. } | Action::LeaveQueue if self.context.dry => Ok(()),
            Action::EnterQueue { node } => {
                self.queue.enter(node, &*self.api, &*self.fx.clock, &*self.fx.output).await;
                Ok(())
            }
            Action::LeaveQueue => {
                self.queue.leave(&*self.api).await;
                Ok(())
            }
            Action::JoinEtcd(wanted) => {
                let joining = Joining {
                    etcd: &*self.fx.etcds.writer(&wanted.access),
                    files: &**files,
                    runtime: &*self.runtime,
                    view: self.view(),
                    output: &*self.fx.output,
                    queue: &self.queue,
                    api: &*self.api,
                    dry: self.context.dry,
                };
                Ok(crate::etcd::join::join(wanted, joining).await?)
            }
            Action::RemoveEtcdMember(removal) => {
                let id = removal.member.hex();
                etcd::member::remove(removal, &*self.fx.etcds, self.view(), &*self.fx.output)
                    .await
                    .map_err(|source| ActionError::RemoveEtcdMember { id, source })
            }
            Action::RemoveFile(path) => Ok(files.remove(path)?),
            Action::WaitBootstrap(wait) => {
                if self.context.dry {
                    return Ok(());
                }
                wait::bootstrap(wait, &*self.fx.services, self.view(), &*self.fx.output)
                    .await
                    .map_err(|e| ActionError::Wait(Box::new(e)))
            }
            Action::WaitControlPlane(wait) => {
                if self.context.dry {
                    if let Some(url) = wait.kubelet.as_ref().and_then(|kubelet| kubelet.health.as_ref()) {
                        let text = format!("[dryrun] Would make sure the kubelet returns 'ok' at {url}");
                        self.fx.output.say(&text);
                    }
                    return Ok(());
                }
                wait::control_plane(wait, self.view(), &*self.fx.output)
                    .await
                    .map_err(|e| ActionError::Wait(Box::new(e)))
            }
            Action::HandOver(wanted) => {
                let output = &*self.fx.output;
                if self.context.dry {
                    output.say(&format!(
                        "[dryrun] Would wait for the Pods with the label \"k8s-app={}\" in the {KUBE_SYSTEM} namespace to become Running",
                        wanted.set
                    ));
                    return Ok(());
                }
                Ok(hand_over::run(wanted, &**files, &*self.runtime, self.view(), output).await?)
            }
            Action::RestartStaticPods(pods) => {
                if self.context.dry {
                    return Ok(());
                }
                restart::static_pods(pods, &*self.runtime, self.view(), &*self.fx.output).await
            }
            Action::ReplaceStaticPods(replace) => {
                if self.context.dry {
                    let new: Vec<NewFile> = replace.new.iter().map(|pod| pod.file.clone()).collect();
                    files.write_all(&new)?;
                    return Ok(self.show(&new.into_iter().map(|file| file.path).collect::<Vec<_>>())?);
                }
                let tools = replace::Tools {
                    files: &**files,
                    runtime: &*self.runtime,
                    view: self.view(),
                    output: &*self.fx.output,
                };
                tools.replace(replace).await
            }
            Action::BackUp { file, to } => Ok(self.back_up(file, to)?),
            Action::SnapshotEtcd { access, endpoint, to, limit } => {
                self.snapshot(access, endpoint, to, *limit).await
            }
            Action::TryJob { job, limit, ignore_errors } => {
                let tried = match self.context.dry {
                    true => Ok(()),
                    false => trial::job(job, *limit, &*self.api, &*self.fx.clock).await,
                };
                let faults = tried.err().into_iter().collect();
                self.checked("CreateJob", faults, *ignore_errors)
            }
            Action::Confirm(question) => {
                let agreed = self.context.dry || self.fx.output.confirm(question);
                if agreed { Ok(()) } else { Err(ActionError::Declined) }
            }
        }
    }

    /// Faults that a check has found, which may have to be errors.
    fn checked(&self, check: &'static str, faults: Vec<String>, ignore: bool) -> Result<(), ActionError> {
        if ignore {
            for fault in faults {
                self.fx.output.note(&format!("\t[WARNING {check}]: {fault}"));
            }
            return Ok(());
        }
        if faults.is_empty() { Ok(()) } else { Err(ActionError::Check { check, faults }) }
    }

    fn back_up(&self, file: &Path, to: &Path) -> Result<(), FileError> {
        let files = &self.fx.files;
        // In the folder of a dry run the copy would lie where the new file does.
        let Some(meta) = files.stat(file)?.filter(|_| !self.context.dry) else { return Ok(()) };
        let Some(content) = files.read(file)? else { return Ok(()) };
        if let Some(folder) = to.parent() {
            files.create_dir(folder, 0o700)?;
        }
        files.write(&NewFile { path: to.to_owned(), content, mode: meta.mode, secret: true })
    }

    async fn snapshot(
        &self,
        access: &EtcdAccess,
        endpoint: &str,
        to: &Path,
        limit: Duration,
    ) -> Result<(), ActionError> {
        if self.context.dry {
            return Ok(());
        }
        let etcd = self.fx.etcds.writer(access);
        let take = || etcd.snapshot(endpoint, to);
        let size = retry(&*self.fx.clock, limit, take, EtcdError::is_transient).await?;
        tracing::debug!(size, path = %to.display(), "snapshot of etcd");
        Ok(())
    }

    fn show(&self, paths: &[std::path::PathBuf]) -> Result<(), FileError> {
        for path in paths {
            let content = self.fx.files.read(path)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&content);
            let path = path.display().to_string();
            self.fx.output.say(&format!("[dryrun] Would write file {path:?} with content:\n{text}"));
        }
        Ok(())
    }

    /// Removes pods, all at once: most of the time goes by while processes are given time to end. A second look finds
    /// what was made meanwhile.
    async fn remove_pods(&self, only: Option<(&str, &str)>) -> Result<(), RuntimeError> {
        if self.context.dry {
            return Ok(());
        }
        let mut tries = self.patiently();
        for attempt in 1.. {
            let mut all = self.runtime.pod_sandboxes().await?;
            all.retain(|pod| only.is_none_or(|(ns, name)| pod.namespace == ns && pod.pod.starts_with(name)));
            if all.is_empty() {
                break;
            }
            self.fx.output.progress(&format!("removing {} pods", all.len()));
            let removals = all.iter().map(|pod| self.runtime.remove_pod_sandbox(&pod.id));
            let failed = futures::future::join_all(removals).await.into_iter().find_map(Result::err);
            self.fx.output.progress("");
            match failed {
                Some(error) if attempt >= REMOVE_TRIES => return Err(error),
                Some(_) => tries.pause().await,
                None => {}
            }
        }
        Ok(())
    }

    /// Pauses that suit what takes seconds.
    fn patiently(&self) -> Backoff<'_> {
        Backoff::between(Duration::from_millis(250), Duration::from_secs(4), &*self.fx.clock)
    }

    async fn service(&self, verb: ServiceVerb, service: &str, warning: &str, advice: Option<&str>) {
        let outcome = match verb {
            ServiceVerb::Stop => self.fx.services.stop(service).await,
            ServiceVerb::Restart => self.fx.services.restart(service).await,
        };
        if let Err(error) = outcome {
            self.fx.output.warn(&format!("{warning}: [{error}]"));
            if let Some(advice) = advice {
                self.fx.output.say(advice);
            }
        }
    }

    // --- images -----------------------------------------------------------------------------------------------

    async fn pull(&self, pull: &PullImages) -> Result<(), ActionError> {
        if self.context.dry {
            return Ok(());
        }
        let runtime = self.fx.runtimes.writer(&pull.socket);
        let mut failures = Vec::new();
        if pull.serial {
            for (n, image) in pull.images.iter().enumerate() {
                self.fx.output.progress(&format!("image {} of {}: {image}", n + 1, pull.images.len()));
                failures.extend(self.pull_one(&*runtime, image, pull.always).await.err());
            }
        } else {
            let all = pull.images.iter().map(|image| self.pull_one(&*runtime, image, pull.always));
            failures.extend(futures::future::join_all(all).await.into_iter().filter_map(Result::err));
        }
        self.fx.output.progress("");
        self.checked("ImagePull", failures, pull.ignore_errors)
    }

    /// Upstream tries five times within milliseconds (quirk 23): a registry that stumbles needs a moment.
    async fn pull_one(&self, runtime: &dyn WriteRuntime, image: &str, always: bool) -> Result<(), String> {
        if !always {
            match runtime.image_present(image).await {
                Ok(true) => {
                    tracing::debug!(image, "image exists");
                    return Ok(());
                }
                Ok(false) => {}
                Err(error @ RuntimeError::Unreachable { .. }) => {
                    return Err(format!("failed to pull image {image}: {error}"));
                }
                Err(error) => {
                    let text = format!("Failed to get image status, image: {image:?}, error: {error}");
                    self.fx.output.warn(&text);
                }
            }
        }
        let mut tries = self.patiently();
        for attempt in 1.. {
            match runtime.pull(image).await {
                Ok(()) => return Ok(()),
                // A runtime that is not there will not be there in a moment.
                Err(error) if attempt == PULL_TRIES || matches!(error, RuntimeError::Unreachable { .. }) => {
                    return Err(format!("failed to pull image {image}: {error}"));
                }
                Err(error) => tracing::debug!(image, attempt, %error, "pull failed"),
            }
            tries.pause().await;
        }
        Ok(())
    }
}

/// Looks for pods that are to be removed. cmd/kubeadm/app/util/runtime/runtime.go: removePodSandbox tries, 1.37.
const REMOVE_TRIES: u32 = 5;

/// Tries to pull one image. cmd/kubeadm/app/constants/constants.go: PullImageRetry.
const PULL_TRIES: u32 = 5;
