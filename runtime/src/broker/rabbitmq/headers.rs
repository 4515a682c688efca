//! Header tables of AMQP as JSON objects, and back.
//!
//! The types are those that `RabbitMQ` understands; what JSON does not have (bytes,
//! decimals, moments) becomes the nearest thing that it has.

use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use serde_json::{Map, Number, Value};

/// Deepest nesting of a header that is read or written; what is deeper is null.
/// Celery's own headers are three deep.
const DEPTH: usize = 32;

/// Reads a table.
pub(super) fn read(table: &FieldTable) -> Map<String, Value> {
    map(table, DEPTH)
}

fn map(table: &FieldTable, depth: usize) -> Map<String, Value> {
    let read =
        |(name, value): (&ShortString, &AMQPValue)| (name.to_string(), value_of(value, depth));
    table.into_iter().map(read).collect()
}

fn value_of(value: &AMQPValue, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else {
        return Value::Null;
    };
    match value {
        AMQPValue::Boolean(flag) => Value::Bool(*flag),
        AMQPValue::ShortShortInt(number) => (*number).into(),
        AMQPValue::ShortShortUInt(number) => (*number).into(),
        AMQPValue::ShortInt(number) => (*number).into(),
        AMQPValue::ShortUInt(number) => (*number).into(),
        AMQPValue::LongInt(number) => (*number).into(),
        AMQPValue::LongUInt(number) => (*number).into(),
        AMQPValue::LongLongInt(number) => (*number).into(),
        AMQPValue::Timestamp(seconds) => (*seconds).into(),
        AMQPValue::Float(number) => float(f64::from(*number)),
        AMQPValue::Double(number) => float(*number),
        AMQPValue::DecimalValue(decimal) => {
            float(f64::from(decimal.value) / 10_f64.powi(i32::from(decimal.scale)))
        }
        AMQPValue::ShortString(text) => Value::String(text.to_string()),
        AMQPValue::LongString(text) => Value::String(text.to_string()),
        AMQPValue::ByteArray(bytes) => {
            Value::String(String::from_utf8_lossy(bytes.as_slice()).into_owned())
        }
        AMQPValue::FieldArray(values) => {
            let values = values.as_slice().iter();
            Value::Array(values.map(|value| value_of(value, depth)).collect())
        }
        AMQPValue::FieldTable(table) => Value::Object(map(table, depth)),
        AMQPValue::Void => Value::Null,
    }
}

/// JSON has no infinity and nothing that is no number.
fn float(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Writes a table of at most `room` bytes: the longest headers are left out until the
/// others fit. A name over 255 bytes, which AMQP cannot carry, is left out as well.
pub(super) fn write(headers: &Map<String, Value>, room: usize) -> FieldTable {
    let mut sizes: Vec<(usize, &String)> = headers
        .iter()
        .map(|(name, value)| (1 + name.len() + size(value, DEPTH), name))
        .collect();
    let mut all: usize = sizes.iter().map(|(size, _)| size).sum();
    if all <= room {
        return table(headers, DEPTH);
    }
    let mut kept = headers.clone();
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    for (size, name) in sizes {
        if all > room {
            kept.remove(name);
            all -= size;
        }
    }
    table(&kept, DEPTH)
}

/// How many bytes a value takes at most, its type included.
fn size(value: &Value, depth: usize) -> usize {
    let Some(depth) = depth.checked_sub(1) else {
        return 1;
    };
    match value {
        Value::Null | Value::Bool(_) => 2,
        Value::Number(_) => 9,
        Value::String(text) => 5 + text.len(),
        Value::Array(values) => 5 + values.iter().map(|value| size(value, depth)).sum::<usize>(),
        Value::Object(headers) => {
            let entries = headers
                .iter()
                .map(|(name, value)| 1 + name.len() + size(value, depth));
            5 + entries.sum::<usize>()
        }
    }
}

fn table(headers: &Map<String, Value>, depth: usize) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        if let Ok(name) = ShortString::try_new(name.as_str()) {
            table.insert(name, value_for(value, depth));
        }
    }
    table
}

fn value_for(value: &Value, depth: usize) -> AMQPValue {
    let Some(depth) = depth.checked_sub(1) else {
        return AMQPValue::Void;
    };
    match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(flag) => AMQPValue::Boolean(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => AMQPValue::LongLongInt(whole),
            None => AMQPValue::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Array(values) => {
            let values: Vec<AMQPValue> =
                values.iter().map(|value| value_for(value, depth)).collect();
            AMQPValue::FieldArray(FieldArray::from(values))
        }
        Value::Object(headers) => AMQPValue::FieldTable(table(headers, depth)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn what_json_has_comes_back_as_it_was() {
        let headers = object(&json!({
            "id": "i", "retries": 0, "big": -9_000_000_000_i64, "shadow": null, "ä": [1.5, {"b": true}],
            "timelimit": [null, 3], "stamps": {}, "empty": "", "list": [],
        }));
        assert_eq!(read(&write(&headers, 1_000)), headers);
    }

    #[test]
    fn every_type_of_amqp_has_a_nearest_in_json() {
        let decimal = lapin::types::DecimalValue {
            scale: 2,
            value: 275,
        };
        for (value, expected) in [
            (AMQPValue::ShortShortInt(-1), json!(-1)),
            (AMQPValue::ShortShortUInt(255), json!(255)),
            (AMQPValue::ShortInt(-300), json!(-300)),
            (AMQPValue::ShortUInt(60_000), json!(60_000)),
            (AMQPValue::LongInt(-70_000), json!(-70_000)),
            (AMQPValue::LongUInt(4_000_000_000), json!(4_000_000_000_u32)),
            (AMQPValue::Timestamp(7), json!(7)),
            (AMQPValue::Float(0.5), json!(0.5)),
            (AMQPValue::Double(f64::NAN), json!(null)),
            (AMQPValue::Double(f64::INFINITY), json!(null)),
            (AMQPValue::DecimalValue(decimal), json!(2.75)),
            (
                AMQPValue::ByteArray(vec![b'a', 0xff].into()),
                json!("a\u{fffd}"),
            ),
            (
                AMQPValue::LongString(vec![0xff_u8].into()),
                json!("\u{fffd}"),
            ),
            (AMQPValue::Void, json!(null)),
        ] {
            assert_eq!(value_of(&value, DEPTH), expected, "{value:?}");
        }
    }

    #[test]
    fn the_longest_headers_are_left_out_until_the_others_fit() {
        let headers =
            object(&json!({"id": "i", "long": "x".repeat(500), "longer": "x".repeat(600)}));
        let names = |room| {
            read(&write(&headers, room))
                .into_iter()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(2_000), ["id", "long", "longer"]);
        assert_eq!(names(600), ["id", "long"]);
        assert_eq!(names(100), ["id"]);
        assert_eq!(names(0), Vec::<String>::new());
    }

    #[test]
    fn what_is_too_deep_or_too_long_is_left_out() {
        let mut deep = json!("end");
        for _ in 0..100 {
            deep = json!([deep]);
        }
        let headers = object(&json!({ "deep": deep, "n".repeat(256): 1 }));
        let back = read(&write(&headers, 10_000));
        assert_eq!(back.len(), 1);
        let mut inner = &back["deep"];
        let mut depth = 0;
        while let Some(next) = inner.get(0) {
            inner = next;
            depth += 1;
        }
        assert_eq!((depth, inner), (DEPTH, &Value::Null));
    }
}
