//! `addon`: DNS and kube-proxy. cmd/kubeadm/app/phases/addons, 1.37.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use kubeadm_config::types::DnsKind;
use kubeadm_release::facts::addons::Upstream;
use serde_json::{Value, json};

use super::PhaseError;
pub use crate::addons::AddonError;
use crate::addons::corefile::{self, Names, Verdict};
use crate::addons::{coredns, dns, kube_dns, kube_proxy, manifest};
use crate::objects::{KUBE_SYSTEM, apply, create_or_update, rbac, service_account};
use crate::patches::{Patches, Target};
use crate::plan::{Action, Apply, Step};
use crate::ports::{ApiError, Files, Selector, View};
use crate::resource::{CONFIG_MAPS, DAEMON_SETS, DEPLOYMENTS, Resource, SERVICES};
use crate::spec::InitSpec;
use crate::static_pods;

/// Where the Corefile is kept while CoreDNS is replaced.
const BACKUP: &str = "Corefile-backup";

/// Plans `addon coredns`: the DNS server that was chosen, which of old releases may be kube-dns.
pub fn plan_coredns<'a>(spec: &'a InitSpec, view: View<'a>) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        if spec.cluster.dns.disabled {
            return Ok(Vec::new());
        }
        let mut steps = Vec::from_iter(rbac::bind_admin_step(spec));
        let old = predecessor(spec, view).await?;
        let name = match spec.cluster.dns.kind {
            DnsKind::CoreDns => {
                steps.extend(coredns(spec, view).await?);
                "CoreDNS"
            }
            DnsKind::KubeDns => {
                steps.push(service_account(kube_dns::NAME));
                steps.push(create_or_update(DEPLOYMENTS, kube_dns::deployment(spec)?));
                "kube-dns"
            }
        };
        // Not created first: the API server would refuse its address as taken before it looked at the name.
        steps.push(
            apply(Apply::GetThenCreateOrUpdate, SERVICES, dns::service(spec)?)
                .done(format!("[addons] Applied essential addon: {name}")),
        );
        steps.extend(old);
        Ok(steps)
    })
}

/// Takes away the other DNS server, where the cluster had that until now: both answer for the same Service.
/// cmd/kubeadm/app/phases/upgrade/postupgrade.go, 1.11 to 1.20.
async fn predecessor(spec: &InitSpec, view: View<'_>) -> Result<Option<Step>, PhaseError> {
    if spec.release.addons.kube_dns.is_none() {
        return Ok(None);
    }
    let (old, new) = match spec.cluster.dns.kind {
        DnsKind::CoreDns => (kube_dns::NAME, coredns::NAME),
        DnsKind::KubeDns => (coredns::NAME, kube_dns::NAME),
    };
    let found = view.api.get(DEPLOYMENTS, KUBE_SYSTEM, old).await;
    let found = found.map_err(|source| failed("get", DEPLOYMENTS, old, source))?;
    Ok(found.map(|_| {
        let words = format!("the Deployment {old} stays beside {new}; remove it once {new} answers");
        Step::new(Action::ReplaceDeployment { old, new, limit: REPLACEMENT_LIMIT })
            .saying(format!("[addons] {new} takes the place of {old}"))
            .or_warn(words)
    }))
}

/// How long a DNS server may take to be ready before the one that it replaces is left alone.
const REPLACEMENT_LIMIT: Duration = Duration::from_secs(120);

async fn coredns(spec: &InitSpec, view: View<'_>) -> Result<Vec<Step>, PhaseError> {
    let mut steps = Vec::new();
    let Found { deployed, patched, existing, verdict } = find(spec, view).await?;
    let corefile = default_corefile(spec, view).await?;
    let mut replaced = true;
    match verdict {
        Verdict::Replace => steps.push(create_or_update(CONFIG_MAPS, coredns::config_map(&corefile))),
        Verdict::Retain => {}
        Verdict::Migrate(new) => {
            let old = existing.unwrap_or_default();
            steps.extend(migrate(deployed.as_ref(), &old, &new));
        }
        Verdict::Unknown(reason) => {
            replaced = false;
            steps.push(Step::warn(format!(
                "the CoreDNS Configuration was not migrated: {reason}. The existing CoreDNS Corefile configuration has been retained."
            )));
        }
    }
    steps.extend(coredns::access(spec));
    if replaced {
        steps.extend(patched.steps);
        steps.push(create_or_update(DEPLOYMENTS, patched.value));
    }
    Ok(steps)
}

/// What there is of CoreDNS, and what is to become of it.
struct Found {
    deployed: Option<Value>,
    patched: crate::patches::Patched,
    existing: Option<String>,
    verdict: Verdict,
}

async fn find(spec: &InitSpec, view: View<'_>) -> Result<Found, PhaseError> {
    let deployed = deployed(spec, view).await?;
    let patched = patched_deployment(spec, view.files, &deployed)?;
    let existing = existing_corefile(view).await?;
    let wanted = image_tag(&patched.value).unwrap_or_default();
    let verdict = match &existing {
        None => Verdict::Replace,
        Some(text) => {
            let installed = deployed.as_ref().and_then(image_tag);
            corefile::judge(text, &spec.cluster.networking.dns_domain, installed, wanted)
        }
    };
    Ok(Found { deployed, patched, existing, verdict })
}

/// Why CoreDNS would not be upgraded, where it would not.
pub async fn coredns_obstacle(spec: &InitSpec, view: View<'_>) -> Result<Option<String>, PhaseError> {
    if spec.cluster.dns.disabled || spec.cluster.dns.kind == DnsKind::KubeDns {
        return Ok(None);
    }
    match find(spec, view).await?.verdict {
        Verdict::Unknown(reason) => Ok(Some(format!("CoreDNS will not be upgraded: {reason}"))),
        Verdict::Replace | Verdict::Retain | Verdict::Migrate(_) => Ok(None),
    }
}

/// The Corefile in the cluster, and the tag of the CoreDNS that serves by it; `None` where there is none.
pub(crate) async fn installed_corefile(
    spec: &InitSpec,
    view: View<'_>,
) -> Result<Option<(String, Option<String>)>, PhaseError> {
    if spec.cluster.dns.disabled || spec.cluster.dns.kind == DnsKind::KubeDns {
        return Ok(None);
    }
    let Some(text) = existing_corefile(view).await? else { return Ok(None) };
    let deployed = deployed(spec, view).await?;
    Ok(Some((text, deployed.as_ref().and_then(image_tag).map(str::to_owned))))
}

/// Whether there is a DNS server that kubeadm made, be it the one that was chosen or the one before it. A cluster may have
/// been made without.
pub async fn has_dns(spec: &InitSpec, view: View<'_>) -> Result<bool, PhaseError> {
    if deployed(spec, view).await?.is_some() || existing_corefile(view).await?.is_some() {
        return Ok(true);
    }
    let found = view.api.get(DEPLOYMENTS, KUBE_SYSTEM, kube_dns::NAME).await;
    Ok(found.map_err(|source| failed("get", DEPLOYMENTS, kube_dns::NAME, source))?.is_some())
}

/// Whether there is a kube-proxy that kubeadm made. A cluster may have been made without.
pub async fn has_kube_proxy(view: View<'_>) -> Result<bool, PhaseError> {
    for resource in [DAEMON_SETS, CONFIG_MAPS] {
        let found = view.api.get(resource, KUBE_SYSTEM, kube_proxy::NAME).await;
        if found.map_err(|source| failed("get", resource, kube_proxy::NAME, source))?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Plans `addon kube-proxy`.
pub fn plan_kube_proxy<'a>(
    spec: &'a InitSpec,
    view: View<'a>,
) -> BoxFuture<'a, Result<Vec<Step>, PhaseError>> {
    Box::pin(async move {
        if spec.cluster.proxy.disabled {
            return Ok(Vec::new());
        }
        let patches = Patches::load(spec.patches.as_deref(), view.files)?;
        let patched =
            patches.apply(Target::KubeProxyDaemonSet, kube_proxy::daemon_set(spec, &spec.proxy_env))?;
        let mut steps = Vec::from_iter(rbac::bind_admin_step(spec));
        steps.push(create_or_update(CONFIG_MAPS, kube_proxy::hashed_config_map(spec)));
        steps.extend(patched.steps);
        steps.push(create_or_update(DAEMON_SETS, patched.value));
        steps.extend(kube_proxy::access(spec));
        steps.push(Step::say("[addons] Applied essential addon: kube-proxy"));
        Ok(steps)
    })
}

/// The objects of the DNS server as text, for `--print-manifest`.
pub fn print_coredns(spec: &InitSpec, files: &dyn Files) -> Result<String, PhaseError> {
    if spec.cluster.dns.kind == DnsKind::KubeDns {
        let account = object_of(service_account(kube_dns::NAME));
        let objects = [kube_dns::deployment(spec)?, dns::service(spec)?];
        return Ok(manifest(&objects.into_iter().chain(account).collect::<Vec<_>>()));
    }
    let names = Names {
        domain: spec.cluster.networking.dns_domain.clone(),
        servers: corefile::RESOLV_CONF.into(),
        ..Names::default()
    };
    let corefile = corefile::default(&spec.release.addons.coredns.corefile, &names);
    let mut objects = vec![
        patched_deployment(spec, files, &None)?.value,
        coredns::config_map(&corefile),
        dns::service(spec)?,
    ];
    objects.extend(coredns::access(spec).into_iter().filter_map(object_of));
    Ok(manifest(&objects))
}

/// The objects of kube-proxy as text, for `--print-manifest`.
pub fn print_kube_proxy(spec: &InitSpec, files: &dyn Files) -> Result<String, PhaseError> {
    let patches = Patches::load(spec.patches.as_deref(), files)?;
    let set = patches.apply(Target::KubeProxyDaemonSet, kube_proxy::daemon_set(spec, &[]))?.value;
    let mut objects: Vec<Value> = kube_proxy::access(spec).into_iter().filter_map(object_of).collect();
    objects.extend([kube_proxy::config_map(spec), set]);
    Ok(manifest(&objects))
}

fn object_of(step: Step) -> Option<Value> {
    match step.action {
        Action::Apply { object, .. } => Some(*object),
        _ => None,
    }
}

/// The Deployment that serves DNS now.
async fn deployed(spec: &InitSpec, view: View<'_>) -> Result<Option<Value>, PhaseError> {
    if !spec.release.addons.coredns.keeps_replicas {
        let found = view.api.get(DEPLOYMENTS, KUBE_SYSTEM, coredns::NAME).await;
        return found.map_err(|source| failed("get", DEPLOYMENTS, coredns::NAME, source));
    }
    let labels = format!("k8s-app={}", dns::LABEL);
    let selector = Selector { labels: Some(labels.clone()), ..Selector::default() };
    let found = view.api.list(DEPLOYMENTS, KUBE_SYSTEM, &selector).await;
    let mut found = found.map_err(|source| failed("list", DEPLOYMENTS, &labels, source))?;
    let name = |d: &Value| d["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    // Where a release knows kube-dns, that is what CoreDNS replaces.
    found.retain(|d| spec.release.addons.kube_dns.is_none() || name(d) != kube_dns::NAME);
    if found.len() > 1 {
        return Err(AddonError::SeveralDeployments { names: found.iter().map(name).collect() }.into());
    }
    Ok(found.pop())
}

fn patched_deployment(
    spec: &InitSpec,
    files: &dyn Files,
    deployed: &Option<Value>,
) -> Result<crate::patches::Patched, PhaseError> {
    let kept = deployed.as_ref().filter(|_| spec.release.addons.coredns.keeps_replicas);
    let replicas = kept.and_then(|d| d["spec"]["replicas"].as_u64()).unwrap_or(coredns::REPLICAS);
    let patches = Patches::load(spec.patches.as_deref(), files)?;
    Ok(patches.apply(Target::CoreDnsDeployment, coredns::deployment(spec, replicas))?)
}

fn image_tag(deployment: &Value) -> Option<&str> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array()?;
    let container = containers.iter().find(|c| c["name"] == coredns::NAME)?;
    static_pods::tag(container["image"].as_str()?)
}

/// The Corefile in the cluster.
async fn existing_corefile(view: View<'_>) -> Result<Option<String>, PhaseError> {
    let found = view.api.get(CONFIG_MAPS, KUBE_SYSTEM, coredns::NAME).await;
    let found = found.map_err(|source| failed("get", CONFIG_MAPS, coredns::NAME, source))?;
    Ok(found.map(|map| map["data"]["Corefile"].as_str().unwrap_or_default().to_owned()))
}

/// Running pods read the Corefile again when it changes, so they are pointed at a copy of the old one first.
fn migrate(deployed: Option<&Value>, old: &str, new: &str) -> Vec<Step> {
    let merge = |key: &str, text: &str| {
        let mut map = coredns::config_map("");
        map["data"] = json!({ key: text });
        apply(Apply::CreateOrMerge, CONFIG_MAPS, map)
    };
    let mut steps = vec![Step::say("[addons] Migrating CoreDNS Corefile"), merge(BACKUP, old)];
    if let Some(deployed) = deployed {
        let mut pointed = deployed.clone();
        let volumes = pointed["spec"]["template"]["spec"]["volumes"].as_array_mut();
        for volume in volumes.into_iter().flatten().filter(|v| v["name"] == "config-volume") {
            *volume = coredns::volume(BACKUP);
        }
        steps.push(create_or_update(DEPLOYMENTS, pointed));
    }
    steps.push(merge("Corefile", new));
    steps
}

/// The default Corefile, with what an older kube-dns was told where the release looks for that.
async fn default_corefile(spec: &InitSpec, view: View<'_>) -> Result<String, PhaseError> {
    let facts = &spec.release.addons.coredns;
    let mut names = Names {
        domain: spec.cluster.networking.dns_domain.clone(),
        servers: corefile::RESOLV_CONF.into(),
        ..Names::default()
    };
    if matches!(facts.upstream, Upstream::KubeDnsConfigMap) {
        let name = dns::LABEL;
        let found = view.api.get(CONFIG_MAPS, KUBE_SYSTEM, name).await;
        match found.map_err(|source| failed("get", CONFIG_MAPS, name, source))? {
            Some(map) => take_over(&map, &mut names)?,
            // The object itself differs, so that no port and no words could tell: the one phase that asks whether it is dry.
            None if spec.layout.landing.is_some() && facts.no_upstream_when_dry => names.servers.clear(),
            None => {}
        }
    }
    Ok(corefile::default(&facts.corefile, &names))
}

/// Translates the ConfigMap of kube-dns. cmd/kubeadm/app/phases/addons/dns/dns.go, 1.13.
fn take_over(map: &Value, names: &mut Names) -> Result<(), AddonError> {
    fn read<T: serde::de::DeserializeOwned>(map: &Value, key: &'static str) -> Result<Option<T>, AddonError> {
        let Some(text) = map["data"][key].as_str() else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|source| AddonError::KubeDnsConfig { key, source })
    }
    if let Some(servers) = read::<Vec<String>>(map, "upstreamNameservers")? {
        names.servers = servers.join(" ");
    }
    let federations: Option<BTreeMap<String, String>> = read(map, "federations")?;
    names.federations = federations.into_iter().flatten().collect();
    let stub_domains: Option<BTreeMap<String, Vec<String>>> = read(map, "stubDomains")?;
    names.stub_domains = stub_domains.into_iter().flatten().collect();
    Ok(())
}

fn failed(verb: &'static str, resource: Resource, name: &str, source: ApiError) -> PhaseError {
    PhaseError::Api { verb, object: format!("{} {KUBE_SYSTEM}/{name}", resource.kind), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kube_dns_may_have_been_told_servers() {
        let map = json!({ "data": {
            "upstreamNameservers": "[\"8.8.8.8\", \"8.8.4.4\"]",
            "stubDomains": "{\"b.local\": [\"1.1.1.1\"], \"a.local\": [\"2.2.2.2\"]}",
        } });
        let mut names = Names::default();
        take_over(&map, &mut names).unwrap();
        assert_eq!(names.servers, "8.8.8.8 8.8.4.4");
        assert_eq!(names.stub_domains[0].0, "a.local");
        let error = take_over(&json!({ "data": { "federations": "{" } }), &mut names).unwrap_err();
        assert!(error.to_string().starts_with("failed to parse JSON from 'kube-dns' ConfigMap"), "{error}");
    }

    #[test]
    fn the_tag_is_the_installed_version() {
        for (image, want) in [
            ("r.example.com:5000/coredns:v1.11.1", Some("v1.11.1")),
            ("r.example.com:5000/coredns", None),
            ("r.example.com/coredns@sha256:00ff", None),
        ] {
            let deployment = json!({ "spec": { "template": { "spec": { "containers": [
                { "name": "sidecar", "image": "x:1" },
                { "name": "coredns", "image": image },
            ] } } } });
            assert_eq!(image_tag(&deployment), want, "{image}");
        }
    }

    #[test]
    fn running_pods_keep_the_old_corefile_meanwhile() {
        let deployed =
            json!({ "spec": { "template": { "spec": { "volumes": [coredns::volume("Corefile")] } } } });
        let steps = migrate(Some(&deployed), "old", "new");
        let objects: Vec<Value> = steps.into_iter().filter_map(object_of).collect();
        assert_eq!(objects[0]["data"], json!({ "Corefile-backup": "old" }));
        assert_eq!(objects[1]["spec"]["template"]["spec"]["volumes"][0], coredns::volume(BACKUP));
        assert_eq!(objects[2]["data"], json!({ "Corefile": "new" }));
    }
}
