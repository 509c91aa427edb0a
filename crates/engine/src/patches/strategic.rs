//! Strategic merge: a patch in the form of the object, where lists of things with a name are merged item by item.
//! Behaviour: k8s.io/apimachinery pkg/util/strategicpatch, v0.37, order of merged lists included.

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// Lists that are merged, and the key of their items. An empty key: a list of plain values. Lists that are not here
/// are replaced.
type Keys = &'static [(&'static str, &'static str)];

/// The `patchMergeKey` tags of core/v1 and meta/v1, as far as a pod template reaches. No two types use one field name
/// differently.
pub(super) const POD_KEYS: Keys = &[
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("volumes", "name"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
    ("schedulingGates", "name"),
    ("resourceClaims", "name"),
    ("ports", "containerPort"),
    ("env", "name"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("ownerReferences", "uid"),
    ("finalizers", ""),
    ("conditions", "type"),
];

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// Applies a patch.
pub(super) fn apply(value: &mut Value, patch: &Value, keys: Keys) -> Result<(), String> {
    match (&mut *value, patch) {
        (Value::Object(current), Value::Object(patch)) => merge_map(current, patch, keys),
        _ => Err("both the object and the patch must be objects".into()),
    }
}

fn merge_map(current: &mut Map<String, Value>, patch: &Map<String, Value>, keys: Keys) -> Result<(), String> {
    match directive(patch)? {
        Some(Directive::Replace) => {
            *current = patch.clone();
            current.remove(PATCH);
            return Ok(());
        }
        Some(Directive::Delete) => {
            current.clear();
            return Ok(());
        }
        Some(Directive::Merge) | None => {}
    }
    if let Some(retained) = patch.get(RETAIN_KEYS) {
        let retained = retained.as_array().ok_or_else(|| format!("{RETAIN_KEYS} must be a list of names"))?;
        current.retain(|key, _| retained.iter().any(|name| name == key));
    }
    for (key, change) in patch {
        if key == PATCH || key == RETAIN_KEYS || key.starts_with(ORDER) {
            continue;
        }
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            let gone = change.as_array().ok_or_else(|| format!("{key} must be a list"))?;
            if let Some(Value::Array(items)) = current.get_mut(list) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        match (current.get_mut(key), change) {
            (_, Value::Null) => {
                current.remove(key);
            }
            (Some(Value::Object(inner)), Value::Object(change)) => merge_map(inner, change, keys)?,
            (None, Value::Object(change)) => {
                let mut inner = Map::new();
                merge_map(&mut inner, change, keys)?;
                current.insert(key.clone(), Value::Object(inner));
            }
            (before, Value::Array(change)) => {
                let before = match before {
                    Some(Value::Array(items)) => std::mem::take(items),
                    _ => Vec::new(),
                };
                let merged = match keys.iter().find(|(list, _)| list == key) {
                    Some((_, "")) => merge_plain(before, change),
                    Some((_, by)) => {
                        merge_list(before, change, by, keys).map_err(|e| format!("{key}: {e}"))?
                    }
                    None => change.clone(),
                };
                current.insert(key.clone(), Value::Array(merged));
            }
            (_, change) => {
                current.insert(key.clone(), change.clone());
            }
        }
    }
    Ok(())
}

enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &Map<String, Value>) -> Result<Option<Directive>, String> {
    match patch.get(PATCH).map(|word| (word.as_str(), word)) {
        None => Ok(None),
        Some((Some("merge"), _)) => Ok(Some(Directive::Merge)),
        Some((Some("replace"), _)) => Ok(Some(Directive::Replace)),
        Some((Some("delete"), _)) => Ok(Some(Directive::Delete)),
        Some((_, word)) => {
            Err(format!("unknown patch directive {word}, must be one of merge, replace, delete"))
        }
    }
}

fn merge_plain(mut items: Vec<Value>, change: &[Value]) -> Vec<Value> {
    for item in change {
        if !items.contains(item) {
            items.push(item.clone());
        }
    }
    items
}

fn merge_list(before: Vec<Value>, change: &[Value], by: &str, keys: Keys) -> Result<Vec<Value>, String> {
    let mut merged = before.clone();
    let mut wanted: Vec<&Map<String, Value>> = Vec::new();
    let mut replace = false;
    for item in change {
        let item = item.as_object().ok_or("an item of the patch is not an object")?;
        let key = item.get(by);
        match (directive(item)?, key) {
            (Some(Directive::Replace), _) => replace = true,
            (Some(Directive::Delete), Some(key)) => merged.retain(|other| other.get(by) != Some(key)),
            (Some(Directive::Merge), None) => {}
            (_, None) => return Err(format!("an item of the patch lacks the merge key {by:?}")),
            (Some(Directive::Merge) | None, Some(_)) => wanted.push(item),
        }
    }
    if replace {
        return Ok(wanted.into_iter().cloned().map(Value::Object).collect());
    }
    for item in &wanted {
        let found = merged.iter_mut().find(|other| other.get(by) == item.get(by));
        match found {
            Some(Value::Object(other)) => merge_map(other, item, keys)?,
            _ => {
                let mut new = Map::new();
                merge_map(&mut new, item, keys)?;
                merged.push(Value::Object(new));
            }
        }
    }
    let order: Vec<&Value> = before.iter().filter_map(|item| item.get(by)).collect();
    let patched: Vec<&Value> = wanted.iter().filter_map(|item| item.get(by)).collect();
    Ok(ordered(merged, by, &order, &patched))
}

/// Items of the patch in its order, the others in theirs; where both knew each other before, as before. A new item
/// thus comes before those that stood there.
fn ordered(merged: Vec<Value>, by: &str, before: &[&Value], patched: &[&Value]) -> Vec<Value> {
    let place = |list: &[&Value], item: &Value| list.iter().position(|key| Some(*key) == item.get(by));
    let (mut from_patch, others): (Vec<_>, Vec<_>) =
        merged.into_iter().partition(|item| place(patched, item).is_some());
    from_patch.sort_by_key(|item| place(patched, item));
    let mut result = Vec::new();
    let (mut others, mut from_patch) = (others.into_iter().peekable(), from_patch.into_iter().peekable());
    loop {
        let next = match (others.peek(), from_patch.peek()) {
            (None, None) => return result,
            (Some(_), None) => others.next(),
            (None, Some(_)) => from_patch.next(),
            (Some(other), Some(item)) => match (place(before, other), place(before, item)) {
                (Some(o), Some(i)) if o.cmp(&i) == Ordering::Less => others.next(),
                _ => from_patch.next(),
            },
        };
        result.extend(next);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(mut value: Value, patch: Value) -> Value {
        apply(&mut value, &patch, POD_KEYS).unwrap();
        value
    }

    #[test]
    fn items_are_merged_by_their_key() {
        let value = json!({ "containers": [
            { "name": "a", "image": "1", "env": [{ "name": "X", "value": "1" }, { "name": "Y", "value": "2" }],
              "volumeMounts": [{ "mountPath": "/m", "name": "v" }], "ports": [{ "containerPort": 1 }] },
            { "name": "b" },
        ] });
        let patch = json!({ "containers": [{
            "name": "a",
            "image": "2",
            "env": [{ "name": "Y", "value": "3" }, { "name": "Z", "value": "4" }],
            "volumeMounts": [{ "mountPath": "/m", "readOnly": true }],
            "ports": [{ "containerPort": 2 }],
            "command": ["x"],
        }] });
        let result = patched(value, patch);
        let a = &result["containers"][0];
        assert_eq!((&a["image"], &a["command"]), (&json!("2"), &json!(["x"])));
        // As upstream: Y stood after X; Z is new and goes with the patch's items.
        assert_eq!(
            a["env"],
            json!([{ "name": "X", "value": "1" }, { "name": "Y", "value": "3" }, { "name": "Z", "value": "4" }])
        );
        assert_eq!(a["volumeMounts"], json!([{ "mountPath": "/m", "name": "v", "readOnly": true }]));
        // A new item comes first.
        assert_eq!(a["ports"], json!([{ "containerPort": 2 }, { "containerPort": 1 }]));
        assert_eq!(result["containers"][1], json!({ "name": "b" }));
    }

    #[test]
    fn lists_without_a_key_are_replaced() {
        let value = json!({ "tolerations": [{ "key": "a" }], "args": ["a"] });
        let patch = json!({ "tolerations": [{ "key": "b" }], "args": [] });
        assert_eq!(patched(value, patch.clone()), patch);
    }

    #[test]
    fn directives_delete_and_replace() {
        let value = || json!({ "volumes": [{ "name": "a", "hostPath": {} }, { "name": "b" }], "m": { "x": 1, "y": 2 } });
        let result = patched(value(), json!({ "volumes": [{ "name": "a", "$patch": "delete" }] }));
        assert_eq!(result["volumes"], json!([{ "name": "b" }]));
        let result = patched(value(), json!({ "volumes": [{ "$patch": "replace" }, { "name": "c" }] }));
        assert_eq!(result["volumes"], json!([{ "name": "c" }]));
        let result = patched(value(), json!({ "m": { "$patch": "replace", "z": 3 } }));
        assert_eq!(result["m"], json!({ "z": 3 }));
        let result = patched(value(), json!({ "m": { "x": null, "$retainKeys": ["x", "z"], "z": 1 } }));
        assert_eq!(result["m"], json!({ "z": 1 }));
        let result = patched(
            value(),
            json!({ "volumes": [{ "name": "a", "$retainKeys": ["name", "emptyDir"], "emptyDir": {} }] }),
        );
        assert_eq!(result["volumes"][0], json!({ "name": "a", "emptyDir": {} }));
        let finalizers = json!({ "finalizers": ["a", "b"] });
        let result =
            patched(finalizers, json!({ "$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"] }));
        assert_eq!(result, json!({ "finalizers": ["b", "c"] }));
    }

    #[test]
    fn mistakes_are_named() {
        let mut value = json!({ "containers": [] });
        let error = apply(&mut value, &json!({ "containers": [{ "image": "x" }] }), POD_KEYS).unwrap_err();
        assert_eq!(error, "containers: an item of the patch lacks the merge key \"name\"");
        let error = apply(&mut value, &json!({ "$patch": "drop" }), POD_KEYS).unwrap_err();
        assert!(error.contains("unknown patch directive \"drop\""), "{error}");
    }
}
