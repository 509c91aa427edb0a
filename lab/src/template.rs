//! A release's images, imported once: a copy of /var/lib/containerd that every new node starts with.

use std::path::{Path, PathBuf};

use crate::command::Run;
use crate::error::At as _;
use crate::images::Image;
use crate::node::{self, Node};
use crate::releases::Release;
use crate::{Lab, Result, progress};

/// Returns the folder to copy, after making it when the images have changed since.
pub(crate) fn ready(lab: &Lab, release: &Release, images: &[Image]) -> Result<PathBuf> {
    let folder = lab.images(release.version);
    let (template, stamp) = (folder.join("containerd"), folder.join("containerd.list"));
    let wanted = stamp_of(images)?;
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(template);
    }
    progress::during(format!("import the images of {} into a template", release.version), || {
        let _ = std::fs::remove_file(&stamp);
        let _ = std::fs::remove_dir_all(&template);
        let name = "template";
        node::remove(lab, name)?;
        let made = Node::boot_bare(lab, name, release).and_then(|node| {
            for image in images {
                let archive =
                    Path::new("/lab").join(image.archive.strip_prefix(lab.root()).unwrap_or(&image.archive));
                node.run(["ctr", "-n", "k8s.io", "images", "import", &archive.to_string_lossy()])?;
            }
            node.run(["systemctl", "stop", "containerd"])?;
            let from = lab.node_folder(name).join("containerd");
            Run::new("cp").args(["-a", "--reflink=auto"]).args([&from, &template]).read()?;
            std::fs::write(&stamp, &wanted).at("write", &stamp)
        });
        node::remove(lab, name)?;
        made
    })?;
    Ok(template)
}

/// Names, sizes and times of the archives: what the template depends on.
fn stamp_of(images: &[Image]) -> Result<String> {
    let mut text = String::new();
    for image in images {
        let about = image.archive.metadata().at("look at", &image.archive)?;
        let time = about.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        text += &format!("{} {} {}\n", image.reference, about.len(), time.map_or(0, |t| t.as_secs()));
    }
    Ok(text)
}

/// Gives a node its own copy. Unpacked layers and blobs are never written again and are shared as hard links; the
/// databases beside them are copied.
pub(crate) fn copy(template: &Path, target: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(target);
    Run::new("cp").args(["-al"]).args([template, target]).read()?;
    let databases = Run::new("find").args([target]).args(["-name", "*.db"]).read()?;
    for database in databases.lines() {
        let database = Path::new(database);
        let original = template.join(database.strip_prefix(target).unwrap_or(database));
        std::fs::remove_file(database).at("replace", database)?;
        std::fs::copy(&original, database).at("copy to", database)?;
    }
    Ok(())
}
