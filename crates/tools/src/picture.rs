//! Pictures: what they are and how large, read from their first bytes. Nothing here is decoded.

use std::fmt;

/// The largest picture that a model is shown: vendors take five million characters of base 64.
pub const PICTURE_BYTES_MAX: usize = 3_750_000;
/// Beyond this vendors refuse a picture.
const SIDE_MAX: u32 = 8_000;
const PIXELS_MAX: u64 = 40_000_000;
/// Segments of a JPEG that stand before the one with its size, at the most.
const SEGMENTS_MAX: usize = 200;

/// A picture that a tool shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Where it lies, or what it shows.
    pub name: String,
    pub facts: PictureFacts,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture")
            .field("name", &self.name)
            .field("facts", &self.facts)
            .field("bytes", &self.bytes.len())
            .finish()
    }
}

/// What the first bytes of a picture say of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PictureFacts {
    pub mime: &'static str,
    pub width: u32,
    pub height: u32,
}

/// Why a model is not shown a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    #[error("it is no PNG, JPEG, GIF or WebP picture")]
    Unknown,
    #[error("it has {0} bytes; at most {PICTURE_BYTES_MAX} are shown")]
    TooManyBytes(usize),
    #[error("it is {0} x {1}; at most {SIDE_MAX} on a side and {PIXELS_MAX} pixels are shown")]
    TooLarge(u32, u32),
}

impl Picture {
    /// A picture that is fit to be shown.
    pub fn read(name: &str, bytes: Vec<u8>) -> Result<Self, PictureError> {
        let facts = PictureFacts::read(&bytes).ok_or(PictureError::Unknown)?;
        if bytes.len() > PICTURE_BYTES_MAX {
            return Err(PictureError::TooManyBytes(bytes.len()));
        }
        let PictureFacts { width, height, .. } = facts;
        let pixels = u64::from(width) * u64::from(height);
        if width > SIDE_MAX || height > SIDE_MAX || pixels > PIXELS_MAX {
            return Err(PictureError::TooLarge(width, height));
        }
        Ok(Self {
            name: name.to_owned(),
            facts,
            bytes,
        })
    }
}

impl PictureFacts {
    /// Type and size as the header has them; `None` for what is no picture of the four kinds.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (mime, (width, height)) = match bytes {
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => ("image/png", png(bytes)?),
            [0xff, 0xd8, 0xff, ..] => ("image/jpeg", jpeg(bytes)?),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => ("image/gif", gif(bytes)?),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => ("image/webp", webp(bytes)?),
            _ => return None,
        };
        (width > 0 && height > 0).then_some(Self {
            mime,
            width,
            height,
        })
    }

    /// What people call its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.mime {
            "image/png" => "PNG",
            "image/jpeg" => "JPEG",
            "image/gif" => "GIF",
            _ => "WebP",
        }
    }
}

fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    (bytes.get(12..16)? == b"IHDR").then_some(())?;
    Some((big(bytes, 16)?, big(bytes, 20)?))
}

fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    Some((little16(bytes, 6)?, little16(bytes, 8)?))
}

/// Goes from segment to segment until one tells the size of the frame.
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    for _ in 0..SEGMENTS_MAX {
        let marker = loop {
            match bytes.get(at..at + 2)? {
                // Any number of fill bytes may stand before a marker.
                [0xff, 0xff] => at += 1,
                [0xff, marker] => break *marker,
                _ => return None,
            }
        };
        at += 2;
        match marker {
            // Frames of every kind; 0xc4, 0xc8 and 0xcc are tables and reserved.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let height = big16(bytes, at + 3)?;
                return Some((big16(bytes, at + 5)?, height));
            }
            // Without a length.
            0x01 | 0xd0..=0xd7 => {}
            // The scan, or the end, before any size.
            0xd8..=0xda => return None,
            _ => at += usize::try_from(big16(bytes, at)?).ok()?.max(2),
        }
    }
    None
}

fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8 " => {
            (bytes.get(23..26)? == [0x9d, 0x01, 0x2a]).then_some(())?;
            let side = |at| little16(bytes, at).map(|side| side & 0x3fff);
            Some((side(26)?, side(28)?))
        }
        b"VP8L" => {
            (*bytes.get(20)? == 0x2f).then_some(())?;
            let packed = u32::from_le_bytes(bytes.get(21..25)?.try_into().ok()?);
            Some(((packed & 0x3fff) + 1, ((packed >> 14) & 0x3fff) + 1))
        }
        b"VP8X" => {
            let side = |at: usize| match bytes.get(at..at + 3)? {
                [a, b, c] => Some(u32::from_le_bytes([*a, *b, *c, 0]) + 1),
                _ => None,
            };
            Some((side(24)?, side(27)?))
        }
        _ => None,
    }
}

fn big(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn big16(bytes: &[u8], at: usize) -> Option<u32> {
    let two: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u32::from(u16::from_be_bytes(two)))
}

fn little16(bytes: &[u8], at: usize) -> Option<u32> {
    let two: [u8; 2] = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u32::from(u16::from_le_bytes(two)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn png_of(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bytes.extend(width.to_be_bytes());
        bytes.extend(height.to_be_bytes());
        bytes
    }

    #[test]
    fn the_four_kinds_tell_their_size() {
        let mut jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0".to_vec();
        jpeg.extend(b"\xff\xff\xc2\0\x11\x08\x01\x2c\x02\x80\x03");
        let mut gif = b"GIF89a".to_vec();
        gif.extend([0x80, 0x02, 0x2c, 0x01]);
        let mut lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a".to_vec();
        lossy.extend([0x80, 0x02, 0x2c, 0x01]);
        let mut lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f".to_vec();
        lossless.extend((639_u32 | (299 << 14)).to_le_bytes());
        let mut wide = b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0".to_vec();
        wide.extend([0x7f, 0x02, 0, 0x2b, 0x01, 0]);
        for (bytes, kind) in [
            (png_of(640, 300), "PNG"),
            (jpeg, "JPEG"),
            (gif, "GIF"),
            (lossy, "WebP"),
            (lossless, "WebP"),
            (wide, "WebP"),
        ] {
            let facts = PictureFacts::read(&bytes).unwrap();
            assert_eq!(
                (facts.kind(), facts.width, facts.height),
                (kind, 640, 300),
                "{bytes:x?}"
            );
        }
        assert_eq!(PictureFacts::read(b"<svg onload=alert(1)>"), None);
        assert_eq!(PictureFacts::read(&png_of(0, 5)), None);
    }

    #[test]
    fn what_is_too_large_is_told_before_anything_is_decoded() {
        let bomb = Picture::read("b.png", png_of(60_000, 60_000)).unwrap_err();
        assert_eq!(bomb, PictureError::TooLarge(60_000, 60_000));
        let pixels = Picture::read("b.png", png_of(7_000, 7_000)).unwrap_err();
        assert_eq!(pixels, PictureError::TooLarge(7_000, 7_000));
        let mut long = png_of(10, 10);
        long.resize(PICTURE_BYTES_MAX + 1, 0);
        let long = Picture::read("l.png", long).unwrap_err();
        assert_eq!(long, PictureError::TooManyBytes(PICTURE_BYTES_MAX + 1));
        assert_eq!(
            Picture::read("x", vec![1]).unwrap_err(),
            PictureError::Unknown
        );
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(head in 0_usize..4, bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let heads: [&[u8]; 4] = [b"\xff\xd8\xff", b"RIFF\0\0\0\0WEBPVP8L", b"\x89PNG\r\n\x1a\n", b"GIF89a"];
            let mut all = heads[head].to_vec();
            all.extend(bytes);
            if let Some(facts) = PictureFacts::read(&all) {
                prop_assert!(facts.width > 0 && facts.height > 0);
            }
        }
    }
}
