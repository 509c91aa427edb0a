//! A file system in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use kubeadm_engine::ports::{FileError, FileKind, FileMeta, Files, NewFile, Owner, UnmountFlag, WriteFiles};

/// A file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Content; `None` for a directory.
    pub content: Option<Vec<u8>>,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// When its content last changed; the beginning of time unless a test says so.
    pub modified: Timestamp,
}

/// Files by absolute path.
#[derive(Debug, Default)]
pub struct MemoryFiles {
    entries: Mutex<BTreeMap<PathBuf, Entry>>,
    /// Paths that were changed, in order.
    log: Mutex<Vec<PathBuf>>,
    /// Number of writes after which every further one fails, as on a disk that is full.
    budget: Mutex<Option<usize>>,
    watcher: Watcher,
}

/// Who is told of every file that is written or removed.
#[derive(Default)]
struct Watcher(Mutex<Option<Box<Tell>>>);

type Tell = dyn Fn(&Path, Option<&[u8]>) + Send;

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watcher")
    }
}

impl MemoryFiles {
    /// Puts a file there.
    pub fn put(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>, mode: u32) {
        let entry = Entry {
            content: Some(content.as_ref().to_vec()),
            mode,
            owner: (0, 0),
            modified: Timestamp::UNIX_EPOCH,
        };
        self.lock().insert(path.as_ref().to_owned(), entry);
    }

    /// Content of a file as text.
    pub fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let content = self.lock().get(path.as_ref())?.content.clone()?;
        Some(String::from_utf8_lossy(&content).into_owned())
    }

    /// Everything there is.
    pub fn all(&self) -> BTreeMap<PathBuf, Entry> {
        self.lock().clone()
    }

    /// Paths that were changed so far, in order.
    pub fn changes(&self) -> Vec<PathBuf> {
        self.log.lock().expect("no test panics with the lock").clone()
    }

    fn changed(&self, path: &Path) {
        self.log.lock().expect("no test panics with the lock").push(path.to_owned());
    }

    /// Says when a file's content last changed.
    pub fn touch(&self, path: impl AsRef<Path>, modified: Timestamp) {
        self.lock().get_mut(path.as_ref()).expect("the file is there").modified = modified;
    }

    /// Has somebody told of every file that is written or removed from now on, with its content.
    pub(crate) fn watch(&self, tell: impl Fn(&Path, Option<&[u8]>) + Send + 'static) {
        *self.watcher.0.lock().expect("no test panics with the lock") = Some(Box::new(tell));
    }

    /// Takes a file away.
    pub fn take(&self, path: impl AsRef<Path>) {
        self.lock().remove(path.as_ref());
    }

    /// Lets only so many further writes succeed.
    pub fn stop_after(&self, writes: Option<usize>) {
        *self.budget.lock().expect("no test panics with the lock") = writes;
    }

    /// The same files for another machine. What was changed before does not count.
    pub(crate) fn fork(&self) -> Self {
        Self { entries: Mutex::new(self.all()), ..Self::default() }
    }

    fn tell(&self, path: &Path, content: Option<&[u8]>) {
        if let Some(tell) = &*self.watcher.0.lock().expect("no test panics with the lock") {
            tell(path, content);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<PathBuf, Entry>> {
        self.entries.lock().expect("no test panics with the lock")
    }

    fn spend(&self, path: &Path) -> Result<(), FileError> {
        let mut budget = self.budget.lock().expect("no test panics with the lock");
        match budget.as_mut() {
            Some(0) => Err(FileError {
                operation: "write",
                path: path.into(),
                reason: "no space left on device".into(),
            }),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
        Ok(self.lock().get(path).and_then(|e| e.content.clone()))
    }

    fn stat(&self, path: &Path) -> Result<Option<FileMeta>, FileError> {
        let entries = self.lock();
        let meta = |kind, mode, (uid, gid), size, modified| FileMeta { kind, mode, uid, gid, size, modified };
        if let Some(e) = entries.get(path) {
            let (kind, size) = match &e.content {
                Some(content) => (FileKind::File, content.len() as u64),
                None => (FileKind::Dir, 0),
            };
            return Ok(Some(meta(kind, e.mode, e.owner, size, e.modified)));
        }
        let inside = entries.keys().any(|p| p != path && p.starts_with(path));
        Ok(inside.then(|| meta(FileKind::Dir, 0o755, (0, 0), 0, Timestamp::UNIX_EPOCH)))
    }

    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, FileError> {
        let entries = self.lock();
        let names: BTreeSet<String> = entries
            .keys()
            .filter_map(|p| Some(p.strip_prefix(dir).ok()?.iter().next()?.to_string_lossy().into_owned()))
            .collect();
        Ok((entries.contains_key(dir) || !names.is_empty()).then(|| names.into_iter().collect()))
    }
}

impl WriteFiles for MemoryFiles {
    fn write_all(&self, files: &[NewFile]) -> Result<(), FileError> {
        for file in files {
            self.spend(&file.path)?;
            self.changed(&file.path);
            let owner = self.lock().get(&file.path).map_or((0, 0), |replaced| replaced.owner);
            self.put(&file.path, &file.content, file.mode);
            self.lock().entry(file.path.clone()).and_modify(|entry| entry.owner = owner);
            self.tell(&file.path, Some(&file.content));
        }
        Ok(())
    }

    fn reappear(&self, path: &Path) -> Result<(), FileError> {
        self.spend(path)
    }

    fn create_dir(&self, path: &Path, mode: u32) -> Result<(), FileError> {
        if matches!(self.stat(path), Ok(Some(meta)) if meta.kind == FileKind::Dir) {
            return Ok(());
        }
        self.spend(path)?;
        self.changed(path);
        self.lock().insert(
            path.to_owned(),
            Entry { content: None, mode, owner: (0, 0), modified: Timestamp::UNIX_EPOCH },
        );
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), FileError> {
        self.spend(path)?;
        self.changed(path);
        self.lock().retain(|p, _| !p.starts_with(path));
        self.tell(path, None);
        Ok(())
    }

    fn unmount(&self, path: &Path, _: &[UnmountFlag]) -> Result<(), FileError> {
        self.changed(path);
        Ok(())
    }
    fn set_owner(&self, path: &Path, owner: Owner, mode: Option<u32>) -> Result<(), FileError> {
        self.spend(path)?;
        for (p, entry) in self.lock().iter_mut().filter(|(p, _)| p.starts_with(path)) {
            let wanted = ((owner.uid, owner.gid), mode.unwrap_or(entry.mode));
            if (entry.owner, entry.mode) != wanted {
                (entry.owner, entry.mode) = wanted;
                self.changed(p);
            }
        }
        Ok(())
    }
}
