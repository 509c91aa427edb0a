//! Generates `crates/rpc/src/generated` from `crates/rpc/proto`, without `protoc`. Needed only when a proto file changes:
//! `cargo run --manifest-path crates/rpc/gen/Cargo.toml`.

use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the generator has no parent directory")?;
    let (proto, generated) = (crate_dir.join("proto"), crate_dir.join("src/generated"));
    let files = protox::compile(["cri.proto", "etcd.proto"], [&proto])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .out_dir(&generated)
        .compile_fds(files)?;
    Ok(())
}
