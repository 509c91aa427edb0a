//! The end of a container's log in CRI's form: each line is `TIME stdout|stderr P|F TEXT`, and a long line of the
//! container is several of these, of which all but the last have a `P`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// How much of the file's end is read: enough for the last lines, whatever the size of the log.
const WINDOW: u64 = 64 << 10;

/// The last lines of a log file, oldest first.
pub(crate) fn tail(path: &str, lines: usize) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let start = file.metadata()?.len().saturating_sub(WINDOW);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(2 * WINDOW).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // The window rarely starts where a line does.
    let whole = if start == 0 { &text[..] } else { text.split_once('\n').map_or("", |(_, rest)| rest) };
    let mut all = messages(whole);
    Ok(all.split_off(all.len().saturating_sub(lines)))
}

fn messages(text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    let mut begun = String::new();
    for line in text.lines() {
        let mut parts = line.splitn(4, ' ');
        let (stream, tag, words) = (parts.nth(1), parts.next(), parts.next());
        if !matches!(stream, Some("stdout" | "stderr")) {
            // Another form of log: better shown than lost.
            messages.push(line.to_owned());
            continue;
        }
        begun.push_str(words.unwrap_or_default());
        if tag.is_none_or(|tag| tag.split(':').next() != Some("P")) {
            messages.push(std::mem::take(&mut begun));
        }
    }
    if !begun.is_empty() {
        messages.push(begun);
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_and_strips() {
        let text = "2026-11-23T20:00:00.1Z stderr F I1123 starting\n\
                    2026-11-23T20:00:00.2Z stdout P long \n\
                    2026-11-23T20:00:00.3Z stdout F line\n\
                    2026-11-23T20:00:00.4Z stderr F \n\
                    odd\n\
                    2026-11-23T20:00:00.5Z stderr P cut";
        assert_eq!(messages(text), ["I1123 starting", "long line", "", "odd", "cut"]);
    }

    #[test]
    fn reads_the_end_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("0.log");
        let text: String = (0..5000).map(|i| format!("2026-11-23T20:00:00Z stderr F line {i}\n")).collect();
        assert!(text.len() as u64 > WINDOW);
        std::fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        assert_eq!(tail(path, 2).unwrap(), ["line 4998", "line 4999"]);
        let all = tail(path, usize::MAX).unwrap();
        assert!(all.len() > 1000 && all.iter().all(|line| line.starts_with("line ")), "{:?}", all.first());
        assert!(tail("/no/such/log", 1).is_err());
    }
}
