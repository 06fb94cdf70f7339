//! Canonical JSON (RFC 8785), the one form in which structures are hashed.

use serde::Serialize;
use serde_json::Value;

/// The largest integer that a double holds exactly with all its neighbours: 2^53 − 1.
pub const INTEGER_MAX: u64 = (1 << 53) - 1;

/// Why a value has no canonical form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// An integer that JSON's doubles cannot hold exactly.
    #[error("{path}: {found} is beyond 2^53 − 1, the largest integer that JSON can carry exactly")]
    IntegerTooLarge {
        /// Where it stands, as a dotted path.
        path: String,
        /// The integer.
        found: String,
    },
    /// A value that JSON cannot express (a map with keys that are no strings, NaN, an infinity).
    #[error("not expressible in JSON: {0}")]
    NotJson(#[from] serde_json::Error),
}

/// The canonical bytes of `value`.
pub fn canonical_json(value: &impl Serialize) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value)?;
    check_integers(&value, &mut Vec::new())?;
    Ok(serde_json_canonicalizer::to_vec(&value)?)
}

fn check_integers(value: &Value, path: &mut Vec<String>) -> Result<(), CanonicalError> {
    match value {
        Value::Number(number) => {
            let magnitude = number
                .as_u64()
                .or_else(|| number.as_i64().map(i64::unsigned_abs));
            match magnitude {
                Some(magnitude) if magnitude > INTEGER_MAX => {
                    Err(CanonicalError::IntegerTooLarge {
                        path: path.join("."),
                        found: number.to_string(),
                    })
                }
                _ => Ok(()),
            }
        }
        Value::Array(items) => each(items.iter().enumerate(), path),
        Value::Object(fields) => each(fields.iter(), path),
        _ => Ok(()),
    }
}

fn each<'a, K: ToString>(
    children: impl Iterator<Item = (K, &'a Value)>,
    path: &mut Vec<String>,
) -> Result<(), CanonicalError> {
    for (key, child) in children {
        path.push(key.to_string());
        check_integers(child, path)?;
        path.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn canonical(text: &str) -> String {
        let value: Value = serde_json::from_str(text).unwrap();
        String::from_utf8(canonical_json(&value).unwrap()).unwrap()
    }

    #[test]
    fn rfc_8785_section_3_2_3_example() {
        let input = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false]
        }"#;
        let expected = "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
                        \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}";
        assert_eq!(canonical(input), expected);
    }

    #[test]
    fn rfc_8785_section_3_2_3_sorts_by_utf_16() {
        let input = r#"{
            "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
            "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
        }"#;
        let order: Vec<usize> = [
            "Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew",
        ]
        .iter()
        .map(|word| canonical(input).find(word).unwrap())
        .collect();
        assert!(order.is_sorted(), "{order:?}");
    }

    #[test]
    fn rfc_8785_appendix_b_numbers() {
        // IEEE 754 bits and the text that ECMAScript gives.
        for (bits, text) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            let value = json!(f64::from_bits(bits));
            assert_eq!(
                String::from_utf8(canonical_json(&value).unwrap()).unwrap(),
                text
            );
        }
    }

    #[test]
    fn one_number_has_one_form() {
        assert_eq!(canonical("4e-3"), canonical("0.004"));
        assert_eq!(canonical("1.0"), "1");
    }

    #[test]
    fn refuses_integers_beyond_doubles() {
        let error = canonical_json(&json!({"a": [0, 1u64 << 53]})).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a.1: 9007199254740992 is beyond 2^53 − 1, the largest integer that JSON can carry exactly"
        );
        assert!(canonical_json(&json!(INTEGER_MAX)).is_ok());
    }
}
