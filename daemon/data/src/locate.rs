//! Where in a line of JSON a field's value begins.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::Step;

/// The column, in bytes from 1, of the value that `path` leads to, or of the last value on the way that is there.
pub(crate) fn column(line: &[u8], path: &[Step]) -> Option<u64> {
    let mut value: &RawValue = serde_json::from_slice(line).ok()?;
    for step in path {
        match child(value, step) {
            Some(found) => value = found,
            None => break,
        }
    }
    let offset = (value.get().as_ptr() as usize).checked_sub(line.as_ptr() as usize)?;
    Some(offset as u64 + 1)
}

fn child<'a>(value: &'a RawValue, step: &Step) -> Option<&'a RawValue> {
    match step {
        Step::Key(name) => {
            let fields: HashMap<String, &RawValue> = serde_json::from_str(value.get()).ok()?;
            fields.get(name).copied()
        }
        Step::Index(index) => {
            let elements: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
            elements.get(*index).copied()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FieldPath;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn found(line: &str, path: &FieldPath) -> String {
        let column = column(line.as_bytes(), path.steps()).unwrap();
        line[column as usize - 1..].to_owned()
    }

    #[test]
    fn values_are_found_behind_spaces_and_escapes() {
        let line = r#" {"a\n" : [1, {"é":  "x"}], "a":"{\"b\":1}", "b": 7}"#;
        let second = FieldPath::field("a\n").index(1);
        assert_eq!(
            found(line, &second.key("é")),
            r#""x"}], "a":"{\"b\":1}", "b": 7}"#
        );
        assert_eq!(found(line, &FieldPath::field("b")), "7}");
        // What is not there is pointed at by what should hold it.
        assert_eq!(
            found(line, &second.key("role")),
            r#"{"é":  "x"}], "a":"{\"b\":1}", "b": 7}"#
        );
        assert_eq!(found(line, &FieldPath::field("c")), line[1..]);
        assert_eq!(found(line, &FieldPath::default()), line[1..]);
        assert_eq!(column(b"{", &[]), None);
    }

    proptest! {
        #[test]
        fn the_value_at_the_column_is_the_fields(names in proptest::collection::hash_set(".{0,6}", 1..5), texts in proptest::collection::vec(".{0,8}", 5), spaces in " {0,3}") {
            let fields: serde_json::Map<String, Value> = names.into_iter().zip(texts).map(|(name, text)| (name, json!([text, {"deep": text}]))).collect();
            let line = format!("{spaces}{}", Value::Object(fields.clone()));
            for (name, value) in &fields {
                let path = FieldPath::field(name).index(1).key("deep");
                let rest = found(&line, &path);
                let first = serde_json::Deserializer::from_str(&rest).into_iter::<Value>().next().unwrap().unwrap();
                prop_assert_eq!(&first, &value[1]["deep"]);
            }
        }
    }
}
