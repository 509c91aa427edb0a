//! Writing: a tree → text, byte for byte as go-yaml v2 writes it below `sigs.k8s.io/yaml`.
//!
//! Keys are sorted naturally, lists stand at their parent's indentation, a string is quoted only if it would otherwise
//! be read as something else, texts of several lines are literal blocks, and lines are folded after column 80. The
//! state (`column`, `whitespace`, `indention`) is libyaml's, because folding and line breaks depend on it.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::scalar::{Scalar, format_float, is_base60, resolve};

const INDENT: isize = 2;
const WIDTH: usize = 80;
/// Longest key, in bytes, that is written as `key: value`; longer ones use the `? key` form.
const SIMPLE_KEY: usize = 128;

/// Writes a value as a YAML document, ending in a line break.
pub fn to_string(value: &Value) -> String {
    let mut emitter = Emitter { out: String::new(), column: 0, whitespace: true, indention: true };
    emitter.node(value, -1, false);
    if emitter.column > 0 || !emitter.indention {
        emitter.line_break();
    }
    emitter.out
}

struct Emitter {
    out: String,
    column: usize,
    /// The last thing written was a blank or a line break.
    whitespace: bool,
    /// Nothing but indentation and indicators stands on this line.
    indention: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

impl Emitter {
    /// Writes a value whose parent is indented by `indent` (−1: none); `in_map`: as the value of a mapping's key.
    fn node(&mut self, value: &Value, indent: isize, in_map: bool) {
        let inner = if indent < 0 { 0 } else { indent + INDENT };
        match value {
            Value::Object(map) if map.is_empty() => self.indicator("{}", true, false),
            Value::Array(items) if items.is_empty() => self.indicator("[]", true, false),
            Value::Object(map) => self.map(map, inner),
            Value::Array(items) => {
                // A list below a key is not indented; the first item shows whether the key's line is still open.
                let inner = if in_map && !self.indention { indent } else { inner };
                for item in items {
                    self.indent(inner);
                    self.indicator("-", true, true);
                    self.node(item, inner, false);
                }
            }
            Value::Null => self.plain("null", indent, false),
            Value::Bool(b) => self.plain(if *b { "true" } else { "false" }, indent, false),
            Value::Number(n) => {
                let text = match n.as_f64() {
                    Some(float) if n.is_f64() => float_text(float),
                    _ => n.to_string(),
                };
                self.plain(&text, indent, false);
            }
            Value::String(text) => self.string(text, indent, false),
        }
    }

    fn map(&mut self, map: &Map<String, Value>, indent: isize) {
        for (key, value) in sorted(map) {
            self.indent(indent);
            if key.len() <= SIMPLE_KEY && !key.chars().any(is_break) {
                self.string(key, indent, true);
                self.indicator(":", false, false);
            } else {
                self.indicator("?", true, true);
                self.string(key, indent, false);
                self.indent(indent);
                self.indicator(":", true, true);
            }
            self.node(value, indent, true);
        }
    }

    fn string(&mut self, text: &str, indent: isize, key: bool) {
        match style(text, key) {
            Style::Plain => self.plain(text, indent, key),
            Style::Single => self.single_quoted(text, indent, key),
            Style::Double => self.double_quoted(text, indent, key),
            Style::Literal => self.literal(text, scalar_indent(indent)),
        }
    }

    fn plain(&mut self, text: &str, indent: isize, key: bool) {
        if !self.whitespace {
            self.put(' ');
        }
        let chars: Vec<char> = text.chars().collect();
        let mut spaces = false;
        for (i, c) in chars.iter().enumerate() {
            if *c == ' ' && !key && !spaces && self.column > WIDTH && chars.get(i + 1) != Some(&' ') {
                self.indent(scalar_indent(indent));
            } else {
                self.put(*c);
                self.indention = false;
            }
            spaces = *c == ' ';
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn single_quoted(&mut self, text: &str, indent: isize, key: bool) {
        self.indicator("'", true, false);
        let chars: Vec<char> = text.chars().collect();
        let mut spaces = false;
        for (i, &c) in chars.iter().enumerate() {
            let inside = i > 0 && i + 1 < chars.len() && chars[i + 1] != ' ';
            if c == ' ' && !key && !spaces && self.column > WIDTH && inside {
                self.indent(scalar_indent(indent));
            } else {
                if c == '\'' {
                    self.put('\'');
                }
                self.put(c);
            }
            spaces = c == ' ';
        }
        self.indicator("'", false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn double_quoted(&mut self, text: &str, indent: isize, key: bool) {
        self.indicator("\"", true, false);
        let chars: Vec<char> = text.chars().collect();
        // The original looks for the byte-order mark at the start of the text whatever character it is at.
        let marked = text.starts_with('\u{feff}');
        let mut spaces = false;
        for (i, &c) in chars.iter().enumerate() {
            if marked || !is_printable(c) || is_break(c) || c == '"' || c == '\\' {
                for e in escape(c).chars() {
                    self.put(e);
                }
                spaces = false;
            } else if c == ' ' {
                if !key && !spaces && self.column > WIDTH && i > 0 && i + 1 < chars.len() {
                    self.indent(scalar_indent(indent));
                    if chars[i + 1] == ' ' {
                        self.put('\\');
                    }
                } else {
                    self.put(c);
                }
                spaces = true;
            } else {
                self.put(c);
                spaces = false;
            }
        }
        self.indicator("\"", false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn literal(&mut self, text: &str, indent: isize) {
        self.indicator("|", true, false);
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.indicator(&INDENT.to_string(), false, false);
        }
        let mut tail = text.chars().rev();
        match (tail.next().is_some_and(is_break), tail.next()) {
            (false, _) => self.indicator("-", false, false),
            (true, before) if before.is_none_or(is_break) => self.indicator("+", false, false),
            (true, _) => {}
        }
        self.line_break();
        self.indention = true;
        self.whitespace = true;
        let mut breaks = true;
        for c in text.chars() {
            if is_break(c) {
                self.put_break(c);
                self.indention = true;
                breaks = true;
            } else {
                if breaks {
                    self.indent(indent);
                }
                self.put(c);
                self.indention = false;
                breaks = false;
            }
        }
    }

    fn indicator(&mut self, text: &str, space_before: bool, keeps_indention: bool) {
        if space_before && !self.whitespace {
            self.put(' ');
        }
        for c in text.chars() {
            self.put(c);
        }
        self.whitespace = false;
        self.indention = self.indention && keeps_indention;
    }

    fn indent(&mut self, indent: isize) {
        let indent = usize::try_from(indent).unwrap_or_default();
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            self.line_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn put_break(&mut self, c: char) {
        self.out.push(c);
        self.column = 0;
    }

    fn line_break(&mut self) {
        self.put_break('\n');
    }
}

/// Continuation lines of a scalar stand two columns deeper than its parent.
fn scalar_indent(indent: isize) -> isize {
    if indent < 0 { INDENT } else { indent + INDENT }
}

/// Go's JSON has whole numbers without exponent below 1e21, and what fits 64 bits is then an integer for YAML.
fn float_text(value: f64) -> String {
    let digits = value.to_string();
    if digits.parse::<i64>().is_ok() || digits.parse::<u64>().is_ok() {
        return digits;
    }
    format_float(value, false)
}

/// go-yaml's choice of style (`encoder.stringv`), corrected as libyaml does (`yaml_emitter_select_scalar_style`).
fn style(text: &str, key: bool) -> Style {
    if text.is_empty() {
        return Style::Double;
    }
    let shape = Shape::of(text);
    if text.contains('\n') {
        return if shape.block_allowed && !key { Style::Literal } else { Style::Double };
    }
    // `<<` as a plain key would merge when read back; go-yaml overlooks that.
    if resolve(text) != Scalar::Str || is_base60(text) || text == "<<" {
        return Style::Double;
    }
    match (shape.plain_allowed, shape.single_allowed) {
        (true, _) => Style::Plain,
        (false, true) => Style::Single,
        (false, _) => Style::Double,
    }
}

/// Which styles can hold a text: libyaml's `yaml_emitter_analyze_scalar`.
struct Shape {
    plain_allowed: bool,
    single_allowed: bool,
    block_allowed: bool,
}

impl Shape {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let last = chars.len().saturating_sub(1);
        let blank_at = |i: usize| chars.get(i).is_none_or(|c| matches!(c, ' ' | '\t'));
        let space_then_break = chars.windows(2).any(|w| w[0] == ' ' && is_break(w[1]));
        let break_then_space = chars.windows(2).any(|w| is_break(w[0]) && w[1] == ' ');
        // libyaml takes U+2028 and U+2029 for line breaks and indents after them; a reader of YAML 1.2 would take that
        // indentation for text.
        let special = !chars.iter().all(|c| is_printable(*c)) || text.contains(['\u{2028}', '\u{2029}']);
        let indicator = text.starts_with("---")
            || text.starts_with("...")
            || chars.iter().enumerate().any(|(i, c)| match c {
                '#' if i > 0 => matches!(chars[i - 1], ' ' | '\t' | '\0') || is_break(chars[i - 1]),
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`' => i == 0,
                '?' | '-' => i == 0 && blank_at(1),
                ':' => blank_at(i + 1),
                _ => false,
            });
        let edge = |c: char| c == ' ' || is_break(c);
        let edges = chars.first().is_some_and(|c| edge(*c)) || chars.last().is_some_and(|c| edge(*c));
        let broken = space_then_break || special;
        Self {
            plain_allowed: !(edges || break_then_space || broken || indicator),
            single_allowed: !(break_then_space || broken),
            block_allowed: !(broken || chars.get(last) == Some(&' ')),
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// libyaml's notion: no tab, nothing beyond the basic plane.
fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

fn escape(c: char) -> String {
    let short = match c {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(c);
            return match code {
                0..=0xff => format!("\\x{code:02X}"),
                0x100..=0xffff => format!("\\u{code:04X}"),
                _ => format!("\\U{code:08X}"),
            };
        }
    };
    format!("\\{short}")
}

fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<(&String, &Value)> = Vec::with_capacity(map.len());
    // By insertion, because go-yaml's order is not a total one for very long digits, and the standard sort may panic
    // then. The keys come nearly sorted.
    for entry in map {
        let mut at = entries.len();
        while at > 0 && natural_order(entry.0, entries[at - 1].0) == Ordering::Less {
            at -= 1;
        }
        entries.insert(at, entry);
    }
    entries
}

/// go-yaml's `keyList.Less`: numbers inside keys compare by value, and what is no letter comes before letters.
fn natural_order(a: &str, b: &str) -> Ordering {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let Some(i) = a.iter().zip(&b).position(|(x, y)| x != y) else {
        return a.len().cmp(&b.len());
    };
    match (a[i].is_alphabetic(), b[i].is_alphabetic()) {
        (true, true) => return a[i].cmp(&b[i]),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // Digits that continue a number after a common part: give both the same weight in front.
    let common = a[..i].iter().rev().take_while(|c| c.is_ascii_digit()).any(|c| *c != '0');
    let lead = i64::from((a[i] == '0' || b[i] == '0') && common);
    let number = |text: &[char]| {
        let digits: Vec<i64> = text[i..].iter().map_while(|c| c.to_digit(10)).map(i64::from).collect();
        (digits.iter().fold(lead, |n, d| n.wrapping_mul(10).wrapping_add(*d)), digits.len())
    };
    number(&a).cmp(&number(&b)).then(a[i].cmp(&b[i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn scalars_get_go_yaml_quotes() {
        for (text, want) in [
            ("plain words", "plain words"),
            ("", "\"\""),
            ("null", "\"null\""),
            ("y", "\"y\""),
            ("0644", "\"0644\""),
            ("12:30:45", "\"12:30:45\""),
            ("2001-01-01", "\"2001-01-01\""),
            ("2001-13-01", "2001-13-01"),
            ("it's", "it's"),
            ("'quoted'", "'''quoted'''"),
            ("a: b", "'a: b'"),
            ("a:b", "a:b"),
            ("a #b", "'a #b'"),
            ("a#b", "a#b"),
            ("- x", "'- x'"),
            ("--x", "--x"),
            ("---", "'---'"),
            ("*", "'*'"),
            (" lead", "' lead'"),
            ("a\tb", "\"a\\tb\""),
            ("é", "é"),
            ("😀", "\"\\U0001F600\""),
            ("a\u{2028}b", "\"a\\Lb\""),
            ("a\u{2029}b\n", "\"a\\Pb\\n\""),
            ("a,b [c]", "a,b [c]"),
            ("%a", "'%a'"),
            ("a\r\nb", "\"a\\r\\nb\""),
        ] {
            assert_eq!(to_string(&json!(text)), format!("{want}\n"), "{text:?}");
        }
    }

    #[test]
    fn collections_are_laid_out_as_by_go_yaml() {
        let value = json!({
            "list": [[], {}, [1, [2, {"x": "y"}]], "a\n b\n", "\na", "a\n\n"],
            "none": null,
            "map": {"k10": 1, "k2": 2, "K": 3, "-": 4, "a\nb": 5},
            "float": 1.5,
        });
        let want = "float: 1.5
list:
- []
- {}
- - 1
  - - 2
    - x: \"y\"
- |
  a
   b
- |2-

  a
- |+
  a

map:
  '-': 4
  K: 3
  ? |-
    a
    b
  : 5
  k2: 2
  k10: 1
none: null
";
        assert_eq!(to_string(&value), want);
    }

    #[test]
    fn long_lines_are_folded_after_column_80() {
        let words = ["word"; 21].join(" ");
        let first = ["word"; 16].join(" ");
        assert_eq!(to_string(&json!({"a": words})), format!("a: {first}\n  word word word word word\n"));
        assert_eq!(to_string(&json!({ words.clone(): 1 })), format!("{words}: 1\n"));
    }

    #[test]
    fn numbers_have_go_forms() {
        let value = json!([
            1_000_000.5,
            0.00001,
            123_456_789_012_345_680_000.0,
            1e21,
            18_446_744_073_709_551_615_u64,
            1e6
        ]);
        let want = "- 1.0000005e+06\n- 1e-05\n- 1.2345678901234568e+20\n- 1e+21\n- 18446744073709551615\n- 1000000\n";
        assert_eq!(to_string(&value), want);
    }
}
