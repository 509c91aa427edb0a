//! `certs` and `kubeconfig user`: what comes out, as openssl sees it. What is decided how is tested in the engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use kubeadm_pki::{CertForm, CertificateRequest, KeyAlgorithm, PrivateKey, Validity, self_signed_ca};
use serde_json::Value;

use super::api::ApiServer;
use super::env::TestEnv;

/// Runs openssl, which must succeed, and returns what it prints.
fn openssl(line: &str) -> String {
    let output =
        Command::new("openssl").args(line.split_whitespace()).output().expect("these tests need openssl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "openssl {line}\n{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A configuration with quick keys, of a cluster whose certificates are in `pki`.
fn configuration(pki: &Path, more: &str) -> String {
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {{advertiseAddress: 192.0.2.10}}\n\
         nodeRegistration: {{name: cp1}}\n---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n\
         certificatesDir: {}\nencryptionAlgorithm: ECDSA-P256\nkubernetesVersion: v1.37.2\n{more}",
        pki.display()
    )
}

/// An environment with a configuration `c.yaml` and the certificates of a control plane in `pki`.
fn with_pki(more: &str) -> (TestEnv, PathBuf) {
    let env = TestEnv::new();
    let pki = env.path("pki");
    env.write("c.yaml", configuration(&pki, more));
    env.line("init phase certs all --config c.yaml").ok();
    (env, pki)
}

fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(contents(&path)),
            false => drop(all.insert(path.clone(), std::fs::read(path).unwrap())),
        }
    }
    all
}

const LEAVES: [(&str, &str, &str); 7] = [
    ("apiserver", "apiserver", "ca"),
    ("apiserver-etcd-client", "apiserver-etcd-client", "etcd/ca"),
    ("apiserver-kubelet-client", "apiserver-kubelet-client", "ca"),
    ("etcd-healthcheck-client", "etcd/healthcheck-client", "etcd/ca"),
    ("etcd-peer", "etcd/peer", "etcd/ca"),
    ("etcd-server", "etcd/server", "etcd/ca"),
    ("front-proxy-client", "front-proxy-client", "front-proxy-ca"),
];

#[test]
fn each_certificate_is_renewed_with_its_key() {
    let (env, pki) = with_pki("");
    let names = "-subject -ext subjectAltName,extendedKeyUsage,keyUsage,basicConstraints";
    let (dir, config) = (pki.display(), "--config c.yaml");
    for (name, base, ca) in LEAVES {
        let said = openssl(&format!("x509 -in {dir}/{base}.crt -noout {names}"));
        let before = contents(&pki);
        let ran = env.line(&format!("certs renew {name} {config}"));
        let out = ran.ok();
        let first = out.lines().next().unwrap();
        assert!(first.starts_with("certificate ") && first.ends_with(" renewed"), "{out}");
        let after = contents(&pki);
        let changed: Vec<&PathBuf> =
            after.iter().filter(|(p, c)| before[*p] != **c).map(|(p, _)| p).collect();
        assert_eq!(changed, [&pki.join(format!("{base}.crt")), &pki.join(format!("{base}.key"))]);
        openssl(&format!("verify -CAfile {dir}/{ca}.crt {dir}/{base}.crt"));
        assert_eq!(
            openssl(&format!("x509 -in {dir}/{base}.crt -noout -pubkey")),
            openssl(&format!("pkey -in {dir}/{base}.key -pubout"))
        );
        assert_eq!(openssl(&format!("x509 -in {dir}/{base}.crt -noout {names}")), said);
    }
    assert_eq!(contents(&pki).len(), 22);
}

/// A default of `--cert-dir` replaces nothing (quirk Q34), and neither the cluster nor its version is in the way.
#[test]
fn the_cluster_tells_where_its_certificates_are() {
    let (env, pki) = with_pki("");
    let server = ApiServer::start();
    env.write("admin.conf", server.kubeconfig("pki/ca.crt"));
    let reading = "[renew] Reading configuration from the \"kubeadm-config\" ConfigMap in namespace \"kube-system\"...\n\
        [renew] Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it.\n";
    let renew = "certs renew front-proxy-client --kubeconfig admin.conf";

    let out = env.line(renew).ok();
    let nothing = "[renew] Error reading configuration from the Cluster. Falling back to default configuration\n\n\
        MISSING! certificate for the front proxy client\n";
    assert_eq!(out, format!("{reading}{nothing}"));
    let out = env.line(&format!("{renew} --cert-dir pki")).ok();
    assert!(out.ends_with("certificate for the front proxy client renewed\n"), "{out}");

    // A minor that this build makes no cluster of.
    server.keep(&format!(
        "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\nkubernetesVersion: v1.25.3\ncertificatesDir: {}\n",
        pki.display()
    ));
    let before = contents(&pki);
    let out = env.line(renew).ok();
    assert_eq!(out, format!("{reading}\ncertificate for the front proxy client renewed\n"));
    assert_ne!(contents(&pki), before);
    // Its keys are as they were, for that configuration says nothing of them.
    let key = openssl(&format!("pkey -in {}/front-proxy-client.key -noout -text", pki.display()));
    assert!(key.contains("P-256"), "{key}");

    let error = env.line("certs renew etcd-server --config external.yaml").fails();
    assert!(error.starts_with("error: unable to read config from \"external.yaml\" : "), "{error}");
    let external =
        "etcd: {external: {endpoints: ['https://192.0.2.20:2379'], caFile: /a, certFile: /b, keyFile: /c}}\n";
    env.write("external.yaml", configuration(&pki, external));
    let error = env.line("certs renew etcd-server --config external.yaml").fails();
    assert!(error.starts_with("error: etcd-server is not a valid certificate for this cluster: "), "{error}");
    let out = env.line("certs check-expiration --config external.yaml").ok();
    assert!(!out.contains("etcd"), "{out}");
}

#[test]
fn the_period_of_the_configuration_counts_and_must_be_one() {
    let (env, pki) = with_pki("");
    env.write("short.yaml", configuration(&pki, "certificateValidityPeriod: 48h\n"));
    env.line("certs renew apiserver --config short.yaml").ok();
    let out = env.line("certs check-expiration --config c.yaml").ok();
    assert!(out.lines().any(|l| l.starts_with("apiserver   ") && l.contains(" 47h ")), "{out}");
    env.write("wrong.yaml", configuration(&pki, "certificateValidityPeriod: 0s\n"));
    let before = contents(&pki);
    let error = env.line("certs renew all --config wrong.yaml").fails();
    assert!(error.starts_with("error: certificateValidityPeriod: Invalid value: \"0s\": "), "{error}");
    env.write("wrong.yaml", configuration(&pki, "").replace("ECDSA-P256", "ECDSA"));
    let error = env.line("certs renew all --config wrong.yaml").fails();
    assert!(
        error.starts_with("error: encryptionAlgorithm: unknown encryption algorithm \"ECDSA\""),
        "{error}"
    );
    assert_eq!(contents(&pki), before);
}

#[test]
fn a_file_that_cannot_be_replaced_costs_its_own_certificate_only() {
    let (env, pki) = with_pki("");
    let key = pki.join("apiserver.key");
    std::fs::remove_file(&key).unwrap();
    std::fs::create_dir(&key).unwrap();
    let before = contents(&pki);
    let ran = env.line("certs renew all --config c.yaml");
    assert!(ran.stdout.contains("certificate for the front proxy client renewed\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains("certificate for serving the Kubernetes API"), "{}", ran.stdout);
    let words =
        format!("error: failed to renew certificate apiserver: rename {}: is a directory\n", key.display());
    assert!(ran.fails().starts_with(&words));
    let after = contents(&pki);
    let (crt, other) = (pki.join("apiserver.crt"), pki.join("front-proxy-client.crt"));
    assert!(after[&crt] == before[&crt] && after[&other] != before[&other]);
}

#[test]
fn expiration_has_forms_for_people_and_programs() {
    let (env, pki) = with_pki("");
    std::fs::remove_file(pki.join("etcd/peer.crt")).unwrap();
    std::fs::remove_file(pki.join("front-proxy-ca.key")).unwrap();
    std::fs::write(pki.join("apiserver.crt"), "nonsense").unwrap();
    let ran = env.line("certs check-expiration --config c.yaml");
    assert!(ran.stderr.contains("the certificate apiserver can't be read: "), "{}", ran.stderr);
    let out = ran.ok();
    let rows: Vec<&str> = out.lines().collect();
    assert!(rows[0].starts_with("CERTIFICATE   ") && rows[0].ends_with("   EXTERNALLY MANAGED"), "{out}");
    assert!(rows.iter().any(|r| r.trim_end() == "!MISSING! etcd-peer"), "{out}");
    assert!(rows.iter().any(|r| r.trim_end() == "!INVALID! apiserver"), "{out}");
    assert!(rows.iter().any(|r| r.starts_with("front-proxy-client ") && r.ends_with(" yes     ")), "{out}");
    // Ten rows under a title, an empty line, three under another: super-admin.conf is no loss.
    assert_eq!(rows.len(), 1 + 10 + 1 + 1 + 3, "{out}");

    let ran = env.line("certs check-expiration --config c.yaml -o json");
    let object: Value = serde_json::from_str(&ran.ok()).unwrap();
    assert_eq!(object["apiVersion"], "output.kubeadm.k8s.io/v1alpha3");
    let find = |name: &str| -> Value {
        let all = object["certificates"].as_array().unwrap();
        all.iter().find(|c| c["name"] == name).unwrap().clone()
    };
    assert_eq!(
        find("etcd-peer"),
        serde_json::json!({"name": "etcd-peer", "expirationDate": null, "residualTime": 0, "externallyManaged": false, "missing": true})
    );
    let client = find("apiserver-kubelet-client");
    assert_eq!((&client["caName"], &client["missing"]), (&Value::from("ca"), &Value::from(false)));
    assert!((31_535_000..=31_536_000).contains(&client["residualTime"].as_i64().unwrap()), "{client}");
    let yaml = env.line("certs check-expiration --config c.yaml -o yaml").ok();
    assert!(
        yaml.starts_with("apiVersion: output.kubeadm.k8s.io/v1alpha3\ncertificateAuthorities:\n- "),
        "{yaml}"
    );
    let error = env.line("certs check-expiration -o go-template").fails();
    assert!(error.contains("allowed formats are: json,text,yaml"), "{error}");
}

/// A node of its own: kubeconfig files lie in `/etc/kubernetes` wherever certificates do.
#[test]
fn everything_on_a_node_is_renewed_at_once() {
    let env = TestEnv::new();
    let root = env.path("root");
    std::fs::create_dir_all(root.join("etc/kubernetes/manifests")).unwrap();
    std::fs::write(root.join("c.yaml"), configuration(Path::new("/etc/kubernetes/pki"), "")).unwrap();
    for phase in ["certs all", "kubeconfig all"] {
        env.line_in(&root, &format!("init phase {phase} --config /c.yaml")).ok();
    }
    let etc = root.join("etc/kubernetes");
    std::fs::write(etc.join("manifests/etcd.yaml"), "kind: Pod\n").unwrap();
    // The kubelet's own certificate is not kubeadm's to renew, but to be told of.
    let kubelet = root.join("var/lib/kubelet/pki");
    std::fs::create_dir_all(&kubelet).unwrap();
    std::fs::write(kubelet.join("kubelet-client-current.pem"), expired()).unwrap();
    let before = contents(&etc);
    let ran = env.line_in(&root, "certs renew all --config /c.yaml");
    assert!(
        ran.stderr.contains("has expired on 2001-01-01T00:00:00Z")
            && ran.stderr.contains("--client-name system:node:cp1 --org system:nodes"),
        "{}",
        ran.stderr
    );
    let out = ran.ok();
    let done = "\n\nDone renewing certificates. You must restart the kube-apiserver, kube-controller-manager, \
        kube-scheduler and etcd, so that they can use the new certificates.\n\nThese static Pods of this node still run \
        with the certificates they had before:\n  etcd: etcd-peer, etcd-server\nWith '--restart' they are restarted, one \
        after the other, once their certificates are renewed.\n";
    assert!(out.ends_with(done), "{out}");
    assert_eq!(out.lines().filter(|line| line.ends_with(" renewed")).count(), 11, "{out}");
    let after = contents(&etc);
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let same: Vec<&str> = after
        .iter()
        .filter(|(path, content)| before[*path] == **content)
        .map(|(path, _)| path.strip_prefix(&etc).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        same,
        [
            "kubelet.conf",
            "manifests/etcd.yaml",
            "pki/ca.crt",
            "pki/ca.key",
            "pki/etcd/ca.crt",
            "pki/etcd/ca.key",
            "pki/front-proxy-ca.crt",
            "pki/front-proxy-ca.key",
            "pki/sa.key",
            "pki/sa.pub"
        ]
    );
    // The client certificate of a kubeconfig, taken out for openssl.
    let admin = std::fs::read_to_string(etc.join("admin.conf")).unwrap();
    let client = env.write("client.crt", embedded(&admin, "client-certificate-data"));
    let key = env.write("client.key", embedded(&admin, "client-key-data"));
    openssl(&format!("verify -purpose sslclient -CAfile {}/pki/ca.crt {}", etc.display(), client.display()));
    assert_eq!(
        openssl(&format!("x509 -in {} -noout -pubkey", client.display())),
        openssl(&format!("pkey -in {} -pubout", key.display()))
    );
    // Nothing is stopped, and nothing renewed, where nobody would tell that it is back.
    let error = env.line_in(&root, "certs renew all --config /c.yaml --restart").fails();
    assert!(error.starts_with("error: cannot "), "{error}");
    assert_eq!(contents(&etc), after);
}

/// A certificate of the last year of a millennium.
fn expired() -> String {
    let key = PrivateKey::generate(KeyAlgorithm::EcdsaP256).unwrap();
    let request = CertificateRequest {
        common_name: "system:node:cp1".into(),
        organizations: vec!["system:nodes".into()],
        dns_names: Vec::new(),
        ips: Vec::new(),
        usages: Vec::new(),
        validity: Validity {
            not_before: "2000-01-01T00:00:00Z".parse().unwrap(),
            not_after: "2001-01-01T00:00:00Z".parse().unwrap(),
        },
    };
    let form = CertForm {
        random_ca_serial: true,
        ca_san: false,
        leaf_basic_constraints: true,
        distinct_sans: true,
        back_dated_seconds: None,
    };
    self_signed_ca(&request, &key, form).unwrap().to_pem()
}

fn embedded(kubeconfig: &str, field: &str) -> Vec<u8> {
    use base64::Engine as _;
    let field = format!("{field}: ");
    let data = kubeconfig.lines().find_map(|line| line.trim().strip_prefix(&field)).unwrap();
    base64::engine::general_purpose::STANDARD.decode(data).unwrap()
}

#[test]
fn signing_requests_are_made_all_or_none() {
    let env = TestEnv::new();
    let (pki, dir) = (env.path("k/pki"), env.path("k"));
    env.write("c.yaml", configuration(Path::new("/elsewhere"), "apiServer: {certSANs: [api.example.com]}\n"));
    let line = format!(
        "certs generate-csr --config c.yaml --cert-dir {} --kubeconfig-dir {}",
        pki.display(),
        dir.display()
    );
    let ran = env.line(&line);
    assert_eq!(ran.stderr, "");
    assert_eq!(
        ran.ok(),
        format!(
            "generating keys and CSRs in {}\n  apiserver\n  apiserver-kubelet-client\n  front-proxy-client\n  etcd/server\n  \
             etcd/peer\n  etcd/healthcheck-client\n  apiserver-etcd-client\ngenerating keys and CSRs in {}\n  admin.conf\n  \
             super-admin.conf\n  kubelet.conf\n  controller-manager.conf\n  scheduler.conf\n",
            pki.display(),
            dir.display()
        )
    );
    let made = contents(&dir);
    assert_eq!(made.len(), 2 * (7 + 5));
    for path in made.keys() {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
            0o600,
            "{}",
            path.display()
        );
        if path.extension().unwrap() == "csr" {
            openssl(&format!("req -in {} -noout -verify", path.display()));
        }
    }
    let text = openssl(&format!("req -in {}/apiserver.csr -noout -text -nameopt RFC2253", pki.display()));
    assert!(text.contains("Subject: CN=kube-apiserver\n") && text.contains("DNS:api.example.com"), "{text}");
    let text = openssl(&format!("req -in {}/admin.conf.csr -noout -subject -nameopt RFC2253", dir.display()));
    assert_eq!(text.trim(), "subject=CN=kubernetes-admin,O=kubeadm:cluster-admins");
    let admin = std::fs::read_to_string(dir.join("admin.conf")).unwrap();
    assert!(!admin.contains("certificate") && admin.contains("server: https://192.0.2.10:6443"));

    // One file that exists is enough for nothing to be made.
    for path in made.keys().filter(|path| !path.ends_with("scheduler.conf.csr")) {
        std::fs::remove_file(path).unwrap();
    }
    let error = env.line(&line).fails();
    let there = dir.join("scheduler.conf.csr");
    assert!(error.starts_with(&format!("error: file already exists: csr: {}\n", there.display())), "{error}");
    assert_eq!(contents(&dir).into_keys().collect::<Vec<_>>(), [there]);
}

#[test]
fn certificate_keys_are_keys() {
    let env = TestEnv::new();
    let keys = [(); 2].map(|()| env.line("certs certificate-key").ok());
    assert_ne!(keys[0], keys[1]);
    for key in keys {
        assert!(
            key.len() == 65 && key.trim_end().bytes().all(|b| b"0123456789abcdef".contains(&b)),
            "{key:?}"
        );
    }
}

#[test]
fn a_user_gets_a_certificate_of_its_own() {
    let (env, pki) = with_pki("controlPlaneEndpoint: lb.example.com\nclusterName: prod\n");
    let ran = env
        .line("kubeconfig user --client-name jane --org b --org a,c --config c.yaml --validity-period 48h");
    assert_eq!(ran.stderr, "");
    let text = ran.ok();
    assert!(
        text.ends_with("\n\n") && text.contains("\n    server: https://lb.example.com:6443\n  name: prod\n"),
        "{text}"
    );
    assert!(text.contains("\ncurrent-context: jane@prod\n"), "{text}");
    let client = env.write("client.crt", embedded(&text, "client-certificate-data"));
    let client = client.display();
    openssl(&format!("verify -purpose sslclient -CAfile {}/ca.crt {client}", pki.display()));
    openssl(&format!("x509 -in {client} -noout -checkend 172000"));
    let subject = openssl(&format!("x509 -in {client} -noout -subject -nameopt RFC2253,-dn_rev"));
    assert_eq!(subject.trim(), "subject=O=a+O=b+O=c,CN=jane");
    assert_eq!(embedded(&text, "certificate-authority-data"), std::fs::read(pki.join("ca.crt")).unwrap());

    let ran = env.line("kubeconfig user --client-name jane --config c.yaml --validity-period 9000h");
    assert!(
        ran.stderr.contains("WARNING: the specified certificate validity period 9000h0m0s is longer than the default duration 8760h0m0s, this may increase security risks."),
        "{}",
        ran.stderr
    );
    for (flags, words) in [
        ("", "required flag(s) \"client-name\" not set"),
        ("--client-name x --validity-period 0s", "it must be at least one second"),
        ("--client-name x --validity-period=-1h", "it must be at least one second"),
        ("--client-name x extra", "unknown command \"extra\" for \"kubeadm kubeconfig user\""),
    ] {
        let ran = env.line(&format!("kubeconfig user --config c.yaml {flags}"));
        assert_eq!(ran.stdout, "", "{flags}");
        assert!(ran.fails().contains(words), "{flags}");
    }

    // Whoever has a token needs no signature, and so no key.
    std::fs::remove_file(pki.join("ca.key")).unwrap();
    let text = env.line("kubeconfig user --client-name jane --token secret --config c.yaml").ok();
    assert!(text.contains("\n    token: secret\n") && !text.contains("client-"), "{text}");
    let error = env.line("kubeconfig user --client-name jane --config c.yaml").fails();
    assert!(error.contains("ca.key does not exist"), "{error}");
}

#[test]
fn groups_ask_for_a_command_or_show_what_there_is() {
    let env = TestEnv::new();
    for line in ["certs", "certificates renew"] {
        let ran = env.line(line);
        assert!(ran.stdout.contains("Commands:"), "{}", ran.stdout);
        assert!(ran.fails().starts_with("error: subcommand is required\n"));
    }
    let help = env.line("kubeconfig").ok();
    assert!(help.contains("Output a kubeconfig file for an additional user"), "{help}");
    let help = env.line("certs renew --help").ok();
    assert!(help.contains("super-admin.conf"), "{help}");
}

#[test]
fn the_names_of_2018_do_the_same() {
    let env = TestEnv::new();
    let pki = env.path("pki");
    env.write("c.yaml", configuration(&pki, ""));
    env.line("alpha phase certs all --config c.yaml").ok();
    let made = contents(&pki);
    assert!(made.contains_key(&pki.join("etcd/healthcheck-client.crt")));
    env.line(&format!("alpha certs renew apiserver --cert-dir {}", pki.display())).ok();
    let changed = contents(&pki).into_iter().filter(|(path, content)| made.get(path) != Some(content));
    assert_eq!(
        changed.map(|(path, _)| path).collect::<Vec<_>>(),
        [pki.join("apiserver.crt"), pki.join("apiserver.key")]
    );
    let kubeconfig = env.line("alpha kubeconfig user --client-name ann --config c.yaml").ok();
    assert!(kubeconfig.contains("name: ann"), "{kubeconfig}");
}
