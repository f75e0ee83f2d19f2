//! Compression of documents, once per change.

use std::io::{Read, Write};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::ports::database::{DocumentBytes, Encoding};

/// Sync writes every document once and clients read it many times, but the first sync of a large repository must not
/// wait for the compressor: level 5 is within 3 % of the size of level 9 at a third of its time.
const GZIP_LEVEL: u32 = 5;
const ZSTD_LEVEL: i32 = 3;

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
    let mut encoder = flate2::write::GzEncoder::new(
        Vec::with_capacity(text.len() / 4 + 64),
        flate2::Compression::new(GZIP_LEVEL),
    );
    // Writing to a vector does not fail.
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.unwrap_or_default().into()
}

/// RFC 8878.
pub fn zstd(text: &[u8]) -> Bytes {
    zstd::bulk::compress(text, ZSTD_LEVEL)
        .unwrap_or_default()
        .into()
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
}
