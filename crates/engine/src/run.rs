//! Carries plans out: one phase is planned, executed, and then the next is planned, because what a phase finds may
//! be what the one before it made.
//!
//! There is one executor. A dry run gives it other ports ([`crate::dryrun`]), has it say what a step says instead, and
//! only rehearses what waits for others to act ([`Action::waits`]): nothing of that would ever come.

use std::path::PathBuf;
use std::time::Duration;

use crate::backoff::Backoff;
use crate::etcd::join::JoinEtcdError;
use crate::objects::KUBE_SYSTEM;
use crate::phase::{Phase, Selected, Selection, SelectionError, select};
use crate::phases::PhaseError;
use crate::plan::*;
use crate::ports::*;
use crate::queue::Queue;
use crate::replace::ReplaceError;
use crate::wait::{self, WaitError};
use crate::{hand_over, trial};

mod etcd;
mod images;
mod objects;
mod pods;

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
        path: PathBuf,
        /// What is missing or refused.
        reason: String,
    },
    /// This node could not become a member of etcd.
    #[error("error creating local etcd static pod manifest file: {0}")]
    JoinEtcd(#[from] JoinEtcdError),
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
    /// Whether the ports are those of a dry run: then its words are said, and nobody is waited for.
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
        let dry = self.context.dry;
        let (lines, done) = match &step.would {
            Some(would) if dry => (would, &None),
            _ => (&step.lines, &step.done),
        };
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
        if dry {
            self.show(&step.shows)?;
        }
        if let Some(done) = done {
            self.fx.output.say(done);
        }
        Ok(())
    }

    async fn act(&self, action: &Action) -> Result<(), ActionError> {
        if self.context.dry && action.waits() {
            return self.rehearse(action).await;
        }
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
            Action::EmptyDir(dir) => Ok(files.empty_dir(dir)?),
            Action::RemoveFile(path) => Ok(files.remove(path)?),
            Action::BackUp { file, to } => Ok(files.back_up(file, to)?),
            Action::Unmount { paths, flags } => {
                Ok(paths.iter().try_for_each(|path| files.unmount(path, flags))?)
            }
            Action::Service { verb, service, warning, advice } => {
                self.service(*verb, service, warning, advice.as_deref()).await;
                Ok(())
            }
            Action::PullImages(pull) => self.pull(pull).await,
            Action::RemovePods { only } => Ok(self.remove_pods(*only).await?),
            Action::RestartStaticPods(pods) => self.restart_static_pods(pods).await,
            Action::ReplaceStaticPods(wanted) => self.replace_static_pods(wanted).await,
            Action::HandOver(wanted) => self.hand_over(wanted).await,
            Action::Apply { how, resource, object } => self.apply(*how, *resource, object).await,
            Action::ReplaceDeployment { old, new, limit } => self.replace_deployment(old, new, *limit).await,
            Action::MarkNode(marks) => self.mark(marks).await,
            Action::BindAdmin { binding, super_admin } => self.bind_admin(binding, super_admin).await,
            Action::TryJob { job, limit, ignore_errors } => {
                let tried = trial::job(job, *limit, &*self.api, &*self.fx.clock).await;
                self.checked("CreateJob", tried.err().into_iter().collect(), *ignore_errors)
            }
            Action::EnterQueue { node } => {
                self.queue.enter(node, &*self.api, &*self.fx.clock, &*self.fx.output).await;
                Ok(())
            }
            Action::LeaveQueue => {
                self.queue.leave(&*self.api).await;
                Ok(())
            }
            Action::JoinEtcd(wanted) => Ok(self.join_etcd(wanted).await?),
            Action::RemoveEtcdMember(removal) => self.remove_etcd_member(removal).await,
            Action::SnapshotEtcd { access, endpoint, to, limit } => {
                self.snapshot(access, endpoint, to, *limit).await
            }
            Action::WaitBootstrap(wait) => {
                let waited = wait::bootstrap(wait, &*self.fx.services, self.view(), &*self.fx.output);
                waited.await.map_err(|e| ActionError::Wait(Box::new(e)))
            }
            Action::WaitControlPlane(wait) => {
                let waited = wait::control_plane(wait, self.view(), &*self.fx.output);
                waited.await.map_err(|e| ActionError::Wait(Box::new(e)))
            }
            Action::Confirm(question) => match self.fx.output.confirm(question) {
                true => Ok(()),
                false => Err(ActionError::Declined),
            },
        }
    }

    /// What a dry run does of an action that waits ([`Action::waits`]): it changes what can be changed without waiting, so
    /// that later steps find it and the reader sees it.
    async fn rehearse(&self, action: &Action) -> Result<(), ActionError> {
        match action {
            Action::ReplaceStaticPods(wanted) => {
                let new: Vec<NewFile> = wanted.new.iter().map(|pod| pod.file.clone()).collect();
                Ok(self.fx.files.write_all(&new)?)
            }
            Action::ReplaceDeployment { old, .. } => self.delete_deployment(old).await,
            Action::JoinEtcd(wanted) => Ok(self.rehearse_joining_etcd(wanted).await?),
            _ => Ok(()),
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

    fn show(&self, paths: &[PathBuf]) -> Result<(), FileError> {
        for path in paths {
            let content = self.fx.files.read(path)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&content);
            let path = path.display().to_string();
            self.fx.output.say(&format!("[dryrun] Would write file {path:?} with content:\n{text}"));
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
}
