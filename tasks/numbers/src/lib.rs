//! Tasks that keep a core busy: they show CPU limits, fairness and what a sandbox costs.

use celeriac_sdk::prelude::*;

/// The largest bound of `primes`: its sieve takes a byte per number.
const MAX_SIEVE: usize = 50_000_000;

/// The most points of `mandelbrot`, so that one call cannot ask for days.
const MAX_POINTS: u64 = 100_000_000;

/// Counts the primes below a bound of at most 50 million, with a sieve of one byte per number.
#[task(time_limit = "60s", cpu = "30s", memory = "64MiB")]
fn primes(below: usize) -> Result<u64, TaskError> {
    if below > MAX_SIEVE {
        return Err(TaskError::fail(
            "ValueError",
            format_args!("below is {below}, at most {MAX_SIEVE}"),
        ));
    }
    let mut composite = vec![false; below];
    let mut count = 0;
    for candidate in 2..below {
        if composite.get(candidate).copied().unwrap_or(true) {
            continue;
        }
        count += 1;
        for multiple in composite
            .iter_mut()
            .skip(candidate.saturating_mul(candidate))
            .step_by(candidate)
        {
            *multiple = true;
        }
    }
    Ok(count)
}

/// Adds up the iterations of every point of a Mandelbrot picture: one number that checks them all.
///
/// It asks between rows whether it should stop.
#[task(
    time_limit = "5m",
    soft_time_limit = "4m",
    cpu = "2m",
    memory = "16MiB"
)]
fn mandelbrot(
    ctx: &Context,
    width: u32,
    height: u32,
    #[task(default = 200)] iterations: u32,
) -> Result<u64, TaskError> {
    let points = u64::from(width) * u64::from(height);
    if points > MAX_POINTS {
        return Err(TaskError::fail(
            "ValueError",
            format_args!("{width} x {height} points, at most {MAX_POINTS}"),
        ));
    }
    let mut sum = 0;
    for row in 0..height {
        ctx.check()?;
        let imaginary = f64::from(row) * 2.0 / f64::from(height) - 1.0;
        let row_sum: u64 = (0..width)
            .map(|column| {
                escape_time(
                    f64::from(column) * 3.0 / f64::from(width) - 2.0,
                    imaginary,
                    iterations,
                )
            })
            .sum();
        sum += row_sum;
    }
    Ok(sum)
}

/// Counts the steps after which a point leaves the circle of radius 2, at most `iterations`.
fn escape_time(real: f64, imaginary: f64, iterations: u32) -> u64 {
    let (mut x, mut y) = (0.0_f64, 0.0_f64);
    let escapes = (0..iterations).find(|_| {
        (x, y) = (x * x - y * y + real, 2.0 * x * y + imaginary);
        x * x + y * y > 4.0
    });
    u64::from(escapes.unwrap_or(iterations))
}

/// Computes a Fibonacci number modulo 2^64, in as many steps as its index.
#[task(cpu = "30s", memory = "16MiB")]
fn fibonacci(index: u64) -> u64 {
    let (mut current, mut next) = (0_u64, 1_u64);
    for _ in 0..index {
        (current, next) = (next, current.wrapping_add(next));
    }
    current
}

/// Adds two numbers: the smallest task worth measuring.
#[task]
fn add(x: i64, y: i64) -> Result<i64, TaskError> {
    x.checked_add(y).ok_or_else(|| {
        TaskError::fail(
            "OverflowError",
            format_args!("{x} + {y} does not fit 64 bits"),
        )
    })
}

/// Multiplies two numbers.
#[task]
fn multiply(x: i64, y: i64) -> Result<i64, TaskError> {
    x.checked_mul(y).ok_or_else(|| {
        TaskError::fail(
            "OverflowError",
            format_args!("{x} * {y} does not fit 64 bits"),
        )
    })
}

/// Adds up a list: what a chord does with the results of its header.
#[task]
fn total(values: Vec<i64>) -> Result<i64, TaskError> {
    let sum = values
        .iter()
        .try_fold(0_i64, |sum, value| sum.checked_add(*value));
    sum.ok_or_else(|| TaskError::fail("OverflowError", "the sum does not fit 64 bits"))
}

celeriac_sdk::export!(primes, mandelbrot, fibonacci, add, multiply, total);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_counted() {
        for (below, count) in [(0, 0), (2, 0), (3, 1), (100, 25), (10_000, 1229)] {
            assert_eq!(primes(below), Ok(count), "below {below}");
        }
    }

    #[test]
    fn a_sieve_over_the_bound_is_refused() {
        let refusal = primes(MAX_SIEVE + 1).expect_err("it is over the bound");
        assert_eq!(
            refusal.to_string(),
            "ValueError: below is 50000001, at most 50000000"
        );
    }

    #[test]
    fn a_list_is_added_up() {
        assert_eq!(total(vec![]), Ok(0));
        assert_eq!(total(vec![1, 2, 3]), Ok(6));
        assert!(total(vec![i64::MAX, 1]).is_err());
        assert_eq!(multiply(6, 7), Ok(42));
        assert!(multiply(i64::MAX, 2).is_err());
    }

    #[test]
    fn a_picture_has_a_checksum() {
        let ctx = Context::test().build();
        assert_eq!(mandelbrot(&ctx, 3, 2, 10), mandelbrot(&ctx, 3, 2, 10));
        assert_eq!(mandelbrot(&ctx, 1, 1, 10), Ok(0));
        assert_eq!(mandelbrot(&ctx, 0, 0, 10), Ok(0));
        assert!(mandelbrot(&ctx, u32::MAX, u32::MAX, 1).is_err());
    }

    #[test]
    fn a_picture_stops_between_rows() {
        let ctx = Context::test()
            .interrupt_after(3, Interruption::Cancelled)
            .build();
        assert_eq!(
            mandelbrot(&ctx, 8, 8, 10),
            Err(TaskError::interrupted(Interruption::Cancelled))
        );
    }

    #[test]
    fn small_numbers_come_out_right() {
        assert_eq!(
            (fibonacci(0), fibonacci(1), fibonacci(90)),
            (0, 1, 2_880_067_194_370_816_120)
        );
        assert_eq!(add(2, -3), Ok(-1));
        assert!(
            add(i64::MAX, 1).is_err_and(|error| error.to_string().starts_with("OverflowError: "))
        );
    }
}
