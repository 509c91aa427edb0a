//! Who pulls from a registry: what `docker login` left in the configuration of Docker's own client. Docker itself
//! keeps no credentials.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

/// The key of Docker's own registry, for images whose name has no registry.
const HUB: &str = "https://index.docker.io/v1/";

/// The credentials of this user.
pub(super) struct Logins {
    file: Option<PathBuf>,
}

impl Logins {
    /// Those of the file that Docker's client reads in this environment.
    pub(super) fn new(env: &BTreeMap<String, String>) -> Self {
        let set = |name: &str| env.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let folder = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")));
        Self { file: folder.map(|folder| folder.join("config.json")) }
    }

    /// The header `X-Registry-Auth` of a pull, where the user has logged in to the image's registry.
    pub(super) fn header(&self, image: &str) -> Option<String> {
        let content = std::fs::read(self.file.as_deref()?).ok()?;
        let header = of(&serde_json::from_slice(&content).ok()?, image);
        let known = if header.is_some() { "with" } else { "without" };
        tracing::debug!("pull {image} {known} credentials of {}", self.shown());
        header
    }

    fn shown(&self) -> std::path::Display<'_> {
        self.file.as_deref().unwrap_or(Path::new("")).display()
    }
}

fn of(config: &Value, image: &str) -> Option<String> {
    let registry = registry(image);
    let entries = config["auths"].as_object()?;
    let (address, entry) = entries.iter().find(|(key, _)| *key == registry || host(key) == registry)?;
    let word = |name: &str| entry[name].as_str().filter(|word| !word.is_empty());
    let mut login = json!({ "serveraddress": address });
    if let Some(token) = word("identitytoken") {
        login["identitytoken"] = token.into();
    } else {
        let decoded = String::from_utf8(STANDARD.decode(word("auth")?).ok()?).ok()?;
        let (user, password) = decoded.split_once(':')?;
        login["username"] = user.into();
        login["password"] = password.trim_end_matches('\0').into();
    }
    Some(URL_SAFE.encode(login.to_string()))
}

/// The registry of an image: what is before the first slash, if that can be the name of a host.
fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
        _ => HUB,
    }
}

/// The host of an address, as old versions of Docker's client wrote whole ones.
fn host(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(config: &Value, image: &str) -> Option<Value> {
        let header = of(config, image)?;
        serde_json::from_slice(&URL_SAFE.decode(header).unwrap()).unwrap()
    }

    #[test]
    fn logins_by_registry() {
        let auth = STANDARD.encode("user:pass:word");
        let config = json!({"auths": {
            "registry.example:5000": {"auth": auth},
            "https://old.example/v1/": {"auth": STANDARD.encode("old:1")},
            HUB: {"identitytoken": "t0ken"},
            "helped.example": {},
        }});
        let registered = login(&config, "registry.example:5000/kubernetes/etcd:3.2.24").unwrap();
        assert_eq!(
            registered,
            json!({"serveraddress": "registry.example:5000", "username": "user", "password": "pass:word"})
        );
        assert_eq!(login(&config, "old.example/etcd:1").unwrap()["username"], "old");
        assert_eq!(login(&config, "library/etcd").unwrap()["identitytoken"], "t0ken");
        assert_eq!(login(&config, "helped.example/etcd"), None);
        assert_eq!(login(&config, "k8s.gcr.io/etcd:3.2.24"), None);
        assert_eq!(login(&json!({}), "etcd"), None);
    }

    #[test]
    fn the_file_is_where_docker_has_it() {
        let file = |variables: &[(&str, &str)]| {
            Logins::new(&variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()).file
        };
        assert_eq!(file(&[("HOME", "/root")]), Some("/root/.docker/config.json".into()));
        assert_eq!(file(&[("HOME", "/root"), ("DOCKER_CONFIG", "/d")]), Some("/d/config.json".into()));
        assert_eq!(file(&[]), None);
    }
}
