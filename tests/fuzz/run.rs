//! How a target runs: the same scripts every time, or as bolero chooses.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{env, fs};

/// As much as a process that reads one hostile input after another may ever hold, bytes
/// (1 GiB): a body expands to 64 MiB at most, and its values take some of that again.
const PEAK: u64 = 1 << 30;
/// At least one input of so many is taken, and at least one is refused.
const SOME: usize = 60;
/// Scripts between two looks at the memory.
const LOOK: usize = 64;

/// Runs a property of scripts: so many of the same every time, or as bolero chooses. The
/// property tells whether what the script made was taken.
macro_rules! fuzz {
    ($count:expr, $property:expr) => {{
        let property = $property;
        if crate::run::is_long() {
            bolero::check!()
                .with_max_len(support::SCRIPT_BYTES)
                .for_each(|script: &[u8]| {
                    let _is_taken: bool = property(script);
                });
        } else {
            crate::run::short($count, property);
        }
        crate::run::assert_peak();
    }};
}

/// Tells whether bolero was asked for.
pub(crate) fn is_long() -> bool {
    let asked = |name: &str| name.starts_with("BOLERO_") || name.starts_with("CARGO_BOLERO_");
    env::vars_os().any(|(name, _)| name.to_str().is_some_and(asked))
}

/// Runs a property on the same scripts every time. Where all or none of what they make
/// were taken, they would show little.
pub(crate) fn short(count: usize, property: impl Fn(&[u8]) -> bool) {
    let mut taken = 0;
    for (at, script) in support::scripts(count).enumerate() {
        let ended = catch_unwind(AssertUnwindSafe(|| property(&script)));
        let Ok(is_taken) = ended else {
            panic!("script {at} breaks it, as is said above: {script:?}");
        };
        taken += usize::from(is_taken);
        if at % LOOK == 0 {
            assert_peak();
        }
    }
    let some = count / SOME..=count - count / SOME;
    assert!(some.contains(&taken), "{taken} of {count} were taken");
}

/// Asserts that this process never held more memory than is bearable.
pub(crate) fn assert_peak() {
    let status = fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.and_then(|kib| kib.parse().ok()).expect("a number");
    assert!(kib << 10 < PEAK, "{kib} KiB");
}
