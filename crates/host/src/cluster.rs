//! The API server, through `kube`: its kubeconfig reader, credentials and TLS, with plain requests for objects as they
//! are. No watches and no streaming lists (servers before 1.27 leave those hanging), no server-side apply (unknown to
//! servers before 1.16).

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Method, Request};
use http_body_util::BodyExt;
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kubeadm_engine::ports::{
    Access, Api, ApiError, Cluster, KubeconfigSource, Selector, WriteApi, WriteCluster,
};
use kubeadm_engine::resource::Resource;
use serde_json::{Value, json};
use tower::{BoxError, ServiceBuilder};

use crate::answer::{self, object_is_missing};
use crate::connect::{Connector, cause, is_distrust, is_unknown_host};
use crate::files::words;
use crate::get::AGENT;
use crate::proxy::Proxies;
use crate::query::encoded;
use crate::tls;

/// Limit of one request, as upstream sets it on its clients.
const REQUEST_LIMIT: Duration = Duration::from_secs(10);

const JSON: &str = "application/json";
const STRATEGIC_MERGE: &str = "application/strategic-merge-patch+json";

/// Clients of API servers, one for each way of access.
pub struct HostCluster {
    proxies: Proxies,
    clients: Mutex<HashMap<Access, Arc<KubeApi>>>,
}

impl HostCluster {
    /// Clients that honour the proxies of these variables.
    pub fn new(env: &std::collections::BTreeMap<String, String>) -> Self {
        Self { proxies: Proxies::from_env(env), clients: Mutex::default() }
    }

    fn client(&self, access: &Access) -> Arc<KubeApi> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let new =
            || KubeApi { access: access.clone(), proxies: self.proxies.clone(), loaded: Mutex::default() };
        Arc::clone(clients.entry(access.clone()).or_insert_with(|| Arc::new(new())))
    }
}

impl Cluster for HostCluster {
    fn reader(&self, access: &Access) -> Arc<dyn Api> {
        self.client(access)
    }
}

impl WriteCluster for HostCluster {
    fn writer(&self, access: &Access) -> Arc<dyn WriteApi> {
        self.client(access)
    }
}

/// One way of access. The kubeconfig is read at the first request, and again whenever its file is another one.
struct KubeApi {
    access: Access,
    proxies: Proxies,
    loaded: Mutex<Option<(Version, Connection)>>,
}

/// A client, and the server it speaks to.
#[derive(Clone)]
struct Connection {
    client: kube::Client,
    server: String,
}

/// Tells one version of a file from the next: device and inode, size, time of change.
type Version = (u64, u64, u64, i64, i64);

impl KubeApi {
    async fn connection(&self) -> Result<Connection, ApiError> {
        let version = match &self.access.kubeconfig {
            KubeconfigSource::File(path) => version_of(path).map_err(|e| self.unusable(words(&e)))?,
            KubeconfigSource::Text(_) => Version::default(),
        };
        let loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((known, connection)) = loaded
            && known == version
        {
            return Ok(connection);
        }
        let connection = self.load().await?;
        *self.loaded.lock().unwrap_or_else(PoisonError::into_inner) = Some((version, connection.clone()));
        Ok(connection)
    }

    async fn load(&self) -> Result<Connection, ApiError> {
        let parsed = match &self.access.kubeconfig {
            KubeconfigSource::File(path) => Kubeconfig::read_from(path),
            KubeconfigSource::Text(text) => Kubeconfig::from_yaml(text),
        };
        let parsed = parsed.map_err(|e| self.bad(&e))?;
        let mut config = kube::Config::from_custom_kubeconfig(parsed, &KubeConfigOptions::default())
            .await
            .map_err(|e| self.bad(&e))?;
        if let Some(server) = &self.access.server {
            config.cluster_url = server
                .parse()
                .map_err(|e| self.unusable(format!("the server {server:?} is not a URL: {e}")))?;
        }
        let proxies = config.proxy_url.take().map_or_else(|| self.proxies.clone(), Proxies::always);
        // An error only means that it is installed already.
        let _ = tls::provider().as_ref().clone().install_default();
        let broken = |e: kube::Error| self.bad(&e);
        let https = config.rustls_https_connector_with_connector(Connector::new(proxies)).map_err(broken)?;
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(config.auth_layer().map_err(broken)?)
            .layer(config.extra_headers_layer().map_err(broken)?)
            .map_err(BoxError::from)
            .service(legacy::Client::builder(TokioExecutor::new()).build::<_, Body>(https));
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        Ok(Connection { client: kube::Client::new(service, config.default_namespace), server })
    }

    fn unusable(&self, reason: String) -> ApiError {
        let path = self.access.kubeconfig.path().to_owned();
        ApiError::Kubeconfig { path, reason }
    }

    fn bad(&self, error: &(dyn std::error::Error + 'static)) -> ApiError {
        match error.downcast_ref::<KubeconfigError>() {
            // The system's words alone; the path is named already.
            Some(KubeconfigError::ReadConfig(e, _)) => self.unusable(words(e)),
            _ => self.unusable(chain(error)),
        }
    }

    /// Sends a request and reads the whole answer: its status and body.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        content: Option<(&str, Vec<u8>)>,
    ) -> Result<(u16, String), ApiError> {
        let Connection { client, server } = self.connection().await?;
        let told = |reason: &str| {
            let method = method.as_str();
            let verb = format!("{}{}", &method[..1], method[1..].to_lowercase());
            format!("{verb} \"{server}{path}\": {reason}")
        };
        let failed = |error: &(dyn std::error::Error + 'static)| {
            let text = told(&cause(error).0);
            match error {
                _ if is_unknown_host(error) => ApiError::UnknownHost(text),
                _ if is_distrust(error) => ApiError::Untrusted(text),
                _ => ApiError::Unreachable(text),
            }
        };
        let mut request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(ACCEPT, JSON)
            .header(USER_AGENT, AGENT);
        let body = content.map_or_else(Vec::new, |(kind, body)| {
            request = std::mem::take(&mut request).header(CONTENT_TYPE, kind);
            body
        });
        let request = request.body(Body::from(body)).map_err(|e| ApiError::Invalid(e.to_string()))?;
        let exchange = async {
            let response = client.send(request).await.map_err(|e| failed(&e))?;
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.map_err(|e| failed(&e))?;
            Ok((status, String::from_utf8_lossy(&body.to_bytes()).into_owned()))
        };
        let answer = tokio::time::timeout(REQUEST_LIMIT, exchange)
            .await
            .unwrap_or_else(|_| Err(ApiError::Unreachable(told("context deadline exceeded"))));
        // Neither bodies nor headers: both hold secrets.
        match &answer {
            Ok((status, _)) => tracing::trace!("{method} {server}{path} {status}"),
            Err(error) => tracing::trace!("{method} {server}{path} {error}"),
        }
        match answer {
            Ok((status @ 401, body)) => Err(ApiError::Unauthorized {
                kubeconfig: self.access.kubeconfig.path().to_owned(),
                message: answer::reason_and_message(status, &body).1,
            }),
            other => other,
        }
    }

    /// Sends an object and reads one.
    async fn send(&self, method: Method, path: &str, kind: &str, object: &Value) -> Result<Value, ApiError> {
        let (status, body) =
            self.exchange(method, path, Some((kind, object.to_string().into_bytes()))).await?;
        answer::object(status, &body)
    }
}

#[async_trait]
impl Api for KubeApi {
    async fn get(&self, resource: Resource, namespace: &str, name: &str) -> Result<Option<Value>, ApiError> {
        let (status, body) = self.exchange(Method::GET, &resource.path(namespace, Some(name)), None).await?;
        if object_is_missing(status, &body) {
            return Ok(None);
        }
        answer::object(status, &body).map(Some)
    }

    async fn list(
        &self,
        resource: Resource,
        namespace: &str,
        selector: &Selector,
    ) -> Result<Vec<Value>, ApiError> {
        let path = format!("{}{}", resource.path(namespace, None), query(selector));
        let (status, body) = self.exchange(Method::GET, &path, None).await?;
        let mut list = answer::object(status, &body)?;
        let Some(Value::Array(mut items)) = list.get_mut("items").map(Value::take) else {
            return Ok(Vec::new());
        };
        // The items of a list do not say what they are.
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            item.entry("apiVersion").or_insert_with(|| json!(resource.api_version()));
            item.entry("kind").or_insert_with(|| json!(resource.kind));
        }
        Ok(items)
    }

    async fn get_path(&self, path: &str) -> Result<String, ApiError> {
        let (status, body) = self.exchange(Method::GET, path, None).await?;
        if (200..300).contains(&status) { Ok(body) } else { Err(answer::error(status, &body)) }
    }
}

#[async_trait]
impl WriteApi for KubeApi {
    async fn create(&self, resource: Resource, object: &Value) -> Result<Value, ApiError> {
        let path = resource.path(text(object, "namespace"), None);
        self.send(Method::POST, &path, JSON, object).await
    }

    async fn update(&self, resource: Resource, object: &Value) -> Result<Value, ApiError> {
        let path = resource.path(text(object, "namespace"), Some(text(object, "name")));
        self.send(Method::PUT, &path, JSON, object).await
    }

    async fn patch(
        &self,
        resource: Resource,
        namespace: &str,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ApiError> {
        self.send(Method::PATCH, &resource.path(namespace, Some(name)), STRATEGIC_MERGE, patch).await
    }

    async fn delete(&self, resource: Resource, namespace: &str, name: &str) -> Result<bool, ApiError> {
        let (status, body) =
            self.exchange(Method::DELETE, &resource.path(namespace, Some(name)), None).await?;
        if object_is_missing(status, &body) {
            return Ok(false);
        }
        if (200..300).contains(&status) { Ok(true) } else { Err(answer::error(status, &body)) }
    }
}

/// A field of the object's metadata.
fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

fn query(selector: &Selector) -> String {
    let parts = [("labelSelector", &selector.labels), ("fieldSelector", &selector.fields)];
    let mut query = String::new();
    for (name, value) in parts {
        if let Some(value) = value {
            query.push(if query.is_empty() { '?' } else { '&' });
            query.push_str(&format!("{name}={}", encoded(value)));
        }
    }
    query
}

fn version_of(path: &Path) -> std::io::Result<Version> {
    let meta = std::fs::metadata(path)?;
    Ok((meta.dev(), meta.ino(), meta.size(), meta.mtime(), meta.mtime_nsec()))
}

/// An error with its causes, each once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
