//! The policy of a form: until when, and what the fields may say.

use std::ops::RangeInclusive;

use data_encoding::BASE64;
use jiff::Timestamp;
use s3s::{S3Error, S3Result, s3_error};
use serde_json::Value;

use super::fields::Fields;

/// A policy that is well formed.
#[derive(Debug)]
pub(super) struct Policy {
    expiration: Timestamp,
    conditions: Vec<Condition>,
}

/// Field names are in lower case, without the dollar sign.
#[derive(Debug)]
enum Condition {
    Equal { field: String, value: String },
    StartsWith { field: String, prefix: String },
    Length(RangeInclusive<u64>),
}

impl Policy {
    /// Reads the form's field `policy`.
    pub(super) fn parse(encoded: &str) -> S3Result<Self> {
        let json = BASE64
            .decode(encoded.as_bytes())
            .map_err(|_| invalid("Invalid Policy: it is not valid Base64."))?;
        let policy: Value = serde_json::from_slice(&json)
            .map_err(|_| invalid("Invalid Policy: Invalid JSON: it can't be read."))?;
        let policy = policy.as_object().ok_or_else(|| invalid("Invalid Policy: not an object."))?;
        if policy.keys().any(|name| name != "expiration" && name != "conditions") {
            return Err(invalid("Invalid Policy: Unexpected property."));
        }
        let expiration = policy
            .get("expiration")
            .ok_or_else(|| invalid("Policy missing expiration."))?
            .as_str()
            .and_then(parse_expiration)
            .ok_or_else(|| invalid("Invalid Policy: Invalid 'expiration' value."))?;
        let conditions = policy
            .get("conditions")
            .and_then(Value::as_array)
            .filter(|conditions| !conditions.is_empty())
            .ok_or_else(|| invalid("Invalid Policy: Invalid or missing 'conditions'."))?;
        let conditions = conditions.iter().map(Condition::parse).collect::<S3Result<_>>()?;
        Ok(Self { expiration, conditions })
    }

    /// Refuses what it doesn't allow; gives the sizes that it allows, if it says.
    ///
    /// `bucket` is where the form was sent, `key` is what would be written.
    pub(super) fn check(
        &self,
        fields: &Fields,
        bucket: &str,
        key: &str,
        now: Timestamp,
    ) -> S3Result<Option<RangeInclusive<u64>>> {
        if self.expiration <= now {
            return Err(s3_error!(AccessDenied, "Invalid according to Policy: Policy expired."));
        }
        let mut sizes: Option<RangeInclusive<u64>> = None;
        for condition in &self.conditions {
            let met = match condition {
                Condition::Length(range) => {
                    let sizes = sizes.get_or_insert_with(|| range.clone());
                    *sizes = *sizes.start().max(range.start())..=*sizes.end().min(range.end());
                    true
                }
                Condition::Equal { field, value } => {
                    of_field(fields, field, bucket, key) == value.as_str()
                }
                Condition::StartsWith { field, prefix } => {
                    let value = of_field(fields, field, bucket, key);
                    starts_with(field, value, prefix)
                }
            };
            if !met {
                return Err(s3_error!(
                    AccessDenied,
                    "Invalid according to Policy: Policy Condition failed: {}",
                    condition.text()
                ));
            }
        }
        let fields = fields.iter().map(|(name, _)| name).chain(["bucket"]);
        let extra: Vec<_> = fields.filter(|name| !is_exempt(name) && !self.names(name)).collect();
        if !extra.is_empty() {
            return Err(s3_error!(
                AccessDenied,
                "Invalid according to Policy: Extra input fields: {}",
                extra.join(", ")
            ));
        }
        Ok(sizes)
    }

    /// Whether a condition is about this field.
    pub(super) fn names(&self, name: &str) -> bool {
        self.conditions.iter().any(|condition| match condition {
            Condition::Equal { field, .. } | Condition::StartsWith { field, .. } => field == name,
            Condition::Length(_) => false,
        })
    }
}

impl Condition {
    fn parse(json: &Value) -> S3Result<Self> {
        match json {
            Value::Object(pairs) => match pairs.iter().collect::<Vec<_>>().as_slice() {
                [(field, Value::String(value))] => {
                    Ok(Self::Equal { field: field.to_ascii_lowercase(), value: value.clone() })
                }
                [_] => Err(invalid("Invalid Simple-Condition: value must be a string.")),
                _ => Err(invalid(
                    "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
                )),
            },
            Value::Array(items) => match items.as_slice() {
                [Value::String(kind), first, second] => {
                    Self::of_kind(&kind.to_ascii_lowercase(), first, second)
                }
                _ => Err(invalid("Invalid Condition: wrong number or kind of arguments.")),
            },
            _ => Err(invalid("Invalid Condition: neither an object nor a list.")),
        }
    }

    fn of_kind(kind: &str, first: &Value, second: &Value) -> S3Result<Self> {
        let field_and_value = || {
            let field = first.as_str().and_then(|field| field.strip_prefix('$'));
            let field = field.filter(|field| !field.is_empty()).ok_or_else(|| {
                invalid("Invalid Condition: a field's name begins with a dollar sign.")
            })?;
            let value = second
                .as_str()
                .ok_or_else(|| invalid("Invalid Condition: value must be a string."))?;
            Ok::<_, S3Error>((field.to_ascii_lowercase(), value.to_owned()))
        };
        match kind {
            "eq" => field_and_value().map(|(field, value)| Self::Equal { field, value }),
            "starts-with" => {
                field_and_value().map(|(field, prefix)| Self::StartsWith { field, prefix })
            }
            "content-length-range" => match (size(first), size(second)) {
                (Some(least), Some(most)) if least <= most => Ok(Self::Length(least..=most)),
                _ => Err(invalid("Invalid Condition: content-length-range takes two sizes.")),
            },
            _ => Err(invalid("Invalid Condition: unknown operation.")),
        }
    }

    /// As the message about a failed condition shows it.
    fn text(&self) -> String {
        let json = match self {
            Self::Equal { field, value } => serde_json::json!(["eq", format!("${field}"), value]),
            Self::StartsWith { field, prefix } => {
                serde_json::json!(["starts-with", format!("${field}"), prefix])
            }
            Self::Length(range) => {
                serde_json::json!(["content-length-range", range.start(), range.end()])
            }
        };
        json.to_string()
    }
}

/// AWS takes numbers and their text.
fn size(json: &Value) -> Option<u64> {
    let of_text = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    json.as_u64().or_else(|| json.as_str().and_then(of_text))
}

/// The value that counts; a field that isn't there is empty.
fn of_field<'a>(fields: &'a Fields, name: &str, bucket: &'a str, key: &'a str) -> &'a str {
    match name {
        "bucket" => bucket,
        "key" => key,
        _ => fields.get(name).unwrap_or_default(),
    }
}

/// A list of content types begins so when each of them does.
fn starts_with(field: &str, value: &str, prefix: &str) -> bool {
    if field == "content-type" && !prefix.contains(',') {
        value.split(',').all(|one| one.trim().starts_with(prefix))
    } else {
        value.starts_with(prefix)
    }
}

fn is_exempt(name: &str) -> bool {
    matches!(name, "policy" | "x-amz-signature") || name.starts_with("x-ignore-")
}

/// `2026-01-31T23:59:59Z`, with a fraction or without.
fn parse_expiration(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    // jiff also reads offsets, a time without seconds, and the second 60.
    let (seconds, fraction) = text.strip_suffix('Z')?.split_at_checked(19)?;
    let is_exact = time.strftime("%Y-%m-%dT%H:%M:%S").to_string() == seconds
        && (fraction.is_empty() || fraction.starts_with('.'));
    Some(time).filter(|_| is_exact)
}

fn invalid(message: &'static str) -> S3Error {
    s3_error!(InvalidPolicyDocument, "{message}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(json: &str) -> S3Result<Policy> {
        Policy::parse(&BASE64.encode(json.as_bytes()))
    }

    fn with(conditions: &str) -> S3Result<Policy> {
        of(&format!(r#"{{"expiration":"2100-01-01T00:00:00Z","conditions":{conditions}}}"#))
    }

    #[test]
    fn policy_that_is_not_well_formed_is_refused() {
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"expiration":"2100-01-01T00:00:00Z"}"#,
            r#"{"conditions":[{"bucket":"b"}]}"#,
            r#"{"EXPIRATION":"2100-01-01T00:00:00Z","conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-01-01T00:00:00Z","CONDITIONS":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-01-01T00:00:00Z","conditions":[{"bucket":"b"}],"x":1}"#,
            r#"{"expiration":4102444800,"conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-01-01","conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-01-01T00:00:00","conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-01-01T00:00:00+00:00","conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-01-01 00:00:00Z","conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-13-01T00:00:00Z","conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-01-01T00:00Z","conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-01-01T00:00:60Z","conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-01-01T00:00:00,5Z","conditions":[{"bucket":"b"}]}"#,
            r#"{"expiration":"2100-01-01T000000Z","conditions":[{"bucket":"b"}]}"#,
        ] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
        assert!(Policy::parse("not base64").is_err());
        for wrong in [
            "[]",
            "{}",
            "[{}]",
            r#"[{"bucket":"b","key":"k"}]"#,
            r#"[{"bucket":1}]"#,
            r#"["eq"]"#,
            r#"[["eq","$key"]]"#,
            r#"[["eq","key","k"]]"#,
            r#"[["eq","$","k"]]"#,
            r#"[["eq","$key",1]]"#,
            r#"[["eq","$key","k","l"]]"#,
            r#"[["ends-with","$key","k"]]"#,
            r#"[["content-length-range",0]]"#,
            r#"[["content-length-range",-1,0]]"#,
            r#"[["content-length-range",2,1]]"#,
            r#"[["content-length-range","+1","2"]]"#,
            r#"[["content-length-range",1.5,2]]"#,
        ] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
        assert!(with(r#"[{"bucket":"b"}]"#).is_ok());
    }

    #[test]
    fn several_ranges_allow_what_all_of_them_do() {
        let policy = with(
            r#"[{"bucket":"b"},["content-length-range",1,"10"],["Content-Length-Range",5,20]]"#,
        );
        let sizes = policy
            .and_then(|policy| policy.check(&Fields::default(), "b", "k", Timestamp::UNIX_EPOCH));
        assert_eq!(sizes.expect("allowed"), Some(5..=10));
    }

    #[test]
    fn every_type_of_a_list_must_begin_so() {
        let allowed = |types| {
            let fields: Fields = [("content-type", types)].into_iter().collect();
            let policy = with(r#"[{"bucket":"b"},["starts-with","$Content-Type","image/"]]"#)
                .expect("well formed");
            policy.check(&fields, "b", "k", Timestamp::UNIX_EPOCH).is_ok()
        };
        assert!(allowed("image/png"));
        assert!(allowed("image/png, image/jpeg"));
        assert!(!allowed("image/png,text/html"));
        assert!(!allowed("text/html"));
        assert!(!allowed(""));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _read_or_refused = (Policy::parse(&text), of(&text), with(&text));
        }
    }
}
