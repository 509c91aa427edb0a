//! The file system.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// A file operation that failed: what was tried, on which path, and the system's answer.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {reason}", path.display())]
pub struct FileError {
    /// The operation, as a verb: `open`, `write`, `lstat` …
    pub operation: &'static str,
    /// The path it failed on.
    pub path: PathBuf,
    /// The system's words, such as `permission denied`.
    pub reason: String,
}

/// What kind of thing a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link (links are not followed by [`Files::stat`]).
    Link,
    /// A socket, device or pipe.
    Other,
}

/// What is known of a path without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMeta {
    /// File, directory, link or other.
    pub kind: FileKind,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// When its content last changed.
    pub modified: Timestamp,
}

/// Reads the file system.
pub trait Files: Send + Sync {
    /// The content of a file, `None` if the path does not exist.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError>;
    /// Facts about a path (not following a final link), `None` if it does not exist.
    fn stat(&self, path: &Path) -> Result<Option<FileMeta>, FileError>;
    /// The names in a directory, sorted; `None` if it does not exist.
    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, FileError>;
    /// Whether a path exists at all. A path that cannot be looked at counts as existing.
    fn exists(&self, path: &Path) -> bool {
        !matches!(self.stat(path), Ok(None))
    }
}

/// Owner and group of a file that is about to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A file to be written: it appears at once with this content and mode, or not at all.
#[derive(Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Absolute path.
    pub path: PathBuf,
    /// Whole content.
    pub content: Vec<u8>,
    /// Final permission bits; the file is never readable with wider ones in between.
    pub mode: u32,
    /// Whether the content must never be printed.
    pub secret: bool,
}

impl std::fmt::Debug for NewFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let content = if self.secret { "<secret>".into() } else { String::from_utf8_lossy(&self.content) };
        write!(f, "NewFile({}, {:o}, {content})", self.path.display(), self.mode)
    }
}

/// How to unmount: flags of umount2(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnmountFlag {
    /// `MNT_FORCE`
    Force,
    /// `MNT_DETACH`
    Detach,
    /// `MNT_EXPIRE`
    Expire,
    /// `UMOUNT_NOFOLLOW`
    NoFollow,
}

impl UnmountFlag {
    /// The flag of a name, as ResetConfiguration has it.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "MNT_FORCE" => Self::Force,
            "MNT_DETACH" => Self::Detach,
            "MNT_EXPIRE" => Self::Expire,
            "UMOUNT_NOFOLLOW" => Self::NoFollow,
            _ => return None,
        })
    }
}

/// Changes the file system.
pub trait WriteFiles: Files {
    /// Writes files that belong together, such as a key and its certificate. Each appears at once; all are complete
    /// beside their places before the first gets its name, and a failure leaves every one as it was. Only a process
    /// that is killed between two names leaves some of them new.
    ///
    /// Missing directories are made with 0755. A file that takes the place of another keeps that one's owner, as if
    /// it had been written in place.
    fn write_all(&self, files: &[NewFile]) -> Result<(), FileError>;
    /// Writes one file so.
    fn write(&self, file: &NewFile) -> Result<(), FileError> {
        self.write_all(std::slice::from_ref(file))
    }
    /// Lets those who watch the directory see a file leave and come back, though it is there all the time and stays the
    /// same.
    fn reappear(&self, path: &Path) -> Result<(), FileError>;
    /// Writes files together, but for those that are there already with this content and mode: a second run leaves a
    /// healthy node as it is, down to the times of its files.
    fn write_changed(&self, wanted: &[&NewFile]) -> Result<(), FileError> {
        let mut changed = Vec::with_capacity(wanted.len());
        for file in wanted {
            let same = matches!(self.stat(&file.path)?, Some(m) if m.kind == FileKind::File && m.mode == file.mode)
                && self.read(&file.path)?.as_ref() == Some(&file.content);
            if !same {
                changed.push((*file).clone());
            }
        }
        self.write_all(&changed)
    }
    /// Copies a file, if it is there, with its mode; the folder of the copy is made with 0700. For what is about to be
    /// written over.
    fn back_up(&self, file: &Path, to: &Path) -> Result<(), FileError> {
        let (Some(meta), Some(content)) = (self.stat(file)?, self.read(file)?) else { return Ok(()) };
        if let Some(folder) = to.parent() {
            self.create_dir(folder, 0o700)?;
        }
        self.write(&NewFile { path: to.to_owned(), content, mode: meta.mode, secret: true })
    }
    /// Removes what a directory holds; the directory itself stays.
    fn empty_dir(&self, dir: &Path) -> Result<(), FileError> {
        let names = self.list(dir)?.unwrap_or_default();
        names.iter().try_for_each(|name| self.remove(&dir.join(name)))
    }
    /// Makes a directory and those above it with `mode`, if missing.
    fn create_dir(&self, path: &Path, mode: u32) -> Result<(), FileError>;
    /// Removes a file, or a directory with all it holds on the same file system. Absence is success.
    fn remove(&self, path: &Path) -> Result<(), FileError>;
    /// Unmounts what is mounted at a path.
    fn unmount(&self, path: &Path, flags: &[UnmountFlag]) -> Result<(), FileError>;
    /// Sets owner and permission bits (`mode` where given), for a directory with all below it.
    fn set_owner(&self, path: &Path, owner: Owner, mode: Option<u32>) -> Result<(), FileError>;
}
