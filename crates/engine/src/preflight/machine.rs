//! Checks of the machine: user, processors, memory, programs, services, swap, modules.

use std::path::Path;

use kubeadm_config::component::fail_swap_on;
use kubeadm_release::facts::preflight::{Program, Severity};

use super::Outcome;
use crate::ports::View;
use crate::spec::InitSpec;

/// Whether kubeadm may do what it is to do.
pub fn root(view: View<'_>) -> Outcome {
    if view.system.uid() == 0 { Outcome::good() } else { Outcome::error("user is not running as root") }
}

pub(super) fn cpus(spec: &InitSpec, view: View<'_>) -> Outcome {
    let (have, need) = (view.system.cpus(), spec.release.preflight.cpus);
    if have >= need {
        return Outcome::good();
    }
    Outcome::error(format!("the number of available CPUs {have} is less than the required {need}"))
}

pub(super) fn memory(spec: &InitSpec, view: View<'_>) -> Outcome {
    let (have, need) = (view.system.memory() >> 20, spec.release.preflight.memory_mib);
    if have >= need {
        return Outcome::good();
    }
    Outcome::error(format!("the system RAM ({have} MB) is less than the minimum {need} MB"))
}

pub(super) fn program(program: Program, view: View<'_>) -> Outcome {
    if view.system.find_program(program.name).is_some() {
        return Outcome::good();
    }
    of_severity(program.severity, format!("{} not found in system path", program.name))
}

fn of_severity(severity: Severity, text: String) -> Outcome {
    match severity {
        Severity::Error => Outcome::error(text),
        Severity::Warning => Outcome::warning(text),
    }
}

/// A swap that is on is fine where the kubelet's configuration allows it and cgroup v2 accounts for it: upstream warns
/// all the same and is asked about it again and again.
pub(super) fn swap(spec: &InitSpec, view: View<'_>) -> Outcome {
    let Ok(Some(content)) = view.files.read(Path::new("/proc/swaps")) else { return Outcome::good() };
    if String::from_utf8_lossy(&content).lines().filter(|l| !l.trim().is_empty()).count() < 2 {
        return Outcome::good();
    }
    let v2 = view.files.exists(Path::new("/sys/fs/cgroup/cgroup.controllers"));
    let allowed = !fail_swap_on(&spec.kubelet.value);
    let facts = spec.release.preflight.swap;
    if facts.severity == Severity::Warning && allowed && v2 {
        return Outcome::good();
    }
    of_severity(facts.severity, facts.text.into())
}

pub(super) const NO_INIT_SYSTEM: &str = "no supported init system detected, skipping checking for services";

pub(super) async fn firewalld(spec: &InitSpec, view: View<'_>) -> Outcome {
    if view.services.init_system().is_err() {
        return Outcome::warning(NO_INIT_SYSTEM);
    }
    if !view.services.active("firewalld").await {
        return Outcome::good();
    }
    Outcome::warning(format!(
        "firewalld is active, please ensure ports [{} 10250] are open or your cluster may not function correctly",
        spec.bind_port()
    ))
}

pub(super) async fn docker_service(view: View<'_>) -> Outcome {
    if view.services.init_system().is_err() {
        return Outcome::warning(NO_INIT_SYSTEM);
    }
    if !view.services.exists("docker").await {
        return Outcome::warning("docker service does not exist");
    }
    let mut outcome = Outcome::good();
    if !view.services.enabled("docker").await {
        let command = view.services.enable_command("docker");
        outcome.warnings.push(format!("docker service is not enabled, please run '{command}'"));
    }
    if !view.services.active("docker").await {
        outcome
            .errors
            .push("docker service is not active, please run 'systemctl start docker.service'".into());
    }
    outcome
}

/// k8s.io/kubernetes/pkg/util/ipvs: RequiredIPVSKernelModulesAvailableCheck, 1.13; pkg/proxy/ipvs: CanUseIPVSProxier, 1.15,
/// an error there, which loads the modules first. Only a warning: what is not loaded may be loaded by kube-proxy.
pub(super) fn ipvs_modules(view: View<'_>) -> Outcome {
    let release = view.system.uname().release;
    // A kernel without modules has neither file: what it can do is found by kube-proxy, which may take iptables.
    let read = |path: &str| match view.files.read(Path::new(path)) {
        Ok(content) => Ok(String::from_utf8_lossy(&content.unwrap_or_default()).into_owned()),
        Err(error) => Err(error.to_string()),
    };
    // nf_conntrack took the place of nf_conntrack_ipv4 in Linux 4.19.
    let mut number = release.split(['.', '-']).map(|n| n.parse::<u32>().unwrap_or(0));
    let kernel = (number.next().unwrap_or(0), number.next().unwrap_or(0));
    let conntrack = if kernel < (4, 19) { "nf_conntrack_ipv4" } else { "nf_conntrack" };
    let wanted = ["ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", conntrack];
    let loaded = match read("/proc/modules") {
        Ok(text) => text,
        Err(error) => return Outcome::error(error),
    };
    let missing: Vec<&str> = wanted
        .into_iter()
        .filter(|m| !loaded.lines().any(|l| l.split_whitespace().next() == Some(m)))
        .collect();
    if missing.is_empty() {
        return Outcome::good();
    }
    let builtin = match read(&format!("/lib/modules/{release}/modules.builtin")) {
        Ok(text) => text,
        Err(error) => return Outcome::error(error),
    };
    let missing: Vec<&str> = missing.into_iter().filter(|m| !builtin.contains(&format!("/{m}.ko"))).collect();
    if missing.is_empty() {
        return Outcome::good();
    }
    Outcome::warning(format!(
        "the IPVS proxier will not be used, because the following required kernel modules are not loaded: [{}]",
        missing.join(" ")
    ))
}
