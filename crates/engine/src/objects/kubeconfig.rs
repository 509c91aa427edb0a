//! Reads from a kubeconfig file what others are told of the cluster: its server and its CA.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::ports::{FileError, Files};

/// A cluster as a kubeconfig file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterEntry {
    /// `https://host:port`.
    pub server: String,
    /// CA certificates in PEM; empty if the file has none.
    pub ca: Vec<u8>,
}

/// The cluster of a kubeconfig file: the unnamed one, else that of the current context.
pub fn cluster_of(files: &dyn Files, path: &Path) -> Result<ClusterEntry, FileError> {
    let failed = |reason: String| FileError { operation: "load kubeconfig", path: path.to_owned(), reason };
    let content = files.read(path)?.ok_or_else(|| failed("no such file".into()))?;
    let text = String::from_utf8(content).map_err(|e| failed(e.to_string()))?;
    let config =
        kubeadm_yaml::parse_value(&text, &path.display().to_string()).map_err(|e| failed(e.to_string()))?;
    let cluster = find(&config).ok_or_else(|| {
        failed("malformed kubeconfig file: it has no cluster for its current context".into())
    })?;
    let server = cluster["server"].as_str().unwrap_or_default().to_owned();
    let ca = match (cluster["certificate-authority-data"].as_str(), cluster["certificate-authority"].as_str())
    {
        (Some(data), _) => STANDARD
            .decode(data)
            .map_err(|e| failed(format!("malformed kubeconfig file: certificate-authority-data: {e}")))?,
        (None, Some(file)) => {
            // A relative path counts from the kubeconfig's own folder.
            let file = path.parent().unwrap_or(Path::new("/")).join(file);
            let missing = || failed(format!("the CA file {} does not exist", file.display()));
            files.read(&file)?.ok_or_else(missing)?
        }
        (None, None) => Vec::new(),
    };
    Ok(ClusterEntry { server, ca })
}

fn find(config: &Value) -> Option<&Value> {
    let named = |list: &str, name: &str| {
        config[list].as_array()?.iter().find(|entry| entry["name"].as_str().unwrap_or_default() == name)
    };
    let entry = named("clusters", "").or_else(|| {
        let context = named("contexts", config["current-context"].as_str()?)?;
        named("clusters", context["context"]["cluster"].as_str()?)
    })?;
    entry.get("cluster")
}
