//! What is made of a kubelet and of sandboxes that fail once, again, or for a reason that their log names.

use std::time::Duration;

use futures::executor::block_on;
use kubeadm_engine::diagnose::{Finding, Watch};
use kubeadm_engine::ports::ServiceState;
use kubeadm_engine::static_pods::StaticPod;
use kubeadm_testkit::MemoryHost;

const SINCE: Duration = Duration::from_secs(6);

/// A kubelet that ended at a moment and is about to be started again.
fn failing(ended: u64) -> ServiceState {
    // It kept failing before there was a cluster, too.
    ServiceState::Failing { detail: "exit-code, status 1, restarted 30 times".into(), ended }
}

#[test]
fn a_kubelet_that_ended_once_may_have_come_too_early() {
    let host = MemoryHost::default();
    let mut watch = Watch::default();
    let mut look = |state: ServiceState, last: bool| {
        host.machine.set(|machine| machine.kubelet().state = state);
        block_on(watch.kubelet(host.view(), SINCE, last))
    };
    host.machine.set(|machine| {
        machine.journal =
            vec!["E0101 00:00:00.000000 1 run.go:72] \"command failed\" err=\"runtime: timed out\"".into()];
    });
    assert_eq!(look(failing(10), false), []);
    assert_eq!(look(failing(10), false), []);
    assert_eq!(look(ServiceState::Running, false), []);
    let again = look(failing(20), false);
    assert!(again[0].state.starts_with("keeps failing (exit-code"), "{again:?}");
    assert!(again[0].log[0].contains("timed out"), "{again:?}");
}

#[test]
fn one_end_of_a_kubelet_is_enough_where_no_other_follows_or_the_cause_is_known() {
    let given_up = ServiceState::Failed { detail: "exit-code, status 1".into() };
    let swap = "E0101 00:00:00.000000 1 run.go:72] running with swap on is not supported";
    for (state, line, last, words) in [
        (failing(10), "E0101 00:00:00.000000 1 run.go:72] no", true, "keeps failing"),
        (given_up, "E0101 00:00:00.000000 1 run.go:72] no", false, "keeps failing"),
        (failing(10), swap, false, "refuses to run while swap is on"),
    ] {
        let host = MemoryHost::default();
        host.machine.set(|machine| {
            machine.kubelet().state = state.clone();
            machine.journal = vec![line.into()];
        });
        let found = block_on(Watch::default().kubelet(host.view(), SINCE, last));
        assert!(found.len() == 1 && found[0].state.starts_with(words), "{state:?}: {found:?}");
    }
}

/// What a kubelet says of one attempt in vain at a sandbox, in the form of its time.
fn attempt(form: &str, second: u32, reason: &str) -> Vec<String> {
    let pod = "kube-scheduler-cp1";
    let line = |text: String| format!("E0101 00:00:{second:02}.000000       1 {text}");
    let error = format!("rpc error: code = Unknown desc = {reason}");
    match form {
        "v1.11" => vec![
            line(format!("remote_runtime.go:92] RunPodSandbox from runtime service failed: {error}")),
            line(format!(
                "kuberuntime_sandbox.go:56] CreatePodSandbox for pod \"{pod}_kube-system(u)\" failed: {error}"
            )),
            line(format!(
                "kuberuntime_manager.go:646] createPodSandbox for pod \"{pod}_kube-system(u)\" failed: {error}"
            )),
            line(format!(
                "pod_workers.go:186] Error syncing pod u (\"{pod}_kube-system(u)\"), skipping: failed to \
                 \"CreatePodSandbox\" for \"{pod}_kube-system(u)\" with CreatePodSandboxError: \"CreatePodSandbox for pod \
                 \\\"{pod}_kube-system(u)\\\" failed: {error}\""
            )),
        ],
        "v1.37" => vec![
            line(format!("log.go:32] \"RunPodSandbox from runtime service failed\" err=\"{error}\"")),
            line(format!(
                "kuberuntime_sandbox.go:72] \"Failed to create sandbox for pod\" err=\"{error}\" pod=\"kube-system/{pod}\""
            )),
            line(format!(
                "kuberuntime_manager.go:1343] \"CreatePodSandbox for pod failed\" err=\"{error}\" pod=\"kube-system/{pod}\""
            )),
            line(format!(
                "pod_workers.go:1324] \"Error syncing pod, skipping\" err=\"failed to \\\"CreatePodSandbox\\\" for \
                 \\\"{pod}_kube-system(u)\\\" with CreatePodSandboxError: \\\"Failed to create sandbox for pod: {error}\\\"\" \
                 pod=\"kube-system/{pod}\" podUID=\"u\""
            )),
        ],
        "json" => vec![
            format!(
                "{{\"ts\":17000000{second:02}.5,\"msg\":\"RunPodSandbox from runtime service failed\",\"err\":\"{error}\"}}"
            ),
            format!(
                "{{\"ts\":17000000{second:02}.6,\"msg\":\"Error syncing pod, skipping\",\"pod\":{{\"name\":\"{pod}\"}},\
                 \"err\":\"failed to \\\"CreatePodSandbox\\\" for \\\"{pod}_kube-system(u)\\\": {error}\"}}"
            ),
        ],
        other => panic!("{other}"),
    }
}

/// What is found after each of some journals.
fn sandboxes(journals: &[Vec<String>]) -> Vec<Vec<Finding>> {
    let host = MemoryHost::default();
    let (component, image) = ("kube-scheduler".to_owned(), "registry.k8s.io/kube-scheduler:v1".to_owned());
    host.runtimes.runtime.set(|runtime| runtime.images = vec![image.clone()]);
    let pods = [StaticPod { component, image, written: jiff::Timestamp::UNIX_EPOCH }];
    let mut watch = Watch::default();
    let mut look = |journal: &Vec<String>| {
        host.machine.set(|machine| machine.journal.clone_from(journal));
        block_on(watch.look(host.view(), &pods, &["kube-scheduler"], SINCE, false)).findings
    };
    journals.iter().map(&mut look).collect()
}

#[test]
fn it_takes_two_attempts_at_a_sandbox() {
    let reason = "failed to get sandbox image: dial tcp: i/o timeout";
    for form in ["v1.11", "v1.37", "json"] {
        let (first, second) = (attempt(form, 1, reason), attempt(form, 14, reason));
        // The journal is long, and the first attempt is not in its end any more.
        let found = sandboxes(&[first.clone(), first, second]);
        assert!(found[0].is_empty() && found[1].is_empty(), "{form}: {found:?}");
        let [finding] = &found[2][..] else { panic!("{form}: {found:?}") };
        assert_eq!((&*finding.subject, &*finding.state), ("kube-scheduler", "cannot be given a sandbox"));
        assert!(finding.log[0].contains("i/o timeout") && finding.log.len() == 2, "{form}: {finding:?}");
        assert!(finding.advice.contains("journalctl -u containerd"), "{finding:?}");
    }
}

#[test]
fn a_sandbox_that_fails_for_a_known_cause_takes_one_attempt_and_a_late_one_does_not_count() {
    let late = ["context deadline exceeded: code = DeadlineExceeded", "name \"x\" is reserved for \"y\""];
    let cgroups = "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups";
    for form in ["v1.11", "v1.37", "json"] {
        let found =
            sandboxes(&[late.map(|reason| attempt(form, 1, reason)).concat(), attempt(form, 14, late[1])]);
        assert!(found.concat().is_empty(), "{form}: {found:?}");
        let found = sandboxes(&[attempt(form, 1, cgroups)]).concat();
        assert!(found.len() == 1 && found[0].subject == "kubelet", "{form}: {found:?}");
        assert!(found[0].state.contains("different cgroup drivers"), "{form}: {found:?}");
    }
}
