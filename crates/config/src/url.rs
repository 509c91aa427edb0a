//! As much of URLs as configuration needs: the scheme, and the mistakes that Go's `net/url` would name.

/// The scheme in lower case letters, empty when there is none; or why the text is no URL.
pub(crate) fn scheme(text: &str) -> Result<&str, String> {
    let refuse = |why: String| Err(format!("parse {text:?}: {why}"));
    if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
        return refuse("net/url: invalid control character in URL".into());
    }
    let scheme = match text.split_once(':') {
        Some(("", _)) => return refuse("missing protocol scheme".into()),
        Some((scheme, _)) if is_scheme(scheme) => scheme,
        Some((before, _)) if !before.contains('/') => {
            return refuse("first path segment in URL cannot contain colon".into());
        }
        _ => return Ok(""),
    };
    let rest = &text[scheme.len() + 1..];
    if let Some(rest) = rest.strip_prefix("//") {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        let port = match host.rsplit_once(']') {
            Some((_, after)) => after,
            None => host.find(':').map_or("", |colon| &host[colon..]),
        };
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(|p| p.bytes().all(|b| b.is_ascii_digit()))
        {
            return refuse(format!("invalid port {port:?} after host"));
        }
    }
    Ok(scheme)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_found() {
        for (text, expected) in [
            ("https://192.0.2.1:2379", "https"),
            ("unix:///run/x.sock", "unix"),
            ("/run/x.sock", ""),
            ("notaurl", ""),
            ("https://[2001:db8::1]:2379/x", "https"),
            ("./a:b", ""),
        ] {
            assert_eq!(scheme(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for (text, why) in [
            ("192.0.2.1:2379", "first path segment in URL cannot contain colon"),
            (":x", "missing protocol scheme"),
            ("https://a:b", "invalid port \":b\" after host"),
            ("a\nb", "net/url: invalid control character in URL"),
        ] {
            assert_eq!(scheme(text), Err(format!("parse {text:?}: {why}")));
        }
    }
}
