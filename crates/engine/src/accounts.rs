//! The users and groups of RootlessControlPlane: what `/etc/passwd` and `/etc/group` have of them, which are missing,
//! the lines that add those, and the way back. cmd/kubeadm/app/util/users/users_linux.go, 1.37.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::manifests::{Component, Identity};
use crate::plan::Account;
use crate::ports::{FileError, Files, NewFile, WriteFiles};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
const LOGIN_DEFS: &str = "/etc/login.defs";
/// No account of a component can log in.
const SHELL: &str = "/bin/false";

/// The group that may read the key that signs service account tokens.
const SA_KEY_READERS: &str = "kubeadm-sa-key-readers";

/// Why accounts cannot be planned.
#[derive(Debug, thiserror::Error)]
#[error("failed to create users and groups: {0}")]
pub struct AccountsError(#[from] Cause);

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A line has the wrong number of fields.
    #[error("{}: entry must have {expected} fields separated by ':', got {found} at line {line}: {text}", path.display())]
    Fields {
        /// The file.
        path: PathBuf,
        /// Number of fields an entry has.
        expected: usize,
        /// Number of fields of this line.
        found: usize,
        /// Line number.
        line: usize,
        /// The line.
        text: String,
    },
    /// An id is no number.
    #[error("{}: {text:?} is no id at line {line}", path.display())]
    Id {
        /// The file.
        path: PathBuf,
        /// Line number.
        line: usize,
        /// What stands in its place.
        text: String,
    },
    /// A limit is no number.
    #[error("{LOGIN_DEFS}: could not parse value for {key} at line {line}")]
    Limit {
        /// Name of the limit.
        key: &'static str,
        /// Line number.
        line: usize,
    },
    /// All ids are taken.
    #[error("could not allocate {wanted} IDs based on existing entries in the range: {} - {}", range.0, range.1)]
    Exhausted {
        /// How many are needed.
        wanted: usize,
        /// First and last id.
        range: (u32, u32),
    },
    /// An account that exists is another than it must be.
    #[error("error validating existing users and groups: {0}")]
    Existing(#[from] Mismatch),
}

/// How an existing account differs.
#[derive(Debug, thiserror::Error)]
pub enum Mismatch {
    /// Its id is not one of a system account.
    #[error("{kind} {id} for user {name:?} is outside the system {kind} range: {} - {}", range.0, range.1)]
    Range {
        /// `UID` or `GID`.
        kind: &'static str,
        /// The id.
        id: u32,
        /// The user.
        name: String,
        /// First and last id.
        range: (u32, u32),
    },
    /// It could log in.
    #[error("user {name:?} has unexpected shell {shell:?}; expected {SHELL:?}")]
    Shell {
        /// The user.
        name: String,
        /// Its shell.
        shell: String,
    },
    /// Its group is not its own.
    #[error("user {name:?} has GID {gid} but the group with that GID is not named {name:?}")]
    GroupName {
        /// The user.
        name: String,
        /// Its group id.
        gid: u32,
    },
    /// Its group does not exist.
    #[error("could not find group with GID {gid} for user {name:?}")]
    NoGroup {
        /// The user.
        name: String,
        /// Its group id.
        gid: u32,
    },
    /// A group has other members.
    #[error("expected users {expected:?} for group {name:?}; got {found:?}")]
    Members {
        /// The group.
        name: String,
        /// Who must be in it.
        expected: String,
        /// Who is.
        found: String,
    },
}

/// The accounts, existing or planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// User and group id of each component.
    users: Vec<(Component, u32, u32)>,
    sa_key_readers: u32,
    /// Those that have to be added.
    pub missing: Vec<Account>,
}

/// The components with users of their own, in the order in which ids are given.
const COMPONENTS: [(Component, &str); 4] = [
    (Component::Etcd, "kubeadm-etcd"),
    (Component::ApiServer, "kubeadm-kas"),
    (Component::ControllerManager, "kubeadm-kcm"),
    (Component::Scheduler, "kubeadm-ks"),
];

/// Members of [`SA_KEY_READERS`].
const READERS: [&str; 2] = ["kubeadm-kas", "kubeadm-kcm"];

impl Accounts {
    /// Looks at the system's accounts and plans those that are missing.
    pub fn look(files: &dyn Files) -> Result<Self, AccountsError> {
        Ok(look(files)?)
    }

    /// Whom a component runs as.
    pub fn identity(&self, component: Component) -> Identity {
        // Every component is in the list.
        let (user, group) = self
            .users
            .iter()
            .find(|(c, ..)| *c == component)
            .map_or((0, 0), |(_, user, group)| (*user, *group));
        let reads_key = matches!(component, Component::ApiServer | Component::ControllerManager);
        let supplemental_groups = if reads_key { vec![self.sa_key_readers] } else { Vec::new() };
        Identity { user, group, supplemental_groups }
    }

    /// The group that may read `sa.key`.
    pub fn sa_key_readers(&self) -> u32 {
        self.sa_key_readers
    }
}

fn look(files: &dyn Files) -> Result<Accounts, Cause> {
    let limits = Limits::read(files)?;
    let users = users(files)?;
    let groups = groups(files)?;
    let group = |name: &str| groups.iter().find(|g| g.name == name);
    let mut free_uids = Free::new(limits.uid, users.iter().map(|u| u.uid));
    let mut free_gids = Free::new(limits.gid, groups.iter().map(|g| g.gid));
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (component, name) in COMPONENTS {
        let (uid, gid) = match users.iter().find(|u| u.name == name) {
            Some(user) => {
                user.check(&groups, &limits)?;
                (user.uid, user.gid)
            }
            None => {
                let gid = match group(name) {
                    Some(group) => group.gid,
                    None => free_gids.take()?,
                };
                let uid = free_uids.take()?;
                missing.push(Account::User { name: name.into(), uid, gid });
                (uid, gid)
            }
        };
        found.push((component, uid, gid));
    }
    let sa_key_readers = match group(SA_KEY_READERS) {
        Some(group) => {
            let expected = BTreeSet::from(READERS.map(str::to_owned));
            if group.members.iter().cloned().collect::<BTreeSet<_>>() != expected {
                return Err(Mismatch::Members {
                    name: SA_KEY_READERS.into(),
                    expected: READERS.join(","),
                    found: group.members.join(","),
                }
                .into());
            }
            group.gid
        }
        None => {
            let gid = free_gids.take()?;
            let members = READERS.map(str::to_owned).into();
            missing.push(Account::Group { name: SA_KEY_READERS.into(), gid, members });
            gid
        }
    };
    Ok(Accounts { users: found, sa_key_readers, missing })
}

/// Adds accounts to both files, each written as a whole. What is there by now is not added again.
pub fn add(files: &dyn WriteFiles, accounts: &[Account]) -> Result<(), String> {
    let mut user_lines = Vec::new();
    let mut group_lines = Vec::new();
    for account in accounts {
        match account {
            Account::User { name, uid, gid } => {
                user_lines.push((name, format!("{name}:x:{uid}:{gid}:::{SHELL}\n")));
                group_lines.push((name, format!("{name}:x:{gid}:\n")));
            }
            Account::Group { name, gid, members } => {
                group_lines.push((name, format!("{name}:x:{gid}:{}\n", members.join(","))));
            }
        }
    }
    // Groups first: a user without its group would not pass as an existing one.
    append(files, GROUP, &group_lines)?;
    append(files, PASSWD, &user_lines)
}

fn append(files: &dyn WriteFiles, path: &str, lines: &[(&String, String)]) -> Result<(), String> {
    let path = Path::new(path);
    let failed = |error: FileError| error.to_string();
    let mut content = files.read(path).map_err(failed)?.unwrap_or_default();
    let before = String::from_utf8_lossy(&content).into_owned();
    let is_there = |name: &str| before.lines().any(|line| line.split(':').next() == Some(name));
    let new: String =
        lines.iter().filter(|(name, _)| !is_there(name)).map(|(_, line)| line.as_str()).collect();
    if new.is_empty() {
        return Ok(());
    }
    if content.last().is_some_and(|last| *last != b'\n') {
        content.push(b'\n');
    }
    content.extend(new.bytes());
    let mode = files.stat(path).map_err(failed)?.map_or(0o644, |meta| meta.mode);
    files.write(&NewFile { path: path.to_owned(), content, mode, secret: false }).map_err(failed)
}

/// Takes the lines of all these accounts out of both files, each written as a whole. Users go first, as they came last.
pub fn remove(files: &dyn WriteFiles) -> Result<(), FileError> {
    for path in [PASSWD, GROUP] {
        let path = Path::new(path);
        let Some(content) = files.read(path)? else { continue };
        let kept: Vec<u8> = content
            .split_inclusive(|b| *b == b'\n')
            .filter(|line| !is_ours(line))
            .flatten()
            .copied()
            .collect();
        if kept.len() < content.len() {
            let mode = files.stat(path)?.map_or(0o644, |meta| meta.mode);
            files.write(&NewFile { path: path.to_owned(), content: kept, mode, secret: false })?;
        }
    }
    Ok(())
}

/// Whether a line of one of the files is that of an account of ours.
fn is_ours(line: &[u8]) -> bool {
    let name = line.split(|b| *b == b':').next().unwrap_or_default();
    name == SA_KEY_READERS.as_bytes() || COMPONENTS.iter().any(|(_, user)| name == user.as_bytes())
}

// --- the files ------------------------------------------------------------------------------------------------

struct User {
    name: String,
    uid: u32,
    gid: u32,
    shell: String,
}

impl User {
    fn check(&self, groups: &[Group], limits: &Limits) -> Result<(), Mismatch> {
        let name = || self.name.clone();
        let within = |kind, id, range: (u32, u32)| match (range.0..=range.1).contains(&id) {
            true => Ok(()),
            false => Err(Mismatch::Range { kind, id, name: name(), range }),
        };
        within("UID", self.uid, limits.uid)?;
        if self.shell != SHELL {
            return Err(Mismatch::Shell { name: name(), shell: self.shell.clone() });
        }
        let mut own = groups.iter().filter(|g| g.gid == self.gid).peekable();
        if own.peek().is_none() {
            return Err(Mismatch::NoGroup { name: name(), gid: self.gid });
        }
        if !own.any(|g| g.name == self.name) {
            return Err(Mismatch::GroupName { name: name(), gid: self.gid });
        }
        within("GID", self.gid, limits.gid)
    }
}

struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// The entries of a file whose lines have `expected` fields, with the numbers of their lines.
fn entries(files: &dyn Files, path: &str, expected: usize) -> Result<Vec<(usize, Vec<String>)>, Cause> {
    let content = files.read(Path::new(path))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        // `+` and `-` are for NIS, nsswitch.conf(5).
        if line.trim().is_empty() || line.starts_with(['+', '-']) {
            continue;
        }
        let fields: Vec<String> = line.split(':').map(str::to_owned).collect();
        if fields.len() != expected {
            return Err(Cause::Fields {
                path: path.into(),
                expected,
                found: fields.len(),
                line: index + 1,
                text: line.into(),
            });
        }
        entries.push((index + 1, fields));
    }
    Ok(entries)
}

fn id(path: &str, line: usize, text: &str) -> Result<u32, Cause> {
    text.parse().map_err(|_| Cause::Id { path: path.into(), line, text: text.into() })
}

fn users(files: &dyn Files) -> Result<Vec<User>, Cause> {
    entries(files, PASSWD, 7)?
        .into_iter()
        .map(|(line, f)| {
            let (uid, gid) = (id(PASSWD, line, &f[2])?, id(PASSWD, line, &f[3])?);
            Ok(User { name: f[0].clone(), uid, gid, shell: f[6].clone() })
        })
        .collect()
}

fn groups(files: &dyn Files) -> Result<Vec<Group>, Cause> {
    entries(files, GROUP, 4)?
        .into_iter()
        .map(|(line, f)| {
            let members = f[3].split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
            Ok(Group { name: f[0].clone(), gid: id(GROUP, line, &f[2])?, members })
        })
        .collect()
}

/// First and last id of system accounts.
struct Limits {
    uid: (u32, u32),
    gid: (u32, u32),
}

impl Limits {
    /// Reads `/etc/login.defs`; what it does not say is as login.defs(5) has it.
    fn read(files: &dyn Files) -> Result<Self, Cause> {
        let content = files.read(Path::new(LOGIN_DEFS))?.unwrap_or_default();
        let text = String::from_utf8_lossy(&content);
        let limit = |key: &'static str, default: u32| {
            let mut found = default;
            for (index, line) in text.lines().enumerate() {
                let mut words = line.split_whitespace();
                if words.next() == Some(key) {
                    let value = words.next().and_then(|word| word.parse().ok());
                    found = value.ok_or(Cause::Limit { key, line: index + 1 })?;
                }
            }
            Ok::<u32, Cause>(found)
        };
        Ok(Self {
            uid: (limit("SYS_UID_MIN", 100)?, limit("SYS_UID_MAX", 999)?),
            gid: (limit("SYS_GID_MIN", 100)?, limit("SYS_GID_MAX", 999)?),
        })
    }
}

/// Ids that nobody has, lowest first.
struct Free {
    range: (u32, u32),
    taken: BTreeSet<u32>,
    given: usize,
}

impl Free {
    fn new(range: (u32, u32), taken: impl Iterator<Item = u32>) -> Self {
        Self { range, taken: taken.collect(), given: 0 }
    }

    fn take(&mut self) -> Result<u32, Cause> {
        self.given += 1;
        let free = (self.range.0..=self.range.1).find(|id| !self.taken.contains(id));
        let id = free.ok_or(Cause::Exhausted { wanted: self.given, range: self.range })?;
        self.taken.insert(id);
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use super::*;
    use crate::ports::{FileKind, FileMeta, Owner};

    /// Files that can be read and written.
    #[derive(Default)]
    struct Tree(Mutex<BTreeMap<PathBuf, Vec<u8>>>);

    impl Tree {
        fn of(files: &[(&str, &str)]) -> Self {
            Self(Mutex::new(files.iter().map(|(p, t)| (PathBuf::from(p), t.as_bytes().to_vec())).collect()))
        }

        fn text(&self, path: &str) -> String {
            String::from_utf8(self.0.lock().unwrap()[Path::new(path)].clone()).unwrap()
        }
    }

    impl Files for Tree {
        fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, FileError> {
            Ok(self.0.lock().unwrap().get(path).cloned())
        }
        fn stat(&self, path: &Path) -> Result<Option<FileMeta>, FileError> {
            let meta = FileMeta {
                kind: FileKind::File,
                mode: 0o640,
                uid: 0,
                gid: 0,
                size: 0,
                modified: jiff::Timestamp::UNIX_EPOCH,
            };
            Ok(self.0.lock().unwrap().contains_key(path).then_some(meta))
        }
        fn list(&self, _: &Path) -> Result<Option<Vec<String>>, FileError> {
            Ok(None)
        }
    }

    impl WriteFiles for Tree {
        fn write_all(&self, files: &[NewFile]) -> Result<(), FileError> {
            for file in files {
                assert_eq!(file.mode, 0o640);
                self.0.lock().unwrap().insert(file.path.clone(), file.content.clone());
            }
            Ok(())
        }
        fn reappear(&self, _: &Path) -> Result<(), FileError> {
            unreachable!("nobody watches accounts")
        }
        fn create_dir(&self, _: &Path, _: u32) -> Result<(), FileError> {
            Ok(())
        }
        fn remove(&self, _: &Path) -> Result<(), FileError> {
            Ok(())
        }
        fn unmount(&self, _: &Path, _: &[crate::ports::UnmountFlag]) -> Result<(), FileError> {
            unreachable!("accounts mount nothing")
        }
        fn set_owner(&self, _: &Path, _: Owner, _: Option<u32>) -> Result<(), FileError> {
            Ok(())
        }
    }

    #[test]
    fn missing_accounts_get_the_lowest_free_ids() {
        let tree = Tree::of(&[
            (PASSWD, "root:x:0:0:root:/root:/bin/bash\nx:x:101:101::/:/bin/false"),
            (GROUP, "root:x:0:\nx:x:101:\n+:::\n"),
            (LOGIN_DEFS, "# SYS_UID_MIN 5\nSYS_UID_MIN\t100\nSYS_GID_MIN 200 # groups\n"),
        ]);
        let accounts = Accounts::look(&tree).unwrap();
        let identity = |user, group, supplemental_groups| Identity { user, group, supplemental_groups };
        assert_eq!(accounts.identity(Component::Etcd), identity(100, 200, vec![]));
        assert_eq!(accounts.identity(Component::ApiServer), identity(102, 201, vec![204]));
        assert_eq!(accounts.identity(Component::Scheduler), identity(104, 203, vec![]));
        add(&tree, &accounts.missing).unwrap();
        assert_eq!(
            tree.text(PASSWD),
            "root:x:0:0:root:/root:/bin/bash\nx:x:101:101::/:/bin/false\n\
             kubeadm-etcd:x:100:200:::/bin/false\nkubeadm-kas:x:102:201:::/bin/false\n\
             kubeadm-kcm:x:103:202:::/bin/false\nkubeadm-ks:x:104:203:::/bin/false\n"
        );
        assert!(tree.text(GROUP).ends_with("kubeadm-sa-key-readers:x:204:kubeadm-kas,kubeadm-kcm\n"));

        // A second look finds them, and adding them again changes nothing.
        let again = Accounts::look(&tree).unwrap();
        assert_eq!((again.missing.len(), &again.users), (0, &accounts.users));
        let before = tree.text(GROUP);
        add(&tree, &accounts.missing).unwrap();
        assert_eq!(tree.text(GROUP), before);

        // Removed, the files are as they were, but for the end of the last line.
        remove(&tree).unwrap();
        assert_eq!(tree.text(PASSWD), "root:x:0:0:root:/root:/bin/bash\nx:x:101:101::/:/bin/false\n");
        assert_eq!(tree.text(GROUP), "root:x:0:\nx:x:101:\n+:::\n");
    }

    fn error(passwd: &str, group: &str, defs: &str) -> String {
        let tree = Tree::of(&[(PASSWD, passwd), (GROUP, group), (LOGIN_DEFS, defs)]);
        let text = Accounts::look(&tree).unwrap_err().to_string();
        text.strip_prefix("failed to create users and groups: ").unwrap().to_owned()
    }

    #[test]
    fn what_is_wrong_is_said() {
        let existing = "error validating existing users and groups: ";
        for (passwd, group, defs, expected) in [
            (
                "a:b",
                "",
                "",
                "/etc/passwd: entry must have 7 fields separated by ':', got 2 at line 1: a:b".to_owned(),
            ),
            ("", "g:x:one:", "", "/etc/group: \"one\" is no id at line 1".into()),
            (
                "",
                "",
                "SYS_UID_MAX x",
                "/etc/login.defs: could not parse value for SYS_UID_MAX at line 1".into(),
            ),
            (
                "",
                "",
                "SYS_UID_MIN 100\nSYS_UID_MAX 102",
                "could not allocate 4 IDs based on existing entries in the range: 100 - 102".into(),
            ),
            (
                "kubeadm-ks:x:5:5:::/bin/false",
                "kubeadm-ks:x:5:",
                "",
                format!("{existing}UID 5 for user \"kubeadm-ks\" is outside the system UID range: 100 - 999"),
            ),
            (
                "kubeadm-ks:x:500:500:::/bin/sh",
                "",
                "",
                format!(
                    "{existing}user \"kubeadm-ks\" has unexpected shell \"/bin/sh\"; expected \"/bin/false\""
                ),
            ),
            (
                "kubeadm-ks:x:500:500:::/bin/false",
                "",
                "",
                format!("{existing}could not find group with GID 500 for user \"kubeadm-ks\""),
            ),
            (
                "kubeadm-ks:x:500:500:::/bin/false",
                "other:x:500:",
                "",
                format!(
                    "{existing}user \"kubeadm-ks\" has GID 500 but the group with that GID is not named \"kubeadm-ks\""
                ),
            ),
            (
                "",
                "kubeadm-sa-key-readers:x:500:joe",
                "",
                format!(
                    "{existing}expected users \"kubeadm-kas,kubeadm-kcm\" for group \"kubeadm-sa-key-readers\"; got \"joe\""
                ),
            ),
        ] {
            assert_eq!(error(passwd, group, defs), expected);
        }
    }
}
