use celeriac_sdk::prelude::*;

#[task(time_limit = "30")]
fn without_a_unit() {}

#[task(memory = "32MB")]
fn with_a_decimal_unit() {}

#[task(time_limit = "30s", soft_time_limit = "30s")]
fn with_a_soft_limit_nobody_sees() {}

#[task(time_limits = "30s")]
fn with_an_unknown_key() {}

#[task(backoff = "10m..1s")]
fn with_a_backoff_that_shrinks() {}

fn main() {}
