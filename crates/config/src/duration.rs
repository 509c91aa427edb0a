//! Durations as Go writes and reads them (`24h0m0s`, `501.5ms`), signed and exact to the nanosecond.
//!
//! A configuration may carry any of them, negative and zero ones included: what they mean is decided by
//! whoever waits.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

const NANOSECOND: i64 = 1;
const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// A signed duration in nanoseconds, Go's `time.Duration`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

/// Why a text is no duration. The texts are those of Go's `time.ParseDuration`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// The text does not have the form of a duration, or does not fit 64 bits.
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    /// A number has no unit.
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    /// A number has a unit that does not exist.
    #[error("time: unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit {
        /// The unit as written.
        unit: String,
        /// The whole text.
        text: String,
    },
}

impl GoDuration {
    /// No time at all.
    pub const ZERO: GoDuration = GoDuration(0);

    /// A duration of whole nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        GoDuration(nanos)
    }

    /// A duration of whole milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        GoDuration(millis * MILLISECOND)
    }

    /// A duration of whole seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        GoDuration(seconds * SECOND)
    }

    /// A duration of whole minutes.
    pub const fn from_minutes(minutes: i64) -> Self {
        GoDuration(minutes * MINUTE)
    }

    /// A duration of whole hours.
    pub const fn from_hours(hours: i64) -> Self {
        GoDuration(hours * HOUR)
    }

    /// Nanoseconds, possibly negative.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds, cut towards zero.
    pub const fn seconds(self) -> i64 {
        self.0 / SECOND
    }

    /// Whether it is exactly no time.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The span as the standard library has it; a negative one is no time.
    pub const fn to_std(self) -> Duration {
        Duration::from_nanos(if self.0 < 0 { 0 } else { self.0 as u64 })
    }
}

impl From<Duration> for GoDuration {
    /// Spans beyond Go's range (292 years) become its largest.
    fn from(span: Duration) -> Self {
        GoDuration(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if nanos == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let (second, minute, hour) = (SECOND as u64, MINUTE as u64, HOUR as u64);
        if nanos < second {
            let (unit, name) = match nanos {
                n if n < MICROSECOND as u64 => (NANOSECOND as u64, "ns"),
                n if n < MILLISECOND as u64 => (MICROSECOND as u64, "µs"),
                _ => (MILLISECOND as u64, "ms"),
            };
            return write!(f, "{}{name}", decimal(nanos, unit));
        }
        if nanos >= hour {
            write!(f, "{}h", nanos / hour)?;
        }
        if nanos >= minute {
            write!(f, "{}m", nanos % hour / minute)?;
        }
        write!(f, "{}s", decimal(nanos % minute, second))
    }
}

/// `nanos / unit` with as many decimals as it takes and no trailing zero.
fn decimal(nanos: u64, unit: u64) -> String {
    let (whole, rest) = (nanos / unit, nanos % unit);
    if rest == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    format!("{whole}.{}", format!("{rest:0width$}").trim_end_matches('0'))
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let invalid = || DurationError::Invalid(text.to_owned());
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(GoDuration::ZERO);
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(end);
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
                return Err(invalid());
            }
            let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (name, tail) = tail.split_at(end);
            let unit = match name {
                "" => return Err(DurationError::MissingUnit(text.to_owned())),
                "ns" => NANOSECOND,
                "us" | "µs" | "μs" => MICROSECOND,
                "ms" => MILLISECOND,
                "s" => SECOND,
                "m" => MINUTE,
                "h" => HOUR,
                _ => {
                    return Err(DurationError::UnknownUnit { unit: name.to_owned(), text: text.to_owned() });
                }
            };
            let whole: i128 = match whole {
                "" => 0,
                digits => digits.parse::<i64>().map_err(|_| invalid())?.into(),
            };
            // Digits beyond the 18th are below a nanosecond for every unit.
            let fraction = &fraction[..fraction.len().min(18)];
            let part: i128 = match fraction {
                "" => 0,
                digits => {
                    let scale = 10_i128.pow(digits.len() as u32);
                    digits.parse::<i128>().map_err(|_| invalid())? * i128::from(unit) / scale
                }
            };
            total += whole * i128::from(unit) + part;
            if total > 1 << 63 {
                return Err(invalid());
            }
            rest = tail;
        }
        let total = if negative { -total } else { total };
        i64::try_from(total).map(GoDuration).map_err(|_| invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_go() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (501_500_000, "501.5ms"),
            (SECOND, "1s"),
            (4 * MINUTE, "4m0s"),
            (24 * HOUR, "24h0m0s"),
            (HOUR + MINUTE + SECOND + 500_000_000, "1h1m1.5s"),
            (-90 * SECOND, "-1m30s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
            (i64::MAX, "2562047h47m16.854775807s"),
        ] {
            assert_eq!(GoDuration(nanos).to_string(), text);
            assert_eq!(text.parse(), Ok(GoDuration(nanos)), "{text}");
        }
    }

    #[test]
    fn reads_as_go() {
        for (text, nanos) in [
            ("24h", 24 * HOUR),
            ("0", 0),
            ("+5s", 5 * SECOND),
            ("1.5h", 90 * MINUTE),
            (".5s", SECOND / 2),
            ("1.s", SECOND),
            ("10us", 10_000),
            ("1m1h", HOUR + MINUTE),
            ("0.3333333333333333333h", 20 * MINUTE - 1),
        ] {
            assert_eq!(text.parse(), Ok(GoDuration(nanos)), "{text}");
        }
    }

    #[test]
    fn refuses_with_the_texts_of_go() {
        for (text, message) in [
            ("", r#"time: invalid duration """#),
            ("x", r#"time: invalid duration "x""#),
            ("-", r#"time: invalid duration "-""#),
            (".s", r#"time: invalid duration ".s""#),
            ("3", r#"time: missing unit in duration "3""#),
            ("1d", r#"time: unknown unit "d" in duration "1d""#),
            ("9223372036854775808ns", r#"time: invalid duration "9223372036854775808ns""#),
            ("3000000h", r#"time: invalid duration "3000000h""#),
        ] {
            assert_eq!(text.parse::<GoDuration>().unwrap_err().to_string(), message);
        }
    }
}
