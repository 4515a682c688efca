//! Tasks that send other tasks. The operator grants it:
//!
//! ```toml
//! [grants.shop]
//! submit = ["shop.*"]
//! ```

use celeriac_sdk::prelude::*;
use celeriac_sdk::{chain, chord};

/// Takes an order: each item is reserved at once, the receipt is sent when the order is taken.
#[task(max_retries = 3, backoff = "1s..1m")]
fn order(ctx: &Context, number: u64, items: Vec<String>) -> Result<usize, TaskError> {
    for item in &items {
        // At once, so that nobody else gets it meanwhile. The key makes it one reservation,
        // however often this task is retried.
        Job::new("shop.reserve")
            .arg(item)
            .key(format!("reserve {item}"))
            .submit(ctx)?;
    }
    if items.is_empty() {
        return Err(TaskError::fail("ValueError", "the order is empty"));
    }
    // With the result: an order that fails sends no receipt.
    Job::new("shop.receipt")
        .arg(number)
        .kwarg("items", &items)
        .countdown("1s")
        .on_success(ctx)?;
    Ok(items.len())
}

/// Reserves an item.
#[task]
fn reserve(ctx: &Context, item: String) -> String {
    ctx.with("item", &item).info("reserved");
    format!("{item} is reserved")
}

/// Writes a receipt.
#[task]
fn receipt(number: u64, items: Vec<String>) -> String {
    format!("order {number}: {}", items.join(", "))
}

/// Packs all items at the same time; the parcel goes out when all are packed, and then the news.
#[task]
fn ship(ctx: &Context, number: u64, items: Vec<String>) -> Result<String, TaskError> {
    let packed = chord(
        items.iter().map(|item| Job::new("shop.reserve").arg(item)),
        Job::new("shop.parcel").kwarg("number", number),
    );
    let news = Job::new("shop.receipt")
        .arg(number)
        .kwarg("items", &items)
        .immutable();
    Ok(chain![packed, news].on_success(ctx)?)
}

/// Sends a parcel.
#[task]
fn parcel(items: Vec<String>, number: u64) -> String {
    format!("parcel {number} of {} items", items.len())
}

/// Hands large orders over to a queue of their own: the caller gets that task's result.
#[task]
fn quote(ctx: &Context, items: Vec<String>) -> Result<String, TaskError> {
    if items.len() > 2 {
        return Err(Job::new("shop.receipt").arg(0).arg(&items).replace(ctx));
    }
    Ok(format!("{} items", items.len()))
}

celeriac_sdk::export!(order, reserve, receipt, ship, parcel, quote);

#[cfg(test)]
mod tests {
    use super::*;
    use celeriac_sdk::When;

    #[test]
    fn an_order_reserves_at_once_and_sends_its_receipt_on_success() -> Result<(), TaskError> {
        let ctx = Context::test().build();
        assert_eq!(
            order(&ctx, 17, vec!["tea".to_owned(), "cup".to_owned()])?,
            2
        );
        let sent = ctx.recording().submitted;
        let sent: Vec<_> = sent.iter().map(|one| (one.task(), one.when)).collect();
        assert_eq!(
            sent,
            [
                ("shop.reserve", When::Now),
                ("shop.reserve", When::Now),
                ("shop.receipt", When::OnSuccess),
            ]
        );
        Ok(())
    }
}
