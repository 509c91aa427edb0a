//! Compares a run with a recording of the original, aspect by aspect. A difference is a text for people.

use std::collections::{BTreeMap, BTreeSet};

use kubeadm_lab::{Error, Result};
use serde_json::{Map, Value};

use super::log::tag;
use super::record::Recording;
use super::{Aspect, Case, read};

/// Compares whether both accept or refuse. Refusing what the original wrongly accepts is right for bad input.
pub(crate) fn exit(case: &Case, code: i32) -> Result<Vec<String>> {
    let (theirs, ours) = (read(&case.folder.join("exit"))?.trim() == "0", code == 0);
    let word = |ok: bool| if ok { "accepts" } else { "refuses" };
    Ok(match theirs == ours || (theirs && case.is_bad()) {
        true => Vec::new(),
        false => vec![format!("the original {}, ours {} (exit status {code})", word(theirs), word(ours))],
    })
}

/// Compares one aspect of a dry run.
pub(crate) fn aspect(case: &Case, aspect: Aspect, ours: &Recording) -> Result<Vec<String>> {
    let folder = &case.folder;
    match aspect {
        Aspect::Exit => exit(case, ours.code),
        Aspect::Files => files(case, &ours.files),
        Aspect::Objects => objects(&read(&folder.join("objects.yaml"))?, &ours.objects),
        Aspect::Pki => facts(&read(&folder.join("pki.json"))?, &ours.pki),
        Aspect::Kubeconfig => facts(&read(&folder.join("kubeconfig.json"))?, &ours.kubeconfig),
        Aspect::Stdout => {
            let theirs = read(&folder.join("stdout.txt"))?;
            Ok(text_difference(&greppable(&theirs), &greppable(&ours.stdout)))
        }
    }
}

/// The log lines that people and scripts search for, without the dry run's own.
fn greppable(text: &str) -> String {
    let kept = text
        .lines()
        .map(str::trim_end)
        .filter(|line| tag(line).is_some_and(|tag| tag != "dryrun") && !line.contains("system verification"));
    kept.map(|line| timeless_line(line) + "\n").collect()
}

/// `healthy after 1.5s` takes as long as it takes.
fn timeless_line(line: &str) -> String {
    let Some((before, after)) = line.split_once("after ") else { return line.to_owned() };
    let number = after.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
    let unit = after[number..].bytes().take_while(|b| *b == b'm' || *b == b's').count();
    match number > 0 && unit > 0 {
        true => format!("{before}after <t>{}", &after[number + unit..]),
        false => line.to_owned(),
    }
}

fn yaml(text: &str) -> Result<Value> {
    kubeadm_yaml::parse_value(text, "recording")
        .map_err(|e| Error::Unfit(format!("a recording cannot be read: {e}")))
}

/// Minors whose original puts volumes in an order that differs from run to run: that of a Go map.
const RANDOM_VOLUMES: &[&str] = &["1.11", "1.12"];

fn sort_volumes(pod: &mut Value) {
    for list in ["/spec/volumes", "/spec/containers/0/volumeMounts"] {
        if let Some(items) = pod.pointer_mut(list).and_then(Value::as_array_mut) {
            items.sort_by_key(|item| item["name"].as_str().unwrap_or_default().to_owned());
        }
    }
}

fn files(case: &Case, ours: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let mut theirs = BTreeMap::new();
    read_tree(&case.folder.join("files"), "", &mut theirs)?;
    let mut found = Vec::new();
    let paths: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    for path in paths {
        let difference = match (theirs.get(path), ours.get(path)) {
            (Some(_), None) => vec![format!("the file {path} is missing")],
            (None, _) => vec![format!("the file {path} is too many")],
            (Some(a), Some(b)) if path.ends_with(".yaml") => {
                let ours = kubeadm_yaml::parse_value(b, path);
                match ours {
                    Ok(ours) => {
                        let (mut theirs, mut ours) = (normal(yaml(a)?), normal(ours));
                        if RANDOM_VOLUMES.contains(&case.minor.as_str()) {
                            sort_volumes(&mut theirs);
                            sort_volumes(&mut ours);
                        }
                        value_difference(&theirs, &ours)
                    }
                    Err(e) => vec![e.to_string()],
                }
            }
            (Some(a), Some(b)) if a.split_whitespace().eq(b.split_whitespace()) => Vec::new(),
            (Some(a), Some(b)) => text_difference(a, b),
        };
        found.extend(difference.into_iter().map(|d| format!("{path}: {d}")));
    }
    Ok(found)
}

fn read_tree(folder: &std::path::Path, prefix: &str, files: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), format!("{prefix}/{}", entry.file_name().to_string_lossy()));
        if path.is_dir() {
            read_tree(&path, &name, files)?;
        } else {
            files.insert(name, read(&path)?);
        }
    }
    Ok(())
}

/// Drops what API machinery treats as absent, and reads YAML within strings.
fn normal(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(key, value)| {
                let empty_status = || value.as_object().is_some_and(|s| s.is_empty() || is_empty_balancer(s));
                !value.is_null() && key != "creationTimestamp" && !(key == "status" && empty_status())
            });
            Value::Object(kept.map(|(k, v)| (k, normal(v))).collect())
        }
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::String(text) if text.contains('\n') || text.contains(": ") => {
            match kubeadm_yaml::parse_value(&text, "string") {
                Ok(inner @ Value::Object(_)) => normal(inner),
                _ => Value::String(text),
            }
        }
        other => other,
    }
}

fn is_empty_balancer(status: &Map<String, Value>) -> bool {
    status.len() == 1 && status.get("loadBalancer").and_then(Value::as_object).is_some_and(Map::is_empty)
}

/// What identifies a request.
type Request = (String, String, String, String);

fn request(object: &Value) -> Request {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let about = |field: &str| {
        let own = text(&object["body"]["metadata"][field]);
        if own.is_empty() { text(&object[field]) } else { own }
    };
    (text(&object["verb"]).to_uppercase(), text(&object["resource"]), about("namespace"), about("name"))
}

fn is_write(object: &Value) -> bool {
    matches!(request(object).0.as_str(), "CREATE" | "UPDATE" | "PATCH" | "DELETE")
}

/// Token expiry and encrypted certificates differ from run to run.
fn timeless(mut body: Value) -> Value {
    let certificates = body["metadata"]["name"] == "kubeadm-certs";
    if let Some(data) = body.get_mut("data").and_then(Value::as_object_mut) {
        if let Some(expiration) = data.get_mut("expiration") {
            *expiration = "<time>".into();
        }
        if certificates {
            data.values_mut().for_each(|v| *v = "<encrypted>".into());
        }
    }
    body
}

fn objects(theirs: &str, ours: &[Value]) -> Result<Vec<String>> {
    let theirs = kubeadm_yaml::parse_documents(theirs, "objects.yaml")
        .map_err(|e| Error::Unfit(format!("a recording cannot be read: {e}")))?;
    let mut have: BTreeMap<Request, Vec<&Value>> = BTreeMap::new();
    for object in ours.iter().filter(|o| is_write(o)) {
        have.entry(request(object)).or_default().push(object);
    }
    let mut found = Vec::new();
    for object in theirs.into_iter().map(|d| d.value).filter(is_write) {
        let key = request(&object);
        let about = format!("{} {} {}/{}", key.0, key.1, key.2, key.3);
        let Some(twin) = have.get_mut(&key).filter(|l| !l.is_empty()).map(|l| l.remove(0)) else {
            found.push(format!("no request {about}"));
            continue;
        };
        // The original shows the object without its patch.
        if key.0 != "PATCH" {
            let body = |object: &Value| {
                let mut body = timeless(normal(object["body"].clone()));
                // Made of a static pod, whose volumes are in such an order too.
                if let Some(pod) =
                    body.pointer_mut("/spec/template").filter(|_| key.3.starts_with("self-hosted-"))
                {
                    sort_volumes(pod);
                }
                body
            };
            let difference = value_difference(&body(&object), &body(twin));
            found.extend(difference.into_iter().map(|d| format!("{about}: {d}")));
        }
    }
    for (key, left) in have {
        found.extend(
            left.iter().map(|_| format!("too many: request {} {} {}/{}", key.0, key.1, key.2, key.3)),
        );
    }
    Ok(found)
}

fn facts(theirs: &str, ours: &BTreeMap<String, Value>) -> Result<Vec<String>> {
    let theirs: Value =
        serde_json::from_str(theirs).map_err(|e| Error::Unfit(format!("a recording cannot be read: {e}")))?;
    let ours = serde_json::to_value(ours).unwrap_or_default();
    Ok(value_difference(&without_noise(theirs), &without_noise(ours)))
}

/// Leaves out what no reader of a certificate heeds, and the order of names.
fn without_noise(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(k, _)| k != "otherExtensions" && k != "backdatedSeconds");
            let sorted = |key: &str, mut value: Value| {
                if let (true, Some(names)) = (key == "san", value.as_array_mut()) {
                    names.sort_by_key(ToString::to_string);
                }
                without_noise(value)
            };
            Value::Object(
                kept.map(|(k, v)| {
                    let v = sorted(&k, v);
                    (k, v)
                })
                .collect(),
            )
        }
        Value::Array(items) => items.into_iter().map(without_noise).collect(),
        other => other,
    }
}

/// Lists the paths at which two trees differ.
fn value_difference(theirs: &Value, ours: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", theirs, ours, &mut found);
    found
}

fn walk(path: &str, theirs: &Value, ours: &Value, found: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let path = format!("{path}.{key}");
                match (a.get(key), b.get(key)) {
                    (Some(a), Some(b)) => walk(&path, a, b, found),
                    (Some(a), None) => found.push(format!("{path}: missing, should be {a}")),
                    (_, b) => found.push(format!("{path}: too many: {}", b.unwrap_or(&Value::Null))),
                }
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                walk(&format!("{path}[{index}]"), a, b, found);
            }
        }
        (a, b) if a != b => found.push(format!("{path}: should be {a}, is {b}")),
        _ => {}
    }
}

/// Lists the lines that only one of two texts has, or where they begin to differ in order.
pub(super) fn text_difference(theirs: &str, ours: &str) -> Vec<String> {
    if theirs == ours {
        return Vec::new();
    }
    let (a, b): (Vec<&str>, Vec<&str>) = (theirs.lines().collect(), ours.lines().collect());
    let only = |these: &[&str], those: &[&str], mark: char| -> Vec<String> {
        these.iter().filter(|l| !those.contains(l)).map(|l| format!("{mark} {l}")).collect()
    };
    let mut found = only(&a, &b, '-');
    found.extend(only(&b, &a, '+'));
    if found.is_empty() {
        let at = a.iter().zip(&b).position(|(x, y)| x != y).unwrap_or(a.len().min(b.len()));
        let line = |lines: &[&str]| lines.get(at).map_or("the end".to_owned(), |l| format!("{l:?}"));
        found.push(format!("line {}: should be {}, is {}", at + 1, line(&a), line(&b)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_name_their_paths() {
        let a = json!({"spec": {"args": ["a", "b"]}, "status": {}, "x": null});
        let b = json!({"spec": {"args": ["a", "c"]}});
        assert_eq!(value_difference(&normal(a), &normal(b)), [".spec.args[1]: should be \"b\", is \"c\""]);
    }

    #[test]
    fn requests_may_come_in_any_order_but_none_may_lack_or_be_too_many() {
        let object = |verb: &str, name: &str| json!({"verb": verb, "resource": "secrets", "name": name});
        let theirs = "verb: CREATE\nresource: secrets\nname: a\n---\nverb: GET\nresource: secrets\nname: z\n---\n\
                      verb: DELETE\nresource: secrets\nname: b\n";
        let found = objects(theirs, &[object("DELETE", "b"), object("CREATE", "a")]).unwrap();
        assert_eq!(found, Vec::<String>::new());
        let found = objects(theirs, &[object("CREATE", "a"), object("CREATE", "c")]).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn durations_do_not_count() {
        let line = "[api-check] healthy after 1.502s; done";
        assert_eq!(timeless_line(line), "[api-check] healthy after <t>; done");
    }
}
