//! Properties of the descriptions: what is written can be read without a fault, reading it gives the same again in
//! every version, and API v1 loses nothing.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::{Kind, cluster, init, join, reset, upgrade};
use crate::codec::{self, Describe};
use crate::duration::GoDuration;
use crate::token::BootstrapTokenString;
use crate::types::*;
use kubeadm_release::facts::config_api::Api;

const READ: [Api; 7] =
    [Api::V1Alpha2, Api::V1Alpha3, Api::V1Beta1, Api::V1Beta2, Api::V1Beta3, Api::V1Beta4, Api::V1];

fn text() -> impl Strategy<Value = String> {
    // Line separators are breaks in YAML 1.1 and plain characters in 1.2: no writer can please both.
    prop_oneof![
        "[a-z0-9./:-]{0,12}",
        "[^\\p{C}\\p{Zl}\\p{Zp}]{0,6}",
        Just("yes".to_owned()),
        Just("0644".to_owned())
    ]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 0..3)
}

fn secret() -> impl Strategy<Value = SecretText> {
    text().prop_map(SecretText)
}

fn duration() -> impl Strategy<Value = GoDuration> {
    any::<i64>().prop_map(GoDuration::from_nanos)
}

fn time() -> impl Strategy<Value = jiff::Timestamp> {
    (0_i64..4_000_000_000).prop_map(|second| jiff::Timestamp::from_second(second).unwrap())
}

fn arg() -> impl Strategy<Value = Arg> {
    let merge = prop_oneof![
        Just(MergeMethod::Replace),
        Just(MergeMethod::Append),
        Just(MergeMethod::Prepend),
        Just(MergeMethod::Unknown("x".into()))
    ];
    (text(), text(), merge).prop_map(|(name, value, merge)| Arg { name, value, merge })
}

fn taint() -> impl Strategy<Value = Taint> {
    (text(), text(), text(), option::of(time())).prop_map(|(key, value, effect, time_added)| Taint {
        key,
        value,
        effect,
        time_added,
    })
}

fn node() -> impl Strategy<Value = NodeRegistration> {
    let texts_of = (text(), text(), text(), texts());
    (texts_of, option::of(vec(taint(), 0..3)), vec(arg(), 0..3), option::of(any::<bool>())).prop_map(
        |(
            (name, cri_socket, image_pull_policy, ignore_preflight_errors),
            taints,
            kubelet_extra_args,
            serial,
        )| {
            NodeRegistration {
                name,
                cri_socket,
                taints,
                kubelet_extra_args,
                ignore_preflight_errors,
                image_pull_policy,
                image_pull_serial: serial,
            }
        },
    )
}

fn token() -> impl Strategy<Value = BootstrapToken> {
    let token = ("[a-z0-9]{6}", "[a-z0-9]{16}").prop_map(|(id, secret)| BootstrapTokenString { id, secret });
    (token, text(), option::of(duration()), option::of(time()), texts(), texts()).prop_map(
        |(token, description, ttl, expires, usages, groups)| BootstrapToken {
            token,
            description,
            ttl,
            expires,
            usages,
            groups,
        },
    )
}

fn endpoint() -> impl Strategy<Value = ApiEndpoint> {
    (text(), any::<i32>())
        .prop_map(|(advertise_address, bind_port)| ApiEndpoint { advertise_address, bind_port })
}

fn patches() -> impl Strategy<Value = Option<Patches>> {
    option::of(text().prop_map(|directory| Patches { directory }))
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    (duration(), duration(), duration()).prop_map(|(first, second, third)| Timeouts {
        control_plane_component_health_check: first,
        discovery: second,
        upgrade_manifests: third,
        ..Timeouts::default()
    })
}

fn any_init() -> impl Strategy<Value = InitConfiguration> {
    (vec(token(), 0..3), any::<bool>(), node(), endpoint(), secret(), texts(), patches(), timeouts())
        .prop_map(
            |(
                bootstrap_tokens,
                dry_run,
                node_registration,
                endpoint,
                key,
                skip_phases,
                patches,
                timeouts,
            )| {
                InitConfiguration {
                    bootstrap_tokens,
                    dry_run,
                    node_registration,
                    local_api_endpoint: endpoint,
                    certificate_key: key,
                    skip_phases,
                    patches,
                    timeouts,
                }
            },
        )
}

fn mount() -> impl Strategy<Value = HostPathMount> {
    (text(), text(), text(), any::<bool>(), text()).prop_map(
        |(name, host_path, mount_path, read_only, path_type)| HostPathMount {
            name,
            host_path,
            mount_path,
            read_only,
            path_type,
        },
    )
}

fn env() -> impl Strategy<Value = EnvVar> {
    let from = Just(serde_json::json!({"fieldRef": {"fieldPath": "status.podIP"}}));
    (text(), text(), option::of(from)).prop_map(|(name, value, value_from)| EnvVar {
        name,
        value,
        value_from,
    })
}

fn component() -> impl Strategy<Value = ControlPlaneComponent> {
    (vec(arg(), 0..3), vec(mount(), 0..3), vec(env(), 0..3)).prop_map(
        |(extra_args, extra_volumes, extra_envs)| ControlPlaneComponent {
            extra_args,
            extra_volumes,
            extra_envs,
        },
    )
}

fn etcd() -> impl Strategy<Value = Etcd> {
    let local = (text(), text(), text(), vec(arg(), 0..3), vec(env(), 0..2), texts(), texts()).prop_map(
        |(image_repository, image_tag, data_dir, extra_args, extra_envs, server, peer)| LocalEtcd {
            image_repository,
            image_tag,
            image: String::new(),
            data_dir,
            extra_args,
            extra_envs,
            server_cert_sans: server,
            peer_cert_sans: peer,
        },
    );
    let external = (texts(), texts(), text(), text(), text()).prop_map(
        |(endpoints, http_endpoints, ca_file, cert_file, key_file)| ExternalEtcd {
            endpoints,
            http_endpoints,
            ca_file,
            cert_file,
            key_file,
        },
    );
    (option::of(local), option::of(external)).prop_map(|(local, external)| Etcd { local, external })
}

fn any_cluster() -> impl Strategy<Value = ClusterConfiguration> {
    let plain = (text(), text(), text(), text(), text(), text());
    let parts = (etcd(), component(), component(), component(), texts());
    let networking = (text(), text(), text()).prop_map(|(service_subnet, pod_subnet, dns_domain)| {
        Networking { service_subnet, pod_subnet, dns_domain }
    });
    let dns = (text(), text(), any::<bool>(), any::<bool>());
    let gates = btree_map("[A-Za-z]{1,8}", any::<bool>(), 0..3);
    let periods = (option::of(duration()), option::of(duration()));
    (plain, parts, networking, dns, gates, periods).prop_map(
        |(plain, (etcd, first, second, third, cert_sans), networking, dns, feature_gates, periods)| {
            ClusterConfiguration {
                etcd,
                networking,
                kubernetes_version: plain.0,
                control_plane_endpoint: plain.1,
                api_server: ApiServer { component: first, cert_sans, timeout_for_control_plane: None },
                controller_manager: second,
                scheduler: third,
                dns: Dns {
                    kind: DnsKind::CoreDns,
                    image_repository: dns.0,
                    image_tag: dns.1,
                    disabled: dns.2,
                },
                proxy: Proxy { disabled: dns.3 },
                certificates_dir: plain.2,
                image_repository: plain.3,
                cluster_name: plain.4,
                encryption_algorithm: plain.5,
                feature_gates,
                certificate_validity_period: periods.0,
                ca_certificate_validity_period: periods.1,
                ..ClusterConfiguration::default()
            }
        },
    )
}

fn any_join() -> impl Strategy<Value = JoinConfiguration> {
    let by_token = (secret(), text(), texts(), any::<bool>()).prop_map(|(token, server, hashes, skip)| {
        BootstrapTokenDiscovery {
            token,
            api_server_endpoint: server,
            other_endpoints: Vec::new(),
            ca_cert_hashes: hashes,
            unsafe_skip_ca_verification: skip,
        }
    });
    let file = text().prop_map(|kube_config_path| FileDiscovery { kube_config_path });
    let discovery =
        (option::of(by_token), option::of(file), secret()).prop_map(|(bootstrap_token, file, tls)| {
            Discovery { bootstrap_token, file, tls_bootstrap_token: tls }
        });
    let control_plane = (endpoint(), secret()).prop_map(|(local_api_endpoint, certificate_key)| {
        JoinControlPlane { local_api_endpoint, certificate_key }
    });
    let rest = (any::<bool>(), text(), texts(), patches(), timeouts());
    (node(), discovery, option::of(control_plane), rest).prop_map(
        |(
            node_registration,
            discovery,
            control_plane,
            (dry_run, ca_cert_path, skip_phases, patches, timeouts),
        )| {
            JoinConfiguration {
                dry_run,
                node_registration,
                ca_cert_path,
                discovery,
                control_plane,
                skip_phases,
                patches,
                timeouts,
                cluster_name: String::new(),
            }
        },
    )
}

fn any_reset() -> impl Strategy<Value = ResetConfiguration> {
    (text(), text(), texts(), texts(), texts(), (any::<bool>(), any::<bool>(), any::<bool>()), timeouts())
        .prop_map(|(certificates_dir, cri_socket, ignore, skip_phases, unmount_flags, flags, timeouts)| {
            ResetConfiguration {
                cleanup_tmp_dir: flags.0,
                certificates_dir,
                cri_socket,
                dry_run: flags.1,
                force: flags.2,
                ignore_preflight_errors: ignore,
                skip_phases,
                unmount_flags,
                timeouts,
            }
        })
}

fn any_upgrade() -> impl Strategy<Value = UpgradeConfiguration> {
    let flag = || option::of(any::<bool>());
    (text(), texts(), flag(), flag(), any::<i64>(), patches(), timeouts()).prop_map(
        |(version, checks, renewal, etcd, context_lines, patches, timeouts)| UpgradeConfiguration {
            apply: UpgradeApply {
                kubernetes_version: version.clone(),
                certificate_renewal: renewal,
                etcd_upgrade: etcd,
                ignore_preflight_errors: checks.clone(),
                patches: patches.clone(),
                ..UpgradeApply::default()
            },
            diff: UpgradeDiff { kubernetes_version: version.clone(), context_lines },
            node: UpgradeNode {
                skip_phases: checks,
                patches,
                image_pull_serial: etcd,
                ..UpgradeNode::default()
            },
            plan: UpgradePlan {
                kubernetes_version: version,
                etcd_upgrade: renewal,
                ..UpgradePlan::default()
            },
            timeouts,
        },
    )
}

/// Writes and reads again, through text.
fn again<T: Clone + Default>(x: &T, api: Api, kind: Kind, describe: Describe<T>) -> T {
    let text = kubeadm_yaml::to_string(&codec::write(api, kind.name(), &mut x.clone(), describe));
    let value = kubeadm_yaml::parse_value(&text, "written").unwrap();
    let (read, faults) = codec::read(api, kind.name(), &value, describe);
    assert_eq!(faults, codec::Faults::default(), "{text}");
    read
}

fn settles<T: Clone + Default + PartialEq + std::fmt::Debug>(
    x: &T,
    api: Api,
    kind: Kind,
    describe: Describe<T>,
) {
    let once = again(x, api, kind, describe);
    assert_eq!(again(&once, api, kind, describe), once, "{api:?}");
}

proptest! {
    #[test]
    fn init_configurations_come_back(x in any_init()) {
        for api in READ.into_iter().filter(|api| Kind::of(*api, Kind::Init.name()).is_some()) {
            settles(&x, api, Kind::Init, init);
        }
        prop_assert_eq!(again(&x, Api::V1, Kind::Init, init), x);
    }

    #[test]
    fn cluster_configurations_come_back(x in any_cluster()) {
        for api in READ.into_iter().filter(|api| Kind::of(*api, Kind::Cluster.name()).is_some()) {
            settles(&x, api, Kind::Cluster, cluster);
        }
        prop_assert_eq!(again(&x, Api::V1, Kind::Cluster, cluster), x);
    }

    #[test]
    fn join_configurations_come_back(x in any_join()) {
        for api in READ {
            settles(&x, api, Kind::Join, join);
        }
        prop_assert_eq!(again(&x, Api::V1, Kind::Join, join), x);
    }

    #[test]
    fn the_other_kinds_come_back(x in any_reset(), y in any_upgrade()) {
        prop_assert_eq!(again(&x, Api::V1Beta4, Kind::Reset, reset), x);
        prop_assert_eq!(again(&y, Api::V1Beta4, Kind::Upgrade, upgrade), y);
    }

    #[test]
    fn durations_come_back(nanos in any::<i64>()) {
        let duration = GoDuration::from_nanos(nanos);
        prop_assert_eq!(duration.to_string().parse(), Ok(duration));
    }

    #[test]
    fn no_document_breaks_the_reader(text in "\\PC{0,80}") {
        let mut notices = Vec::new();
        let _ = crate::documents::Documents::read(&text, "any", Default::default(), &mut notices);
        let document = format!("apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\netcd: {text}\n");
        let _ = crate::documents::Documents::read(&document, "any", Default::default(), &mut notices);
    }
}
