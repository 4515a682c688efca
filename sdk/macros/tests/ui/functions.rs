use celeriac_sdk::prelude::*;

#[task]
async fn asynchronous() {}

#[task]
fn generic<T>(value: Vec<T>) -> usize {
    value.len()
}

#[task]
fn opaque() -> impl Iterator<Item = u8> {
    std::iter::empty()
}

#[task]
struct NoFunction;

fn main() {}
