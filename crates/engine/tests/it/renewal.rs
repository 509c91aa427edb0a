//! Renewal over a node in memory: what is new and what stays, killed anywhere, and what each defect costs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use futures::executor::block_on;
use jiff::{SignedDuration, Timestamp};
use kubeadm_engine::phase::Selection;
use kubeadm_engine::phases::INIT;
use kubeadm_engine::ports::{
    Clock, Container, ContainerState, Effects, NewFile, Owner, ServiceState, WriteFiles,
};
use kubeadm_engine::renewal::{
    MANAGED, Managed, Place, Planned, Renewal, RenewalError, Settings, State, affected, local_etcd, restart,
    survey,
};
use kubeadm_engine::run::{self, ActionError, Executor};
use kubeadm_engine::spec::InitSpec;
use kubeadm_pki::kubeconfig::Kubeconfig;
use kubeadm_pki::{Certificate, KeyAlgorithm, PrivateKey};
use kubeadm_testkit::{MemoryHost, killed_after};

use crate::wish;

const DAY: i64 = 86_400;
const PKI: &str = "/etc/kubernetes/pki";

/// A node with certificates, kubeconfig files and manifests as `init` makes them.
fn node(spec: &InitSpec) -> MemoryHost {
    let host = MemoryHost::default();
    for phase in ["certs", "kubeconfig", "control-plane", "etcd"] {
        let only = Selection::Only { path: phase.into(), skip: Vec::new() };
        block_on(run::run(INIT, &only, spec, &spec.context(), &host.effects())).unwrap();
    }
    host
}

fn settings(spec: &InitSpec) -> Settings {
    Settings { layout: spec.layout.clone(), local_etcd: true, algorithm: None, period_seconds: None }
}

fn new_spec() -> InitSpec {
    wish::init("v1.37.2", "")
}

fn plan(host: &MemoryHost, settings: &Settings) -> Planned {
    let all = settings.certificates(&*host.files);
    Renewal::look(&all, settings, host.view()).plan(host.view())
}

/// Renews everything and returns what was planned.
fn renew(host: &MemoryHost, settings: &Settings) -> Planned {
    let planned = plan(host, settings);
    execute(host, &planned).unwrap();
    for item in &planned.renewed {
        host.files.touch(item.path(&settings.layout), host.machine.now());
    }
    planned
}

fn execute(host: &MemoryHost, planned: &Planned) -> Result<(), ActionError> {
    execute_with(&host.effects(), planned)
}

fn execute_with(effects: &Effects, planned: &Planned) -> Result<(), ActionError> {
    let steps = planned.steps.iter().flat_map(|(_, steps)| steps.clone()).collect();
    block_on(Executor::new(&new_spec().context(), effects).all(steps))
}

fn later(host: &MemoryHost, days: i64) {
    host.machine.set(|state| state.started += SignedDuration::from_secs(days * DAY));
}

/// A certificate and the key beside it.
struct Pair {
    certificate: Certificate,
    key: PrivateKey,
}

impl Pair {
    fn fits(&self) -> bool {
        self.key.public_key().unwrap() == *self.certificate.public_key()
    }
}

/// The managed certificates by name, with their keys.
fn pairs(host: &MemoryHost) -> BTreeMap<&'static str, Pair> {
    let layout = new_spec().layout;
    MANAGED
        .iter()
        .filter_map(|item| {
            let text = host.files.text(item.path(&layout))?;
            let (certificate, key) = match item.place {
                Place::Pair(_) => (text, host.files.text(item.key_path(&layout))?),
                Place::Kubeconfig(_) => {
                    let user = Kubeconfig::parse(&text, item.name).unwrap().current_user().unwrap().clone();
                    let plain = |data: &Option<String>| {
                        use base64::Engine as _;
                        let data = data.as_ref().unwrap();
                        let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
                        String::from_utf8(bytes).unwrap()
                    };
                    (plain(&user.client_certificate_data), plain(&user.client_key_data))
                }
            };
            let certificate = Certificate::from_pem(certificate.as_bytes()).unwrap();
            Some((item.name, Pair { certificate, key: PrivateKey::from_pem(key.as_bytes()).unwrap() }))
        })
        .collect()
}

fn ca(host: &MemoryHost, base: &str) -> Certificate {
    Certificate::from_pem(host.files.text(format!("{PKI}/{base}.crt")).unwrap().as_bytes()).unwrap()
}

fn days(certificate: &Certificate) -> i64 {
    // Half an hour for what a certificate is dated back.
    (certificate.not_after().duration_since(certificate.not_before()).as_secs() + 1800) / DAY
}

#[test]
fn what_has_expired_is_made_anew_and_says_the_same() {
    for version in ["v1.11.10", "v1.13.12", "v1.37.2"] {
        let spec = wish::init(version, "");
        let host = node(&spec);
        let (before, files) = (pairs(&host), host.files.all());
        later(&host, 800);
        let now = host.machine.now();
        let planned = renew(&host, &settings(&spec));
        assert!(planned.failed.is_empty(), "{:?}", planned.failed);
        let after = pairs(&host);
        assert_eq!(after.len(), if version == "v1.37.2" { 11 } else { 10 }, "{version}");
        for (name, new) in &after {
            let (old, item) = (&before[name], Managed::named(name).unwrap());
            let authority = ca(&host, item.authority().base);
            assert!(old.certificate.check_dates(now).is_err(), "{name}");
            assert_eq!(new.certificate.verify(&[], &authority, now), Ok(()), "{name}");
            assert!(new.fits() && new.key.public_key().unwrap() != old.key.public_key().unwrap(), "{name}");
            assert_eq!(new.certificate.subject(), old.certificate.subject());
            assert_eq!(new.certificate.dns_names(), old.certificate.dns_names());
            assert_eq!(new.certificate.ips(), old.certificate.ips());
            assert_eq!(new.certificate.usages(), old.certificate.usages());
            assert_eq!(new.certificate.basic_constraints(), old.certificate.basic_constraints());
            assert_eq!(days(&new.certificate), 365, "{version} {name}");
        }
        // Authorities, service account keys, kubelet.conf and manifests are nobody's to renew.
        for (path, entry) in host.files.all() {
            let renewed = planned
                .renewed
                .iter()
                .any(|item| path == item.path(&spec.layout) || path == item.key_path(&spec.layout));
            assert_eq!(entry != files[&path], renewed, "{}", path.display());
            assert_eq!((entry.mode, entry.owner), (files[&path].mode, files[&path].owner));
        }
        let said = host.output.said();
        assert_eq!(
            said.last().unwrap().as_str(),
            format!("{} renewed", planned.renewed.last().unwrap().long_name)
        );
    }
}

#[test]
fn a_kubeconfig_keeps_all_but_its_secrets() {
    let spec = new_spec();
    let host = node(&spec);
    let path = "/etc/kubernetes/admin.conf";
    let text = host.files.text(path).unwrap();
    let text = text
        .replace("    user: kubernetes-admin\n", "    namespace: prod\n    user: kubernetes-admin\n")
        .replace("kind: Config\n", "kind: Config\npreferences: {}\n")
        .replace(
            "    server: https://192.0.2.10:6443\n",
            "    proxy-url: http://p\n    server: https://lb:6443\n",
        );
    host.files.put(path, &text, 0o640);
    // A second authority in the bundle, as while it is replaced.
    let bundle = format!("{}{}", ca(&host, "ca").to_pem(), ca(&host, "front-proxy-ca").to_pem());
    host.files.put(format!("{PKI}/ca.crt"), &bundle, 0o644);
    renew(&host, &settings(&spec));
    let after = host.files.text(path).unwrap();
    let without = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains("-data: ")).map(str::to_owned).collect()
    };
    assert_eq!(without(&after), without(&text));
    assert_eq!(host.files.all()[Path::new(path)].mode, 0o640);
    let config = Kubeconfig::parse(&after, path).unwrap();
    let authorities = config.current_cluster().unwrap().authorities().unwrap();
    assert_eq!(authorities.iter().map(Certificate::to_pem).collect::<String>(), bundle);
}

/// At no write may a kill lose more than the one pair that was being written, and the next run repairs that too.
#[test]
fn killed_at_any_write_and_run_again() {
    let spec = new_spec();
    let settings = settings(&spec);
    let mut stops = 0;
    for stop in 0.. {
        let host = node(&spec);
        let before = pairs(&host);
        let killed =
            killed_after(stop, &host.effects(), |effects| execute_with(effects, &plan(&host, &settings)));
        if let Some(outcome) = killed {
            outcome.unwrap();
            stops = stop;
            break;
        }
        let broken: Vec<_> = pairs(&host).into_iter().filter(|(_, pair)| !pair.fits()).collect();
        assert!(broken.len() <= 1, "{stop}");
        // The key has its name first: a new certificate never lacks its key.
        assert!(broken.iter().all(|(name, pair)| pair.certificate == before[name].certificate), "{stop}");
        let planned = renew(&host, &settings);
        assert_eq!((planned.failed.len(), planned.renewed.len()), (0, 11), "{stop}");
        let after = pairs(&host);
        assert!(after.iter().all(|(name, pair)| pair.fits() && pair.certificate != before[name].certificate));
    }
    // Seven pairs and four kubeconfig files.
    assert_eq!(stops, 7 * 2 + 4);
}

#[test]
fn owners_and_modes_of_files_stay() {
    let spec = new_spec();
    let host = node(&spec);
    let key = format!("{PKI}/apiserver.key");
    let owner = Owner { uid: 995, gid: 994 };
    host.files.set_owner(Path::new(&key), owner, Some(0o640)).unwrap();
    renew(&host, &settings(&spec));
    let entry = host.files.all()[Path::new(&key)].clone();
    assert_eq!((entry.owner, entry.mode), ((995, 994), 0o640));
}

#[test]
fn periods_follow_the_configuration_or_the_old_certificate() {
    let mut spec = new_spec();
    spec.cluster.certificate_validity_period = Some("240h".parse().unwrap());
    let host = node(&spec);
    later(&host, 100);
    // All began with the authority and do not tell when they were made, but they span ten days at most.
    let planned = renew(&host, &settings(&spec));
    assert!(planned.failed.is_empty());
    assert!(pairs(&host).values().all(|pair| days(&pair.certificate) == 10));
    // Again: now all tell, and the length does not creep.
    later(&host, 100);
    let first = pairs(&host);
    renew(&host, &settings(&spec));
    for (name, pair) in pairs(&host) {
        let length = |c: &Certificate| c.not_after().duration_since(c.not_before());
        assert_eq!(length(&pair.certificate), length(&first[name].certificate));
    }
    let wished = Settings { period_seconds: Some(3 * DAY), ..settings(&spec) };
    renew(&host, &wished);
    let now = host.machine.now();
    for pair in pairs(&host).values() {
        assert_eq!(pair.certificate.not_before(), now - SignedDuration::from_secs(300));
        assert_eq!(pair.certificate.not_after(), now + SignedDuration::from_secs(3 * DAY));
    }
}

/// kubeconfig files that the original makes late, and every certificate of releases before 1.36, span the life of the
/// cluster so far as well.
#[test]
fn what_begins_with_the_authority_is_not_made_longer_for_it() {
    for (version, hours, expected) in
        [("v1.37.2", "1200h", 50), ("v1.37.2", "26280h", 1095), ("v1.13.12", "8760h", 365)]
    {
        let mut spec = wish::init(version, "");
        spec.cluster.certificate_validity_period = Some(hours.parse().unwrap());
        let first = node(&spec);
        let late = MemoryHost::default();
        for (path, entry) in first.files.all() {
            let shared = ["ca.crt", "ca.key", "sa.key", "sa.pub"].iter().any(|end| path.ends_with(end))
                || path.ends_with("front-proxy-ca.crt")
                || path.ends_with("front-proxy-ca.key");
            if shared {
                late.files.put(&path, entry.content.unwrap(), entry.mode);
            }
        }
        later(&late, 700);
        // The original dates kubeconfig files of every release as old ones date everything.
        let mut dated = wish::init("v1.13.12", "");
        dated.cluster.certificate_validity_period = spec.cluster.certificate_validity_period;
        for (phase, spec) in [("certs", &spec), ("kubeconfig", &dated)] {
            let only = Selection::Only { path: phase.into(), skip: Vec::new() };
            block_on(run::run(INIT, &only, spec, &spec.context(), &late.effects())).unwrap();
        }
        assert!(days(&pairs(&late)["admin.conf"].certificate) > 700);
        renew(&late, &settings(&spec));
        for (name, pair) in pairs(&late) {
            assert_eq!(days(&pair.certificate), expected, "{version} {name}");
        }
    }
}

#[test]
fn algorithms_follow_the_configuration_or_the_old_key() {
    let spec = new_spec();
    let host = node(&spec);
    let mut settings = settings(&spec);
    let algorithms = |settings: &Settings| {
        Renewal::look(&settings.certificates(&*host.files), settings, host.view()).algorithms()
    };
    // The keys of the memory host are of this kind.
    assert_eq!(algorithms(&settings), [KeyAlgorithm::EcdsaP256; 11]);
    settings.algorithm = Some(KeyAlgorithm::Rsa3072);
    assert_eq!(algorithms(&settings), [KeyAlgorithm::Rsa3072; 11]);
}

#[test]
fn nothing_outlives_its_authority() {
    let mut spec = new_spec();
    spec.cluster.ca_certificate_validity_period = Some("2400h".parse().unwrap());
    let host = node(&spec);
    later(&host, 50);
    let planned = renew(&host, &settings(&spec));
    assert!(planned.failed.is_empty());
    for (name, pair) in pairs(&host) {
        let end = ca(&host, Managed::named(name).unwrap().authority().base).not_after();
        assert_eq!(pair.certificate.not_after(), end, "{name}");
    }
    assert!(host.output.warned()[0].contains("its authority ca ends"), "{:?}", host.output.warned());
    later(&host, 51);
    let changes = host.files.changes().len();
    let planned = renew(&host, &settings(&spec));
    assert_eq!((planned.renewed.len(), planned.failed.len()), (0, 11));
    let error = planned.failed[1].to_string();
    assert!(
        error.starts_with(
            "failed to renew certificate apiserver: the certificate authority /etc/kubernetes/pki/ca.crt has expired on "
        ),
        "{error}"
    );
    assert_eq!(host.files.changes().len(), changes);
}

#[test]
fn each_defect_costs_its_own_certificate_only() {
    let spec = new_spec();
    let host = node(&spec);
    host.files.take(format!("{PKI}/apiserver.crt"));
    host.files.put(format!("{PKI}/etcd/server.crt"), "nonsense", 0o644);
    host.files.put("/etc/kubernetes/scheduler.conf", "kind: Pod\napiVersion: v1\n", 0o600);
    let admin = host.files.text("/etc/kubernetes/admin.conf").unwrap();
    host.files.put(
        "/etc/kubernetes/admin.conf",
        admin.replace("current-context: kubernetes-admin@kubernetes", "current-context: gone"),
        0o600,
    );
    host.files.put(
        "/etc/kubernetes/controller-manager.conf",
        host.files
            .text("/etc/kubernetes/controller-manager.conf")
            .unwrap()
            .replace("client-certificate-data: ", "client-certificate: "),
        0o600,
    );
    // Its key is elsewhere.
    host.files.take(format!("{PKI}/front-proxy-ca.key"));
    // A pair whose key is another's, as an interrupted renewal leaves it, and one without a key.
    host.files.put(
        format!("{PKI}/etcd/peer.key"),
        host.files.text(format!("{PKI}/etcd/healthcheck-client.key")).unwrap(),
        0o600,
    );
    host.files.take(format!("{PKI}/apiserver-kubelet-client.key"));
    let settings = settings(&spec);
    let planned = renew(&host, &settings);
    let failed: BTreeMap<_, _> = planned.failed.iter().map(|f| (f.name, f.source.to_string())).collect();
    assert_eq!(
        failed.keys().copied().collect::<Vec<_>>(),
        ["admin.conf", "controller-manager.conf", "etcd-server", "scheduler.conf"]
    );
    assert_eq!(
        failed["admin.conf"],
        "invalid kubeConfig file /etc/kubernetes/admin.conf: missing context gone"
    );
    assert_eq!(
        failed["controller-manager.conf"],
        "kubeConfig file /etc/kubernetes/controller-manager.conf does not have an embedded client certificate"
    );
    assert!(failed["etcd-server"].starts_with("/etc/kubernetes/pki/etcd/server.crt: "), "{failed:?}");
    assert!(failed["scheduler.conf"].contains("expected a kubeconfig"), "{failed:?}");
    let said = host.output.said();
    let said = &said[said.len() - 7..];
    assert_eq!(
        said,
        [
            "MISSING! certificate for serving the Kubernetes API",
            "certificate the apiserver uses to access etcd renewed",
            "certificate for the API server to connect to kubelet renewed",
            "certificate for liveness probes to healthcheck etcd renewed",
            "certificate for etcd nodes to communicate with each other renewed",
            "Detected external front-proxy-ca, certificate for the front proxy client can't be renewed",
            "certificate embedded in the kubeconfig file for the super-admin renewed",
        ]
    );
    for base in ["apiserver-kubelet-client", "etcd/peer"] {
        let text = |ending: &str| host.files.text(format!("{PKI}/{base}.{ending}")).unwrap();
        let certificate = Certificate::from_pem(text("crt").as_bytes()).unwrap();
        let key = PrivateKey::from_pem(text("key").as_bytes()).unwrap();
        assert!(Pair { certificate, key }.fits(), "{base}");
    }
    // The same node, looked at.
    let found = survey(&settings, &*host.files).unwrap();
    let state = |name: &str| found.certificates.iter().find(|c| c.name == name).unwrap();
    assert_eq!(state("apiserver").state, State::Missing);
    assert!(matches!(&state("etcd-server").state, State::Unreadable(why) if why.contains("etcd/server.crt")));
    assert!(state("front-proxy-client").external && !state("etcd-peer").external);
    assert!(matches!(state("front-proxy-client").state, State::Until(_)));
    let authorities: Vec<_> = found.authorities.iter().map(|a| (a.name, a.external)).collect();
    assert_eq!(authorities, [("ca", false), ("etcd-ca", false), ("front-proxy-ca", true)]);
}

#[test]
fn an_authority_that_is_gone_or_not_its_own_is_named() {
    let spec = new_spec();
    let host = node(&spec);
    host.files.take(format!("{PKI}/etcd/ca.crt"));
    host.files.put(format!("{PKI}/ca.key"), host.files.text(format!("{PKI}/etcd/ca.key")).unwrap(), 0o600);
    let planned = plan(&host, &settings(&spec));
    assert_eq!(planned.renewed.iter().map(|item| item.name).collect::<Vec<_>>(), ["front-proxy-client"]);
    for failure in &planned.failed {
        let expected = match Managed::named(failure.name).unwrap().is_etcd() {
            true => matches!(failure.source, RenewalError::NoAuthority { .. }),
            false => matches!(failure.source, RenewalError::Authority(_)),
        };
        assert!(expected, "{failure}");
    }
}

#[test]
fn the_node_itself_tells_where_its_etcd_is() {
    let spec = new_spec();
    let host = node(&spec);
    let layout = &spec.layout;
    assert!(local_etcd(layout, &*host.files));
    // As the documentation has an external etcd: its authority and the API server's own pair below the usual names.
    for name in
        ["etcd/server.crt", "etcd/server.key", "etcd/ca.key", "etcd/peer.crt", "etcd/healthcheck-client.crt"]
    {
        host.files.take(format!("{PKI}/{name}"));
    }
    assert!(local_etcd(layout, &*host.files), "its manifest is still there");
    host.files.take("/etc/kubernetes/manifests/etcd.yaml");
    assert!(!local_etcd(layout, &*host.files));
    let settings = Settings { local_etcd: false, ..settings(&spec) };
    let names: Vec<_> = settings.certificates(&*host.files).iter().map(|item| item.name).collect();
    assert_eq!(
        names,
        [
            "admin.conf",
            "apiserver",
            "apiserver-kubelet-client",
            "controller-manager.conf",
            "front-proxy-client",
            "scheduler.conf",
            "super-admin.conf"
        ]
    );
    assert_eq!(survey(&settings, &*host.files).unwrap().authorities.len(), 2);
    // Nothing at all speaks for no etcd.
    assert!(local_etcd(layout, &*MemoryHost::default().files));
}

/// Only the first node has it, and who administrates it may have put it away (quirk Q38).
#[test]
fn a_node_without_super_admin_conf_lacks_nothing() {
    let spec = new_spec();
    let host = node(&spec);
    host.files.take("/etc/kubernetes/super-admin.conf");
    let settings = settings(&spec);
    let found = survey(&settings, &*host.files).unwrap();
    assert_eq!(found.certificates.len(), 10);
    assert!(found.certificates.iter().all(|c| matches!(c.state, State::Until(_))));
    let planned = renew(&host, &settings);
    assert_eq!((planned.renewed.len(), planned.failed.len()), (10, 0));
    assert!(!host.output.said().iter().any(|line| line.contains("MISSING!")));
}

/// Certificates between the old one and its authority lead from the new one too, unless the authority has changed.
#[test]
fn a_chain_stays_with_its_authority() {
    let spec = new_spec();
    let host = node(&spec);
    let path = format!("{PKI}/apiserver.crt");
    let chain = ca(&host, "front-proxy-ca").to_pem();
    host.files.put(&path, format!("{}{chain}", host.files.text(&path).unwrap()), 0o644);
    renew(&host, &settings(&spec));
    assert!(host.files.text(&path).unwrap().ends_with(&chain));
    let other = node(&spec);
    for name in ["ca.crt", "ca.key"] {
        let text = other.files.text(format!("{PKI}/{name}")).unwrap();
        let file =
            NewFile { path: format!("{PKI}/{name}").into(), content: text.into(), mode: 0o600, secret: true };
        host.files.write(&file).unwrap();
    }
    renew(&host, &settings(&spec));
    assert!(!host.files.text(&path).unwrap().ends_with(&chain));
    let pairs = pairs(&host);
    assert_eq!(pairs["apiserver"].certificate.verify(&[], &ca(&host, "ca"), host.machine.now()), Ok(()));
}

// --- restarts -------------------------------------------------------------------------------------------------

fn running(host: &MemoryHost, name: &str) -> Container {
    Container {
        id: name.into(),
        name: name.into(),
        pod: format!("{name}-cp1"),
        namespace: "kube-system".into(),
        image: format!("registry.k8s.io/{name}"),
        state: ContainerState::Running,
        exit_code: None,
        reason: String::new(),
        message: String::new(),
        // Long ago it has crashed a few times.
        attempt: 7,
        created: host.machine.now() - SignedDuration::from_hours(24 * 365),
        finished: None,
    }
}

const PODS: [&str; 4] = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];

/// A node whose static pods run.
fn running_node(spec: &InitSpec) -> MemoryHost {
    let host = node(spec);
    let containers = PODS.map(|name| running(&host, name));
    host.runtimes.runtime.set(|runtime| runtime.containers = containers.into());
    let written: Timestamp = host.machine.now() - SignedDuration::from_hours(24 * 366);
    for name in PODS {
        host.files.touch(format!("/etc/kubernetes/manifests/{name}.yaml"), written);
    }
    host
}

#[test]
fn static_pods_that_hold_old_certificates_are_restarted_one_after_the_other() {
    for version in ["v1.11.10", "v1.37.2"] {
        let spec = wish::init(version, "");
        let host = running_node(&spec);
        let settings = settings(&spec);
        let planned = renew(&host, &settings);
        let pods = affected(&planned.renewed, &settings, host.view());
        let names: Vec<_> = pods.iter().map(|pod| (pod.component, pod.certificates.len())).collect();
        assert_eq!(
            names,
            [("etcd", 2), ("kube-apiserver", 4), ("kube-controller-manager", 1), ("kube-scheduler", 1)]
        );
        let step = block_on(restart(&pods, host.view())).unwrap();
        let (effects, context) = (host.effects(), spec.context());
        block_on(Executor::new(&context, &effects).all(vec![step])).unwrap();
        let (stopped, containers) =
            host.runtimes.runtime.set(|runtime| (runtime.stopped.clone(), runtime.containers.clone()));
        assert_eq!(stopped, PODS);
        assert_eq!(containers.iter().filter(|c| c.state == ContainerState::Running).count(), 4);
        let said = host.output.said();
        let restarts: Vec<_> = said.iter().filter(|l| l.starts_with("[renew] Restarting")).collect();
        assert_eq!(restarts.len(), 4);
        assert!(
            said.iter().any(|l| l.starts_with("[control-plane-check] kube-scheduler is healthy")),
            "{said:?}"
        );
    }
}

#[test]
fn only_what_runs_here_with_what_was_renewed_is_restarted() {
    let spec = new_spec();
    let host = running_node(&spec);
    let settings = settings(&spec);
    let of = |names: &[&str]| -> Vec<String> {
        let items: Vec<_> = names.iter().map(|name| Managed::named(name).unwrap()).collect();
        let pods = affected(&items, &settings, host.view());
        pods.into_iter().map(|pod| pod.component.to_owned()).collect()
    };
    assert_eq!(of(&["admin.conf", "super-admin.conf", "etcd-healthcheck-client"]), [""; 0]);
    assert_eq!(of(&["scheduler.conf", "apiserver"]), ["kube-apiserver", "kube-scheduler"]);
    host.files.take("/etc/kubernetes/manifests/etcd.yaml");
    assert_eq!(of(&["etcd-server"]), [""; 0]);
}

#[test]
fn nothing_is_stopped_that_would_not_come_back() {
    let spec = new_spec();
    let host = running_node(&spec);
    let settings = settings(&spec);
    let pods = affected(&[Managed::named("apiserver").unwrap()], &settings, host.view());
    host.machine.set(|state| state.kubelet().state = ServiceState::Stopped);
    let error = block_on(restart(&pods, host.view())).unwrap_err();
    assert!(error.to_string().contains("the kubelet does not run"), "{error}");
    host.machine.set(|state| state.kubelet().state = ServiceState::Running);
    let manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml";
    let text = host.files.text(manifest).unwrap();
    host.files.put(manifest, text.replace("livenessProbe", "otherProbe"), 0o600);
    let error = block_on(restart(&pods, host.view())).unwrap_err();
    assert!(error.to_string().contains("kube-apiserver.yaml names no liveness probe"), "{error}");
    assert_eq!(host.runtimes.runtime.set(|runtime| runtime.stopped.clone()), [""; 0]);
}

#[test]
fn a_component_that_does_not_come_back_ends_the_run_with_its_cause() {
    let spec = new_spec();
    let host = running_node(&spec);
    let settings = settings(&spec);
    let planned = renew(&host, &settings);
    let pods = affected(&planned.renewed, &settings, host.view());
    let step = block_on(restart(&pods, host.view())).unwrap();
    host.runtimes.runtime.set(|runtime| {
        runtime.revives = false;
        runtime.log = vec!["{\"level\":\"fatal\",\"msg\":\"bind: address already in use\"}".into()];
    });
    // The old container is gone and nobody answers.
    host.machine.set(|state| state.refuse("http://127.0.0.1:2381/livez"));
    let (effects, context) = (host.effects(), spec.context());
    let before = host.machine.elapsed();
    let error = block_on(Executor::new(&context, &effects).all(vec![step])).unwrap_err();
    assert!(error.to_string().contains("etcd check failed at http://127.0.0.1:2381/livez"), "{error}");
    assert!(host.machine.elapsed() - before >= Duration::from_secs(240));
    // What depends on it was left alone.
    assert_eq!(host.runtimes.runtime.set(|runtime| runtime.stopped.clone()), ["etcd"]);
}

/// Old releases have etcd probed by a command: its container is what can be seen of it.
#[test]
fn an_etcd_that_cannot_be_asked_has_to_run() {
    let spec = wish::init("v1.13.12", "");
    let host = running_node(&spec);
    let settings = settings(&spec);
    let renewed = renew(&host, &settings).renewed;
    let renewed: Vec<_> = renewed.into_iter().filter(|item| item.name == "etcd-server").collect();
    let pods = affected(&renewed, &settings, host.view());
    let step = block_on(restart(&pods, host.view())).unwrap();
    host.runtimes.runtime.set(|runtime| runtime.revives = false);
    let (effects, context) = (host.effects(), spec.context());
    let error = block_on(Executor::new(&context, &effects).all(vec![step])).unwrap_err();
    assert!(error.to_string().contains("no container of etcd runs"), "{error}");
    assert!(error.to_string().contains("cause: etcd"), "{error}");
}

/// A component whose certificate has expired ends again and again, and the kubelet takes its time with it.
#[test]
fn what_has_ended_by_itself_is_made_anew_with_its_pod() {
    let spec = new_spec();
    let host = running_node(&spec);
    let settings = settings(&spec);
    host.runtimes.runtime.set(|runtime| {
        for container in runtime.containers.iter_mut().filter(|c| c.name != "etcd") {
            (container.state, container.finished) = (ContainerState::Exited, Some(container.created));
        }
    });
    let planned = renew(&host, &settings);
    let pods = affected(&planned.renewed, &settings, host.view());
    let step = block_on(restart(&pods, host.view())).unwrap();
    let (effects, context) = (host.effects(), spec.context());
    block_on(Executor::new(&context, &effects).all(vec![step])).unwrap();
    assert_eq!(
        host.runtimes.runtime.set(|runtime| runtime.stopped.clone()),
        ["etcd", "kube-apiserver-cp1", "kube-controller-manager-cp1", "kube-scheduler-cp1"]
    );
}

/// A component whose certificate has expired may have been made anew between the renewal and the restart.
#[test]
fn what_runs_with_the_new_certificates_already_is_not_stopped() {
    let spec = new_spec();
    let host = running_node(&spec);
    let settings = settings(&spec);
    let planned = renew(&host, &settings);
    let pods = affected(&planned.renewed, &settings, host.view());
    let step = block_on(restart(&pods, host.view())).unwrap();
    let later = host.machine.now() + SignedDuration::from_secs(1);
    host.runtimes.runtime.set(|runtime| {
        let scheduler = runtime.containers.iter_mut().find(|c| c.name == "kube-scheduler");
        scheduler.unwrap().created = later;
    });
    let (effects, context) = (host.effects(), spec.context());
    block_on(Executor::new(&context, &effects).all(vec![step])).unwrap();
    assert_eq!(host.runtimes.runtime.set(|runtime| runtime.stopped.clone()), PODS[..3]);
}

/// The first node of several whose certificates have all expired: its etcd finds no other that accepts it.
#[test]
fn without_a_majority_what_needs_etcd_is_restarted_but_not_waited_for() {
    let spec = new_spec();
    let host = running_node(&spec);
    let settings = settings(&spec);
    let planned = renew(&host, &settings);
    let pods = affected(&planned.renewed, &settings, host.view());
    let step = block_on(restart(&pods, host.view())).unwrap();
    host.machine.set(|state| {
        state.answer("http://127.0.0.1:2381/health", 503, r#"{"health":"false","reason":"RAFT NO LEADER"}"#);
        state.refuse("https://192.0.2.10:6443/livez");
    });
    let (effects, context) = (host.effects(), spec.context());
    let before = host.machine.elapsed();
    block_on(Executor::new(&context, &effects).all(vec![step])).unwrap();
    assert!(host.machine.elapsed() - before < Duration::from_secs(40));
    assert_eq!(host.runtimes.runtime.set(|runtime| runtime.stopped.clone()), PODS);
    let warned = host.output.warned();
    assert!(
        warned.last().unwrap().contains("renew the certificates of the other control-plane nodes too"),
        "{warned:?}"
    );
}

/// An upgrade renews what belongs to one component, whatever the rest is like.
#[test]
fn the_certificates_of_one_component_can_be_renewed_alone() {
    let spec = new_spec();
    let host = node(&spec);
    let settings = settings(&spec);
    let before = pairs(&host);
    let items: Vec<_> = Managed::of_component(Some("etcd")).collect();
    execute(&host, &Renewal::look(&items, &settings, host.view()).plan(host.view())).unwrap();
    for (name, pair) in pairs(&host) {
        assert_eq!(pair.certificate != before[name].certificate, name.starts_with("etcd-"), "{name}");
    }
}
