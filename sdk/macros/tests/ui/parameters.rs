use std::collections::BTreeMap;

use celeriac_sdk::prelude::*;

#[task]
fn borrows(text: &str) -> u64 {
    text.len() as u64
}

#[task]
fn default_in_the_middle(#[task(default = 1)] first: u8, second: u8) -> u8 {
    first + second
}

#[task]
fn context_in_the_middle(text: String, ctx: &Context) -> String {
    text + &ctx.id()
}

#[task]
fn rest_in_a_map(#[task(args)] rest: BTreeMap<String, u8>) -> usize {
    rest.len()
}

#[task]
fn after_kwargs(#[task(kwargs)] options: BTreeMap<String, u8>, more: u8) -> usize {
    options.len() + usize::from(more)
}

#[task]
fn unknown_mark(#[task(defaults = 1)] number: u8) -> u8 {
    number
}

#[task]
fn pattern((left, right): (u8, u8)) -> u8 {
    left + right
}

fn main() {}
