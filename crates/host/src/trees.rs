//! Work on whole directory trees: removal, which stays on its file system since what is mounted below is not ours, and
//! changes of owner. Neither follows links.
//!
//! The walk goes by directory descriptors, so that a directory swapped for a link meanwhile leads nowhere: part of a
//! tree may belong to a user that is not trusted.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use kubeadm_engine::ports::{FileError, Owner};
use rustix::fs::{AtFlags, CWD, Dir, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::files::failed;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes a file, or a directory with all it holds. A mount below stops it with an error; a directory that is
/// itself a mount point is emptied and stays.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    match rustix::fs::unlinkat(CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) if path.is_dir() && !path.is_symlink() => {}
        Err(e) => return Err(failed("remove", path, &e.into())),
    }
    let dir =
        rustix::fs::open(path, DIRECTORY, Mode::empty()).map_err(|e| failed("open", path, &e.into()))?;
    empty(&dir, path)?;
    match rustix::fs::unlinkat(CWD, path, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT | Errno::BUSY) => Ok(()),
        Err(e) => Err(failed("remove", path, &e.into())),
    }
}

fn empty(dir: &OwnedFd, path: &Path) -> Result<(), FileError> {
    for name in names(dir).map_err(|e| failed("open", path, &e))? {
        let below = path.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let refusal = match rustix::fs::unlinkat(dir, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            // POSIX has EPERM for a directory, Linux EISDIR.
            Err(e @ (Errno::ISDIR | Errno::PERM)) => e,
            Err(e) => return Err(failed("remove", &below, &e.into())),
        };
        let inner = open_here(dir.as_fd(), &name).map_err(|e| match e {
            Errno::XDEV => {
                failed("remove", &below, &io::Error::other("something is mounted here; unmount it first"))
            }
            Errno::NOTDIR => failed("remove", &below, &refusal.into()),
            e => failed("remove", &below, &e.into()),
        })?;
        empty(&inner, &below)?;
        match rustix::fs::unlinkat(dir, &name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(e) => return Err(failed("remove", &below, &e.into())),
        }
    }
    Ok(())
}

/// Gives a file, a link itself, or a directory with all below it to a user and group.
pub(crate) fn set_owner(path: &Path, owner: Owner) -> Result<(), FileError> {
    own(CWD, path, path, owner)
}

/// Changes the owner of `name` in `dir`, which is at `path`, and of what is below it.
fn own(dir: BorrowedFd<'_>, name: impl Arg + Copy, path: &Path, owner: Owner) -> Result<(), FileError> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| failed("chown", path, &e.into()))?;
    let inner = match rustix::fs::openat(dir, name, DIRECTORY, Mode::empty()) {
        Ok(inner) => inner,
        // Not a directory, or a link to one.
        Err(Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(e) => return Err(failed("open", path, &e.into())),
    };
    for name in names(&inner).map_err(|e| failed("open", path, &e))? {
        let below = path.join(std::ffi::OsStr::from_bytes(name.to_bytes()));
        own(inner.as_fd(), name.as_c_str(), &below, owner)?;
    }
    Ok(())
}

fn names(dir: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name: &CStr = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Opens a directory of `dir` unless something else is mounted on it ([`Errno::XDEV`]).
fn open_here(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    match rustix::fs::openat2(dir, name, DIRECTORY, Mode::empty(), ResolveFlags::NO_XDEV) {
        // Kernels before 5.6, and sandboxes that do not know the call. A bind mount of the same file system goes unseen.
        Err(Errno::NOSYS | Errno::PERM) => {
            let inner = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?;
            let same = rustix::fs::fstat(dir)?.st_dev == rustix::fs::fstat(&inner)?.st_dev;
            if same { Ok(inner) } else { Err(Errno::XDEV) }
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn removes_trees_files_links_and_what_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, keep) = (dir.path().join("tree"), dir.path().join("keep"));
        std::fs::create_dir_all(tree.join("a/b")).unwrap();
        std::fs::create_dir(&keep).unwrap();
        std::fs::write(tree.join("a/b/file"), "").unwrap();
        std::fs::write(keep.join("file"), "").unwrap();
        symlink(&keep, tree.join("a/link")).unwrap();
        symlink(&keep, dir.path().join("link")).unwrap();
        for name in ["tree", "link", "absent", "keep/file/below"] {
            remove(&dir.path().join(name)).unwrap();
        }
        assert!(!tree.exists() && !dir.path().join("link").exists());
        assert!(keep.join("file").exists(), "a link must not be followed");
        remove(&keep.join("file")).unwrap();
        assert!(!keep.join("file").exists());
    }

    #[test]
    fn stops_at_mounts() {
        let root = rustix::fs::open("/", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        assert_eq!(open_here(root.as_fd(), c"proc").unwrap_err(), Errno::XDEV);
        assert!(open_here(root.as_fd(), c"etc").is_ok());
    }
}
