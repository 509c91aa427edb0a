//! Why the control plane does not come up: findings from the kubelet's service and journal and from the containers
//! of the static pods.
//!
//! Upstream tells the user to run crictl and journalctl. Here the same places are read for them. A finding is only
//! made of what time will not cure: a container that ends twice within seconds of its start, an image that is not
//! there, a service that is stopped. What failed once may have come too early, as a kubelet whose runtime was slow to
//! start: it takes a second failure, or a log that names the cause.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::ports::*;
use crate::static_pods::StaticPod;

/// Lines of a log that a finding shows.
const LOG_LINES: usize = 8;
/// Lines of the kubelet's journal that are searched.
const JOURNAL_LINES: usize = 200;
/// A container that lived shorter than this was not waiting for another one: components wait for theirs at least
/// ten seconds before they give up (etcd client, leader election, delegated authentication look-up).
const SHORT_LIFE: Duration = Duration::from_secs(6);
/// Ends of a container after which even a long life counts as failing.
const MANY_ENDS: u32 = 4;
/// What a kubelet needs to read its files before its state says anything.
const KUBELET_GRACE: Duration = Duration::from_secs(2);
/// How long a component may be without a container before the journal is asked for the reason.
const SANDBOX_GRACE: Duration = Duration::from_secs(5);

/// One cause: what, its state, the last words of its log, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `kube-apiserver`, `kubelet` …
    pub subject: String,
    /// Its state, such as `exited with code 1, restarted 2 times`.
    pub state: String,
    /// The last lines of its log.
    pub log: Vec<String>,
    /// What to do next.
    pub advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cause: {} {}", self.subject, self.state)?;
        if !self.log.is_empty() {
            write!(f, "\n  last log lines of {}:", self.subject)?;
            for line in &self.log {
                write!(f, "\n    {line}")?;
            }
        }
        write!(f, "\n  what to do: {}", self.advice)
    }
}

/// Words in a log, what they mean, and what to do. First match wins.
const KNOWN: &[(&str, &str, &str)] = &[
    (
        "address already in use",
        "cannot listen: the address is already in use",
        "stop what listens there (`ss -ltnp`), or choose another port, and run kubeadm again",
    ),
    (
        "unknown flag:",
        "was given a flag it does not know",
        "correct the component's extraArgs (or patch) in the kubeadm configuration and run kubeadm again",
    ),
    (
        "invalid argument",
        "was given a flag value it refuses",
        "correct the component's extraArgs (or patch) in the kubeadm configuration and run kubeadm again",
    ),
    (
        "executable file not found",
        "its image lacks the program",
        "correct the image (imageRepository, kubernetesVersion, patches) and run kubeadm again",
    ),
    (
        "permission denied",
        "may not open a file or directory",
        "check owner and mode of the path in the log, then run kubeadm again",
    ),
    (
        "expected cgroupsPath to be of format",
        "and the container runtime use different cgroup drivers",
        "set `cgroupDriver` of the KubeletConfiguration and `SystemdCgroup` of containerd's runc options to the same driver",
    ),
    (
        "is different from docker cgroup driver",
        "and the container runtime use different cgroup drivers",
        "set `cgroupDriver` of the KubeletConfiguration to the runtime's driver",
    ),
    (
        "cgroup v1",
        "refuses the cgroup v1 of this host",
        "boot with cgroup v2, or set `failCgroupV1: false` in the KubeletConfiguration",
    ),
    (
        "running with swap on is not supported",
        "refuses to run while swap is on",
        "run `swapoff -a`, or set `failSwapOn: false` in the KubeletConfiguration",
    ),
    (
        "failed to load kubelet config file",
        "cannot read its configuration",
        "correct the KubeletConfiguration and run kubeadm again",
    ),
];

fn known(log: &[String]) -> Option<(&'static str, &'static str, &String)> {
    KNOWN.iter().find_map(|(words, meaning, advice)| {
        let line = log.iter().rev().find(|l| l.contains(words))?;
        Some((*meaning, *advice, line))
    })
}

/// The lines of a journal that tell most: errors and fatal ones, else the last.
fn telling(journal: &[String]) -> Vec<String> {
    let marked = |l: &&String| {
        let l = l.as_str();
        l.starts_with(['E', 'F']) && l.get(1..5).is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
            || ["rror", "atal", "ailed", "panic"].iter().any(|w| l.contains(w))
    };
    let mut lines: Vec<String> = journal.iter().filter(marked).cloned().collect();
    if lines.is_empty() {
        lines = journal.to_vec();
    }
    lines.dedup();
    lines.split_off(lines.len().saturating_sub(LOG_LINES))
}

/// What one look found.
#[derive(Debug, Default)]
pub struct Look {
    /// Causes that time will not cure; with `final_look`, whatever can be said.
    pub findings: Vec<Finding>,
    /// What is being waited for, for a person at a terminal.
    pub progress: String,
}

/// Remembers, between looks, what failed how often.
#[derive(Debug, Default)]
pub struct Watch {
    /// How containers ended, by component and container.
    ended: BTreeMap<String, BTreeMap<String, End>>,
    /// When the kubelet ended.
    kubelets: BTreeSet<u64>,
    /// What the kubelet said of each attempt in vain at a pod's sandbox, by component.
    sandboxes: BTreeMap<String, BTreeSet<String>>,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Beside another one of its component, of an earlier manifest: that still held the ports which the new one wants.
    Beside,
    /// Within seconds of its start.
    Soon,
    /// After it had run.
    Late,
}

impl End {
    fn of(container: &Container, all: &[&Container]) -> Self {
        let end = container.finished.unwrap_or(container.created);
        let beside = |other: &&Container| {
            let there = other.finished.is_none_or(|finished| finished > container.created);
            other.id != container.id && other.created < end && there
        };
        if all.iter().any(beside) {
            Self::Beside
        } else if end.duration_since(container.created).unsigned_abs() < SHORT_LIFE {
            Self::Soon
        } else {
            Self::Late
        }
    }
}

impl Watch {
    /// What is wrong with the kubelet itself, `since` its start.
    pub async fn kubelet(&mut self, view: View<'_>, since: Duration, final_look: bool) -> Vec<Finding> {
        let state = view.services.state("kubelet").await;
        if since < KUBELET_GRACE {
            return Vec::new();
        }
        let (state, advice) = match state {
            ServiceState::Running | ServiceState::Unknown => return Vec::new(),
            ServiceState::Missing => {
                ("is not installed as a service", "install the kubelet package and run kubeadm again")
            }
            ServiceState::Masked => {
                ("is masked and cannot start", "run `systemctl unmask kubelet` and run kubeadm again")
            }
            ServiceState::Stopped => {
                ("is stopped", "find out what stops it (`systemctl status kubelet`) and run kubeadm again")
            }
            ServiceState::Failing { detail, ended } => {
                self.kubelets.insert(ended);
                let enough = self.kubelets.len() >= 2 || final_look;
                return Vec::from_iter(ended_kubelet(view, &detail, enough).await);
            }
            ServiceState::Failed { detail } => {
                return Vec::from_iter(ended_kubelet(view, &detail, true).await);
            }
        };
        let (subject, log) = ("kubelet".to_owned(), Vec::new());
        vec![Finding { subject, state: state.into(), log, advice: advice.into() }]
    }

    /// Why a kubelet got no certificate: what its own log says, where it is not the kubelet that fails.
    pub async fn bootstrap(&mut self, view: View<'_>, since: Duration) -> Vec<Finding> {
        let findings = self.kubelet(view, since, true).await;
        if !findings.is_empty() {
            return findings;
        }
        let log = telling(&view.services.journal("kubelet", JOURNAL_LINES).await);
        let advice = "look at the requests with `kubectl get csr` on a control-plane node: one that is Pending is \
                      approved with `kubectl certificate approve NAME`; without any, the token may have expired";
        vec![Finding {
            subject: "kubelet".into(),
            state: "runs and has no client certificate".into(),
            log,
            advice: advice.into(),
        }]
    }

    /// Looks at containers, images and the kubelet. `pending` are the components that do not answer yet.
    pub async fn look(
        &mut self,
        view: View<'_>,
        pods: &[StaticPod],
        pending: &[&str],
        since: Duration,
        final_look: bool,
    ) -> Look {
        let findings = self.kubelet(view, since, final_look).await;
        let mut look = Look { findings, progress: String::new() };
        let containers = match view.runtime.containers().await {
            Ok(containers) => containers,
            Err(error) => {
                if final_look {
                    let docker = is_dockershim(view.runtime.socket());
                    let service = if docker { "docker" } else { "containerd" };
                    look.findings.push(Finding {
                        subject: "container runtime".into(),
                        state: format!("does not answer: {error}"),
                        log: Vec::new(),
                        advice: format!("start it (`systemctl status {service}`) and run kubeadm again"),
                    });
                }
                Vec::new()
            }
        };
        let mut states = Vec::new();
        // etcd comes first: when it fails, what depends on it fails too and is not the cause.
        for pod in pods {
            let stale = |c: &Container| c.state == ContainerState::Exited && pod.outdates(c);
            let StaticPod { component, image, .. } = pod;
            let all: Vec<&Container> = containers.iter().filter(|c| c.name == *component).collect();
            // The last look says whatever can be said.
            let mine: Vec<&Container> = all.iter().copied().filter(|c| final_look || !stale(c)).collect();
            states.push(format!("{component} {}", state_words(&mine)));
            let answered = component != "etcd" && !pending.contains(&component.as_str());
            if answered || !look.findings.is_empty() {
                continue;
            }
            let finding = if mine.is_empty() {
                self.absent(view, component, image, since, final_look).await
            } else {
                self.crashed(view, component, &mine, &all, final_look).await
            };
            look.findings.extend(finding);
        }
        look.progress = format!("waiting for the control plane: {}", states.join(", "));
        look
    }

    async fn crashed(
        &mut self,
        view: View<'_>,
        component: &str,
        containers: &[&Container],
        all: &[&Container],
        final_look: bool,
    ) -> Option<Finding> {
        let ended = self.ended.entry(component.to_owned()).or_default();
        for container in containers.iter().filter(|c| c.state == ContainerState::Exited) {
            ended.entry(container.id.clone()).or_insert_with(|| End::of(container, all));
        }
        let number = |what: End| ended.values().filter(|end| **end == what).count();
        let (short, beside) = (number(End::Soon), u32::try_from(number(End::Beside)).unwrap_or(u32::MAX));
        let last = containers.iter().find(|c| c.state == ContainerState::Exited)?;
        let running = containers.iter().any(|c| c.state == ContainerState::Running);
        let times = last.attempt + 1;
        let attempts = times.saturating_sub(beside);
        let hopeless = (short >= 2 || (short >= 1 && attempts >= 2) || attempts >= MANY_ENDS) && !running;
        if !hopeless && !final_look {
            return None;
        }
        let log = view.runtime.log_tail(&last.id, 40).await.unwrap_or_default();
        let shown = telling(&log);
        let code = last.exit_code.map_or_else(|| "unknown code".into(), |c| format!("code {c}"));
        let times = match times {
            1 => "once".into(),
            n => format!("{n} times"),
        };
        let reason = match last.reason.as_str() {
            "" | "Error" | "Completed" => String::new(),
            reason => format!(", {reason}"),
        };
        // A container that could not be started has no log: the runtime's words are all there is.
        let message = last.message.lines().next().filter(|_| shown.is_empty());
        let told = message.map_or_else(|| shown.clone(), |m| vec![m.to_owned()]);
        let reason = reason + &message.map_or_else(String::new, |m| format!(", {m}"));
        let (meaning, advice) = known(&told)
            .map_or((String::new(), "correct what its log says and run kubeadm again"), |(m, a, _)| {
                (format!("{m}; "), a)
            });
        Some(Finding {
            subject: component.into(),
            state: format!("{meaning}exited with {code}{reason} ({times} so far, image {})", last.image),
            log: shown,
            advice: advice.into(),
        })
    }

    /// A component without any container: its image is not there, or the runtime cannot make its sandbox.
    async fn absent(
        &mut self,
        view: View<'_>,
        component: &str,
        image: &str,
        since: Duration,
        final_look: bool,
    ) -> Option<Finding> {
        if since < SANDBOX_GRACE && !final_look {
            return None;
        }
        let journal = view.services.journal("kubelet", JOURNAL_LINES).await;
        let pulling = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"];
        let lines: Vec<String> = journal
            .iter()
            .filter(|l| l.contains(component) && pulling.iter().any(|w| l.contains(w)))
            .cloned()
            .collect();
        let present = view.runtime.image_present(image).await;
        if matches!(present, Ok(false)) && !lines.is_empty() {
            return Some(Finding {
                subject: component.into(),
                state: format!("has no container: its image {image} is not there and cannot be pulled"),
                log: lines.into_iter().rev().take(1).collect(),
                advice:
                    "correct the image (imageRepository, imageTag, patches) or load it, then run kubeadm again"
                        .into(),
            });
        }
        let attempts = self.sandboxes.entry(component.to_owned()).or_default();
        attempts.extend(journal.iter().filter(|l| l.contains(component) && sums_up_sandbox(l)).cloned());
        let log: Vec<String> = attempts.iter().rev().take(2).cloned().collect();
        let cause = known(&log);
        if cause.is_some() || attempts.len() >= 2 || (final_look && !log.is_empty()) {
            let (meaning, advice) =
                cause.map_or(("cannot be given a sandbox", SANDBOX_ADVICE), |(m, a, _)| (m, a));
            return Some(Finding {
                subject: if meaning.starts_with("and ") { "kubelet".into() } else { component.into() },
                state: meaning.into(),
                log,
                advice: advice.into(),
            });
        }
        final_look.then(|| Finding {
            subject: component.into(),
            state: "has no container; the kubelet has not started it".into(),
            log: telling(&journal),
            advice: "read the kubelet's log (`journalctl -xeu kubelet`)".into(),
        })
    }
}

/// A kubelet that ended. Where that is not `enough` for a verdict, its log has to name the cause.
async fn ended_kubelet(view: View<'_>, detail: &str, enough: bool) -> Option<Finding> {
    let log = telling(&view.services.journal("kubelet", JOURNAL_LINES).await);
    let cause = known(&log);
    if cause.is_none() && !enough {
        return None;
    }
    let (meaning, advice) = cause
        .map_or(("keeps failing", "correct what its log says and run kubeadm again"), |(m, a, _)| (m, a));
    let (subject, state) = ("kubelet".to_owned(), format!("{meaning} ({detail})"));
    Some(Finding { subject, state, log, advice: advice.into() })
}

/// Whether a line of the kubelet is the one that sums up an attempt to make a pod's sandbox, of the several that tell of it
/// (pkg/kubelet/pod_workers.go: "Error syncing pod"; pkg/kubelet/container/sync_result.go: CreatePodSandbox; 1.11 to
/// 1.37). A runtime that was only too slow is still at it, and says that the name is taken when it is asked again.
fn sums_up_sandbox(line: &str) -> bool {
    let late = ["DeadlineExceeded", "is reserved for"].iter().any(|words| line.contains(words));
    line.contains("Error syncing pod") && line.contains("CreatePodSandbox") && !late
}

const SANDBOX_ADVICE: &str = "read the container runtime's log (`journalctl -u containerd`, or `-u docker`); often its pause \
                              image or cgroup driver is wrong";

fn state_words(containers: &[&Container]) -> String {
    match containers.first() {
        None => "not created yet".into(),
        Some(c) => match c.state {
            ContainerState::Running => "running".into(),
            ContainerState::Created => "starting".into(),
            ContainerState::Exited => {
                format!("exited (code {})", c.exit_code.map_or("?".into(), |c| c.to_string()))
            }
            ContainerState::Unknown => "in an unknown state".into(),
        },
    }
}
