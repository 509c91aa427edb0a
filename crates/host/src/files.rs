//! The file system. Every file appears at once under its name, with its final mode, and a removal stays on its file
//! system: a run that is killed in between leaves the old file or the new one, and at most a temporary file that the next
//! write of the same name clears away.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::Timestamp;
use kubeadm_engine::ports::{FileError, FileKind, FileMeta, Files, NewFile, Owner, UnmountFlag, WriteFiles};
use rustix::fs::{CWD, RenameFlags};
use rustix::process::Pid;

use crate::trees;

/// Ends the name of a file that is being written: `.NAME.PID-N.kubeadm-tmp`. Such names start with a dot, so that
/// the kubelet does not take one for a manifest.
const TEMPORARY: &str = ".kubeadm-tmp";

/// The file system of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct HostFiles;

impl Files for HostFiles {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        present(std::fs::read(path)).map_err(|e| failed("open", path, &e))
    }

    fn stat(&self, path: &Path) -> Result<Option<FileMeta>, FileError> {
        let meta = present(std::fs::symlink_metadata(path)).map_err(|e| failed("lstat", path, &e))?;
        Ok(meta.map(|m| FileMeta {
            kind: match m.file_type() {
                t if t.is_file() => FileKind::File,
                t if t.is_dir() => FileKind::Dir,
                t if t.is_symlink() => FileKind::Link,
                _ => FileKind::Other,
            },
            mode: m.mode() & 0o7777,
            uid: m.uid(),
            gid: m.gid(),
            size: m.size(),
            modified: m.modified().ok().and_then(|t| t.try_into().ok()).unwrap_or(Timestamp::UNIX_EPOCH),
        }))
    }

    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, FileError> {
        let error = |e: &io::Error| failed("open", dir, e);
        let Some(entries) = present(std::fs::read_dir(dir)).map_err(|e| error(&e))? else { return Ok(None) };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(|e| error(&e))?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(Some(names))
    }
}

impl WriteFiles for HostFiles {
    fn write_all(&self, files: &[NewFile]) -> Result<(), FileError> {
        let prepared: Vec<Prepared<'_>> = files.iter().map(Prepared::new).collect::<Result<_, _>>()?;
        // One file has nobody to wait for: if it cannot get its name, nothing has changed.
        let together = prepared.len() > 1;
        for (done, file) in prepared.iter().enumerate() {
            if let Err(error) = file.take_place(together) {
                prepared[..done].iter().rev().for_each(Prepared::give_back);
                return Err(error);
            }
        }
        let mut directories: Vec<&Path> = prepared.iter().filter_map(Prepared::to_be_synced).collect();
        directories.dedup();
        for dir in directories {
            File::open(dir).and_then(|d| d.sync_all()).map_err(|e| failed("fsync", dir, &e))?;
        }
        Ok(())
    }

    fn reappear(&self, path: &Path) -> Result<(), FileError> {
        let failed = |e: &io::Error| failed("exchange", path, e);
        let meta = std::fs::symlink_metadata(path).map_err(|e| failed(&e))?;
        let content = std::fs::read(path).map_err(|e| failed(&e))?;
        let file = NewFile { path: path.into(), content, mode: meta.mode() & 0o7777, secret: false };
        // Two names that change places: inotify tells that the first one went, and after that, that it came. Of two links
        // to one file the kernel would tell nothing, so it has to be a copy.
        let copy = Prepared::new(&file)?;
        let modified = meta.modified().map_err(|e| failed(&e))?;
        let opened = OpenOptions::new().write(true).open(&copy.temporary).map_err(|e| failed(&e))?;
        opened.set_modified(modified).map_err(|e| failed(&e))?;
        rustix::fs::renameat_with(CWD, path, CWD, &copy.temporary, RenameFlags::EXCHANGE)
            .map_err(|e| failed(&e.into()))
    }

    fn create_dir(&self, path: &Path, mode: u32) -> Result<(), FileError> {
        if path.as_os_str().is_empty() || path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent() {
            self.create_dir(parent, mode)?;
        }
        match DirBuilder::new().mode(mode).create(path) {
            // Somebody else made it meanwhile.
            Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(e) => Err(failed("mkdir", path, &e)),
            Ok(()) => {
                let exact = std::fs::Permissions::from_mode(mode);
                std::fs::set_permissions(path, exact).map_err(|e| failed("chmod", path, &e))
            }
        }
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        trees::remove(path)
    }

    fn unmount(&self, path: &Path, flags: &[UnmountFlag]) -> Result<(), FileError> {
        use rustix::mount::UnmountFlags;
        let all = flags.iter().fold(UnmountFlags::empty(), |all, flag| {
            all | match flag {
                UnmountFlag::Force => UnmountFlags::FORCE,
                UnmountFlag::Detach => UnmountFlags::DETACH,
                UnmountFlag::Expire => UnmountFlags::EXPIRE,
                UnmountFlag::NoFollow => UnmountFlags::NOFOLLOW,
            }
        });
        match rustix::mount::unmount(path, all) {
            // It is not, or no longer, mounted.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => Ok(()),
            done => done.map_err(|e| failed("unmount", path, &e.into())),
        }
    }

    fn set_owner(&self, path: &Path, owner: Owner, mode: Option<u32>) -> Result<(), FileError> {
        let meta = std::fs::symlink_metadata(path).map_err(|e| failed("lstat", path, &e))?;
        trees::set_owner(path, owner)?;
        // A directory cannot be used with the mode of a file: below the top only owners change.
        if let Some(mode) = mode.filter(|_| !meta.is_symlink()) {
            let exact = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, exact).map_err(|e| failed("chmod", path, &e))?;
        }
        Ok(())
    }
}

/// A file that is complete under a temporary name beside its place. Whatever has that name in the end is removed: the
/// new file if it did not get its place, or the old one that it took it from.
struct Prepared<'a> {
    file: &'a NewFile,
    temporary: PathBuf,
    /// What it takes the place of.
    replaced: Option<Metadata>,
}

impl<'a> Prepared<'a> {
    /// Writes it. What is to replace another file is on disk before it does, so that a crash of the machine cannot
    /// lose both. A new file has nothing to lose, and the kernel may write it when it likes: waiting for that takes
    /// milliseconds per file.
    fn new(file: &'a NewFile) -> Result<Self, FileError> {
        let (Some(dir), Some(name)) = (file.path.parent(), file.path.file_name()) else {
            return Err(failed("open", &file.path, &io::Error::from(ErrorKind::InvalidFilename)));
        };
        // A bare name has the empty path above it, which the system does not know as a directory.
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        HostFiles.create_dir(dir, 0o755)?;
        clear_leftovers(dir, name);
        // From here on the temporary file is removed if anything fails.
        let prepared = Self {
            file,
            temporary: temporary_path(dir, name),
            replaced: file.path.symlink_metadata().ok().filter(|m| !m.is_dir()),
        };
        prepared.write()?;
        Ok(prepared)
    }

    fn write(&self) -> Result<(), FileError> {
        let Self { file, temporary, replaced } = self;
        // `create_new` is O_EXCL: neither a file nor a link that is already there is opened.
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(file.mode & 0o600)
            .open(temporary)
            .map_err(|e| failed("open", &file.path, &e))?;
        if let Some(old) = replaced.as_ref().filter(|m| m.is_file()) {
            let own = out.metadata().map_err(|e| failed("fstat", &file.path, &e))?;
            if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
                std::os::unix::fs::fchown(&out, Some(old.uid()), Some(old.gid()))
                    .map_err(|e| failed("chown", &file.path, &e))?;
            }
        }
        // The mode is exact whatever the umask, and set before there is anything to read.
        out.set_permissions(std::fs::Permissions::from_mode(file.mode))
            .map_err(|e| failed("chmod", &file.path, &e))?;
        out.write_all(&file.content).map_err(|e| failed("write", &file.path, &e))?;
        if replaced.is_some() {
            out.sync_data().map_err(|e| failed("fsync", &file.path, &e))?;
        }
        Ok(())
    }

    /// Gives it its name. With `keep` what had it before lives on under the temporary name, where the file system can
    /// exchange two names.
    fn take_place(&self, keep: bool) -> Result<(), FileError> {
        if keep && self.exchange() {
            return Ok(());
        }
        std::fs::rename(&self.temporary, &self.file.path).map_err(|e| failed("rename", &self.file.path, &e))
    }

    /// Undoes [`Self::take_place`], as far as the old file was kept.
    fn give_back(&self) {
        match self.replaced {
            Some(_) => drop(self.exchange()),
            // The error that led here is what matters.
            None => drop(std::fs::remove_file(&self.file.path)),
        }
    }

    fn exchange(&self) -> bool {
        let (temporary, path) = (&self.temporary, &self.file.path);
        self.replaced.is_some()
            && rustix::fs::renameat_with(CWD, temporary, CWD, path, RenameFlags::EXCHANGE).is_ok()
    }

    /// The directory that must be on disk for the exchange to be.
    fn to_be_synced(&self) -> Option<&Path> {
        self.replaced.as_ref().and_then(|_| self.temporary.parent())
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        // Most often there is nothing left under this name.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

/// A new name beside `name`, for what is to get that name once it is whole.
pub(crate) fn temporary_path(dir: &Path, name: &OsStr) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    dir.join(format!(".{}.{}-{count}{TEMPORARY}", name.to_string_lossy(), std::process::id()))
}

/// Removes what a killed process left of its attempts to write `name`. Failing to is no reason not to write.
pub(crate) fn clear_leftovers(dir: &Path, name: &OsStr) {
    let Ok(Some(names)) = HostFiles.list(dir) else { return };
    let prefix = format!(".{}.", name.to_string_lossy());
    for leftover in names {
        let writer = leftover
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(TEMPORARY))
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(pid, _)| pid.parse().ok())
            .and_then(Pid::from_raw);
        if writer.is_some_and(|pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH)) {
            let _ = std::fs::remove_file(dir.join(leftover));
        }
    }
}

/// Absence is an answer, not an error.
fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// A [`FileError`] in the words of the system, as Go has them: `permission denied`.
pub(crate) fn failed(operation: &'static str, path: &Path, error: &io::Error) -> FileError {
    FileError { operation, path: path.into(), reason: words(error) }
}

/// The system's words for an error, without Rust's `(os error N)`, in lower case.
pub(crate) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::inotify;

    use super::*;

    fn new_file(path: PathBuf, content: &str, mode: u32) -> NewFile {
        NewFile { path, content: content.into(), mode, secret: false }
    }

    #[test]
    fn writes_with_exact_mode_and_makes_directories() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/admin.conf");
        HostFiles.write(&new_file(path.clone(), "one", 0o666)).unwrap();
        HostFiles.write(&new_file(path.clone(), "two", 0o600)).unwrap();
        assert_eq!(HostFiles.read(&path).unwrap().unwrap(), b"two");
        assert_eq!(HostFiles.stat(&path).unwrap().unwrap().mode, 0o600);
        assert_eq!(HostFiles.stat(&dir.path().join("a")).unwrap().unwrap().mode, 0o755);
        assert_eq!(HostFiles.list(path.parent().unwrap()).unwrap().unwrap(), ["admin.conf"]);
    }

    #[test]
    fn a_bare_name_is_in_the_current_directory() {
        let old = tempfile::Builder::new().tempfile_in(".").unwrap();
        let name = PathBuf::from(old.path().file_name().unwrap());
        HostFiles.write(&new_file(name, "new", 0o600)).unwrap();
        assert_eq!(std::fs::read(old.path()).unwrap(), b"new");
    }

    #[test]
    fn replaces_a_link_and_spares_its_target() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, "precious").unwrap();
        symlink(&target, &link).unwrap();
        HostFiles.write(&new_file(link.clone(), "new", 0o644)).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"precious");
        assert_eq!(HostFiles.stat(&link).unwrap().unwrap().kind, FileKind::File);
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        let error = HostFiles.write(&new_file(path.clone(), "x", 0o644)).unwrap_err();
        assert_eq!(error.to_string(), format!("rename {}: is a directory", path.display()));
        assert_eq!(HostFiles.list(dir.path()).unwrap().unwrap(), ["taken"]);
    }

    #[test]
    fn a_pair_is_replaced_together_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let (key, crt) = (dir.path().join("a.key"), dir.path().join("a.crt"));
        let pair = |n| [new_file(key.clone(), &format!("key {n}"), 0o600), new_file(crt.clone(), n, 0o644)];
        let content = |path: &Path| std::fs::read_to_string(path).unwrap();
        HostFiles.write_all(&pair("1")).unwrap();
        HostFiles.write_all(&pair("2")).unwrap();
        assert_eq!((content(&key), content(&crt)), ("key 2".into(), "2".into()));
        // A directory cannot be replaced by a file: the key has its name by then, and has to give it back.
        std::fs::remove_file(&crt).unwrap();
        std::fs::create_dir(&crt).unwrap();
        let error = HostFiles.write_all(&pair("3")).unwrap_err();
        assert_eq!(error.to_string(), format!("rename {}: is a directory", crt.display()));
        assert_eq!(content(&key), "key 2");
        std::fs::remove_file(&key).unwrap();
        HostFiles.write_all(&pair("4")).unwrap_err();
        assert_eq!(HostFiles.list(dir.path()).unwrap().unwrap(), ["a.crt"]);
    }

    #[test]
    fn a_file_reappears_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etcd.yaml");
        HostFiles.write(&new_file(path.clone(), "pod", 0o600)).unwrap();
        let (before, inode) =
            (HostFiles.stat(&path).unwrap(), std::fs::metadata(&path).map(|m| m.ino()).unwrap());
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&watch, dir.path(), inotify::WatchFlags::MOVE).unwrap();
        HostFiles.reappear(&path).unwrap();
        let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&watch, &mut buffer);
        let mut told = Vec::new();
        while let Ok(event) = reader.next() {
            if event.file_name().is_some_and(|name| name.to_bytes() == b"etcd.yaml") {
                told.push(event.events());
            }
        }
        assert_eq!(told, [inotify::ReadFlags::MOVED_FROM, inotify::ReadFlags::MOVED_TO]);
        assert_eq!(HostFiles.stat(&path).unwrap(), before);
        assert_eq!(HostFiles.read(&path).unwrap().unwrap(), b"pod");
        // Had it stayed the same file, nobody would have been told.
        assert_ne!(std::fs::metadata(&path).unwrap().ino(), inode);
        assert_eq!(HostFiles.list(dir.path()).unwrap().unwrap(), ["etcd.yaml"]);
        assert!(HostFiles.reappear(&dir.path().join("no")).is_err());
    }

    #[test]
    fn a_file_that_is_replaced_hands_on_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("server.key");
        HostFiles.write(&new_file(path.clone(), "one", 0o600)).unwrap();
        let own = std::fs::metadata(dir.path()).unwrap();
        // Root may give files away; anybody else can only keep them.
        let uid = if own.uid() == 0 { 12345 } else { own.uid() };
        std::os::unix::fs::chown(&path, Some(uid), None).unwrap();
        HostFiles.write(&new_file(path.clone(), "two", 0o640)).unwrap();
        let meta = HostFiles.stat(&path).unwrap().unwrap();
        assert_eq!((meta.uid, meta.gid, meta.mode), (uid, own.gid(), 0o640));
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn leftovers_of_dead_writers_go() {
        let dir = tempfile::tempdir().unwrap();
        // No process has the largest id that the kernel allows.
        let dead = dir.path().join(format!(".ca.key.{}-0{TEMPORARY}", (1 << 22) + 1));
        let alive = dir.path().join(format!(".ca.key.{}-999{TEMPORARY}", std::process::id()));
        let other = dir.path().join(".ca.key.backup");
        for path in [&dead, &alive, &other] {
            std::fs::write(path, "secret").unwrap();
        }
        HostFiles.write(&new_file(dir.path().join("ca.key"), "x", 0o600)).unwrap();
        assert_eq!((dead.exists(), alive.exists(), other.exists()), (false, true, true));
    }

    #[test]
    fn absence_is_none_and_refusal_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert!(HostFiles.read(&dir.path().join("no")).unwrap().is_none());
        assert!(HostFiles.stat(&file.join("below")).unwrap().is_none());
        assert!(HostFiles.list(&dir.path().join("no")).unwrap().is_none());
        let error = HostFiles.read(dir.path()).unwrap_err();
        assert_eq!(error.to_string(), format!("open {}: is a directory", dir.path().display()));
    }

    #[test]
    fn set_owner_reaches_all_below_and_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let own = std::fs::metadata(dir.path()).unwrap();
        let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        std::fs::create_dir_all(tree.join("sub")).unwrap();
        std::fs::write(tree.join("sub/file"), "").unwrap();
        std::fs::write(&outside, "").unwrap();
        symlink(&outside, tree.join("link")).unwrap();
        // Root may give files away; anybody else can only keep them.
        let uid = if own.uid() == 0 { 12345 } else { own.uid() };
        HostFiles.set_owner(&tree, Owner { uid, gid: own.gid() }, Some(0o700)).unwrap();
        assert_eq!(HostFiles.stat(&tree.join("sub/file")).unwrap().unwrap().uid, uid);
        assert_eq!(HostFiles.stat(&tree.join("link")).unwrap().unwrap().uid, uid);
        assert_eq!(HostFiles.stat(&tree).unwrap().unwrap().mode, 0o700);
        assert_eq!(HostFiles.stat(&outside).unwrap().unwrap().uid, own.uid());
    }
}
