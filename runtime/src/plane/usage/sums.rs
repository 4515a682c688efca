//! The numbers of what was used.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What runs took together. A run that is tried again, or whose worker was lost, is one of
/// several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct UsageSums {
    /// Runs of guests, however they ended.
    pub attempts: u64,
    /// Those that ended as `SUCCESS`.
    pub succeeded: u64,
    /// Those that ended as `FAILURE`.
    pub failed: u64,
    /// Those that are tried again.
    pub retried: u64,
    /// Those that ended as `REVOKED`. The rest was ignored, given back or lost.
    pub revoked: u64,
    /// CPU time, microseconds.
    pub cpu_us: u64,
    /// Time in the sandbox, microseconds.
    pub run_us: u64,
    /// Bytes of the arguments, and of what grants brought, HTTP's among them.
    pub bytes_in: u64,
    /// Bytes of the results, and of what grants took, HTTP's among them.
    pub bytes_out: u64,
    /// Requests by HTTP.
    pub http_requests: u64,
    /// Bytes that came in by HTTP.
    pub http_bytes_in: u64,
    /// Bytes that went out by HTTP.
    pub http_bytes_out: u64,
    /// Calls of functions of the host.
    pub host_calls: u64,
}

impl UsageSums {
    /// The names of its numbers, in the order of [`UsageSums::numbers`].
    pub const NAMES: [&'static str; 13] = [
        "attempts",
        "succeeded",
        "failed",
        "retried",
        "revoked",
        "cpu_us",
        "run_us",
        "bytes_in",
        "bytes_out",
        "http_requests",
        "http_bytes_in",
        "http_bytes_out",
        "host_calls",
    ];
    /// Most of each number (2^53 - 1): what any reader of JSON holds exactly, and 285 years
    /// of CPU time.
    pub const MOST: u64 = (1 << 53) - 1;

    /// Returns its numbers.
    #[must_use]
    pub fn numbers(&self) -> [u64; 13] {
        [
            self.attempts,
            self.succeeded,
            self.failed,
            self.retried,
            self.revoked,
            self.cpu_us,
            self.run_us,
            self.bytes_in,
            self.bytes_out,
            self.http_requests,
            self.http_bytes_in,
            self.http_bytes_out,
            self.host_calls,
        ]
    }

    /// Adds what other runs took; no number goes beyond [`UsageSums::MOST`].
    pub fn add(&mut self, more: &Self) {
        let more = more.numbers();
        for (number, more) in self.numbers_mut().into_iter().zip(more) {
            *number = number.saturating_add(more).min(Self::MOST);
        }
    }

    fn numbers_mut(&mut self) -> [&mut u64; 13] {
        [
            &mut self.attempts,
            &mut self.succeeded,
            &mut self.failed,
            &mut self.retried,
            &mut self.revoked,
            &mut self.cpu_us,
            &mut self.run_us,
            &mut self.bytes_in,
            &mut self.bytes_out,
            &mut self.http_requests,
            &mut self.http_bytes_in,
            &mut self.http_bytes_out,
            &mut self.host_calls,
        ]
    }
}

impl From<[u64; 13]> for UsageSums {
    fn from(numbers: [u64; 13]) -> Self {
        let mut sums = Self::default();
        for (number, given) in sums.numbers_mut().into_iter().zip(numbers) {
            *number = given;
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_its_name_and_its_place() {
        let numbers: [u64; 13] = std::array::from_fn(|at| at as u64 + 1);
        let sums = UsageSums::from(numbers);
        assert_eq!(sums.numbers(), numbers);
        let json = serde_json::to_value(sums).unwrap();
        assert_eq!(json.as_object().unwrap().len(), UsageSums::NAMES.len());
        for (name, number) in UsageSums::NAMES.iter().zip(numbers) {
            assert_eq!(json[name], number, "{name}");
        }
    }

    #[test]
    fn sums_stay_numbers_that_every_reader_holds() {
        let mut sums = UsageSums::from([UsageSums::MOST - 1; 13]);
        sums.add(&UsageSums::from([1; 13]));
        assert_eq!(sums.cpu_us, UsageSums::MOST);
        sums.add(&UsageSums::from([u64::MAX; 13]));
        assert_eq!(sums, UsageSums::from([UsageSums::MOST; 13]));
    }
}
