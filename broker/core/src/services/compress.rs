//! Compression of documents, once per change.

use std::{cell::RefCell, io::Read};

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use sha2::{Digest, Sha256};

use crate::ports::database::{DocumentBytes, Encoding};

/// Sync writes every document once and clients read it many times, but the first sync of a large repository must not
/// wait for the compressor: level 5 is within 3 % of the size of level 9 at a third of its time.
const GZIP_LEVEL: u32 = 5;
const ZSTD_LEVEL: i32 = 3;

/// Deflate, no flags, no time, level between fastest and best, no file system named.
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

thread_local! {
    /// The tables of a compressor are larger than most documents: making them anew takes longer than their use.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(GZIP_LEVEL), false));
    static ZSTD: RefCell<Option<zstd::bulk::Compressor<'static>>> = const { RefCell::new(None) };
}

/// The largest document that [`decompress`] unpacks, in bytes.
const MAX_DOCUMENT: u64 = 256 << 20;

/// All encodings of a JSON text.
pub fn compress(json: &[u8]) -> DocumentBytes {
    DocumentBytes {
        digest: Sha256::digest(json).into(),
        gzip: gzip(json),
        zstd: zstd(json),
    }
}

/// RFC 1952, without time or name, so that equal texts give equal bytes.
pub fn gzip(text: &[u8]) -> Bytes {
    let mut bytes = Vec::with_capacity(text.len() / 4 + 64);
    bytes.extend(GZIP_HEADER);
    DEFLATE.with_borrow_mut(|deflate| {
        deflate.reset();
        let mut rest = text;
        loop {
            let before = deflate.total_in();
            // Compressing into a vector does not fail.
            let status = deflate.compress_vec(rest, &mut bytes, FlushCompress::Finish);
            let used = usize::try_from(deflate.total_in() - before).unwrap_or(rest.len());
            rest = rest.get(used..).unwrap_or_default();
            if !matches!(status, Ok(Status::Ok | Status::BufError)) {
                break;
            }
            bytes.reserve(text.len() / 4 + 64);
        }
    });
    bytes.extend(crc32fast::hash(text).to_le_bytes());
    // The length is kept modulo 2^32.
    let length = text.len() & 0xffff_ffff;
    bytes.extend(u32::try_from(length).unwrap_or_default().to_le_bytes());
    bytes.into()
}

/// RFC 8878.
pub fn zstd(text: &[u8]) -> Bytes {
    let compressed = ZSTD.with_borrow_mut(|kept| {
        let mut compressor = match kept.take() {
            Some(compressor) => compressor,
            None => zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
        };
        let compressed = compressor.compress(text);
        *kept = Some(compressor);
        compressed
    });
    compressed.unwrap_or_default().into()
}

/// The text of a stored document, for clients that take no encoding.
///
/// # Errors
/// When the bytes are damaged or larger than any document.
pub fn decompress(bytes: &[u8], encoding: Encoding) -> std::io::Result<Bytes> {
    let mut text = Vec::with_capacity(bytes.len() * 4);
    let read = match encoding {
        Encoding::Gzip => flate2::read::GzDecoder::new(bytes)
            .take(MAX_DOCUMENT)
            .read_to_end(&mut text)?,
        Encoding::Zstd => zstd::stream::read::Decoder::new(bytes)?
            .take(MAX_DOCUMENT)
            .read_to_end(&mut text)?,
    };
    if read as u64 == MAX_DOCUMENT {
        return Err(std::io::Error::other("the document is too large"));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_come_back_and_are_stable() {
        let text = br#"{"packages":{"acme/lib":[]}}"#.repeat(50);
        let document = compress(&text);
        assert_eq!(decompress(&document.gzip, Encoding::Gzip).unwrap(), text);
        assert_eq!(decompress(&document.zstd, Encoding::Zstd).unwrap(), text);
        assert_eq!(compress(&text).gzip, document.gzip);
        assert!(document.gzip.len() < text.len());
    }

    #[test]
    fn texts_of_every_size_come_back() {
        let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
        let mut bytes = Vec::new();
        for size in [0_usize, 1, 10, 1_000, 70_000, 300_000] {
            while bytes.len() < size {
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                bytes.extend(noise.to_le_bytes());
            }
            let text = &bytes[..size];
            let document = compress(text);
            assert_eq!(decompress(&document.gzip, Encoding::Gzip).unwrap(), text);
            assert_eq!(decompress(&document.zstd, Encoding::Zstd).unwrap(), text);
        }
    }
}
