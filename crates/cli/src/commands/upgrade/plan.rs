//! `kubeadm upgrade plan`: what runs, what it could be upgraded to, and what would then run.
//! cmd/kubeadm/app/cmd/upgrade/plan.go, 1.37.

use std::sync::Arc;

use kubeadm_config::error::Notice;
use kubeadm_config::types::{ClusterConfiguration, DnsKind};
use kubeadm_engine::objects::KUBE_SYSTEM;
use kubeadm_engine::phases::PhaseError;
use kubeadm_engine::phases::upgrade::preflight as checks;
use kubeadm_engine::plan::Step;
use kubeadm_engine::ports::{Effects, Output, Progress};
use kubeadm_engine::preflight::{self, Report, upgrade};
use kubeadm_engine::resource::CONFIG_MAPS;
use kubeadm_engine::run::Executor;
use kubeadm_engine::spec::ADMIN_CONF;
use kubeadm_engine::upgrade::policy::Policy;
use kubeadm_engine::upgrade::versions::{ByVersion, Candidates, ClusterState, Offer, images, offers};
use kubeadm_engine::upgrade::walk::Walk;
use kubeadm_engine::upgrade::{UpgradeSpec, outlook};
use kubeadm_release::{Version, skew};
use serde::Serialize;

use super::network::Network;
use super::stops::Wished;
use super::{access, argument, configuration, path, spec, version_of};
use crate::columns::aligned;
use crate::commands::failure;
use crate::error::CommandError;
use crate::parse::Call;
use crate::resolve::{self, switch};
use crate::session::Session;
use crate::structured::{API_VERSION, Format};

/// `upgrade plan`.
pub(crate) fn plan(call: &Call<'_>) -> Result<(), CommandError> {
    let format = Format::of(&call.flags)?;
    kubeadm_config::flags::check_mixed(call.flags.names())?;
    let session = Session::start()?;
    let mut notices = Vec::new();
    let wish = wish(call, &session, &mut notices);
    session.tell(&notices);
    let wish = wish?;
    // Standard output belongs to the object, where one was asked for.
    let fx = match format {
        Format::Text => session.fx.clone(),
        Format::Json | Format::Yaml => {
            Effects { output: Arc::new(Quiet(session.fx.output.clone())), ..session.fx.clone() }
        }
    };
    if let Some(to) = &wish.to {
        return path::print(&wish.spec, to, format, &fx, &session);
    }
    let plan = look(&wish, &fx, &session)?;
    format.print(&[plan], |plans| plans.iter().map(text).collect())
}

/// What was asked for.
struct Wish {
    spec: UpgradeSpec,
    target: Option<Version>,
    /// The whole way there is asked for.
    to: Option<Wished>,
}

fn wish(call: &Call<'_>, session: &Session, notices: &mut Vec<Notice>) -> Result<Wish, CommandError> {
    let flags = &call.flags;
    let config = configuration(flags, session, notices)?;
    let block = &config.plan;
    let on = |name: &str, configured: bool| switch(flags, name, configured);
    let to = flags.given("to").then(|| Wished::of(flags, "to")).transpose()?;
    if to.is_some() && argument(call).is_some() {
        return Err(CommandError::new("name the version by --to or as an argument, not both"));
    }
    if to.is_some() && !block.kubernetes_version.is_empty() {
        return Err(CommandError::new("name the version by --to or in the configuration file, not both"));
    }
    let access = access(flags, ADMIN_CONF, session)?;
    let target = match argument(call).unwrap_or(&block.kubernetes_version) {
        "" => None,
        text => Some(version_of(text, session, notices)?),
    };
    let mut spec = spec(None, &config, access, "upgrade/config", session);
    spec.ignored = resolve::ignored_checks(flags, &block.ignore_preflight_errors)?;
    spec.print_config = on("print-config", block.print_config);
    spec.policy = Policy {
        experimental: on("allow-experimental-upgrades", block.allow_experimental_upgrades),
        release_candidates: on("allow-release-candidate-upgrades", block.allow_rc_upgrades),
        force: false,
    };
    spec.upgrade_etcd = on("etcd-upgrade", block.etcd_upgrade.unwrap_or(true));
    Ok(Wish { spec, target, to })
}

fn look(wish: &Wish, fx: &Effects, session: &Session) -> Result<UpgradePlan, CommandError> {
    let spec = &wish.spec;
    let context = spec.context();
    let executor = Executor::new(&context, fx);
    let node = session
        .block_on(async {
            let view = executor.view();
            let mut report = Report::default();
            report.add("IsPrivilegedUser", preflight::root(view), &spec.ignored);
            let mut steps = preflight::headed(report.steps()).map_err(PhaseError::Preflight)?;
            let (node, said) = spec.node(view).await?;
            steps.extend(said);
            let found = checks::cluster(spec, node, view).await?;
            steps.extend(found.steps().map_err(PhaseError::Preflight)?);
            steps.push(Step::say("[upgrade] Running cluster health checks"));
            let ignored = spec.ignored.covers("CreateJob");
            steps.push(upgrade::job(node, ignored, view.clock.now(), view.api).await);
            steps.extend(checks::removed_gates(node, "[upgrade/config]"));
            executor.all(steps).await?;
            Ok(node)
        })
        .map_err(|error: PhaseError| failure::explain_alone(error, &*fx.output))?;
    fx.output.say("[upgrade] Fetching available versions to upgrade to");
    let state = session
        .block_on(ClusterState::look(executor.view().api))
        .map_err(|error| CommandError::from(error).prefix("[upgrade/versions] FATAL"))?;
    let has_proxy = session.block_on(async {
        matches!(executor.view().api.get(CONFIG_MAPS, KUBE_SYSTEM, "kube-proxy").await, Ok(Some(_)))
    });
    let Some(cluster) = state.version() else {
        return Err(CommandError::new("[upgrade/versions] FATAL: no API server tells its version"));
    };
    if let Some(text) = state.mixed() {
        fx.output.warn(&text);
    }
    let kubeadm = &spec.kubeadm_version;
    fx.output.say(&format!("[upgrade/versions] Cluster version: {}", cluster.bare()));
    fx.output.say(&format!("[upgrade/versions] kubeadm version: {kubeadm}"));
    let candidates = candidates(wish, &cluster, fx, session)?;
    fx.output.say("");
    let found = offers(&cluster, kubeadm, &candidates, spec.policy);
    if found.is_empty() {
        fx.output.say("[upgrade] There is no version to upgrade to: the cluster is up to date");
    }
    for Offer { version, .. } in &found {
        // What is more than a minor away is another command's: `--to` names what lies between.
        let Ok(walk) = Walk::new(node.version.clone(), &[], version.clone()) else { continue };
        let ahead = session.block_on(outlook::look(&walk, spec, executor.view()));
        let ahead = ahead.map_err(|error| failure::explain_alone(error, &*fx.output))?;
        for block in ahead.into_iter().flat_map(|outlook| outlook.blocks) {
            fx.output.warn(&format!("[upgrade/versions] {version} is blocked: {}", block.text));
        }
    }
    let parts = Parts { state: &state, cluster: &cluster, kubeadm, config: &node.cluster };
    Ok(UpgradePlan {
        kind: "UpgradePlan",
        api_version: API_VERSION,
        available_upgrades: found.iter().map(|offer| parts.available(offer, spec.upgrade_etcd)).collect(),
        config_versions: vec![
            config_version(&node.kube_proxy.value, has_proxy),
            config_version(&node.kubelet.value, true),
        ],
    })
}

/// The versions that are known. A version that was given is the only one, and nobody is asked. Where the network does not
/// answer, kubeadm's own version is the newest that is known, and it says nothing of other minors (Q28 of the original).
fn candidates(
    wish: &Wish,
    cluster: &Version,
    fx: &Effects,
    session: &Session,
) -> Result<Candidates, CommandError> {
    let mut network = Network::new(session, &*fx.output);
    let stable = match &wish.target {
        Some(target) => {
            network.answers = false;
            Some(target.clone())
        }
        None => network.look_up("stable").map_err(|e| e.prefix("[upgrade/versions] FATAL"))?,
    };
    let stable = stable.unwrap_or_else(|| skew::cleaned(&wish.spec.kubeadm_version));
    fx.output.say(&format!("[upgrade/versions] Target version: {stable}"));
    let mut candidates = Candidates::default();
    let same_minor = skew::same_minor(cluster, &stable);
    if skew::upgrade_step(cluster, &stable) > 0 && network.answers {
        let label = skew::stable_label(cluster);
        match network.look_up(&label) {
            Ok(patch) => candidates.patch = patch,
            Err(error) => fx.output.warn(&format!("[upgrade/versions] WARNING: {}", error.message())),
        }
    } else if same_minor {
        candidates.patch = Some(stable.clone());
    }
    if let Some(patch) = &candidates.patch {
        let series = cluster.major_minor();
        fx.output.say(&format!("[upgrade/versions] Latest version in the v{series} series: {patch}"));
    }
    candidates.stable = Some(stable);
    let policy = wish.spec.policy;
    if (policy.experimental || policy.release_candidates) && network.answers {
        let fatal = |e: CommandError| e.prefix("[upgrade/versions] FATAL");
        if let Some(latest) = network.look_up("latest").map_err(fatal)? {
            fx.output.say(&format!("[upgrade/versions] Latest experimental version: {latest}"));
            let label = format!("latest-{}.{}", latest.major, latest.minor.saturating_sub(1));
            if let Some(previous) = network.look_up(&label).map_err(fatal)? {
                fx.output.say(&format!("[upgrade/versions] Latest previous version: {previous}"));
                candidates.latest = Some((latest, previous));
            }
        }
    }
    Ok(candidates)
}

// --- the object -----------------------------------------------------------------------------------------------

/// cmd/kubeadm/app/apis/output/v1alpha3/types.go, 1.37.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UpgradePlan {
    kind: &'static str,
    api_version: &'static str,
    available_upgrades: Vec<AvailableUpgrade>,
    config_versions: Vec<ConfigVersion>,
}

#[derive(Serialize)]
struct AvailableUpgrade {
    description: String,
    components: Vec<Component>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    name: String,
    current_version: String,
    new_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    node_name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ConfigVersion {
    group: String,
    current_version: String,
    preferred_version: String,
    manual_upgrade_required: bool,
}

/// What the rows of an offer are made of.
struct Parts<'a> {
    state: &'a ClusterState,
    /// The version of the cluster.
    cluster: &'a Version,
    kubeadm: &'a Version,
    config: &'a ClusterConfiguration,
}

impl Parts<'_> {
    fn available(&self, offer: &Offer, with_etcd: bool) -> AvailableUpgrade {
        let Self { state, cluster, kubeadm, config } = self;
        let new = offer.version.to_string();
        let component = |name: &str, current: &str, new: &str, node: &str| Component {
            name: name.into(),
            current_version: current.into(),
            new_version: new.into(),
            node_name: node.into(),
        };
        let each = |name: &str, found: &ByVersion, new: &str| -> Vec<Component> {
            let rows =
                found.iter().flat_map(|(version, nodes)| nodes.iter().map(move |node| (version, node)));
            rows.map(|(version, node)| component(name, version, new, node)).collect()
        };
        let images = images(&offer.version);
        let mut components = Vec::new();
        if state.kubelets.len() > 1 || !state.kubelets.contains_key(&new) {
            components.extend(each("kubelet", &state.kubelets, &new));
        }
        for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            components.extend(each(name, &state.of(name), &new));
        }
        if !config.proxy.disabled {
            components.push(component("kube-proxy", &cluster.bare(), &new, ""));
        }
        if !config.dns.disabled && !state.dns.is_empty() {
            let (name, tag) = match config.dns.kind {
                DnsKind::CoreDns => ("CoreDNS", images.coredns),
                DnsKind::KubeDns => ("kube-dns", images.kube_dns),
            };
            components.push(component(name, &state.dns, tag, ""));
        }
        components.push(component("kubeadm", &kubeadm.to_string(), &offer.kubeadm.to_string(), ""));
        if with_etcd {
            components.extend(each("etcd", &state.of("etcd"), images.etcd));
        }
        AvailableUpgrade { description: offer.description.clone(), components }
    }
}

/// The API of a component's configuration that the cluster keeps; `there` tells whether it does.
fn config_version(config: &serde_json::Value, there: bool) -> ConfigVersion {
    let api = config["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api.split_once('/').unwrap_or((api, ""));
    ConfigVersion {
        group: group.into(),
        current_version: if there { version.into() } else { String::new() },
        preferred_version: version.into(),
        manual_upgrade_required: false,
    }
}

// --- as text --------------------------------------------------------------------------------------------------

const RULE: &str = "_____________________________________________________________________\n\n";

fn text(plan: &UpgradePlan) -> String {
    if plan.available_upgrades.is_empty() {
        return String::new();
    }
    let offers: String = plan.available_upgrades.iter().map(offer_text).collect();
    offers + &configs_text(&plan.config_versions)
}

/// Go's tabwriter counts the blanks between columns in the ten of the least width.
const LEAST: [usize; 3] = [7; 3];

fn offer_text(offer: &AvailableUpgrade) -> String {
    let row = |cells: [&str; 4]| cells.map(str::to_owned).to_vec();
    let table = |wanted: &dyn Fn(&Component) -> bool| {
        let rows = offer.components.iter().filter(|c| wanted(c));
        let rows = rows.map(|c| row([&c.name, &c.node_name, &c.current_version, &c.new_version]));
        let head = row(["COMPONENT", "NODE", "CURRENT", "TARGET"]);
        aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &LEAST)
    };
    let named = |name: &str| offer.components.iter().find(|c| c.name == name);
    let version = named("kube-apiserver").or(named("kubeadm")).map_or("", |c| c.new_version.as_str());
    let flag = match version.split_once('-') {
        None => "",
        Some((_, pre)) if pre.starts_with("rc") => " --allow-release-candidate-upgrades",
        Some(_) => " --allow-experimental-upgrades",
    };
    let note = named("kubeadm").filter(|c| c.current_version != c.new_version).map(|c| {
        format!(
            "Note: Before you can perform this upgrade, you have to update kubeadm to {}.\n\n",
            c.new_version
        )
    });
    format!(
        "Components that must be upgraded manually after you have upgraded the control plane with 'kubeadm upgrade apply':\n\
         {}\nUpgrade to the latest {}:\n\n{}\n\
         You can now apply the upgrade by executing the following command:\n\n\tkubeadm upgrade apply {version}{flag}\n\n{}{RULE}",
        table(&|c| c.name == "kubelet"),
        offer.description,
        table(&|c| c.name != "kubelet" && c.name != "kubeadm"),
        note.unwrap_or_default(),
    )
}

fn configs_text(configs: &[ConfigVersion]) -> String {
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let mut rows = vec![
        ["API GROUP", "CURRENT VERSION", "PREFERRED VERSION", "MANUAL UPGRADE REQUIRED"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(configs.iter().map(|c| {
        let manual = if c.manual_upgrade_required { "yes" } else { "no" };
        vec![c.group.clone(), dash(&c.current_version), dash(&c.preferred_version), manual.to_owned()]
    }));
    format!(
        "\nThe table below shows the current state of component configs as understood by this version of kubeadm.\n\
         Configs that have a \"yes\" mark in the \"MANUAL UPGRADE REQUIRED\" column require manual config upgrade or\n\
         resetting to kubeadm defaults before a successful upgrade can be performed. The version to manually\n\
         upgrade to is denoted in the \"PREFERRED VERSION\" column.\n\n{}{RULE}",
        aligned(&rows, &LEAST)
    )
}

/// Says nothing on standard output.
struct Quiet(Arc<dyn Output>);

impl Output for Quiet {
    fn say(&self, _: &str) {}
    fn warn(&self, text: &str) {
        self.0.warn(text);
    }
    fn note(&self, text: &str) {
        self.0.note(text);
    }
    fn confirm(&self, question: &str) -> bool {
        self.0.confirm(question)
    }
}

impl Progress for Quiet {
    fn progress(&self, text: &str) {
        self.0.progress(text);
    }
}

#[cfg(test)]
mod tests {
    use kubeadm_config::commands::init_defaults;
    use kubeadm_release::Release;

    use super::*;

    fn v(text: &str) -> Version {
        text.parse().unwrap()
    }

    /// A cluster of one node, as the original was recorded on.
    fn state() -> ClusterState {
        let mut state = ClusterState { dns: "v1.13.1".into(), ..ClusterState::default() };
        let on_cp1 = |version: &str| ByVersion::from([(version.to_owned(), vec!["cp1".to_owned()])]);
        for name in ["kube-apiserver", "kube-controller-manager", "kube-scheduler"] {
            state.components.insert(name.into(), on_cp1("v1.36.1"));
        }
        state.components.insert("etcd".into(), on_cp1("3.6.8-0"));
        state.kubelets = on_cp1("v1.36.1");
        state
    }

    fn plan(offers: &[Offer], with_etcd: bool) -> UpgradePlan {
        let cluster = init_defaults(&Release::of(&v("1.36.1")).unwrap(), "").cluster;
        let parts = Parts { state: &state(), cluster: &v("1.36.1"), kubeadm: &v("1.37.2"), config: &cluster };
        let proxy = serde_json::json!({"apiVersion": "kubeproxy.config.k8s.io/v1alpha1"});
        let kubelet = serde_json::json!({"apiVersion": "kubelet.config.k8s.io/v1beta1"});
        UpgradePlan {
            kind: "UpgradePlan",
            api_version: API_VERSION,
            available_upgrades: offers.iter().map(|offer| parts.available(offer, with_etcd)).collect(),
            config_versions: vec![config_version(&proxy, true), config_version(&kubelet, true)],
        }
    }

    fn stable(version: &str) -> Offer {
        Offer { description: "stable version".into(), version: v(version), kubeadm: v(version) }
    }

    #[test]
    fn the_tables_are_those_of_the_original() {
        let expected = "\
Components that must be upgraded manually after you have upgraded the control plane with 'kubeadm upgrade apply':
COMPONENT   NODE      CURRENT   TARGET
kubelet     cp1       v1.36.1   v1.37.2

Upgrade to the latest stable version:

COMPONENT                 NODE      CURRENT   TARGET
kube-apiserver            cp1       v1.36.1   v1.37.2
kube-controller-manager   cp1       v1.36.1   v1.37.2
kube-scheduler            cp1       v1.36.1   v1.37.2
kube-proxy                          1.36.1    v1.37.2
CoreDNS                             v1.13.1   v1.14.6
etcd                      cp1       3.6.8-0   3.7.0-0

You can now apply the upgrade by executing the following command:

	kubeadm upgrade apply v1.37.2

_____________________________________________________________________


The table below shows the current state of component configs as understood by this version of kubeadm.
Configs that have a \"yes\" mark in the \"MANUAL UPGRADE REQUIRED\" column require manual config upgrade or
resetting to kubeadm defaults before a successful upgrade can be performed. The version to manually
upgrade to is denoted in the \"PREFERRED VERSION\" column.

API GROUP                 CURRENT VERSION   PREFERRED VERSION   MANUAL UPGRADE REQUIRED
kubeproxy.config.k8s.io   v1alpha1          v1alpha1            no
kubelet.config.k8s.io     v1beta1           v1beta1             no
_____________________________________________________________________

";
        assert_eq!(text(&plan(&[stable("1.37.2")], true)), expected);
        assert!(!text(&plan(&[stable("1.37.2")], false)).contains("etcd"));
    }

    #[test]
    fn a_newer_kubeadm_and_the_flag_of_an_unstable_version_are_told() {
        let told = text(&plan(&[stable("1.37.3")], true));
        assert!(told.contains(
            "Note: Before you can perform this upgrade, you have to update kubeadm to v1.37.3.\n\n____"
        ));
        for (version, flag) in [
            ("1.37.0-rc.1", "v1.37.0-rc.1 --allow-release-candidate-upgrades\n"),
            ("1.38.0-alpha.1", "v1.38.0-alpha.1 --allow-experimental-upgrades\n"),
        ] {
            let told = text(&plan(&[stable(version)], true));
            assert!(told.contains(&format!("\tkubeadm upgrade apply {flag}")), "{told}");
        }
    }

    #[test]
    fn the_object_has_upstreams_fields() {
        let object = serde_json::to_value(plan(&[stable("1.37.2")], true)).unwrap();
        let upgrade = &object["availableUpgrades"][0];
        assert_eq!(
            (&object["kind"], &upgrade["description"]),
            (&"UpgradePlan".into(), &"stable version".into())
        );
        let names: Vec<&str> =
            upgrade["components"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
        assert_eq!(
            names,
            [
                "kubelet",
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kube-proxy",
                "CoreDNS",
                "kubeadm",
                "etcd"
            ]
        );
        assert_eq!(
            upgrade["components"][4],
            serde_json::json!({"name": "kube-proxy", "currentVersion": "1.36.1", "newVersion": "v1.37.2"})
        );
        assert_eq!(upgrade["components"][7]["nodeName"], "cp1");
        assert_eq!(object["configVersions"][1]["preferredVersion"], "v1beta1");
        assert_eq!(text(&plan(&[], true)), "");
    }
}
