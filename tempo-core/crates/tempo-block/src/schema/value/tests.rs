//! Text forms lose nothing.

use proptest::prelude::*;
use prost::Message;

use super::*;

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        ".{0,6}".prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|value| Some(Value::BoolValue(value))),
        any::<i64>().prop_map(|number| Some(Value::IntValue(number))),
        any::<u64>().prop_map(|bits| Some(Value::DoubleValue(f64::from_bits(bits)))),
        prop::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| Some(Value::BytesValue(bytes))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 24, 4, |inner| {
        let pair = (".{0,3}", inner.clone()).prop_map(|(key, value)| KeyValue {
            key,
            value: Some(value),
        });
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            prop::collection::vec(pair, 0..4).prop_map(|values| Value::KvlistValue(KeyValueList { values })),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

proptest! {
    #[test]
    fn a_value_comes_back_from_its_text(value in any_value()) {
        let bytes = value.encode_to_vec();
        let view = ValueView::read(&bytes).unwrap();
        let text = to_text(view).unwrap();
        // Compared as bytes, because no NaN equals itself.
        prop_assert_eq!(from_text(ValueKind::of(&view), &text).unwrap().encode_to_vec(), bytes);
    }
}

fn nested(depth: usize) -> Vec<u8> {
    let mut value = AnyValue::default();
    for _ in 0..depth {
        value = AnyValue {
            value: Some(Value::KvlistValue(KeyValueList {
                values: vec![KeyValue {
                    key: String::new(),
                    value: Some(value),
                }],
            })),
        };
    }
    value.encode_to_vec()
}

#[test]
fn the_deepest_value_comes_back_and_a_deeper_one_is_refused() {
    let deepest = nested(MAX_VALUE_DEPTH);
    let text = to_text(ValueView::read(&deepest).unwrap()).unwrap();
    let back = from_text(ValueKind::KeyValueList, &text).unwrap();
    assert_eq!(back.encode_to_vec(), deepest);
    let deeper = nested(MAX_VALUE_DEPTH + 1);
    assert!(to_text(ValueView::read(&deeper).unwrap()).is_err());
}

#[test]
fn what_is_not_a_form_is_refused() {
    for (kind, text) in [
        (ValueKind::Int, "1.0"),
        (ValueKind::Double, "one"),
        (ValueKind::Bytes, "%"),
        (ValueKind::Array, "[[]]"),
        (ValueKind::KeyValueList, "[1]"),
    ] {
        assert!(from_text(kind, text).is_err(), "{text}");
    }
}
