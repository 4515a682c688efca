//! How long things may take where nobody says so, on a clock that is wound on.

use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::Instant as Wound;

/// An attempt of a day, with a request that is under way over a pipe.
async fn sent(guest: &Guest, stream: DuplexStream) -> Result<super::super::Begun, Error> {
    let slot = guest.session.slot().await?;
    let request = get("/");
    let options = RequestOptions::default();
    guest.session.exchange(stream, request, options, slot).await
}

fn open() -> Guest {
    let mut setup = may(&["any.test"]);
    setup.wall = Duration::from_secs(86_400);
    setup.open()
}

#[track_caller]
fn assert_seconds(begun: Wound, seconds: u64) {
    assert_eq!(begun.elapsed().as_secs(), seconds);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_begin_is_waited_for_a_minute() {
    let guest = open();
    let (ours, _theirs) = tokio::io::duplex(1 << 16);
    let begun = Wound::now();
    let answer = sent(&guest, ours).await;
    assert!(matches!(answer, Err(Error::ConnectionReadTimeout)));
    assert_seconds(begun, 60);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_falls_silent_is_waited_for_a_minute() {
    let guest = open();
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    let answer = async {
        theirs.read_u8().await.unwrap();
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc";
        theirs.write_all(head).await.unwrap();
    };
    let (begun, ()) = tokio::join!(sent(&guest, ours), answer);
    let (answer, rest) = begun.unwrap();
    let begun = Wound::now();
    let body = tokio::select! {
        body = answer.into_body().collect() => body,
        _ = Box::into_pin(rest) => panic!("the connection ended"),
    };
    assert!(matches!(body, Err(Error::ConnectionReadTimeout)));
    assert_seconds(begun, 60);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_five_seconds_for_one_under_way() {
    let guest = open();
    let mut kept = Vec::new();
    for _ in 0..8 {
        kept.push(guest.session.slot().await.unwrap());
    }
    let begun = Wound::now();
    let answer = guest.session.slot().await;
    assert!(matches!(answer, Err(Error::ConnectionLimitReached)));
    assert_seconds(begun, 5);
    assert!(guest.said().contains("http.in_flight"));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_has_no_turn_is_waited_for_ten_seconds() {
    let guest = open();
    let (lookups, asker) = (
        &guest.session.egress.0.resolver.lookups,
        &guest.session.asker,
    );
    let mut kept = Vec::new();
    for _ in 0..8 {
        kept.push(lookups.turn(Some(asker)).await.unwrap());
    }
    let begun = Wound::now();
    let answer = guest.get("https://any.test").await;
    assert!(matches!(answer, Err(Error::ConnectionTimeout)));
    assert_seconds(begun, 10);
}
