//! Finding and changing values in a tree by path (`a.b.c`); keys that contain dots need [`serde_json::Value`] itself.

use serde_json::{Map, Value};

/// The value at a path, unless it or a parent is missing or null.
pub fn get<'a>(tree: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(tree, |node, key| node.get(key)).filter(|v| !v.is_null())
}

/// The string at a path.
pub fn get_str<'a>(tree: &'a Value, path: &str) -> Option<&'a str> {
    get(tree, path)?.as_str()
}

/// The boolean at a path.
pub fn get_bool(tree: &Value, path: &str) -> Option<bool> {
    get(tree, path)?.as_bool()
}

/// The integer at a path.
pub fn get_i64(tree: &Value, path: &str) -> Option<i64> {
    get(tree, path)?.as_i64()
}

/// Sets the value at a path, making the mappings on the way; whatever else stood in their place is replaced.
pub fn set(tree: &mut Value, path: &str, value: impl Into<Value>) {
    *entry(tree, path) = value.into();
}

/// Sets the value at a path if there is none, or null.
pub fn set_default(tree: &mut Value, path: &str, value: impl Into<Value>) {
    let slot = entry(tree, path);
    if slot.is_null() {
        *slot = value.into();
    }
}

/// Removes and returns the value at a path.
pub fn remove(tree: &mut Value, path: &str) -> Option<Value> {
    let (parent, key) = match path.rsplit_once('.') {
        Some((parent, key)) => (parent.split('.').try_fold(tree, |node, key| node.get_mut(key))?, key),
        None => (tree, path),
    };
    parent.as_object_mut()?.remove(key)
}

/// Removes the entries of mappings whose value is null: for Go's JSON decoder null means "absent".
pub fn drop_nulls(tree: &mut Value) {
    match tree {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn entry<'a>(tree: &'a mut Value, path: &str) -> &'a mut Value {
    path.split('.').fold(tree, |node, key| {
        if !node.is_object() {
            *node = Value::Object(Map::new());
        }
        // Indexing a mapping by a missing key inserts null.
        &mut node[key]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_read_and_write() {
        let mut tree = json!({"a": {"b": "x", "n": null}, "i": 3, "t": true});
        assert_eq!(get_str(&tree, "a.b"), Some("x"));
        assert_eq!(get_i64(&tree, "i"), Some(3));
        assert_eq!(get_bool(&tree, "t"), Some(true));
        assert_eq!(get(&tree, "a.n"), None);
        assert_eq!(get(&tree, "a.b.c"), None);
        set(&mut tree, "c.d", 1);
        set_default(&mut tree, "a.n", "filled");
        set_default(&mut tree, "a.b", "kept");
        assert_eq!(remove(&mut tree, "i"), Some(json!(3)));
        assert_eq!(remove(&mut tree, "x.y"), None);
        assert_eq!(tree, json!({"a": {"b": "x", "n": "filled"}, "c": {"d": 1}, "t": true}));
    }

    #[test]
    fn nulls_are_dropped_from_mappings_only() {
        let mut tree = json!({"a": null, "b": [null, {"c": null, "d": 1}]});
        drop_nulls(&mut tree);
        assert_eq!(tree, json!({"b": [null, {"d": 1}]}));
    }
}
