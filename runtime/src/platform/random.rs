//! Random digits for secrets.

use std::fs::File;
use std::io::{self, Read as _};

/// Makes up `BYTES` bytes, as hexadecimal digits.
///
/// # Errors
/// When the system gives no random numbers.
pub(super) fn digits<const BYTES: usize>() -> io::Result<String> {
    let mut random = [0; BYTES];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
