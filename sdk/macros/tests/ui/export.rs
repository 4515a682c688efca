use celeriac_sdk::prelude::*;

#[task]
fn marked() {}

mod twice {
    celeriac_sdk::export!(super::marked, crate::marked);
}

mod empty {
    celeriac_sdk::export!();
}

fn main() {}
