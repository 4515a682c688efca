//! Addresses of a tenant's broker and results, which have passwords in them.

use super::PlatformError;

/// Longest address (2 KiB).
const BYTES: usize = 2 << 10;
/// The schemes of brokers.
const BROKERS: [&str; 7] = [
    "amqp", "amqps", "pyamqp", "redis", "rediss", "sentinel", "sqlite",
];
/// The schemes of result backends.
const RESULTS: [&str; 9] = [
    "redis",
    "rediss",
    "sentinel",
    "rpc",
    "sqlite",
    "db+sqlite",
    "db+postgresql",
    "file",
    "disabled",
];

/// Tells whether an address can be that of a broker.
pub(super) fn broker(address: &str) -> Result<(), PlatformError> {
    check("broker", address, &BROKERS)
}

/// Tells whether an address can be that of a result backend.
pub(super) fn results(address: &str) -> Result<(), PlatformError> {
    check("result_backend", address, &RESULTS)
}

fn check(field: &'static str, address: &str, schemes: &[&str]) -> Result<(), PlatformError> {
    let wrong = |reason| Err(PlatformError::Wrong { field, reason });
    if address.len() > BYTES {
        return wrong(format!(
            "an address has at most {BYTES} bytes, not {}",
            address.len()
        ));
    }
    let bad = |c: char| c.is_control() || c.is_whitespace();
    let scheme = address.split_once("://").map(|(scheme, _)| scheme);
    match scheme {
        Some(scheme) if schemes.contains(&scheme) && !address.contains(bad) => Ok(()),
        // The address stays out of it: whatever it is, it may have a password.
        Some(_) | None => wrong(format!(
            "an address begins with one of {}://, and has no spaces",
            schemes.join("://, ")
        )),
    }
}

/// Shows an address without its password and options.
pub(super) fn redacted(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else {
        return "…".to_owned();
    };
    let (rest, options) = match rest.split_once('?') {
        Some((rest, _)) => (rest, "?…"),
        None => (rest, ""),
    };
    // A password may have any sign in it, an @ and a / too.
    match rest.rsplit_once('@') {
        None => format!("{scheme}://{rest}{options}"),
        Some((person, place)) => {
            let user = person.split_once(':').map_or(person, |(user, _)| user);
            format!("{scheme}://{user}:…@{place}{options}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password_and_options() {
        for (address, shown) in [
            (
                "amqp://acme:s3cret@h:5672/acme",
                "amqp://acme:…@h:5672/acme",
            ),
            ("redis://:s3cret@h/1?password=s3cret", "redis://:…@h/1?…"),
            ("redis://a:s3@cr/et@h", "redis://a:…@h"),
            ("redis://h:6379/0", "redis://h:6379/0"),
            ("s3cret", "…"),
        ] {
            assert_eq!(redacted(address), shown);
            assert!(!redacted(address).contains("cret"));
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_refused_without_being_told() {
        assert!(broker("amqp://acme:s3cret@h/acme").is_ok());
        assert!(results("rpc://").is_ok());
        let long = format!("redis://{}", "s3cret".repeat(400));
        for bad in [
            "kafka://a:s3cret@h",
            "s3cret",
            "rpc://s3cret",
            "amqp://s3cret\n",
            "redis://s3cret h",
            &long,
        ] {
            let error = broker(bad).unwrap_err().to_string();
            assert!(error.starts_with("broker: an address"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
