//! Thumbnails of PNG and JPEG pictures.
//!
//! A decoder of hostile pictures is what one wants in a sandbox: here a bomb costs its own attempt.

use std::io::Cursor;

use celeriac_sdk::prelude::*;
use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};
use schemars::JsonSchema;
use serde::Serialize;

/// The widest and highest thumbnail, in pixels.
const MAX_WIDTH: u32 = 4096;

/// The most memory a picture may decode to: 64 MiB hold 16 million pixels.
const MAX_DECODED_BYTES: u64 = 64 << 20;

/// A thumbnail.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Thumbnail {
    /// Pixels across.
    width: u32,
    /// Pixels down.
    height: u32,
    /// The picture as PNG.
    png: Bytes,
}

/// Makes a thumbnail of a PNG or JPEG, `width` pixels wide; it never makes a picture larger.
#[task(time_limit = "20s", cpu = "10s", memory = "128MiB", max_retries = 0)]
fn thumbnail(
    ctx: &Context,
    bytes: Bytes,
    #[task(default = 128)] width: u32,
) -> Result<Thumbnail, TaskError> {
    if !(1..=MAX_WIDTH).contains(&width) {
        return Err(TaskError::fail(
            "ValueError",
            format_args!("width is {width}, must be 1 to {MAX_WIDTH}"),
        ));
    }
    let picture = decode(&bytes)?;
    ctx.with("width", &picture.width())
        .with("height", &picture.height())
        .info("decoded");
    ctx.progress(1, 2);
    let picture = shrink(picture, width);
    let png = encode(&picture)?;
    ctx.progress(2, 2);
    Ok(Thumbnail {
        width: picture.width(),
        height: picture.height(),
        png: png.into(),
    })
}

/// The size and the format of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
struct Facts {
    /// Pixels across.
    width: u32,
    /// Pixels down.
    height: u32,
    /// `png` or `jpeg`.
    format: &'static str,
}

/// Tells the size and the format of a PNG or JPEG from its head, without decoding it.
#[task(time_limit = "5s", memory = "32MiB", max_retries = 0)]
fn inspect(bytes: Bytes) -> Result<Facts, TaskError> {
    let format = format_of(&bytes)?;
    let (width, height) = reader(&bytes, format)
        .into_dimensions()
        .map_err(unreadable)?;
    Ok(Facts {
        width,
        height,
        format: if format == ImageFormat::Png {
            "png"
        } else {
            "jpeg"
        },
    })
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, TaskError> {
    reader(bytes, format_of(bytes)?)
        .decode()
        .map_err(unreadable)
}

fn format_of(bytes: &[u8]) -> Result<ImageFormat, TaskError> {
    match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => Ok(format),
        _ => {
            let start = String::from_utf8_lossy(bytes.get(..8).unwrap_or(bytes)).into_owned();
            Err(TaskError::fail(
                "ValueError",
                format_args!("not a PNG or JPEG (first bytes: {start:?})"),
            ))
        }
    }
}

fn reader(bytes: &[u8], format: ImageFormat) -> ImageReader<Cursor<&[u8]>> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    reader
}

fn unreadable(error: image::ImageError) -> TaskError {
    TaskError::fail(
        "ValueError",
        format_args!("the picture cannot be read: {error}"),
    )
}

fn shrink(picture: DynamicImage, width: u32) -> DynamicImage {
    if picture.width() <= width {
        picture
    } else {
        picture.resize(width, u32::MAX, FilterType::Triangle)
    }
}

fn encode(picture: &DynamicImage) -> Result<Vec<u8>, TaskError> {
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

celeriac_sdk::export!(thumbnail, inspect);

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    fn picture(format: ImageFormat, width: u32, height: u32) -> Bytes {
        let pixel = |x: u32, y: u32| Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 128]);
        let picture = DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, pixel));
        let mut bytes = Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, format)
            .expect("the picture is encoded");
        bytes.into_inner().into()
    }

    #[test]
    fn a_png_and_a_jpeg_become_thumbnails() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let ctx = Context::test().build();
            let thumbnail =
                thumbnail(&ctx, picture(format, 800, 600), 64).expect("it is a picture");
            assert_eq!((thumbnail.width, thumbnail.height), (64, 48), "{format:?}");
            let facts = inspect(thumbnail.png).expect("it is a picture");
            assert_eq!(
                facts,
                Facts {
                    width: 64,
                    height: 48,
                    format: "png"
                }
            );
            assert_eq!(ctx.recording().progress.len(), 2);
        }
    }

    #[test]
    fn a_small_picture_keeps_its_size() {
        let thumbnail = thumbnail(
            &Context::test().build(),
            picture(ImageFormat::Png, 10, 5),
            64,
        )
        .expect("a picture");
        assert_eq!((thumbnail.width, thumbnail.height), (10, 5));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let ctx = Context::test().build();
        let refusal =
            thumbnail(&ctx, Bytes::from(&b"hello world"[..]), 64).expect_err("it is a text");
        assert_eq!(
            refusal.to_string(),
            r#"ValueError: not a PNG or JPEG (first bytes: "hello wo")"#
        );
        let mut cut = picture(ImageFormat::Png, 100, 100).into_vec();
        cut.truncate(60);
        let refusal = thumbnail(&ctx, cut.into(), 64).expect_err("it is cut off");
        assert!(
            refusal
                .to_string()
                .starts_with("ValueError: the picture cannot be read: "),
            "{refusal}"
        );
    }

    #[test]
    fn a_width_out_of_range_is_refused() {
        for width in [0, MAX_WIDTH + 1] {
            assert!(
                thumbnail(
                    &Context::test().build(),
                    picture(ImageFormat::Png, 1, 1),
                    width
                )
                .is_err(),
                "{width}"
            );
        }
    }

    #[test]
    fn a_picture_that_decodes_to_too_much_is_refused() {
        // The head of a PNG of 20,000 by 20,000 pixels: 1.2 GB decoded.
        let mut bomb = picture(ImageFormat::Png, 1, 1).into_vec();
        bomb.splice(16..24, [0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
        let crc = crc_of(&bomb[12..29]).to_be_bytes();
        bomb.splice(29..33, crc);
        let refusal =
            thumbnail(&Context::test().build(), bomb.into(), 64).expect_err("it is a bomb");
        assert!(refusal.to_string().contains("limit"), "{refusal}");
    }

    /// The CRC-32 of a PNG chunk.
    fn crc_of(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                if crc & 1 == 1 {
                    0xedb8_8320 ^ (crc >> 1)
                } else {
                    crc >> 1
                }
            })
        })
    }
}
