//! Mount points, from `/proc/self/mountinfo`.

use std::path::{Path, PathBuf};

use crate::ports::{FileError, Files};

/// The mount points below a directory (not the directory itself), the inner before the outer.
///
/// # Errors
/// When the kernel's list cannot be read.
pub fn below(files: &dyn Files, dir: &Path) -> Result<Vec<PathBuf>, FileError> {
    let list = files.read(Path::new("/proc/self/mountinfo"))?.unwrap_or_default();
    let text = String::from_utf8_lossy(&list);
    // proc(5): the fifth field is the mount point. Later lines are mounted over earlier ones.
    let points = text.lines().filter_map(|line| Some(PathBuf::from(decoded(line.split(' ').nth(4)?))));
    let mut points: Vec<PathBuf> = points.filter(|p| p.starts_with(dir) && p != dir).collect();
    points.reverse();
    points.sort_by_key(|p| std::cmp::Reverse(p.components().count()));
    Ok(points)
}

/// Blanks and the like are written as three octal digits after a backslash.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail
            .get(..3)
            .and_then(|d| std::str::from_utf8(d).ok())
            .and_then(|d| u8::from_str_radix(d, 8).ok());
        match (first, code) {
            (b'\\', Some(code)) => {
                bytes.push(code);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_digits_are_decoded() {
        assert_eq!(decoded("/a\\040b\\134c"), "/a b\\c");
        assert_eq!(decoded("/a\\9"), "/a\\9");
    }
}
