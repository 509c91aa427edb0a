//! `kubeadm version`.

use serde_json::json;

use crate::error::CommandError;
use crate::output;
use crate::parse::Call;

/// Version of this kubeadm.
pub(crate) const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Prints the version in the format asked for. cmd/kubeadm/app/cmd/version.go, 1.37.
pub(crate) fn run(call: &Call<'_>) -> Result<(), CommandError> {
    match call.flags.text("output").as_str() {
        "" => output::line(&format!("kubeadm version: {}", go_struct())),
        "short" => output::line(VERSION),
        // The original prints one line end more than the document has.
        "yaml" => output::line(&kubeadm_yaml::to_string(&json!({"clientVersion": fields()}))),
        "json" => output::line(&format!("{:#}", json!({"clientVersion": fields()}))),
        other => return Err(CommandError::new(format!("invalid output format: {other}"))),
    }
    Ok(())
}

/// What was built, by the field names of apimachinery's `version.Info`. `goVersion` names our compiler; commit and
/// date are those a release build is given.
fn fields() -> serde_json::Value {
    json!({
        "major": env!("CARGO_PKG_VERSION_MAJOR"),
        "minor": env!("CARGO_PKG_VERSION_MINOR"),
        "gitVersion": VERSION,
        "gitCommit": option_env!("KUBEADM_GIT_COMMIT").unwrap_or_default(),
        "gitTreeState": option_env!("KUBEADM_GIT_TREE_STATE").unwrap_or_default(),
        "buildDate": option_env!("KUBEADM_BUILD_DATE").unwrap_or_default(),
        "goVersion": env!("KUBEADM_COMPILER"),
        "compiler": "rustc",
        "platform": format!("linux/{ARCHITECTURE}"),
    })
}

fn go_struct() -> String {
    let fields = fields();
    let names = [
        ("Major", "major"),
        ("Minor", "minor"),
        ("EmulationMajor", ""),
        ("EmulationMinor", ""),
        ("MinCompatibilityMajor", ""),
        ("MinCompatibilityMinor", ""),
        ("GitVersion", "gitVersion"),
        ("GitCommit", "gitCommit"),
        ("GitTreeState", "gitTreeState"),
        ("BuildDate", "buildDate"),
        ("GoVersion", "goVersion"),
        ("Compiler", "compiler"),
        ("Platform", "platform"),
    ];
    let shown: Vec<String> = names
        .iter()
        .map(|(name, key)| format!("{name}:{:?}", fields[*key].as_str().unwrap_or_default()))
        .collect();
    format!("&version.Info{{{}}}", shown.join(", "))
}

/// The machine this was built for, as Go names it.
pub(crate) const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else {
    std::env::consts::ARCH
};
