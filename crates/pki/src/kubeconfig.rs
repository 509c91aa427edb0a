//! kubeconfig files: reading with every field kept, writing as client-go does, and judging one that exists.
//! The types follow `client-go/tools/clientcmd/api/v1` (1.37).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::certificate::{Certificate, CertificateError};
use crate::key::{KeyError, PrivateKey};

/// A kubeconfig file. Printing it for debugging shows no key and no token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kubeconfig {
    /// Addresses of clusters and whom to trust there.
    #[serde(default)]
    pub clusters: Vec<NamedCluster>,
    /// Pairs of cluster and user.
    #[serde(default)]
    pub contexts: Vec<NamedContext>,
    /// Name of the context in use.
    #[serde(default, rename = "current-context")]
    pub current_context: String,
    /// Who one is.
    #[serde(default)]
    pub users: Vec<NamedUser>,
    /// Everything else of the file.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A cluster and its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NamedCluster {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Address and trust.
    #[serde(default)]
    pub cluster: Cluster,
}

/// Address of a cluster and whom to trust there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// `https://host:port`.
    #[serde(default)]
    pub server: String,
    /// Path of the authorities' certificates.
    #[serde(default, rename = "certificate-authority", skip_serializing_if = "Option::is_none")]
    pub certificate_authority: Option<String>,
    /// The authorities' certificates themselves: base64 of PEM.
    #[serde(default, rename = "certificate-authority-data", skip_serializing_if = "Option::is_none")]
    pub certificate_authority_data: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A context and its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NamedContext {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Cluster and user.
    #[serde(default)]
    pub context: Context,
}

/// Which user to be at which cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Context {
    /// Name of the cluster.
    #[serde(default)]
    pub cluster: String,
    /// Name of the user.
    #[serde(default)]
    pub user: String,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A user and its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NamedUser {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// What proves who one is.
    #[serde(default)]
    pub user: User,
}

/// What proves who one is.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Path of the client certificate.
    #[serde(default, rename = "client-certificate", skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
    /// The client certificate itself: base64 of PEM.
    #[serde(default, rename = "client-certificate-data", skip_serializing_if = "Option::is_none")]
    pub client_certificate_data: Option<String>,
    /// Path of its key.
    #[serde(default, rename = "client-key", skip_serializing_if = "Option::is_none")]
    pub client_key: Option<String>,
    /// Its key itself: base64 of PEM.
    #[serde(default, rename = "client-key-data", skip_serializing_if = "Option::is_none")]
    pub client_key_data: Option<String>,
    /// A bearer token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Everything else.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("User(..)")
    }
}

impl Drop for User {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        self.client_key_data.zeroize();
        self.token.zeroize();
    }
}

/// How a release writes kubeconfig texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KubeconfigForm {
    /// `preferences: {}` is written although it is empty (until 1.33).
    pub empty_preferences: bool,
    /// An empty list is written as `null` (from 1.17), not as `[]`.
    pub null_lists: bool,
}

/// Why a kubeconfig could not be read, or does not fit. Texts are those of kubeadm
/// `app/phases/kubeconfig/kubeconfig.go` and `app/util/kubeconfig/kubeconfig.go` (1.37).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubeconfigError {
    /// Not a kubeconfig.
    #[error("{0}")]
    Syntax(String),
    /// Another kind of object.
    #[error(
        "no kind {kind:?} is registered for version {version:?}: expected a kubeconfig: kind Config of apiVersion v1"
    )]
    Kind {
        /// The kind found.
        kind: String,
        /// The version found.
        version: String,
    },
    /// An existing file can't be read.
    #[error("failed to load kubeconfig file {path} that already exists on disk: {reason}")]
    Load {
        /// Path of the file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The current context is not there.
    #[error("failed to find CurrentContext in Contexts of the kubeconfig file {path}")]
    NoContext {
        /// Path of the file.
        path: String,
    },
    /// The cluster of the current context is not there.
    #[error("failed to find the given CurrentContext Cluster in Clusters of the kubeconfig file {path}")]
    NoCluster {
        /// Path of the file.
        path: String,
    },
    /// The authorities of the current cluster can't be read.
    #[error("the kubeconfig file {path:?} contains an invalid CA cert{}", reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default())]
    InvalidCa {
        /// Path of the file.
        path: String,
        /// What is wrong, if more is known.
        reason: Option<String>,
    },
    /// It trusts somebody else.
    #[error(
        "a kubeconfig file {path:?} exists but does not contain a trusted CA in its current context's cluster. Total CA certificates found: {found}"
    )]
    UntrustedCa {
        /// Path of the file.
        path: String,
        /// How many certificates there are.
        found: usize,
    },
    /// A key could not be written.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Kubeconfig {
    /// A file with one cluster, one user and one context, which is current: `user@cluster`.
    pub fn new(cluster_name: &str, cluster: Cluster, user_name: &str, user: User) -> Self {
        let context = format!("{user_name}@{cluster_name}");
        Self {
            clusters: vec![NamedCluster { name: cluster_name.to_owned(), cluster }],
            contexts: vec![NamedContext {
                name: context.clone(),
                context: Context {
                    cluster: cluster_name.to_owned(),
                    user: user_name.to_owned(),
                    other: Map::new(),
                },
            }],
            current_context: context,
            users: vec![NamedUser { name: user_name.to_owned(), user }],
            other: Map::new(),
        }
    }

    /// Reads YAML or JSON. `source_name` stands in messages. An empty text is an empty file, as for client-go.
    ///
    /// # Errors
    /// [`KubeconfigError::Syntax`] or [`KubeconfigError::Kind`].
    pub fn parse(text: &str, source_name: &str) -> Result<Self, KubeconfigError> {
        let mut tree = kubeadm_yaml::parse_value(text, source_name)
            .map_err(|e| KubeconfigError::Syntax(e.to_string()))?;
        kubeadm_yaml::drop_nulls(&mut tree);
        if tree.is_null() {
            return Ok(Self::default());
        }
        let (kind, version) =
            (kubeadm_yaml::get_str(&tree, "kind"), kubeadm_yaml::get_str(&tree, "apiVersion"));
        if kind.is_some_and(|k| k != "Config") || version.is_some_and(|v| v != "v1") {
            return Err(KubeconfigError::Kind {
                kind: kind.unwrap_or_default().to_owned(),
                version: version.unwrap_or_default().to_owned(),
            });
        }
        // The value itself may be a secret, so it does not go into the message.
        let mut config: Self = serde_json::from_value(tree).map_err(|e| {
            KubeconfigError::Syntax(format!("{source_name}: not a kubeconfig: {}", without_values(&e)))
        })?;
        config.other.remove("kind");
        config.other.remove("apiVersion");
        Ok(config)
    }

    /// The text, as client-go writes it.
    pub fn to_yaml(&self, form: KubeconfigForm) -> zeroize::Zeroizing<String> {
        let mut tree = serde_json::to_value(self).unwrap_or_default();
        kubeadm_yaml::set(&mut tree, "apiVersion", "v1");
        kubeadm_yaml::set(&mut tree, "kind", "Config");
        if form.empty_preferences {
            kubeadm_yaml::set_default(&mut tree, "preferences", Value::Object(Map::new()));
        } else if tree.get("preferences").is_some_and(|p| p.as_object().is_some_and(Map::is_empty)) {
            kubeadm_yaml::remove(&mut tree, "preferences");
        }
        if form.null_lists {
            for list in ["clusters", "contexts", "users"] {
                if tree[list].as_array().is_some_and(Vec::is_empty) {
                    tree[list] = Value::Null;
                }
            }
        }
        zeroize::Zeroizing::new(kubeadm_yaml::to_string(&tree))
    }

    /// The current context.
    pub fn current(&self) -> Option<&Context> {
        self.contexts.iter().find(|c| c.name == self.current_context).map(|c| &c.context)
    }

    /// The cluster of the current context.
    pub fn current_cluster(&self) -> Option<&Cluster> {
        let name = &self.current()?.cluster;
        self.clusters.iter().find(|c| c.name == *name).map(|c| &c.cluster)
    }

    /// The user of the current context.
    pub fn current_user(&self) -> Option<&User> {
        let name = &self.current()?.user;
        self.users.iter().find(|u| u.name == *name).map(|u| &u.user)
    }

    /// Gives the user of the current context another client certificate and key, and its cluster the authorities of a
    /// PEM text, unless it names a file of them. Everything else stays.
    ///
    /// # Errors
    /// When the key can't be written.
    pub fn renew(&mut self, certificate: &str, key: &PrivateKey, authorities: &str) -> Result<(), KeyError> {
        let Some(Context { cluster, user, .. }) = self.current().cloned() else { return Ok(()) };
        for cluster in self.clusters.iter_mut().filter(|c| c.name == cluster).map(|c| &mut c.cluster) {
            if cluster.certificate_authority.is_none() || cluster.certificate_authority_data.is_some() {
                cluster.certificate_authority_data = Some(STANDARD.encode(authorities));
            }
        }
        for user in self.users.iter_mut().filter(|u| u.name == user).map(|u| &mut u.user) {
            user.client_certificate_data = Some(STANDARD.encode(certificate));
            user.client_key_data = Some(STANDARD.encode(key.to_pem()?.as_bytes()));
            // What is embedded counts before what is named.
            (user.client_certificate, user.client_key) = (None, None);
        }
        Ok(())
    }
}

fn without_values(error: &serde_json::Error) -> String {
    // "invalid type: string "…", expected a sequence" → the part from "expected" on.
    let text = error.to_string();
    text.rfind("expected ").map_or_else(|| "malformed".to_owned(), |i| text[i..].to_owned())
}

impl Cluster {
    /// An address, and authorities embedded.
    pub fn new(server: &str, authorities: &[Certificate]) -> Self {
        let text: String = authorities.iter().map(Certificate::to_pem).collect();
        Self {
            server: server.to_owned(),
            certificate_authority_data: (!text.is_empty()).then(|| STANDARD.encode(text)),
            ..Self::default()
        }
    }

    /// The embedded certificates.
    ///
    /// # Errors
    /// When there are none, or they can't be read.
    pub fn authorities(&self) -> Result<Vec<Certificate>, CertificateError> {
        embedded(self.certificate_authority_data.as_deref())
    }
}

/// The certificates of an embedded text.
fn embedded(data: Option<&str>) -> Result<Vec<Certificate>, CertificateError> {
    let pem = STANDARD
        .decode(data.ok_or(CertificateError::None)?.split_ascii_whitespace().collect::<String>())
        .map_err(|_| CertificateError::Malformed { reason: "invalid base64".to_owned() })?;
    Certificate::all_from_pem(&pem)
}

impl User {
    /// Known by a client certificate, embedded with its key.
    ///
    /// # Errors
    /// When the key can't be written.
    pub fn with_certificate(certificate: &Certificate, key: &PrivateKey) -> Result<Self, KeyError> {
        let mut user = Self::with_key(key)?;
        user.client_certificate_data = Some(STANDARD.encode(certificate.to_pem()));
        Ok(user)
    }

    /// With a key whose certificate is still to come (`certs generate-csr`).
    ///
    /// # Errors
    /// When the key can't be written.
    pub fn with_key(key: &PrivateKey) -> Result<Self, KeyError> {
        let mut user = Self::default();
        user.client_key_data = Some(STANDARD.encode(key.to_pem()?.as_bytes()));
        Ok(user)
    }

    /// The embedded client certificate, and those after it.
    ///
    /// # Errors
    /// When there is none, or it can't be read.
    pub fn certificates(&self) -> Result<Vec<Certificate>, CertificateError> {
        embedded(self.client_certificate_data.as_deref())
    }

    /// Known by a token.
    pub fn with_token(token: &str) -> Self {
        let mut user = Self::default();
        user.token = Some(token.to_owned());
        user
    }
}

/// What an existing kubeconfig has to fulfil.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Any of these authorities will do.
    pub authorities: &'a [Certificate],
    /// Where it should point to; another address is only warned of.
    pub server: &'a str,
}

/// Judges a kubeconfig that exists at `path`, and returns warnings. `read` reads the file of authorities that
/// it names, if it embeds none. The client certificate is not looked at.
///
/// # Errors
/// [`KubeconfigError`].
pub fn validate_existing(
    path: &str,
    text: &str,
    expected: Expected<'_>,
    read: impl FnOnce(&str) -> Result<Vec<u8>, String>,
) -> Result<Vec<String>, KubeconfigError> {
    let owned = || path.to_owned();
    let config = Kubeconfig::parse(text, path)
        .map_err(|e| KubeconfigError::Load { path: owned(), reason: e.to_string() })?;
    if config.current().is_none() {
        return Err(KubeconfigError::NoContext { path: owned() });
    }
    let cluster = config.current_cluster().ok_or_else(|| KubeconfigError::NoCluster { path: owned() })?;
    let invalid = |reason| KubeconfigError::InvalidCa { path: owned(), reason };
    let authorities = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (None, Some(file)) => {
            let text = read(file)
                .map_err(|e| invalid(Some(format!("failed to load CA cert from {file:?}: {e}"))))?;
            Certificate::all_from_pem(&text)
        }
        _ => cluster.authorities(),
    }
    .map_err(|e| invalid((e != CertificateError::None).then(|| e.to_string())))?;
    // Only the first counts: it is what clients were given as the authority of this cluster.
    if !authorities.first().is_some_and(|first| expected.authorities.contains(first)) {
        return Err(KubeconfigError::UntrustedCa { path: owned(), found: authorities.len() });
    }
    let mut warnings = Vec::new();
    if cluster.server != expected.server {
        warnings.push(format!(
            "a kubeconfig file {path:?} exists already but has an unexpected API Server URL: expected: {}, got: {}",
            expected.server, cluster.server
        ));
    }
    Ok(warnings)
}
