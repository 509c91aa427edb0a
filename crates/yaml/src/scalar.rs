//! What a plain scalar means: the resolution rules of go-yaml v2, which are those of YAML 1.1 without base-60 numbers.
//!
//! Both directions use them: the reader to find a value's type, the writer to know which strings need quotes.

use serde_json::Number;

/// The meaning of a plain scalar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    /// Infinity or not-a-number.
    NonFinite,
    /// A date or time; Go hands it on as a string, but quotes strings that look like it.
    Timestamp,
    Str,
}

/// Resolves a plain scalar.
pub(crate) fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" | "-.inf"
        | "-.Inf" | "-.INF" => return Scalar::NonFinite,
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' if is_float(text) => parse_float(text).map_or(Scalar::Str, Scalar::Number),
        b'0'..=b'9' | b'+' | b'-' => {
            if is_timestamp(text) {
                return Scalar::Timestamp;
            }
            let digits = text.replace('_', "");
            if let Some(number) = parse_integer(&digits) {
                return Scalar::Number(number);
            }
            if is_float(&digits) {
                return parse_float(&digits).map_or(Scalar::Str, Scalar::Number);
            }
            Scalar::Str
        }
        _ => Scalar::Str,
    }
}

/// Go's `ParseInt(s, 0, 64)`, then `ParseUint(s, 0, 64)`: prefixes `0x`, `0b`, `0o` and a leading zero choose the base.
fn parse_integer(text: &str) -> Option<Number> {
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // `from_str_radix` would accept a second sign.
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    if negative {
        let value = i128::from_str_radix(digits, base).ok()?;
        return i64::try_from(-value).ok().map(Number::from);
    }
    u64::from_str_radix(digits, base).ok().map(Number::from)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits = |s: &str| s.bytes().take_while(u8::is_ascii_digit).count();
    let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = digits(rest);
    rest = &rest[whole..];
    if let Some(after) = rest.strip_prefix('.') {
        let fraction = digits(after);
        if whole == 0 && fraction == 0 {
            return false;
        }
        rest = &after[fraction..];
    } else if whole == 0 {
        return false;
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        let count = digits(exponent);
        return count > 0 && count == exponent.len();
    }
    rest.is_empty()
}

/// A float as its JSON form has it: Go writes `1.0` as `1`, so it fits an integer field.
fn parse_float(text: &str) -> Option<Number> {
    let value: f64 = text.parse().ok()?;
    if value.fract() == 0.0 {
        // Display has all digits and no exponent, as Go's JSON.
        let digits = value.to_string();
        let whole = digits
            .parse()
            .map(|n: i64| Number::from(n))
            .or_else(|_| digits.parse().map(|n: u64| Number::from(n)));
        if let Ok(whole) = whole {
            return Some(whole);
        }
    }
    Number::from_f64(value)
}

/// `YYYY-M-D`, alone, with ` H:M:S[.f]`, or with `TH:M:S[.f]` and a zone.
fn is_timestamp(text: &str) -> bool {
    parse_timestamp(text).is_some()
}

fn parse_timestamp(text: &str) -> Option<()> {
    let year_len = text.bytes().take_while(u8::is_ascii_digit).count();
    if year_len != 4 {
        return None;
    }
    let year: u32 = text[..4].parse().ok()?;
    let rest = text[4..].strip_prefix('-')?;
    let (month, rest) = one_or_two(rest)?;
    let (day, rest) = one_or_two(rest.strip_prefix('-')?)?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days).contains(&day) {
        return None;
    }
    if rest.is_empty() {
        return Some(());
    }
    let zoned = match rest.as_bytes()[0] {
        b'T' | b't' => true,
        b' ' => false,
        _ => return None,
    };
    let (hour, rest) = one_or_two(&rest[1..])?;
    let (minute, rest) = one_or_two(rest.strip_prefix(':')?)?;
    let (second, mut rest) = one_or_two(rest.strip_prefix(':')?)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if count > 0 {
            rest = &fraction[count..];
        }
    }
    match (zoned, rest.as_bytes()) {
        (false, []) | (true, [b'Z']) => Some(()),
        (true, [b'+' | b'-', h1, h2, b':', m1, m2]) => {
            let number = |a: &u8, b: &u8| {
                (a.is_ascii_digit() && b.is_ascii_digit()).then(|| (a - b'0') * 10 + (b - b'0'))
            };
            (number(h1, h2)? <= 24 && number(m1, m2)? < 60).then_some(())
        }
        _ => None,
    }
}

/// One or two digits, and what follows them.
fn one_or_two(text: &str) -> Option<(u32, &str)> {
    let count = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(count);
    Some((digits.parse().ok()?, rest))
}

/// A number such as `190:20:30`, which other YAML 1.1 readers take as base 60: go-yaml quotes it, but reads a string.
pub(crate) fn is_base60(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = rest.split(':');
    let first = parts.next().unwrap_or_default();
    if !first.starts_with(|c: char| c.is_ascii_digit())
        || !first.bytes().all(|b| b.is_ascii_digit() || b == b'_')
    {
        return false;
    }
    let others: Vec<&str> = parts.collect();
    let Some((last, middle)) = others.split_last() else {
        return false;
    };
    let (last, fraction) = last.split_once('.').unwrap_or((last, ""));
    let sixty = |s: &str| match s.as_bytes() {
        [d] => d.is_ascii_digit(),
        [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
        _ => false,
    };
    middle.iter().all(|s| sixty(s))
        && sixty(last)
        && fraction.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

/// Go's `FormatFloat(v, 'g', -1, bits)`: the shortest digits, with an exponent below 1e-4 and from 1e6 on.
pub(crate) fn format_float(value: f64, single: bool) -> String {
    // Rust's `e` form gives the shortest digits that read back to the same value, as Go's does.
    let text = if single { format!("{:e}", value as f32) } else { format!("{value:e}") };
    let Some((mantissa, exponent)) = text.split_once('e') else {
        return text;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    if single { format!("{}", value as f32) } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Option<String> {
        match resolve(text) {
            Scalar::Number(n) => Some(n.to_string()),
            _ => None,
        }
    }

    #[test]
    fn numbers_have_yaml_1_1_bases() {
        for (text, want) in [
            ("0644", "420"),
            ("0o17", "15"),
            ("0x1F", "31"),
            ("-0b11", "-3"),
            ("+12", "12"),
            ("1_000", "1000"),
            ("08", "8"),
            ("1.0", "1"),
            ("1.", "1"),
            (".5", "0.5"),
            ("1e3", "1000"),
            ("-0.0", "0"),
            ("0013368089053625086408", "13368089053625086000"),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
        ] {
            assert_eq!(number(text).as_deref(), Some(want), "{text}");
        }
    }

    #[test]
    fn strings_stay_strings() {
        for text in [
            "0x",
            "1.2.3",
            "-",
            "+",
            "--1",
            "+-1",
            "1e",
            "1e400",
            ".",
            "..",
            "10.96.0.10",
            "12:30:45",
            "=",
            "<<",
        ] {
            assert_eq!(resolve(text), Scalar::Str, "{text}");
        }
    }

    #[test]
    fn timestamps_are_real_dates() {
        for text in ["2001-01-01", "2001-1-1", "2024-02-29", "2001-12-14T21:59:43.1Z", "2001-12-14 21:59:43"]
        {
            assert_eq!(resolve(text), Scalar::Timestamp, "{text}");
        }
        for text in ["2001-13-01", "2023-02-29", "2001-01", "2001-12-14T21:59:43", "20010-1-1", "2001-1-1 "] {
            assert_eq!(resolve(text), Scalar::Str, "{text}");
        }
    }

    #[test]
    fn base_sixty_is_recognized() {
        for text in ["12:30:45", "1:5", "-190:20:30.15", "1_0:59"] {
            assert!(is_base60(text), "{text}");
        }
        for text in ["12", "a:1", "1:60", "1:", "12:30:45.5.5", "fd00::1"] {
            assert!(!is_base60(text), "{text}");
        }
    }
}
