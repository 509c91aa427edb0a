//! The API client against a server of made-up answers.

use std::collections::BTreeMap;
use std::path::Path;

use kubeadm_engine::ports::{Access, ApiError, Cluster, Selector, WriteCluster};
use kubeadm_engine::resource::{CONFIG_MAPS, NODES, SECRETS};
use kubeadm_host::cluster::HostCluster;
use serde_json::json;

use crate::server::{Reply, Seen, Server, reply};

fn kubeconfig(path: &Path, server: &str) {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: k\n  cluster:\n    server: {server}\n\
         contexts:\n- name: c\n  context: {{cluster: k, user: u}}\nusers:\n- name: u\n  user:\n    token: t0ken\n"
    );
    std::fs::write(path, text).unwrap();
}

fn status(code: u16, reason: &str, name: &str) -> Reply {
    let status = json!({
        "kind": "Status", "reason": reason, "message": format!("{name}: {reason}"), "code": code,
        "details": { "name": name },
    });
    reply(code, status.to_string())
}

fn answer(seen: &Seen) -> Reply {
    match seen.line.as_str() {
        "GET /api/v1/namespaces/kube-system/configmaps/absent" => status(404, "NotFound", "absent"),
        "GET /api/v1/namespaces/kube-system/configmaps/secret" => status(403, "Forbidden", "secret"),
        "GET /api/v1/namespaces/kube-system/configmaps/unknown" => status(401, "Unauthorized", "unknown"),
        "GET /api/v1/nodes/n" => reply(200, r#"{"kind":"Node","metadata":{"name":"n"}}"#),
        "POST /api/v1/namespaces/kube-system/configmaps" => status(409, "AlreadyExists", "c"),
        "PUT /api/v1/namespaces/kube-system/configmaps/c" => status(409, "Conflict", "c"),
        "PATCH /api/v1/nodes/n" => reply(200, seen.body.clone()),
        "DELETE /api/v1/namespaces/kube-system/secrets/absent" => status(404, "NotFound", "absent"),
        "DELETE /api/v1/namespaces/kube-system/secrets/s" => reply(200, r#"{"kind":"Status"}"#),
        "GET /livez" => reply(200, "ok"),
        line if line.starts_with("GET /api/v1/namespaces/kube-system/secrets?") => {
            reply(200, r#"{"kind":"SecretList","items":[{"metadata":{"name":"s"}}]}"#)
        }
        _ => reply(404, "404 page not found"),
    }
}

#[tokio::test]
async fn requests_and_answers() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::plain(answer).await;
    let path = dir.path().join("admin.conf");
    kubeconfig(&path, &format!("http://{}", server.address));
    let cluster = HostCluster::new(&BTreeMap::new());
    let api = cluster.writer(&Access::new(path.clone()));

    assert_eq!(api.get(CONFIG_MAPS, "kube-system", "absent").await.unwrap(), None);
    let forbidden = api.get(CONFIG_MAPS, "kube-system", "secret").await.unwrap_err();
    assert!(matches!(&forbidden, ApiError::Forbidden(m) if m == "secret: Forbidden"), "{forbidden:?}");
    let unauthorized = api.get(CONFIG_MAPS, "kube-system", "unknown").await.unwrap_err();
    assert!(unauthorized.to_string().contains(path.to_str().unwrap()), "{unauthorized}");
    assert_eq!(api.get(NODES, "", "n").await.unwrap().unwrap()["metadata"]["name"], "n");
    let unknown = api.get(NODES, "", "unknown").await.unwrap_err();
    assert!(matches!(unknown, ApiError::NotFound(m) if m == "404 page not found"));

    let map = json!({"kind": "ConfigMap", "metadata": {"name": "c", "namespace": "kube-system"}});
    assert!(matches!(api.create(CONFIG_MAPS, &map).await, Err(ApiError::AlreadyExists(_))));
    assert!(matches!(api.update(CONFIG_MAPS, &map).await, Err(ApiError::Conflict(_))));
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(api.patch(NODES, "", "n", &patch).await.unwrap(), patch);
    assert!(!api.delete(SECRETS, "kube-system", "absent").await.unwrap());
    assert!(api.delete(SECRETS, "kube-system", "s").await.unwrap());
    assert_eq!(api.get_path("/livez").await.unwrap(), "ok");
    let selector = Selector { labels: None, fields: Some("type=bootstrap.kubernetes.io/token".into()) };
    let secrets = api.list(SECRETS, "kube-system", &selector).await.unwrap();
    assert_eq!(secrets, [json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}})]);

    let seen = server.seen();
    assert!(seen.iter().all(|s| s.authorization == "Bearer t0ken"));
    let kinds: BTreeMap<_, _> =
        seen.iter().map(|s| (s.line.split(' ').next().unwrap(), &*s.content_type)).collect();
    assert_eq!(kinds["PATCH"], "application/strategic-merge-patch+json");
    assert_eq!((kinds["POST"], kinds["PUT"]), ("application/json", "application/json"));
    assert_eq!(
        seen.last().unwrap().line,
        "GET /api/v1/namespaces/kube-system/secrets?fieldSelector=type%3Dbootstrap.kubernetes.io%2Ftoken"
    );
}

#[tokio::test]
async fn the_kubeconfig_may_appear_and_change() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.conf");
    let access = Access::new(path.clone());
    let cluster = HostCluster::new(&BTreeMap::new());
    let api = cluster.reader(&access);
    let error = api.get_path("/livez").await.unwrap_err();
    let expected = format!("failed to load kubeconfig {}: no such file or directory", path.display());
    assert_eq!(error.to_string(), expected);

    std::fs::write(&path, "kind: Config\nclusters: 7\n").unwrap();
    assert!(matches!(api.get_path("/livez").await, Err(ApiError::Kubeconfig { .. })));

    let (one, two) =
        (Server::plain(|_| reply(200, "one")).await, Server::plain(|_| reply(200, "two is longer")).await);
    kubeconfig(&path, &format!("http://{}", one.address));
    assert_eq!(api.get_path("/livez").await.unwrap(), "one");
    assert_eq!(api.get_path("/livez").await.unwrap(), "one");
    // Another length: the file's time may not differ yet.
    kubeconfig(&path, &format!("http://{}/", two.address));
    assert_eq!(api.get_path("/livez").await.unwrap(), "two is longer");

    let elsewhere = Access { server: Some(format!("http://{}", one.address)), ..access };
    assert_eq!(cluster.reader(&elsewhere).get_path("/livez").await.unwrap(), "one");
}

#[tokio::test]
async fn nobody_listens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.conf");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    kubeconfig(&path, &format!("https://127.0.0.1:{port}"));
    let api = HostCluster::new(&BTreeMap::new()).reader(&Access::new(path));
    let error = api.get_path("/livez").await.unwrap_err();
    assert!(error.is_transient());
    let url = format!("https://127.0.0.1:{port}/livez");
    assert_eq!(
        error.to_string(),
        format!("Get {url:?}: dial tcp 127.0.0.1:{port}: connect: connection refused")
    );
}

#[tokio::test]
async fn a_stranger_and_a_name_that_leads_nowhere_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.conf");
    let server = Server::tls(|_| reply(200, "ok")).await;
    for (host, known) in [(server.address.to_string(), true), ("nobody.invalid:6443".into(), false)] {
        kubeconfig(&path, &format!("https://{host}"));
        let api = HostCluster::new(&BTreeMap::new()).reader(&Access::new(path.clone()));
        let error = api.get_path("/livez").await.unwrap_err();
        assert!(matches!(error, ApiError::Untrusted(_)) == known, "{error:?}");
        assert!(matches!(error, ApiError::UnknownHost(_)) != known, "{error:?}");
        assert_eq!(error.is_transient(), !known);
    }
}
