//! GET requests and proxies.

use std::collections::BTreeMap;
use std::time::Duration;

use kubeadm_engine::ports::{HttpGet, HttpTrust, Net};
use kubeadm_host::net::HostNet;

use crate::server::{CERTIFICATE, KEY, Reply, Server, reply};

fn request(url: String, trust: HttpTrust) -> HttpGet {
    HttpGet { url, timeout: Duration::from_secs(20), proxy: false, trust }
}

fn net(env: &[(&str, &str)]) -> HostNet {
    HostNet::new(&env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<BTreeMap<_, _>>())
}

#[tokio::test]
async fn follows_redirects_but_not_for_ever() {
    let server = Server::plain(|seen| match seen.line.as_str() {
        "GET /release/stable.txt" => {
            Reply { status: 302, location: Some("/cdn/stable.txt".into()), body: String::new() }
        }
        "GET /cdn/stable.txt" => reply(200, "v1.37.2\n"),
        _ => Reply { status: 307, location: Some("loop".into()), body: String::new() },
    })
    .await;
    let url = |path| format!("http://{}{path}", server.address);
    let answer = net(&[]).get(&request(url("/release/stable.txt"), HttpTrust::System)).await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "v1.37.2\n"));
    let error = net(&[]).get(&request(url("/loop"), HttpTrust::System)).await.unwrap_err();
    assert_eq!(error.reason, format!("Get {:?}: stopped after 10 redirects", url("/loop")));
}

#[tokio::test]
async fn a_closed_port_is_refused_in_gos_words() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/healthz");
    let error = net(&[]).get(&request(url.clone(), HttpTrust::Unverified)).await.unwrap_err();
    assert!(error.refused);
    let expected = format!("Get {url:?}: dial tcp 127.0.0.1:{port}: connect: connection refused");
    assert_eq!(error.reason, expected);
}

#[tokio::test]
async fn silence_ends_with_the_limit() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let mut request = request(url, HttpTrust::Unverified);
    request.timeout = Duration::from_millis(50);
    let error = net(&[]).get(&request).await.unwrap_err();
    assert!(!error.refused && error.reason.contains("context deadline exceeded"), "{}", error.reason);
}

#[tokio::test]
async fn trust() {
    let server = Server::tls(|_| reply(200, "ok")).await;
    let url = format!("https://{}/healthz", server.address);
    let get = async |trust| net(&[]).get(&request(url.clone(), trust)).await;
    let by_ca = |ca: &[u8]| HttpTrust::Mutual { ca: Some(ca.to_vec()), identity: None };
    assert_eq!(get(HttpTrust::Unverified).await.unwrap().body, "ok");
    assert_eq!(get(by_ca(CERTIFICATE)).await.unwrap().body, "ok");
    let with_identity =
        HttpTrust::Mutual { ca: Some(CERTIFICATE.into()), identity: Some((CERTIFICATE.into(), KEY.into())) };
    assert_eq!(get(with_identity).await.unwrap().body, "ok");
    assert!(get(HttpTrust::System).await.unwrap_err().reason.contains("invalid peer certificate"));
    assert!(get(by_ca(b"nothing")).await.unwrap_err().reason.ends_with("no certificate found"));
}

#[tokio::test]
async fn proxies_get_the_whole_url() {
    let proxy = Server::plain(|_| reply(200, "from the proxy")).await;
    let address = format!("http://user:pass@{}", proxy.address);
    let net = net(&[("http_proxy", &address), ("no_proxy", "10.0.0.0/8")]);
    let mut request = request("http://dl.example/stable.txt".into(), HttpTrust::System);
    request.proxy = true;
    assert_eq!(net.get(&request).await.unwrap().body, "from the proxy");
    assert_eq!(proxy.lines(), ["GET http://dl.example/stable.txt"]);
    assert_eq!(net.proxy_for("http://dl.example/").as_deref(), Some(address.as_str()));
    assert_eq!(net.proxy_for("http://10.1.2.3:1234"), None);
}
