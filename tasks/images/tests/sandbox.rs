//! The tasks in the sandbox, with real pictures and hostile ones.

use celeriac_harness::*;
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// Bytes as Celery sends them.
fn typed(bytes: &[u8]) -> Value {
    value(celeriac_sdk::Bytes::from(bytes))
}

#[expect(clippy::expect_used, reason = "a test reports by panicking")]
fn picture(format: ImageFormat, width: u32, height: u32) -> Value {
    let pixel = |x: u32, y: u32| Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 128]);
    let picture = DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel));
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, format)
        .expect("the picture is encodable");
    typed(&bytes.into_inner())
}

#[test]
fn a_png_and_a_jpeg_become_thumbnails_within_their_budget() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let run = module!().call("thumbnail", args![picture(format, 800, 600), 64]);
        let thumbnail = run.result();
        assert_eq!(
            (&thumbnail["width"], &thumbnail["height"]),
            (&json!(64), &json!(48)),
            "{format:?}"
        );
        assert_eq!(thumbnail["png"]["__type__"], "base64");
        assert!(run.peak_memory() < mib(16), "{}", run.peak_memory());
        assert_eq!(run.log(), ["decoded"]);
        assert_eq!(run.progress().len(), 2);
    }
}

#[test]
fn a_thumbnail_can_be_read_by_the_next_task() {
    let module = module!();
    let thumbnail = module
        .task("thumbnail")
        .kwargs(kwargs! { bytes: picture(ImageFormat::Jpeg, 100, 50) })
        .run();
    let facts = module.call("inspect", args![thumbnail.result()["png"]]);
    assert_eq!(
        facts.result(),
        json!({ "width": 100, "height": 50, "format": "png" })
    );
}

#[test]
fn what_is_no_picture_is_a_value_error() {
    let run = module!().call("thumbnail", args![typed(b"hello world")]);
    assert_eq!(run.failure().kind, "ValueError");
    assert_eq!(
        run.failure().message,
        "not a PNG or JPEG (first bytes: \"hello wo\")"
    );
}

/// 30,000 by 30,000 pixels in a few kilobytes.
#[test]
fn a_decompression_bomb_costs_its_own_attempt_only() {
    let mut bomb = Vec::from(*b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    bomb.extend_from_slice(&30_000_u32.to_be_bytes());
    bomb.extend_from_slice(&30_000_u32.to_be_bytes());
    bomb.extend_from_slice(&[8, 2, 0, 0, 0, 0, 0, 0, 0]);
    let run = module!().call("thumbnail", args![typed(&bomb)]);
    assert_eq!(run.failure().kind, "ValueError");
    assert!(run.peak_memory() < mib(16), "{}", run.peak_memory());
}

#[test]
fn a_picture_too_large_for_the_memory_ends_at_the_memory_limit() {
    let call = module!()
        .task("thumbnail")
        .args(args![picture(ImageFormat::Png, 1_000, 1_000)]);
    let run = call.limits(|limits| limits.memory = mib(2)).run();
    assert_eq!(run.limit(), Limit::Memory);
}
