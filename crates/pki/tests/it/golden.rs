//! Every certificate and kubeconfig file of the recorded runs, made anew and compared as facts. The facts are
//! read with another parser than the crate's own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use der::oid::AssociatedOid;
use der::{Decode as _, Encode as _};
use jiff::Timestamp;
use kubeadm_pki::inventory::{
    CERTIFICATES, Dates, Endpoint, InventoryFacts, SanInputs, client_request, kubeconfigs,
};
use kubeadm_pki::kubeconfig::{Cluster, Kubeconfig, KubeconfigForm, User};
use kubeadm_pki::{CertForm, Certificate, KeyAlgorithm, KeySource as _, PrivateKey, issue, self_signed_ca};
use serde_json::{Map, Value, json};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};

use crate::support::{DAY, NEW, OLD, SameKeys, now};

const V1_11: InventoryFacts = InventoryFacts {
    same_ca_name: true,
    kubelet_client_organization: Some("system:masters"),
    etcd_client_organization: Some("system:masters"),
    etcd_server_advertised: false,
    admin_organization: "system:masters",
    super_admin: false,
    component_endpoint: Endpoint::ControlPlane,
    kubelet_endpoint: Endpoint::ControlPlane,
};
const V1_12: InventoryFacts = InventoryFacts { same_ca_name: false, ..V1_11 };
const V1_13: InventoryFacts = InventoryFacts { etcd_server_advertised: true, ..V1_12 };
const V1_36: InventoryFacts = InventoryFacts {
    kubelet_client_organization: None,
    etcd_client_organization: None,
    admin_organization: "kubeadm:cluster-admins",
    super_admin: true,
    component_endpoint: Endpoint::Local,
    kubelet_endpoint: Endpoint::Local,
    ..V1_13
};

/// What a recorded run was told, as far as certificates depend on it.
#[derive(Clone, Copy)]
struct Case {
    minor: u32,
    name: &'static str,
    facts: InventoryFacts,
    form: CertForm,
    algorithm: KeyAlgorithm,
    ca_days: i64,
    leaf_days: i64,
    service_address: &'static str,
    advertise_address: &'static str,
    dns_domain: &'static str,
    cluster_name: &'static str,
    control_plane_host: Option<&'static str>,
    api_server: &'static [&'static str],
    etcd_server: &'static [&'static str],
    etcd_peer: &'static [&'static str],
}

const fn case(minor: u32, name: &'static str, facts: InventoryFacts, form: CertForm) -> Case {
    Case {
        minor,
        name,
        facts,
        form,
        algorithm: KeyAlgorithm::Rsa2048,
        ca_days: 3650,
        leaf_days: 365,
        service_address: "10.96.0.1",
        advertise_address: "192.0.2.10",
        dns_domain: "cluster.local",
        cluster_name: "kubernetes",
        control_plane_host: None,
        api_server: &[],
        etcd_server: &[],
        etcd_peer: &[],
    }
}

const EXTRA: &[&str] = &["API.Example.COM", "198.51.100.7", "lb.example.com"];

fn cases() -> Vec<Case> {
    let (mut all, new) = (Vec::new(), |minor, name| case(minor, name, V1_36, NEW));
    all.push(case(11, "flags-defaults", V1_11, OLD));
    all.push(case(12, "flags-defaults", V1_12, OLD));
    all.push(Case {
        service_address: "10.20.0.1",
        dns_domain: "legacy.local",
        cluster_name: "legacy",
        control_plane_host: Some("legacy.example.com"),
        api_server: &["legacy.example.com"],
        ..case(12, "config-full", V1_12, OLD)
    });
    all.push(case(13, "flags-defaults", V1_13, OLD));
    all.push(Case { api_server: EXTRA, ..case(13, "flags-extra-sans", V1_13, OLD) });
    all.push(Case {
        service_address: "10.20.0.1",
        dns_domain: "prod.local",
        cluster_name: "prod",
        control_plane_host: Some("api.prod.example.com"),
        api_server: &["prod.example.com", "203.0.113.4"],
        ..case(13, "v1beta1-full", V1_13, OLD)
    });
    all.push(Case {
        etcd_server: &["etcd.example.com"],
        etcd_peer: &["192.0.2.77"],
        ..case(13, "v1beta1-etcd-local", V1_13, OLD)
    });
    for minor in [36, 37] {
        all.push(new(minor, "flags-defaults"));
        all.push(Case { api_server: EXTRA, ..new(minor, "flags-extra-sans") });
        all.push(Case {
            advertise_address: "2001:db8::10",
            service_address: "fd00:10:96::1",
            ..new(minor, "flags-ipv6")
        });
        all.push(Case { control_plane_host: Some("api.example.com"), ..new(minor, "flags-ha") });
        all.push(Case {
            etcd_server: &["etcd.example.com", "198.51.100.9"],
            etcd_peer: &["peer.example.com"],
            ..new(minor, "config-etcd-local")
        });
        all.push(Case {
            service_address: "10.20.0.1",
            dns_domain: "prod.local",
            cluster_name: "prod",
            control_plane_host: Some("api.prod.example.com"),
            api_server: &["Prod.Example.com", "203.0.113.4"],
            ..new(minor, "config-full")
        });
        all.push(Case {
            algorithm: KeyAlgorithm::EcdsaP256,
            ca_days: 1825,
            leaf_days: 90,
            ..new(minor, "config-ecdsa-validity")
        });
        all.push(Case { algorithm: KeyAlgorithm::Rsa4096, ..new(minor, "config-rsa-4096") });
    }
    all
}

/// What a run of the crate makes for a case: certificates and keys by file name, and kubeconfig files.
fn make(case: Case) -> (BTreeMap<String, Value>, BTreeMap<String, Value>) {
    let key = SameKeys.generate(case.algorithm).unwrap();
    let public = key.public_key().unwrap();
    let strings = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<String>>();
    let (api_server, etcd_server, etcd_peer) =
        (strings(case.api_server), strings(case.etcd_server), strings(case.etcd_peer));
    let inputs = SanInputs {
        node_name: "cp1",
        dns_domain: case.dns_domain,
        service_address: case.service_address.parse().unwrap(),
        advertise_address: case.advertise_address.parse().unwrap(),
        control_plane_host: case.control_plane_host,
        api_server: &api_server,
        etcd_server: &etcd_server,
        etcd_peer: &etcd_peer,
    };
    let key_facts = json!({"mode": "0o600", "pem": first_line(&key.to_pem().unwrap())});
    let mut pki = BTreeMap::new();
    let mut authorities: BTreeMap<&str, Certificate> = BTreeMap::new();
    for spec in &CERTIFICATES {
        let ca = spec.parent.map(|parent| &authorities[parent]);
        let days = if spec.is_ca() { case.ca_days } else { case.leaf_days };
        let dates = Dates { now: now(), period_seconds: days * DAY, ca };
        let request = spec.request(&case.facts, case.form, "cp1", spec.sans.sans(&case.facts, inputs), dates);
        let certificate = match ca {
            None => self_signed_ca(&request, &key, case.form),
            Some(ca) => issue(&request, &public, ca, &key, case.form),
        }
        .unwrap();
        if let Some(ca) = ca {
            assert_eq!(certificate.verify(&[], ca, now()), Ok(()), "{}", spec.name);
        }
        let mut facts = facts(&certificate);
        facts["mode"] = json!("0o644");
        pki.insert(format!("{}.crt", spec.base), facts);
        pki.insert(format!("{}.key", spec.base), key_facts.clone());
        if spec.is_ca() {
            authorities.insert(spec.name, certificate);
        }
    }
    pki.insert("sa.key".to_owned(), key_facts);
    pki.insert("sa.pub".to_owned(), json!({"mode": "0o600", "pem": first_line(&public.to_pem())}));
    (pki, make_kubeconfigs(case, &authorities["ca"], &key))
}

fn make_kubeconfigs(case: Case, ca: &Certificate, key: &PrivateKey) -> BTreeMap<String, Value> {
    let bracketed = |host: &str| if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let local = format!("https://{}:6443", bracketed(case.advertise_address));
    let shared = case.control_plane_host.map_or_else(|| local.clone(), |h| format!("https://{h}:6443"));
    kubeconfigs(&case.facts)
        .into_iter()
        .map(|spec| {
            let dates = Dates { now: now(), period_seconds: case.leaf_days * DAY, ca: Some(ca) };
            let request = spec.request(case.form, "cp1", dates);
            // An authority made in the same run begins as its leaves do.
            assert_eq!(request.validity.not_before, ca.not_before());
            let certificate = issue(&request, &key.public_key().unwrap(), ca, key, case.form).unwrap();
            let server = match spec.endpoint {
                Endpoint::ControlPlane => &shared,
                Endpoint::Local => &local,
            };
            let user = User::with_certificate(&certificate, key).unwrap();
            let config = Kubeconfig::new(
                case.cluster_name,
                Cluster::new(server, std::slice::from_ref(ca)),
                &request.common_name,
                user,
            );
            let form = KubeconfigForm { empty_preferences: case.minor < 34, null_lists: case.minor >= 17 };
            let read = Kubeconfig::parse(&config.to_yaml(form), spec.file).unwrap();
            (spec.file.to_owned(), kubeconfig_facts(&read, ca))
        })
        .collect()
}

fn first_line(pem: &str) -> String {
    pem.lines().next().unwrap_or_default().to_owned()
}

/// A certificate in the words of `pki.json`.
fn facts(certificate: &Certificate) -> Value {
    let read = x509_cert::Certificate::from_der(certificate.der()).unwrap();
    assert_eq!(read.to_der().unwrap(), certificate.der(), "written as DER demands");
    let tbs = read.tbs_certificate();
    let mut facts = Map::new();
    facts.insert("subject".into(), tbs.subject().to_string().into());
    facts.insert("issuer".into(), tbs.issuer().to_string().into());
    let seconds = |t: &x509_cert::time::Time| t.to_unix_duration().as_secs_f64();
    let days = (seconds(&tbs.validity().not_after) - seconds(&tbs.validity().not_before)) / 86_400.0;
    facts.insert("validityDays".into(), ((days * 100.0).round() / 100.0).into());
    facts.insert("backdatedSeconds".into(), Value::Null);
    let key = certificate.public_key().kind().to_string();
    facts.insert("key".into(), key.replace("ECDSA-P256", "ECDSA-secp256r1").into());
    facts.insert("version".into(), "v3".into());
    assert_eq!(tbs.version(), x509_cert::certificate::Version::V3);
    assert_eq!(certificate.version(), 3);
    let method = read.signature_algorithm().oid.to_string();
    assert!(["1.2.840.113549.1.1.11", "1.2.840.10045.4.3.2"].contains(&method.as_str()), "{method}");
    facts.insert("signature".into(), "sha256".into());
    for extension in tbs.extensions().unwrap() {
        let (oid, critical, value) = (extension.extn_id, extension.critical, extension.extn_value.as_bytes());
        if oid == SubjectAltName::OID {
            let names = SubjectAltName::from_der(value).unwrap().0;
            facts.insert("san".into(), names.iter().map(san).collect());
            assert!(!critical);
        } else if oid == KeyUsage::OID {
            let usage = KeyUsage::from_der(value).unwrap().0;
            let is: Vec<&str> = usage
                .into_iter()
                .map(|u| match u {
                    KeyUsages::DigitalSignature => "digital_signature",
                    KeyUsages::KeyEncipherment => "key_encipherment",
                    KeyUsages::KeyCertSign => "key_cert_sign",
                    _ => "other",
                })
                .collect();
            facts.insert("keyUsage".into(), json!({"critical": critical, "is": is}));
        } else if oid == ExtendedKeyUsage::OID {
            let usages = ExtendedKeyUsage::from_der(value).unwrap().0;
            let name = |oid: &der::oid::ObjectIdentifier| match oid.to_string().as_str() {
                "1.3.6.1.5.5.7.3.1" => "serverAuth",
                "1.3.6.1.5.5.7.3.2" => "clientAuth",
                _ => "other",
            };
            facts.insert("extKeyUsage".into(), usages.iter().map(name).collect());
        } else if oid == BasicConstraints::OID {
            let basic = BasicConstraints::from_der(value).unwrap();
            facts.insert(
                "basicConstraints".into(),
                json!({"ca": basic.ca, "critical": critical, "pathLength": basic.path_len_constraint}),
            );
        } else {
            let name = match oid.to_string().as_str() {
                "2.5.29.14" => "subjectKeyIdentifier",
                "2.5.29.35" => "authorityKeyIdentifier",
                _ => "other",
            };
            let others = facts.entry("otherExtensions").or_insert_with(|| json!([]));
            others.as_array_mut().unwrap().push(name.into());
        }
    }
    facts.into()
}

fn san(name: &GeneralName) -> Value {
    match name {
        GeneralName::DnsName(name) => format!("DNSName:{name}"),
        GeneralName::IpAddress(octets) => {
            let octets = octets.as_bytes();
            let ip = <[u8; 4]>::try_from(octets)
                .map(std::net::IpAddr::from)
                .unwrap_or_else(|_| std::net::IpAddr::from(<[u8; 16]>::try_from(octets).unwrap()));
            format!("IPAddress:{ip}")
        }
        other => format!("{other:?}"),
    }
    .into()
}

fn kubeconfig_facts(config: &Kubeconfig, ca: &Certificate) -> Value {
    let cluster = config.current_cluster().unwrap();
    assert_eq!(cluster.authorities().unwrap(), std::slice::from_ref(ca));
    let user = config.current_user().unwrap();
    let decode = |data: &Option<String>| {
        base64::engine::general_purpose::STANDARD.decode(data.as_ref().unwrap()).unwrap()
    };
    let certificate = Certificate::from_pem(&decode(&user.client_certificate_data)).unwrap();
    let key = String::from_utf8(decode(&user.client_key_data)).unwrap();
    let context = &config.contexts[0];
    json!({
        "clusters": [{
            "name": config.clusters[0].name,
            "cluster": {"certificate-authority-data": "<ca certificate>", "server": cluster.server},
        }],
        "contexts": [{
            "name": context.name,
            "context": {"cluster": context.context.cluster, "user": context.context.user},
        }],
        "currentContext": config.current_context,
        "mode": "0o600",
        "users": [{
            "name": config.users[0].name,
            "certificate": facts(&certificate),
            "user": {
                "client-certificate-data": "<certificate>",
                "client-key-data": first_line(&key),
            },
        }],
    })
}

fn recorded(case: Case, file: &str) -> BTreeMap<String, Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../fixtures/golden/kubeadm-1.{}/init/{}/{file}", case.minor, case.name));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

fn compare(case: Case, made: &BTreeMap<String, Value>, wanted: &BTreeMap<String, Value>) {
    let place = format!("kubeadm-1.{}/{}", case.minor, case.name);
    let names = |map: &BTreeMap<String, Value>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(made), names(wanted), "{place}");
    for (name, facts) in made {
        assert_eq!(facts, &wanted[name], "{place}: {name}");
    }
}

#[test]
fn every_recorded_certificate_and_kubeconfig_is_made_alike() {
    for case in cases() {
        let (pki, kubeconfigs) = make(case);
        compare(case, &pki, &recorded(case, "pki.json"));
        compare(case, &kubeconfigs, &recorded(case, "kubeconfig.json"));
    }
}

/// What the recordings round away: spec of 1.37, section 8.2, and of 1.13, section 5.1.
#[test]
fn dates_and_serials_follow_the_form() {
    let key = SameKeys.generate(KeyAlgorithm::EcdsaP256).unwrap();
    let late: Timestamp = now() + jiff::SignedDuration::from_secs(3 * DAY);
    for (form, start, leaf_start) in [
        (NEW, now() - jiff::SignedDuration::from_mins(5), late - jiff::SignedDuration::from_mins(5)),
        (OLD, now(), now()),
    ] {
        let request = crate::support::request("kubernetes", form.validity(now(), 10 * DAY, None));
        let ca = self_signed_ca(&request, &key, form).unwrap();
        assert_eq!(ca.not_before(), start);
        assert_eq!(ca.not_after(), now() + jiff::SignedDuration::from_secs(10 * DAY));
        assert_eq!(ca.serial() == [0], !form.random_ca_serial);
        assert_eq!(ca.authority_key_id(), None);

        let request = crate::support::request("leaf", form.validity(late, DAY, Some(&ca)));
        let leaf = issue(&request, &key.public_key().unwrap(), &ca, &key, form).unwrap();
        assert_eq!(leaf.not_before(), leaf_start);
        // So do the clients of kubeconfig files, however old their authority is.
        let dates = Dates { now: late, period_seconds: DAY, ca: Some(&ca) };
        assert_eq!(client_request("user", &[], form, dates).validity.not_before, leaf_start);
        assert_eq!(leaf.not_after(), late + jiff::SignedDuration::from_secs(DAY));
        assert_ne!(leaf.serial(), [0]);
        assert!(leaf.serial().len() <= 8);
        assert_eq!(leaf.authority_key_id(), ca.subject_key_id());
        assert_eq!(leaf.subject_key_id(), None);
    }
}
