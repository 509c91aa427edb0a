//! `token create|list|delete` against a server.

use serde_json::{Value, json};

use super::api::ApiServer;
use super::env::TestEnv;

const TOKEN: &str = "abcdef.0123456789abcdef";

/// An environment whose `admin.conf` leads to a new server, with a CA made by kubeadm itself.
fn cluster() -> (TestEnv, ApiServer) {
    let env = TestEnv::new();
    let server = ApiServer::start();
    let pki = env.path("pki");
    env.line(&format!("init phase certs ca --cert-dir {}", pki.display())).ok();
    env.write("admin.conf", server.kubeconfig("pki/ca.crt"));
    (env, server)
}

#[test]
fn tokens_are_created_listed_and_deleted() {
    let (env, server) = cluster();
    let created =
        env.line(&format!("token create {TOKEN} --ttl 2h --description first --kubeconfig admin.conf"));
    assert_eq!(created.ok(), format!("{TOKEN}\n"));
    let again = env.line(&format!("token create {TOKEN} --kubeconfig admin.conf")).fails();
    assert!(again.starts_with("error: a token with id \"abcdef\" already exists\n"), "{again}");
    let random =
        env.line("token create --ttl 0 --groups system:bootstrappers:a --kubeconfig admin.conf").ok();
    assert_eq!(server.names().len(), 2);

    let table = env.line("token list --kubeconfig admin.conf").ok();
    let lines: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 3, "{table}");
    let row = lines.iter().find(|l| l[0] == TOKEN).unwrap();
    assert!(
        ["119m", "2h", "1h"].contains(&row[1]) && row[3..5] == ["authentication,signing", "first"],
        "{table}"
    );
    let row = lines.iter().find(|l| l[0] == random.trim()).unwrap();
    assert_eq!(
        row[1..],
        ["<forever>", "<never>", "authentication,signing", "<none>", "system:bootstrappers:a"]
    );

    let out = env.line(&format!("token delete {TOKEN} --kubeconfig admin.conf")).ok();
    assert_eq!(out, "bootstrap token \"abcdef\" deleted\n");
    let gone = env.line("token delete abcdef --kubeconfig admin.conf").fails();
    assert!(
        gone.contains(
            "failed to delete bootstrap token \"abcdef\": secrets \"bootstrap-token-abcdef\" not found"
        ),
        "{gone}"
    );
    let half = env.line(&format!("token delete {} NOPE --kubeconfig admin.conf", random.trim())).fails();
    assert!(half.contains("given token didn't match pattern"), "{half}");
    assert_eq!(server.names().len(), 1);
}

#[test]
fn lists_have_forms_for_programs() {
    let (mut env, server) = cluster();
    env.line(&format!("token create {TOKEN} --ttl 0 --kubeconfig admin.conf")).ok();
    server.put("bootstrap-token-broken", json!({"metadata": {"name": "bootstrap-token-broken"}, "data": {}}));
    let admin = env.path("admin.conf").display().to_string();
    env.set("KUBECONFIG", format!("/nowhere:{admin}"));
    let ran = env.line("token list -o json");
    assert_eq!(ran.stderr, "bootstrap Token Secret has no token-id data: bootstrap-token-broken\n");
    let text = ran.ok();
    assert!(text.starts_with(
        "{\n    \"kind\": \"BootstrapToken\",\n    \"apiVersion\": \"output.kubeadm.k8s.io/v1alpha3\",\n"
    ));
    let object: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&object["token"], object.get("expires")), (&json!(TOKEN), None));
    assert_eq!(object["groups"], json!(["system:bootstrappers:kubeadm:default-node-token"]));
    let yaml = env.line("token list -o yaml").ok();
    assert!(yaml.starts_with("apiVersion: output.kubeadm.k8s.io/v1alpha3\ngroups:\n"), "{yaml}");
}

#[test]
fn the_join_command_is_one_line() {
    let (env, server) = cluster();
    let line = format!("token create {TOKEN} --print-join-command --kubeconfig admin.conf");
    let text = env.line(&line).ok();
    assert!(text.starts_with("kubeadm join http://127.0.0.1:"), "{text}");
    assert!(text.contains(&format!(" --token {TOKEN} --discovery-token-ca-cert-hash sha256:")), "{text}");
    assert!(text.ends_with(" \n") && text.lines().count() == 1, "{text:?}");
    env.line("token delete abcdef --kubeconfig admin.conf").ok();
    let text = env.line(&format!("{line} --certificate-key 00ff")).ok();
    assert!(text.ends_with(" --control-plane --certificate-key 00ff\n"), "{text:?}");
    assert_eq!(server.names(), ["bootstrap-token-abcdef"]);
}

#[test]
fn a_dry_run_creates_and_deletes_nothing() {
    let (env, server) = cluster();
    let out = env.line(&format!("token create {TOKEN} --dry-run --kubeconfig admin.conf")).ok();
    assert!(out.contains("[dryrun] Would perform action CREATE on resource \"secrets\""), "{out}");
    assert!(server.names().is_empty());
    env.line(&format!("token create {TOKEN} --kubeconfig admin.conf")).ok();
    let out = env.line("token delete abcdef --dry-run --kubeconfig admin.conf").ok();
    assert!(out.ends_with("bootstrap token \"abcdef\" deleted\n"), "{out}");
    assert_eq!(server.names(), ["bootstrap-token-abcdef"]);
}

#[test]
fn tokens_of_a_file_are_all_created() {
    let (env, server) = cluster();
    env.write(
        "c.yaml",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 192.0.2.10}\n\
         bootstrapTokens:\n- token: ghijkl.ghijkl0123456789\n- token: abcdef.0123456789abcdef\n",
    );
    let text = env.line("token create --config c.yaml --kubeconfig admin.conf").ok();
    assert_eq!(text, "ghijkl.ghijkl0123456789\n");
    assert_eq!(server.names(), ["bootstrap-token-abcdef", "bootstrap-token-ghijkl"]);
    let error = env.line("token create --config c.yaml --ttl 1h --kubeconfig admin.conf").fails();
    assert!(error.starts_with("error: can not mix '--config' with arguments [ttl]\n"), "{error}");
    let error = env.line("token create --usages nope --kubeconfig admin.conf").fails();
    assert!(error.contains("usages"), "{error}");
}
