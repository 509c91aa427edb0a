//! A containerd that speaks CRI v1alpha2 and nothing later: 1.5, the last of its kind. Debian's speaks v1 too.

use std::time::Duration;

use crate::command::{retry, wait_for};
use crate::components::go;
use crate::error::{At as _, check};
use crate::node::Node;
use crate::{Lab, Result, progress};

const VERSION: &str = "v1.5.18";
const MODULE: &str = "github.com/containerd/containerd";
const PROGRAMS: [&str; 2] = ["containerd", "containerd-shim-runc-v2"];
const SET: &str = "containerd-1.5";
/// What needs headers of other libraries, or a file system that nodes do not have.
const WITHOUT: &str = "no_aufs,no_btrfs,no_devmapper,no_zfs";
/// What its own go.mod puts in the place of newer ones, with which its messages do not go together.
const INSTEAD: &[(&str, &str)] = &[
    ("github.com/gogo/googleapis", "v1.3.2"),
    ("github.com/golang/protobuf", "v1.3.5"),
    ("github.com/urfave/cli", "v1.22.1"),
    ("google.golang.org/genproto", "v0.0.0-20200224152610-e50cd9704f63"),
    ("google.golang.org/grpc", "v1.27.1"),
];
const SOCKET: &str = "/run/containerd/containerd.sock";

/// Asks for the version by CRI v1 with an empty message; the answer has its status among the headers. Whoever answers so need
/// not read the message first, and may end the stream: 92 for curl.
const ASK_V1: &str = "printf '\\0\\0\\0\\0\\0' | curl -s --http2-prior-knowledge --unix-socket SOCKET -X POST -D - -o /dev/null \
                      -H 'content-type: application/grpc' -H 'te: trailers' --data-binary @- \
                      http://cri/runtime.v1.RuntimeService/Version || [ $? = 92 ]";
/// `UNIMPLEMENTED`.
const UNKNOWN_SERVICE: &str = "grpc-status: 12";

fn build(lab: &Lab) -> Result<()> {
    if PROGRAMS.iter().all(|name| lab.program(SET, name).exists()) {
        return Ok(());
    }
    let source = lab.components(SET).join("src");
    std::fs::create_dir_all(&source).at("make", &source)?;
    // Earlier versions of reflect2 do not run with a Go of today.
    let require = format!("require (\n\t{MODULE} {VERSION}\n\tgithub.com/modern-go/reflect2 v1.0.2\n)\n");
    let packages = PROGRAMS.map(|name| format!("{MODULE}/cmd/{name}"));
    let tools: String = packages.iter().map(|package| format!("tool {package}\n")).collect();
    let replace: String =
        INSTEAD.iter().map(|(module, version)| format!("replace {module} => {module} {version}\n")).collect();
    std::fs::write(source.join("go.mod"), format!("module t\n\ngo 1.26.0\n\n{require}\n{replace}\n{tools}"))
        .at("write", &source)?;
    progress::during(format!("build containerd {VERSION}, once"), || {
        retry(|| {
            go(lab, "go").args(["mod", "tidy", "-e"]).dir(&source).read()?;
            let stamp = format!("-s -w -X {MODULE}/version.Version={VERSION}");
            go(lab, "go")
                .args(["build", "-trimpath", "-tags", WITHOUT, "-ldflags", &stamp, "-o", "../bin/"])
                .args(&packages)
                .dir(&source)
                .read()
        })
    })
    .map(drop)
}

/// Puts it in the place of a node's own, and makes sure that it does not know CRI v1.
pub(crate) fn install(lab: &Lab, node: &Node) -> Result<()> {
    build(lab)?;
    progress::step(format!("give {} containerd {VERSION}", node.name));
    node.run(["systemctl", "stop", "containerd"])?;
    for name in PROGRAMS {
        node.copy_in(&lab.program(SET, name), &format!("/usr/bin/{name}"))?;
    }
    node.run(["systemctl", "start", "containerd"])?;
    let said = wait_for("containerd to answer", Duration::from_secs(30), || {
        node.run(["ctr", "version"]).map_err(|e| e.to_string())
    })?;
    check("the version of containerd", said.contains(VERSION), VERSION, said)?;
    let said = node.script(&ASK_V1.replace("SOCKET", SOCKET))?;
    check("its answer to CRI v1", said.contains(UNKNOWN_SERVICE), UNKNOWN_SERVICE, said)
}
