//! Times as people read them.

use jiff::Timestamp;

/// A time as Go prints it in messages and objects: RFC 3339, whole seconds, UTC.
pub fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
