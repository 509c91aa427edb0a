//! What people and scripts rely on at the edges: help, groups, completion, errors.

use super::env::TestEnv;

#[test]
fn groups_show_their_help_and_fail() {
    let env = TestEnv::new();
    for group in ["config", "config print", "config images", "token", "init phase", "init phase certs"] {
        let ran = env.line(group);
        assert!(ran.stdout.contains(&format!("Usage: kubeadm {group}")), "{}", ran.stdout);
        assert_eq!(
            ran.fails(),
            "error: subcommand is required\nTo see the stack trace of this error execute with --v=5 or higher\n"
        );
    }
}

#[test]
fn help_is_no_failure() {
    let env = TestEnv::new();
    let root = env.line("").ok();
    for (line, start) in [
        ("-h", "kubeadm: "),
        ("help", "kubeadm: "),
        ("help token create", "Create bootstrap"),
        ("init --help", "Run this"),
    ] {
        let text = env.line(line).ok();
        assert!(text.starts_with(start), "{line}: {text}");
    }
    assert!(root.contains("\n  completion ") && !root.contains("\n  help "), "{root}");
    assert!(!env.line("init phase control-plane apiserver -h").ok().contains("extra-args"));
    assert!(env.line("help nope").fails().contains("unknown help topic \"nope\""));
}

#[test]
fn every_phase_is_in_help_and_completion() {
    let env = TestEnv::new();
    let help = env.line("init --help").ok();
    for name in ["preflight", "etcd-healthcheck-client", "show-join-command"] {
        assert!(help.contains(name), "{name}");
    }
    // The generator for fish stops at the third level of commands.
    let deep = ["service-dns-domain", "images", "etcd-healthcheck-client", "upgrade-defaults"];
    for (shell, words) in [("bash", &deep[..]), ("zsh", &deep[..]), ("fish", &deep[..2])] {
        let script = env.run(["completion", shell]).ok();
        for word in words {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert!(env.line("completion").fails().starts_with("error: shell not specified\n"));
    assert!(env.line("completion tcsh").fails().contains("unsupported shell type \"tcsh\""));
    assert!(env.line("completion bash zsh").fails().contains("too many arguments"));
}

#[test]
fn levels_show_causes_instead_of_the_hint() {
    let env = TestEnv::new();
    let error = env.line("token delete zzz -v5").fails();
    assert!(error.starts_with("error: given token didn't match pattern"), "{error}");
    assert!(!error.contains("stack trace"), "{error}");
}

#[test]
fn levels_say_more_of_what_is_done() {
    let env = TestEnv::new();
    let stderr = |flags: &str| {
        let line = format!(
            "init phase certs sa --kubernetes-version v1.37.2 --cert-dir {}",
            env.path("pki").display()
        );
        let ran = env.line(&format!("{line} {flags}"));
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stderr
    };
    let planning = "] planning phase=\"certs/sa\"\n";
    assert_eq!(stderr(""), "");
    for flags in ["-v1", "-v 1", "--v=4", "--vmodule run=1", "--vmodule other=0,r?n=2"] {
        let text = stderr(flags);
        assert!(text.starts_with('I') && text.contains(planning), "{flags}: {text}");
    }
    assert!(!stderr("-v1 --vmodule run=0").contains(planning));
}

#[test]
fn version_in_every_format() {
    let env = TestEnv::new();
    assert_eq!(env.line("version -oshort").ok(), "v1.37.2\n");
    let json: serde_json::Value = serde_json::from_str(&env.line("version --output json").ok()).unwrap();
    assert_eq!(json["clientVersion"]["gitVersion"], "v1.37.2");
    assert!(
        env.line("version").ok().starts_with("kubeadm version: &version.Info{Major:\"1\", Minor:\"37\", ")
    );
    assert!(env.line("version -o xml").fails().starts_with("error: invalid output format: xml\n"));
}

#[test]
fn random_tokens_have_their_form() {
    let env = TestEnv::new();
    let token = env.line("token generate").ok();
    let (id, secret) = token.trim_end().split_once('.').unwrap();
    assert_eq!((id.len(), secret.len()), (6, 16), "{token}");
    assert_ne!(token, env.line("token generate").ok());
}

#[test]
fn tokens_need_a_kubeconfig_that_exists() {
    let mut env = TestEnv::new();
    env.set("KUBECONFIG", "/nowhere/a:/nowhere/b");
    let error = env.line("token list").fails();
    assert!(
        error.starts_with(
            "error: failed to load admin kubeconfig: open /nowhere/a: no such file or directory\n"
        ),
        "{error}"
    );
    let error = env.line("token create --certificate-key 00").fails();
    assert!(
        error.starts_with("error: cannot use --certificate-key without --print-join-command\n"),
        "{error}"
    );
    let error = env.line("token list -o go-template").fails();
    assert!(error.contains("\"go-template\", allowed formats are: json,text,yaml"), "{error}");
    let error = env.line("token delete").fails();
    assert!(error.contains("missing argument; 'token delete' is missing token of form \"\\\\A"), "{error}");
}

#[test]
fn a_root_that_cannot_be_entered_is_an_error() {
    let error = TestEnv::new().line("version --rootfs /no/such/root").fails();
    assert!(error.starts_with("error: unable to chroot to /no/such/root: "), "{error}");
}

#[test]
fn a_migrated_file_is_written_where_its_path_leads() {
    let env = TestEnv::new();
    let old = super::env::fixtures().join("golden/kubeadm-1.37/commands/migrate-full/in.yaml");
    let migrate = |new: &str| {
        env.run(["config", "migrate", "--old-config", old.to_str().unwrap(), "--new-config", new])
    };
    assert_eq!(migrate("new.yaml").ok(), "");
    let text = std::fs::read_to_string(env.path("new.yaml")).unwrap();
    assert!(text.starts_with("apiVersion: kubeadm.k8s.io/v1beta4\n"), "{text}");
    std::os::unix::fs::symlink(env.path("target.yaml"), env.path("link.yaml")).unwrap();
    migrate("link.yaml").ok();
    assert!(env.path("link.yaml").is_symlink());
    assert_eq!(std::fs::read_to_string(env.path("target.yaml")).unwrap(), text);
    assert_eq!(migrate("/dev/stdout").ok(), text);
    let error = migrate("new.yaml/x").fails();
    assert!(
        error.starts_with("error: failed to write the new configuration to the file \"new.yaml/x\": "),
        "{error}"
    );
}
