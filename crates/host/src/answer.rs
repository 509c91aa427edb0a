//! What an answer of the API server means: an object, or a `Status` that says why not. No I/O.

use kubeadm_engine::ports::ApiError;
use serde_json::Value;

/// The object of a successful answer.
pub(crate) fn object(status: u16, body: &str) -> Result<Value, ApiError> {
    if !(200..300).contains(&status) {
        return Err(error(status, body));
    }
    serde_json::from_str(body).map_err(|e| ApiError::Status {
        code: status,
        message: format!("the server's answer is not JSON: {e}"),
    })
}

/// Whether the answer says that the object, and not its kind, is unknown.
pub(crate) fn object_is_missing(status: u16, body: &str) -> bool {
    let details =
        || serde_json::from_str::<Value>(body).ok()?.get("details")?.get("name")?.as_str().map(str::len);
    status == 404 && details().is_some_and(|length| length > 0)
}

/// The error of an unsuccessful answer, other than 401: that one names the credentials, which an answer does not know.
pub(crate) fn error(code: u16, body: &str) -> ApiError {
    let (reason, message) = reason_and_message(code, body);
    match (code, &*reason) {
        (404, _) => ApiError::NotFound(message),
        (409, "AlreadyExists") => ApiError::AlreadyExists(message),
        (409, _) => ApiError::Conflict(message),
        (403, _) => ApiError::Forbidden(message),
        (422, _) => ApiError::Invalid(message),
        _ => ApiError::Status { code, message },
    }
}

/// What an unsuccessful answer says for machines and for people.
pub(crate) fn reason_and_message(code: u16, body: &str) -> (String, String) {
    let parsed: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let (reason, message) = match parsed["kind"].as_str() {
        Some("Status") => {
            (parsed["reason"].as_str().unwrap_or_default(), parsed["message"].as_str().unwrap_or_default())
        }
        // A proxy in between, or a server that is not one of the API.
        _ => ("", body.trim()),
    };
    let message =
        if message.is_empty() { format!("status {code}") } else { message.chars().take(2000).collect() };
    (reason.to_owned(), message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str) -> ApiError {
        let body = format!(r#"{{"kind":"Status","reason":"{reason}","message":"why","code":{code}}}"#);
        error(code, &body)
    }

    #[test]
    fn errors_by_reason() {
        assert!(matches!(status(404, "NotFound"), ApiError::NotFound(m) if m == "why"));
        assert!(matches!(status(409, "AlreadyExists"), ApiError::AlreadyExists(_)));
        assert!(matches!(status(409, "Conflict"), ApiError::Conflict(_)));
        assert!(matches!(status(403, "Forbidden"), ApiError::Forbidden(_)));
        assert!(matches!(status(422, "Invalid"), ApiError::Invalid(_)));
        assert!(matches!(status(503, "ServiceUnavailable"), ApiError::Status { code: 503, .. }));
        let plain = error(502, "<html>bad gateway</html>\n");
        assert_eq!(plain.to_string(), "<html>bad gateway</html> (status 502)");
        assert_eq!(error(500, "").to_string(), "status 500 (status 500)");
    }

    #[test]
    fn a_missing_object_is_not_a_missing_kind() {
        let object = r#"{"kind":"Status","reason":"NotFound","details":{"name":"kubeadm-config","kind":"configmaps"}}"#;
        assert!(object_is_missing(404, object));
        assert!(!object_is_missing(403, object));
        assert!(!object_is_missing(404, r#"{"kind":"Status","reason":"NotFound","details":{}}"#));
        assert!(!object_is_missing(404, "404 page not found"));
    }

    #[test]
    fn objects_must_be_json() {
        assert_eq!(object(200, r#"{"kind":"Node"}"#).unwrap()["kind"], "Node");
        assert!(matches!(object(200, "<html>"), Err(ApiError::Status { code: 200, .. })));
    }
}
