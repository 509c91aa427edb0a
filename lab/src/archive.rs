//! Image archives of one layer, in the layout that `docker save` writes and `ctr images import` reads.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read as _, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use crate::Result;
use crate::error::At as _;

/// A file of the machine and the absolute path at which an image has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageFile {
    /// Where it is; a link is followed.
    pub from: PathBuf,
    /// Where the image has it.
    pub to: PathBuf,
}

impl ImageFile {
    /// Puts `from` at `to`.
    pub fn new(from: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Self {
        Self { from: from.into(), to: to.into() }
    }
}

/// Writes the archive of the image `reference` with `files` to `path`; it appears there when it is complete.
pub fn write(path: &Path, reference: &str, entrypoint: Option<&str>, files: &[ImageFile]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).at("make", folder)?;
    let mut layer = tempfile::NamedTempFile::new_in(folder).at("make a file in", folder)?;
    write_layer(layer.as_file_mut(), files)?;
    let digest = digest_of(layer.path())?;

    let mut settings = json!({"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]});
    if let Some(entrypoint) = entrypoint {
        settings["Entrypoint"] = json!([entrypoint]);
    }
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        "history": [],
        "config": settings,
    })
    .to_string();
    let config_name = format!("{}.json", hex(&Sha256::digest(config.as_bytes())));
    let layer_name = format!("{digest}/layer.tar");
    let manifest =
        json!([{"Config": config_name, "RepoTags": [reference], "Layers": [layer_name]}]).to_string();

    let out = tempfile::NamedTempFile::new_in(folder).at("make a file in", folder)?;
    let mut archive = Builder::new(BufWriter::new(out.as_file()));
    append_bytes(&mut archive, &config_name, config.as_bytes()).at("write", path)?;
    let length = layer.path().metadata().at("look at", layer.path())?.len();
    let mut header = header(EntryType::Regular, 0o644, length);
    let content = File::open(layer.path()).at("read", layer.path())?;
    archive.append_data(&mut header, &layer_name, content).at("write", path)?;
    append_bytes(&mut archive, "manifest.json", manifest.as_bytes()).at("write", path)?;
    let mut writer = archive.into_inner().at("write", path)?;
    writer.flush().at("write", path)?;
    drop(writer);
    out.persist(path).map(drop).map_err(|e| e.error).at("write", path)
}

fn header(kind: EntryType, mode: u32, length: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(length);
    // Fixed, so that the same programs make the same image.
    header.set_mtime(0);
    header
}

fn append_bytes(archive: &mut Builder<impl Write>, name: &str, content: &[u8]) -> std::io::Result<()> {
    archive.append_data(&mut header(EntryType::Regular, 0o644, content.len() as u64), name, content)
}

fn write_layer(target: &mut File, files: &[ImageFile]) -> Result<()> {
    let mut layer = Builder::new(BufWriter::new(target));
    let mut made = BTreeSet::new();
    let mut folders = |layer: &mut Builder<_>, path: &Path| -> Result<()> {
        let parents: Vec<&Path> = path.ancestors().filter(|p| p.parent().is_some()).collect();
        for folder in parents.into_iter().rev() {
            let relative = folder.strip_prefix("/").unwrap_or(folder).to_owned();
            if made.insert(relative.clone()) {
                let mut header = header(EntryType::Directory, 0o755, 0);
                layer.append_data(&mut header, &relative, std::io::empty()).at("archive", folder)?;
            }
        }
        Ok(())
    };
    for file in files {
        folders(&mut layer, file.to.parent().unwrap_or(Path::new("/")))?;
        let content = File::open(&file.from).at("read", &file.from)?;
        let length = content.metadata().at("look at", &file.from)?.len();
        let relative = file.to.strip_prefix("/").unwrap_or(&file.to);
        layer
            .append_data(&mut header(EntryType::Regular, 0o755, length), relative, content)
            .at("archive", &file.from)?;
    }
    // Mount points and the folders that programs take for granted.
    for folder in ["/tmp", "/etc", "/run", "/var/lib"] {
        folders(&mut layer, Path::new(folder))?;
    }
    let mut writer = layer.into_inner().at("finish", Path::new("the layer"))?;
    writer.flush().at("finish", Path::new("the layer"))
}

fn digest_of(path: &Path) -> Result<String> {
    let mut file = File::open(path).at("read", path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let length = file.read(&mut buffer).at("read", path)?;
        if length == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..length]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_names_its_layer_by_digest() {
        let folder = tempfile::tempdir().unwrap();
        let (program, path) = (folder.path().join("p"), folder.path().join("image.tar"));
        std::fs::write(&program, "hello").unwrap();
        write(&path, "registry.test/p:1", Some("/p"), &[ImageFile::new(&program, "/usr/bin/p")]).unwrap();

        let mut archive = tar::Archive::new(File::open(&path).unwrap());
        let mut parts = std::collections::BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            parts.insert(name, content);
        }
        let manifest: serde_json::Value = serde_json::from_slice(&parts["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "registry.test/p:1");
        let layer = &parts[manifest[0]["Layers"][0].as_str().unwrap()];
        let config: serde_json::Value =
            serde_json::from_slice(&parts[manifest[0]["Config"].as_str().unwrap()]).unwrap();
        let digest = format!("sha256:{}", hex(&Sha256::digest(layer)));
        assert_eq!(config["rootfs"]["diff_ids"][0], digest.as_str());
        let names: Vec<String> = tar::Archive::new(layer.as_slice())
            .entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, ["usr", "usr/bin", "usr/bin/p", "tmp", "etc", "run", "var", "var/lib"]);
    }
}
