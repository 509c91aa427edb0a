//! Discovery by a kubeconfig file, from a path or by https. cmd/kubeadm/app/discovery/file and https, 1.37.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kubeadm_pki::kubeconfig::{Cluster, Kubeconfig, KubeconfigForm, User};

use super::{Asked, DiscoveryError, Judgement, cluster_of};
use crate::ports::{Access, ApiError, HttpGet, HttpTrust, KubeconfigSource, View};

/// Limit of one download.
const DOWNLOAD: Duration = Duration::from_secs(10);

/// Reads the file and asks the cluster that it names.
pub(super) async fn discover(
    from: &str,
    limit: Duration,
    view: View<'_>,
) -> Result<(Cluster, Option<User>), DiscoveryError> {
    let failed = |reason: String| DiscoveryError::File { path: from.to_owned(), reason };
    let (text, folder) = match from.starts_with("https://") {
        true => (download(from, view).await.map_err(failed)?, Path::new("/")),
        false => {
            let content = view.files.read(Path::new(from))?;
            let content = content.ok_or_else(|| failed("it does not exist".into()))?;
            let text = String::from_utf8(content).map_err(|e| failed(e.to_string()))?;
            (text, Path::new(from).parent().unwrap_or(Path::new("/")))
        }
    };
    let config = Kubeconfig::parse(&text, from).map_err(|e| failed(e.to_string()))?;
    let cluster = cluster_of(&config);
    let mut cluster =
        cluster.cloned().ok_or_else(|| failed("it has no cluster for its current context".into()))?;
    let embed = |file: &mut Option<String>, data: &mut Option<String>| -> Result<(), DiscoveryError> {
        if let (Some(path), None) = (file.take(), data.as_ref()) {
            let path = folder.join(path);
            let content = view.files.read(&path)?;
            let content = content.ok_or_else(|| failed(format!("{} does not exist", path.display())))?;
            *data = Some(STANDARD.encode(content));
        }
        Ok(())
    };
    embed(&mut cluster.certificate_authority, &mut cluster.certificate_authority_data)?;
    let mut user = config.current_user().cloned().filter(has_credentials);
    if let Some(user) = &mut user {
        embed(&mut user.client_certificate, &mut user.client_certificate_data)?;
        embed(&mut user.client_key, &mut user.client_key_data)?;
    }
    if cluster.certificate_authority_data.is_none() {
        return Err(failed("it has no certificate-authority or certificate-authority-data".into()));
    }
    ask(from, &cluster, user.clone(), limit, view).await?;
    Ok((cluster, user))
}

async fn download(url: &str, view: View<'_>) -> Result<String, String> {
    let request = HttpGet { url: url.into(), timeout: DOWNLOAD, proxy: true, trust: HttpTrust::System };
    match view.net.get(&request).await {
        Ok(answer) if answer.status == 200 => Ok(answer.body),
        Ok(answer) => Err(format!("the server answers with status {}", answer.status)),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a user of a kubeconfig proves anything.
fn has_credentials(user: &User) -> bool {
    let other = ["tokenFile", "username", "exec", "auth-provider"];
    user.token.is_some()
        || user.client_certificate.is_some()
        || user.client_certificate_data.is_some()
        || other.iter().any(|key| user.other.contains_key(*key))
}

/// Asks once with the file's trust and credentials: a wrong address or authority is found here, not by the kubelet.
async fn ask(
    from: &str,
    cluster: &Cluster,
    user: Option<User>,
    limit: Duration,
    view: View<'_>,
) -> Result<(), DiscoveryError> {
    let form = KubeconfigForm { empty_preferences: false, null_lists: false };
    let text =
        Kubeconfig::new("kubernetes", cluster.clone(), "discovery", user.unwrap_or_default()).to_yaml(form);
    let api = view.cluster.reader(&Access::new(KubeconfigSource::text(text)));
    let asked = Asked { endpoint: &cluster.server, limit, view };
    let judge = |answer| match answer {
        // The file is trusted by itself: a cluster that does not show its cluster-info is no worse.
        Ok(_) | Err(ApiError::Forbidden(_)) => Ok(()),
        Err(error) => {
            let refusal = asked.failure(error)?;
            Err(Judgement::Final(DiscoveryError::File { path: from.into(), reason: refusal.to_string() }))
        }
    };
    asked.until(&*api, judge).await
}
