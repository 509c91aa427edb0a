//! Reads and writes PEM text as Go does: whatever stands between the blocks is ignored, lines may
//! have any length, and a block that does not decode is passed over. Knows nothing of the contents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// One block of a PEM text. The bytes are wiped when the block is dropped, since they may be a key.
pub(crate) struct Block {
    /// The words after `BEGIN`.
    pub(crate) label: String,
    /// The decoded body.
    pub(crate) der: Zeroizing<Vec<u8>>,
    /// Whether the block opens with header lines (`Proc-Type: 4,ENCRYPTED`).
    pub(crate) has_headers: bool,
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The blocks of `text`, in order. Bytes that are not UTF-8 can only stand outside of blocks.
pub(crate) fn blocks(text: &[u8]) -> Vec<Block> {
    let text = Zeroizing::new(String::from_utf8_lossy(text).into_owned());
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim_end);
    while let Some(line) = lines.next() {
        let mut label = label_of(line, BEGIN);
        // A new BEGIN inside a block means that the first one was never closed.
        while let Some(open) = label.take() {
            let mut body = Zeroizing::new(String::new());
            let mut has_headers = false;
            for line in lines.by_ref() {
                if let Some(closed) = label_of(line, END) {
                    if closed == open
                        && let Ok(der) = STANDARD.decode(body.as_bytes())
                    {
                        found.push(Block { label: open.to_owned(), der: Zeroizing::new(der), has_headers });
                    }
                    break;
                }
                if let Some(next) = label_of(line, BEGIN) {
                    label = Some(next);
                    break;
                }
                if line.contains(':') {
                    has_headers = true;
                } else {
                    body.extend(line.chars().filter(|c| !c.is_ascii_whitespace()));
                }
            }
        }
    }
    found
}

fn label_of<'a>(line: &'a str, opening: &str) -> Option<&'a str> {
    line.strip_prefix(opening)?.strip_suffix(DASHES)
}

/// One block as text: lines of 64 characters, a line feed after each.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    // The size is known beforehand, so that no copy of a key is left behind by a growing buffer.
    let lines = body.len().div_ceil(64);
    let mut text = Zeroizing::new(String::with_capacity(body.len() + lines + 2 * (label.len() + 16)));
    text.push_str(BEGIN);
    text.push_str(label);
    text.push_str(DASHES);
    text.push('\n');
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, remaining) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = remaining;
    }
    text.push_str(END);
    text.push_str(label);
    text.push_str(DASHES);
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_around_blocks_and_broken_blocks_are_passed_over() {
        let text = b"subject=x\n-----BEGIN A-----\nQQ==\n-----END A-----\nnoise \xff\n\
            -----BEGIN OPEN-----\nQQ==\n-----BEGIN B-----\r\nQ\r\nUI=\r\n-----END B-----\r\n\
            -----BEGIN C-----\n!!\n-----END C-----\n-----BEGIN D-----\nQQ==\n-----END E-----\n\
            -----BEGIN F-----\nProc-Type: 4\n\nQQ==\n-----END F-----";
        let found: Vec<_> =
            blocks(text).iter().map(|b| (b.label.clone(), b.der.to_vec(), b.has_headers)).collect();
        assert_eq!(
            found,
            [
                ("A".to_owned(), b"A".to_vec(), false),
                ("B".to_owned(), b"AB".to_vec(), false),
                ("F".to_owned(), b"A".to_vec(), true),
            ]
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(der in prop::collection::vec(any::<u8>(), 0..300)) {
            let text = encode("SOME THING", &der);
            prop_assert!(text.lines().all(|l| l.len() <= 64));
            let found = blocks(text.as_bytes());
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(&*found[0].der, &der);
        }

        #[test]
        fn any_text_is_read_without_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
            blocks(&text);
        }
    }
}
