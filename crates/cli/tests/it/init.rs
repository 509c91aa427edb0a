//! `init` and its phases as dry runs and into folders of the test: what is read, refused and written.
//! What each phase decides is tested in the engine.

use super::env::TestEnv;

const HERE: &str = "--kubernetes-version v1.37.2 --apiserver-advertise-address 192.0.2.10";

fn dry() -> TestEnv {
    let mut env = TestEnv::new();
    env.program("kubelet", "echo Kubernetes v1.37.2");
    env.program("systemctl", "exit 0");
    let folder = env.path("dry");
    env.set("KUBEADM_INIT_DRYRUN_DIR", folder.to_str().unwrap());
    env
}

#[test]
fn a_dry_run_goes_through_all_phases_and_writes_into_its_folder_only() {
    let env = dry();
    let ran = env.line(&format!("init --dry-run --ignore-preflight-errors all --node-name CP1 {HERE}"));
    let folder = env.path("dry");
    let out = ran.ok().replace(folder.to_str().unwrap(), "<dir>");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[..2],
        ["[init] Using Kubernetes version: v1.37.2", "[preflight] Running pre-flight checks"]
    );
    for line in [
        "[kubeconfig] Using kubeconfig folder \"<dir>\"",
        "[addons] Applied essential addon: kube-proxy",
        "Your Kubernetes control-plane has initialized successfully!",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in ["admin.conf", "ca.crt", "config.yaml", "etcd", "kube-apiserver.yaml", "sa.key"] {
        assert!(names.iter().any(|n| n == name), "{names:?}");
    }
    // The kubelet registers under the lower-case name, so the name of its certificate must be that too.
    assert!(out.contains("for DNS names [cp1 kubernetes "), "{out}");
}

#[test]
fn flags_that_the_file_overrules_are_refused_beside_it() {
    let env = dry();
    let error = env.line("init --config c.yaml --token abcdef.0123456789abcdef --cri-socket x").fails();
    assert!(
        error.starts_with("error: can not mix '--config' with arguments [cri-socket token]\n"),
        "{error}"
    );
    let error = env.line("init phase certs ca --config c.yaml --cert-dir x").fails();
    assert!(error.starts_with("error: can not mix '--config' with arguments [cert-dir]\n"), "{error}");
    let error = env.line("init --config c.yaml").fails();
    assert!(error.starts_with("error: unable to read config from \"c.yaml\" : "), "{error}");
    assert!(!env.path("dry").exists());
}

#[test]
fn wrong_values_are_refused_before_anything_is_written() {
    let env = dry();
    for (flags, words) in [
        ("--token nope", "error: the bootstrap token \"nope\" was not of the form "),
        ("--feature-gates Nope=true", "error: unrecognized feature-gate key: Nope\n"),
        (
            "--kubernetes-version banana",
            "error: version \"banana\" doesn't match patterns for neither semantic version nor labels",
        ),
        ("--kubernetes-version v1.10.13", "error: Kubernetes 1.10 is not supported by this build of kubeadm"),
        (
            "--ignore-preflight-errors all,Swap",
            "error: ignore-preflight-errors: Invalid value: \"all,swap\": ",
        ),
        (
            "--kubernetes-version v1.13.12 --feature-gates DynamicKubeletConfig=true",
            "error: unrecognized feature-gate key: DynamicKubeletConfig\n",
        ),
        ("--skip-phases nosuch", "error: invalid phase name: nosuch"),
    ] {
        let error = env.line(&format!("init --dry-run {HERE} {flags}")).fails();
        assert!(error.contains(words), "{flags}: {error}");
        assert!(!env.path("dry").exists(), "{flags}");
    }
}

#[test]
fn skipped_addons_are_disabled_in_what_is_uploaded() {
    let env = dry();
    let skip = "--skip-phases preflight,addon/coredns --skip-phases show-join-command";
    let out = env.line(&format!("init --dry-run {HERE} {skip}")).ok();
    assert!(!out.contains("CoreDNS") && out.contains("essential addon: kube-proxy"), "{out}");
    assert!(out.contains("    dns:\n      disabled: true\n"), "{out}");
}

#[test]
fn the_file_can_ask_for_a_dry_run_and_skip_phases() {
    let env = dry();
    env.write(
        "c.yaml",
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\ndryRun: true\nskipPhases: [preflight, addon]\n\
         localAPIEndpoint: {advertiseAddress: 192.0.2.10}\n---\napiVersion: kubeadm.k8s.io/v1beta4\n\
         kind: ClusterConfiguration\nkubernetesVersion: v1.37.2\n",
    );
    let out = env.line("init --config c.yaml").ok();
    assert!(!out.contains("[preflight]") && !out.contains("[addons]"), "{out}");
    assert!(env.path("dry").join("ca.crt").exists());
    // A flag on the command line takes the place of the field.
    let out = env.line("init --config c.yaml --skip-phases preflight,show-join-command").ok();
    assert!(out.contains("[addons] Applied essential addon: CoreDNS"), "{out}");
}

#[test]
fn a_single_phase_asks_nobody_and_goes_where_it_is_told() {
    let env = dry();
    let pki = env.path("pki");
    let line = format!("init phase certs ca --cert-dir {} --apiserver", pki.display());
    assert!(env.line(&line).fails().starts_with("error: unknown flag: --apiserver\n"));
    let ran = env.line(&format!("init phase certs ca --cert-dir {}", pki.display()));
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "[certs] Generating \"ca\" certificate and key\n"),
        "{}",
        ran.stderr
    );
    // Neither stable-1 nor a runtime was looked for.
    assert_eq!(ran.stderr, "");
    assert!(pki.join("ca.crt").exists() && pki.join("ca.key").exists() && !env.path("dry").exists());
    let again = env.line(&format!("init phase certs ca --cert-dir {} --dry-run=false", pki.display())).ok();
    assert_eq!(again, "[certs] Using existing ca certificate authority\n");
}

#[test]
fn manifests_of_addons_can_be_printed_without_a_cluster() {
    let env = dry();
    let text = env.line("init phase addon coredns --print-manifest").ok();
    assert!(text.starts_with("---\napiVersion: ") && text.contains("kind: Deployment"), "{text}");
    let text = env.line("init phase addon kube-proxy --print-manifest --kubernetes-version v1.13.12").ok();
    assert!(text.contains("kube-proxy:v1.13.12"), "{text}");
}

#[test]
fn deprecated_flags_work_and_say_so() {
    let env = dry();
    let ran = env.line(&format!(
        "init phase control-plane apiserver --dry-run {HERE} --apiserver-extra-args audit-log-path=/a,v=4"
    ));
    assert!(
        ran.stderr.starts_with("Flag --apiserver-extra-args has been deprecated, use 'ClusterConfiguration.apiServer.extraArgs' instead. "),
        "{}",
        ran.stderr
    );
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let manifest = std::fs::read_to_string(env.path("dry").join("kube-apiserver.yaml")).unwrap();
    assert!(manifest.contains("--audit-log-path=/a\n") && manifest.contains("--v=4\n"), "{manifest}");
}

/// Of a join without its cluster.
#[test]
fn a_dry_run_of_join_needs_no_cluster_and_writes_into_its_folder_only() {
    let mut env = dry();
    let folder = env.path("joined");
    env.set("KUBEADM_JOIN_DRYRUN_DIR", folder.to_str().unwrap());
    let line = "join 127.0.0.1:1 --token abcdef.0123456789abcdef --discovery-token-unsafe-skip-ca-verification \
                --cri-socket unix:///nowhere.sock --node-name W1 --ignore-preflight-errors all";
    let ran = env.line(&format!("{line} --dry-run"));
    let warning = "going on with what https://127.0.0.1:1 would have by default";
    assert!(ran.stderr.contains(warning), "{}", ran.stderr);
    let out = ran.ok();
    assert!(
        out.contains(&format!(
            "[dryrun] Wrote certificates and kubeconfig files to the {folder:?} directory"
        )),
        "{out}"
    );
    for name in ["bootstrap-kubelet.conf", "config.yaml", "instance-config.yaml", "kubeadm-flags.env"] {
        assert!(folder.join(name).exists(), "{name}");
    }
}

#[test]
fn failed_checks_are_listed_before_the_error() {
    let env = TestEnv::new();
    let ran = env.line("init phase preflight --cri-socket unix:///nowhere.sock");
    let error = ran.stderr.clone();
    assert!(error.contains("[preflight] Some fatal errors occurred:\n\t[ERROR "), "{error}");
    assert!(
        error.ends_with(
            "can make a check non-fatal with `--ignore-preflight-errors=...`\n\
             error: error execution phase preflight: preflight checks failed\n\
             To see the stack trace of this error execute with --v=5 or higher\n"
        ),
        "{error}"
    );
    assert_eq!(
        (ran.code, ran.stdout.starts_with("[preflight] Running pre-flight checks\n")),
        (1, true),
        "{}",
        ran.stdout
    );
}
