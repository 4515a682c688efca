//! Schemas of words that are shared with the rest of the product.

use crate::task::{Ceiling, Day, Quota, Scope, TenantName, Weight};
use std::borrow::Cow;
use utoipa::openapi::schema::{AdditionalProperties, SchemaType, Type};
use utoipa::openapi::{KnownFormat, Object, ObjectBuilder, RefOr, Schema, SchemaFormat};
use utoipa::{PartialSchema, ToSchema};

/// What a tenant's name looks like.
const TENANT: &str = "^[a-z][a-z0-9-]{0,62}$";
/// The largest number of 32 bits.
const MOST_32: u64 = u32::MAX as u64;

/// Says that a type has a schema of its own name.
macro_rules! named {
    ($($kind:ty => $name:literal, $schema:expr;)+) => {$(
        impl PartialSchema for $kind {
            fn schema() -> RefOr<Schema> {
                let schema: Object = $schema;
                schema.into()
            }
        }

        impl ToSchema for $kind {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )+};
}

named! {
    TenantName => "TenantName", text("A tenant's name: a lower-case letter, then lower-case letters, digits and `-`", TENANT);
    Day => "Day", ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)))
        .description(Some("A day of UTC"))
        .build();
    Weight => "Weight", ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("How much of the cores a tenant gets beside others who want them; 100 is usual"))
        .minimum(Some(1))
        .maximum(Some(10_000))
        .build();
    Scope => "Scope", ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("What a token is for"))
        .enum_values(Some(Scope::ALL.map(Scope::as_str)))
        .build();
    Quota => "Quota", numbers(
        "How much a tenant may use; what is left out or null has no bound of its own",
        &[
            ("concurrency", "Most attempts in flight in one worker", MOST_32),
            ("starts_per_minute", "Most attempts that start in a minute in one worker", MOST_32),
            ("queue_depth", "Most messages that wait in a queue before calls over HTTP are refused", u64::MAX),
            ("module_bytes", "Most bytes of all kept versions of its modules", u64::MAX),
            ("result_bytes", "Most bytes of results that are kept for it", u64::MAX),
            ("cpu_per_hour_seconds", "Most CPU time in an hour, seconds", u64::MAX),
            ("cpu_per_day_seconds", "Most CPU time in a day, seconds", u64::MAX),
        ],
    );
    Ceiling => "Ceiling", numbers(
        "The most an attempt of a tenant may have, within what the operator allows anybody; \
         what is left out or null is bounded by that alone",
        &[
            ("wall_ms", "Time of one attempt, milliseconds", u64::MAX),
            ("cpu_ms", "CPU time of one attempt, milliseconds", u64::MAX),
            ("memory_bytes", "Memory of one attempt, bytes", u64::MAX),
            ("max_retries", "Retries of one task", MOST_32),
        ],
    );
}

fn text(description: &str, pattern: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
        .build()
}

/// An object of whole numbers that may be left out.
fn numbers(description: &str, members: &[(&str, &str, u64)]) -> Object {
    let object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)));
    let object = members.iter().fold(object, |object, (name, about, most)| {
        let number = ObjectBuilder::new()
            .schema_type(SchemaType::Array(vec![Type::Integer, Type::Null]))
            .description(Some(*about))
            .minimum(Some(0));
        let number = match *most {
            // Programs that generate code do not know such numbers.
            u64::MAX => number,
            most => number.maximum(Some(most)),
        };
        object.property(*name, number.build())
    });
    object.build()
}
