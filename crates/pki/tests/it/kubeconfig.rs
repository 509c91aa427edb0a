//! Reading, writing and judging kubeconfig files.

use kubeadm_pki::Certificate;
use kubeadm_pki::kubeconfig::{
    Cluster, Expected, Kubeconfig, KubeconfigError, KubeconfigForm, User, validate_existing,
};
use proptest::prelude::*;

use crate::support::{Ca, DAY, NEW as NEW_FORM, now, request};

const NEW: KubeconfigForm = KubeconfigForm { empty_preferences: false, null_lists: true };
const OLD: KubeconfigForm = KubeconfigForm { empty_preferences: true, null_lists: false };

fn cluster(server: &str, ca: &Certificate) -> Cluster {
    Cluster::new(server, std::slice::from_ref(ca))
}

fn data(certificate: &Certificate) -> String {
    cluster("", certificate).certificate_authority_data.unwrap()
}

#[test]
fn a_token_file_is_written_as_client_go_does() {
    let ca = Ca::new("kubernetes").certificate;
    let user = User::with_token("abcdef.0123456789abcdef");
    let config = Kubeconfig::new("kubernetes", cluster("https://192.0.2.10:6443", &ca), "jane", user);
    let text = config.to_yaml(NEW);
    assert_eq!(
        *text,
        format!(
            "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    \
             server: https://192.0.2.10:6443\n  name: kubernetes\ncontexts:\n- context:\n    cluster: kubernetes\n    \
             user: jane\n  name: jane@kubernetes\ncurrent-context: jane@kubernetes\nkind: Config\nusers:\n- name: jane\n  \
             user:\n    token: abcdef.0123456789abcdef\n",
            data(&ca)
        )
    );
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
}

/// The text of `cluster-info` in the recordings of 1.37 and 1.13.
#[test]
fn empty_lists_have_the_form_of_the_release() {
    let ca = Ca::new("kubernetes").certificate;
    let head = format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {}\n    \
         server: https://192.0.2.10:6443\n  name: \"\"\n",
        data(&ca)
    );
    let new = format!("{head}contexts: null\ncurrent-context: \"\"\nkind: Config\nusers: null\n");
    let old =
        format!("{head}contexts: []\ncurrent-context: \"\"\nkind: Config\npreferences: {{}}\nusers: []\n");
    for text in [&new, &old] {
        let config = Kubeconfig::parse(text, "text").unwrap();
        assert_eq!(*config.to_yaml(NEW), new);
        assert_eq!(*config.to_yaml(OLD), old);
    }
}

#[test]
fn unknown_fields_are_kept() {
    let text = "apiVersion: v1\nclusters:\n- cluster:\n    proxy-url: http://p\n    server: https://h:6443\n  name: c\n\
        contexts:\n- context:\n    cluster: c\n    namespace: prod\n    user: u\n  name: x\ncurrent-context: x\n\
        extensions:\n- extension:\n    a: 1\n  name: e\nkind: Config\npreferences:\n  colors: true\n\
        users:\n- name: u\n  user:\n    exec:\n      command: login\n";
    assert_eq!(*Kubeconfig::parse(text, "text").unwrap().to_yaml(NEW), text);
}

#[test]
fn only_the_current_users_certificate_and_its_authorities_are_renewed() {
    let ca = Ca::new("kubernetes");
    let (certificate, key) = ca.issue(&request("jane", NEW_FORM.validity(now(), DAY, None)));
    let text = format!(
        "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: YQ==\n    proxy-url: http://p\n    \
         server: https://h:6443\n  name: c\n- cluster:\n    certificate-authority-data: Yg==\n    server: https://o\n  \
         name: other\ncontexts:\n- context:\n    cluster: c\n    namespace: prod\n    user: u\n  name: x\n\
         current-context: x\nkind: Config\nusers:\n- name: u\n  user:\n    client-certificate-data: {}\n    \
         client-key-data: Yw==\n- name: other\n  user:\n    token: t\n",
        data(&certificate)
    );
    let mut config = Kubeconfig::parse(&text, "text").unwrap();
    assert_eq!(config.current_user().unwrap().certificates().unwrap(), std::slice::from_ref(&certificate));
    let two = format!("{}{}", ca.certificate.to_pem(), certificate.to_pem());
    config.renew(&ca.certificate.to_pem(), &key, &two).unwrap();
    assert_eq!(config.current_cluster().unwrap().authorities().unwrap().len(), 2);
    let user = config.current_user().unwrap().clone();
    let expected = text
        .replace("YQ==", config.current_cluster().unwrap().certificate_authority_data.as_ref().unwrap())
        .replace(
            &format!("certificate-data: {}", data(&certificate)),
            &format!("certificate-data: {}", data(&ca.certificate)),
        )
        .replace("Yw==", user.client_key_data.as_ref().unwrap());
    assert_eq!(*config.to_yaml(NEW), expected);

    // Authorities that are named are the user's own choice.
    let named = text.replace("certificate-authority-data: YQ==", "certificate-authority: /k/ca.crt");
    let mut config = Kubeconfig::parse(&named, "text").unwrap();
    config.renew(&ca.certificate.to_pem(), &key, &two).unwrap();
    assert_eq!(config.current_cluster().unwrap().certificate_authority_data, None);
}

#[test]
fn other_files_are_refused_without_showing_secrets() {
    for (text, wanted) in [
        ("kind: Pod\napiVersion: v1\n", "no kind \"Pod\" is registered for version \"v1\""),
        ("clusters: x\n", "expected a sequence"),
        ("users:\n- user: {token: [hunter2]}\n", "expected a string"),
        ("a: b: c\n", ""),
    ] {
        let error = Kubeconfig::parse(text, "f.conf").unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert_eq!(Kubeconfig::parse("", "empty"), Ok(Kubeconfig::default()));
}

#[test]
fn existing_files_are_judged_by_their_first_authority() {
    let (ours, other) = (Ca::new("kubernetes").certificate, Ca::new("kubernetes").certificate);
    let expected = |server| Expected { authorities: std::slice::from_ref(&ours), server };
    let read = |_: &str| Err("no such file or directory".to_owned());
    let judge = |text: &str| validate_existing("/k/admin.conf", text, expected("https://a:6443"), read);
    let file = |ca: &Certificate| {
        Kubeconfig::new("kubernetes", cluster("https://a:6443", ca), "u", User::with_token("t")).to_yaml(NEW)
    };

    assert_eq!(judge(&file(&ours)), Ok(Vec::new()));
    assert_eq!(
        validate_existing("/k/admin.conf", &file(&ours), expected("https://b:6443"), read).unwrap(),
        ["a kubeconfig file \"/k/admin.conf\" exists already but has an unexpected API Server URL: \
            expected: https://b:6443, got: https://a:6443"]
    );
    let texts = |result: Result<Vec<String>, KubeconfigError>| result.unwrap_err().to_string();
    assert_eq!(
        texts(judge(&file(&other))),
        "a kubeconfig file \"/k/admin.conf\" exists but does not contain a trusted CA in its current context's \
         cluster. Total CA certificates found: 1"
    );
    assert_eq!(
        texts(judge(&file(&ours).replace("current-context: u@kubernetes", "current-context: gone"))),
        "failed to find CurrentContext in Contexts of the kubeconfig file /k/admin.conf"
    );
    assert_eq!(
        texts(judge(&file(&ours).replace("    cluster: kubernetes", "    cluster: gone"))),
        "failed to find the given CurrentContext Cluster in Clusters of the kubeconfig file /k/admin.conf"
    );
    assert_eq!(
        texts(judge(&file(&ours).replace(&data(&ours), "bm90IGEgY2VydGlmaWNhdGU="))),
        "the kubeconfig file \"/k/admin.conf\" contains an invalid CA cert"
    );
    assert!(
        texts(judge("clusters: x"))
            .starts_with("failed to load kubeconfig file /k/admin.conf that already exists on disk: ")
    );

    let by_name = file(&ours)
        .replace(&format!("certificate-authority-data: {}", data(&ours)), "certificate-authority: /k/ca.crt");
    assert!(texts(judge(&by_name)).contains("failed to load CA cert from \"/k/ca.crt\": no such file"));
    let found = validate_existing("/k/admin.conf", &by_name, expected("https://a:6443"), |path| {
        assert_eq!(path, "/k/ca.crt");
        Ok(ours.to_pem().into_bytes())
    });
    assert_eq!(found, Ok(Vec::new()));
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
        let _ = Kubeconfig::parse(&text, "text");
    }

    #[test]
    fn names_of_any_kind_survive(name in "\\PC{0,20}", user in "\\PC{0,20}", token in "\\PC{0,20}") {
        let ca = Certificate::from_pem(include_bytes!("../data/two-units-ca.crt")).unwrap();
        let config = Kubeconfig::new(&name, cluster("https://h", &ca), &user, User::with_token(&token));
        let read = Kubeconfig::parse(&config.to_yaml(NEW), "text").unwrap();
        prop_assert_eq!(read, config);
    }
}
