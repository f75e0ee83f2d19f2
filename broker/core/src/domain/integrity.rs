//! Whether the bytes that arrived are a whole archive, also where nobody promised a checksum.

use std::io::{self, Write};

use super::archive::{ArchiveDefect, ArchiveFormat};

/// The signature of a zip's end record.
const END_RECORD: &[u8; 4] = b"PK\x05\x06";
/// The length of a zip's end record without its comment.
const END_RECORD_LENGTH: usize = 22;
/// The most bytes a compressed tar may unpack to.
const MAX_UNPACKED: u64 = 8 << 30;
/// The bytes by which a compression is known.
const MAGIC: usize = 3;
/// The unit of a tar.
const BLOCK: usize = 512;

/// The two ends of a file, by which archives are known.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    first: Vec<u8>,
    last: Vec<u8>,
    size: u64,
}

impl Edges {
    /// Enough to see a tar header.
    const FIRST: usize = BLOCK;
    /// The end record of a zip with its longest comment.
    const LAST: usize = END_RECORD_LENGTH + 65_535;

    /// Takes the next bytes of the file.
    pub fn take(&mut self, chunk: &[u8]) {
        self.size += chunk.len() as u64;
        let missing = Self::FIRST.saturating_sub(self.first.len());
        self.first.extend(chunk.iter().take(missing));
        let tail = chunk
            .get(chunk.len().saturating_sub(Self::LAST)..)
            .unwrap_or_default();
        let surplus = (self.last.len() + tail.len()).saturating_sub(Self::LAST);
        self.last.drain(..surplus.min(self.last.len()));
        self.last.extend(tail);
    }

    /// Whether the file can be an archive of a format: the right beginning, and the right end where the format has
    /// one.
    ///
    /// # Errors
    /// [`ArchiveDefect::Malformed`].
    pub fn check(&self, format: ArchiveFormat) -> Result<(), ArchiveDefect> {
        let malformed = |problem| Err(malformed(format, problem));
        if self.first.is_empty() {
            return malformed("it is empty");
        }
        if !self.begins_like(format) {
            let page = self.first.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<');
            return malformed(if page {
                "it is a web page"
            } else {
                "it does not begin like one"
            });
        }
        let whole = match format {
            ArchiveFormat::Zip => self.ends_with_record(),
            ArchiveFormat::TarXz => self.last.ends_with(b"YZ") && self.size.is_multiple_of(4),
            _ if self.begins(b"\x1f\x8b") || self.begins(b"BZh") => true,
            _ => self.ends_with_empty_block(),
        };
        if whole {
            Ok(())
        } else {
            malformed("its end is missing, it was cut off")
        }
    }

    fn begins(&self, magic: &[u8]) -> bool {
        self.first.starts_with(magic)
    }

    fn begins_like(&self, format: ArchiveFormat) -> bool {
        match format {
            ArchiveFormat::Zip => self.begins(b"PK\x03\x04") || self.begins(END_RECORD),
            ArchiveFormat::TarGz => self.begins(b"\x1f\x8b"),
            ArchiveFormat::TarBz2 => self.begins(b"BZh"),
            ArchiveFormat::TarXz => self.begins(b"\xfd7zXZ\0"),
            ArchiveFormat::Tar => {
                self.first.get(257..262) == Some(b"ustar")
                    || self.begins(b"\x1f\x8b")
                    || self.begins(b"BZh")
            }
        }
    }

    /// A zip is whole if a record near its end says that the directory ends where the record begins. A zip that was
    /// cut may end with the record of another zip inside of it; that one does not fit.
    fn ends_with_record(&self) -> bool {
        let candidates = self.last.windows(END_RECORD_LENGTH).enumerate().rev();
        let before = self.size.saturating_sub(self.last.len() as u64);
        candidates
            .filter(|(_, record)| record.starts_with(END_RECORD))
            .any(|(at, record)| {
                let number = |at: usize| {
                    let bytes = record
                        .get(at..at + 4)
                        .and_then(|bytes| bytes.try_into().ok());
                    bytes.map_or(0, u32::from_le_bytes)
                };
                let (length, offset) = (number(12), number(16));
                let zip64 = length == u32::MAX || offset == u32::MAX;
                zip64 || u64::from(length) + u64::from(offset) == before + at as u64
            })
    }

    fn ends_with_empty_block(&self) -> bool {
        let last = self.last.get(self.last.len().saturating_sub(BLOCK)..);
        let empty = last.is_some_and(|block| block.iter().all(|byte| *byte == 0));
        empty && self.size.is_multiple_of(BLOCK as u64)
    }
}

/// Unpacks a compressed tar while it arrives, to know whether it is whole. What comes out is counted and dropped.
pub enum Unpacking {
    /// Too few bytes have come to tell: these.
    Unknown(Vec<u8>),
    /// Nothing that has to be unpacked.
    Plain,
    /// gzip.
    Gzip(Box<flate2::write::GzDecoder<Count>>),
    /// bzip2, possibly several streams one after another.
    Bzip2(Box<Bzip2>),
    /// The end was reached; what follows is padding.
    Ended,
}

impl Default for Unpacking {
    fn default() -> Self {
        Self::Unknown(Vec::new())
    }
}

/// Counts bytes up to [`MAX_UNPACKED`].
#[derive(Default)]
pub struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        if self.0 > MAX_UNPACKED {
            return Err(io::Error::other("it unpacks to more than 8 GiB"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A bzip2 stream being unpacked.
pub struct Bzip2 {
    stream: bzip2::Decompress,
    at_end: bool,
    count: Count,
}

impl Unpacking {
    /// Whether [`Unpacking::take`] takes time in proportion to what it is given.
    pub fn is_work(&self) -> bool {
        matches!(self, Self::Unknown(_) | Self::Gzip(_) | Self::Bzip2(_))
    }

    /// Takes the next bytes of the file, which are not none.
    ///
    /// # Errors
    /// [`ArchiveDefect::Malformed`] if they cannot be unpacked.
    pub fn take(self, chunk: &[u8]) -> Result<Self, ArchiveDefect> {
        let damaged = |_| malformed(ArchiveFormat::Tar, "its compression is damaged");
        match self {
            Self::Unknown(mut begin) => {
                begin.extend_from_slice(chunk);
                if begin.len() < MAGIC {
                    return Ok(Self::Unknown(begin));
                }
                Self::of(&begin).take(&begin)
            }
            Self::Gzip(mut decoder) => match decoder.write_all(chunk) {
                Ok(()) => Ok(Self::Gzip(decoder)),
                Err(error) if error.kind() == io::ErrorKind::WriteZero => {
                    decoder.finish().map_err(damaged)?;
                    Ok(Self::Ended)
                }
                Err(error) => Err(damaged(error)),
            },
            Self::Bzip2(mut stream) => {
                stream.take(chunk).map_err(damaged)?;
                Ok(Self::Bzip2(stream))
            }
            other => Ok(other),
        }
    }

    fn of(chunk: &[u8]) -> Self {
        if chunk.starts_with(b"\x1f\x8b") {
            Self::Gzip(Box::new(flate2::write::GzDecoder::new(Count::default())))
        } else if chunk.starts_with(b"BZh") {
            Self::Bzip2(Box::new(Bzip2 {
                stream: bzip2::Decompress::new(false),
                at_end: false,
                count: Count::default(),
            }))
        } else {
            Self::Plain
        }
    }

    /// The end of the file.
    ///
    /// # Errors
    /// [`ArchiveDefect::Malformed`] if more should have come.
    pub fn finish(self) -> Result<(), ArchiveDefect> {
        let whole = match self {
            Self::Gzip(decoder) => decoder.finish().is_ok(),
            Self::Bzip2(stream) => stream.at_end,
            Self::Unknown(_) | Self::Plain | Self::Ended => true,
        };
        if whole {
            Ok(())
        } else {
            Err(malformed(
                ArchiveFormat::Tar,
                "its end is missing, it was cut off",
            ))
        }
    }
}

impl Bzip2 {
    fn take(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        let mut out = Vec::with_capacity(64 << 10);
        while !chunk.is_empty() {
            if self.at_end {
                if !b"BZh".starts_with(chunk.get(..3).unwrap_or(chunk)) {
                    return Ok(());
                }
                self.stream = bzip2::Decompress::new(false);
                self.at_end = false;
            }
            out.clear();
            let before = self.stream.total_in();
            let status = self.stream.decompress_vec(chunk, &mut out)?;
            let used = usize::try_from(self.stream.total_in() - before).unwrap_or(usize::MAX);
            self.count.write_all(&out)?;
            self.at_end = status == bzip2::Status::StreamEnd;
            if used == 0 && out.is_empty() && !self.at_end {
                return Err(io::Error::other("it does not go on"));
            }
            chunk = chunk.get(used..).unwrap_or_default();
        }
        Ok(())
    }
}

fn malformed(format: ArchiveFormat, problem: &'static str) -> ArchiveDefect {
    ArchiveDefect::Malformed {
        format: format.dist_type(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(bytes: &[u8], format: ArchiveFormat) -> Result<(), String> {
        let mut edges = Edges::default();
        bytes.chunks(7).for_each(|chunk| edges.take(chunk));
        edges.check(format).map_err(|defect| defect.to_string())
    }

    fn record(offset: usize, comment: &[u8]) -> Vec<u8> {
        let mut record = END_RECORD.to_vec();
        record.extend([0; 12]);
        record.extend(u32::try_from(offset).unwrap().to_le_bytes());
        record.extend(u16::try_from(comment.len()).unwrap().to_le_bytes());
        record.extend(comment);
        record
    }

    #[test]
    fn a_zip_ends_with_a_record_that_fits() {
        let mut zip = b"PK\x03\x04".to_vec();
        zip.extend(vec![7; 70_000]);
        let cut = edges(&zip, ArchiveFormat::Zip).unwrap_err();
        assert!(cut.contains("cut off"), "{cut}");
        let mut whole = zip.clone();
        whole.extend(record(zip.len(), b"a comment"));
        assert_eq!(edges(&whole, ArchiveFormat::Zip), Ok(()));
        // The record of a zip within the zip, which happens to be where it was cut.
        zip.extend(record(500, b""));
        assert!(edges(&zip, ArchiveFormat::Zip).is_err());
        assert_eq!(edges(&record(0, b""), ArchiveFormat::Zip), Ok(()));
    }

    #[test]
    fn pages_and_other_files_are_told() {
        for (bytes, format, word) in [
            (&b"  <html>"[..], ArchiveFormat::Zip, "web page"),
            (b"", ArchiveFormat::TarGz, "empty"),
            (b"plain text", ArchiveFormat::TarGz, "begin"),
            (b"\xfd7zXZ\0cut", ArchiveFormat::TarXz, "cut off"),
        ] {
            let said = edges(bytes, format).unwrap_err();
            assert!(said.contains(word), "{said}");
        }
    }

    #[test]
    fn a_tar_ends_with_an_empty_block() {
        let mut tar = vec![b'a'; 1024];
        tar.splice(257..262, *b"ustar");
        assert!(edges(&tar, ArchiveFormat::Tar).is_err());
        tar.extend([0; 1024]);
        assert_eq!(edges(&tar, ArchiveFormat::Tar), Ok(()));
        assert!(edges(&tar[..2000], ArchiveFormat::Tar).is_err());
    }

    fn unpack(bytes: &[u8]) -> Result<(), ArchiveDefect> {
        let mut unpacking = Unpacking::default();
        for chunk in bytes.chunks(2) {
            unpacking = unpacking.take(chunk)?;
        }
        unpacking.finish()
    }

    #[test]
    fn a_compressed_tar_that_was_cut_is_told_at_every_length() {
        let text: Vec<u8> = (0..4_000_u32).flat_map(u32::to_le_bytes).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&text).unwrap();
        for whole in [gzip.finish().unwrap(), bzip2.finish().unwrap()] {
            assert_eq!(unpack(&whole), Ok(()));
            for length in (MAGIC..whole.len()).step_by(97).chain([whole.len() - 1]) {
                assert!(unpack(&whole[..length]).is_err(), "{length}");
            }
            let mut padded = whole.clone();
            padded.extend([0; 512]);
            assert_eq!(unpack(&padded), Ok(()));
            let mut damaged = whole.clone();
            let middle = damaged.len() / 2;
            damaged[middle] ^= 0x55;
            assert!(unpack(&damaged).is_err());
        }
    }

    #[test]
    fn several_bzip2_streams_are_one_file() {
        let mut bytes = Vec::new();
        for part in [b"one", b"two"] {
            let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            bzip2.write_all(part).unwrap();
            bytes.extend(bzip2.finish().unwrap());
        }
        assert_eq!(unpack(&bytes), Ok(()));
        assert!(unpack(&bytes[..bytes.len() - 2]).is_err());
    }
}
