//! A zip file, written front to back, that has nothing in it but what it must.
//!
//! The bytes follow from names, contents and one time alone: no extra fields, fixed modes, fixed compression. Sizes
//! are known before an entry is written, so that even readers that go front to back need no trailing descriptors.

use std::io::{self, Write};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::walk::FileKind;

/// Level of compression; part of what makes archives the same bytes everywhere.
const LEVEL: u32 = 6;

/// "Made by" Unix, version 3.0 of the format: the high byte tells readers that modes are given.
const MADE_BY: u16 = 0x031e;

/// Version 2.0 of the format unpacks these archives.
const NEEDS: u16 = 20;

/// Names are UTF-8.
const UTF8: u16 = 1 << 11;

/// A file to write.
pub(super) struct Entry<'a> {
    /// Its path in the archive.
    pub(super) name: &'a [u8],
    /// What it is.
    pub(super) kind: FileKind,
    /// Its bytes, or the target of a link.
    pub(super) content: &'a [u8],
}

/// Writes a zip file.
pub(super) struct Zip<W> {
    out: W,
    offset: u64,
    stamp: [u8; 4],
    directory: Vec<u8>,
    entries: u16,
    compress: Compress,
    buffer: Vec<u8>,
}

/// What stands about an entry both before its bytes and in the directory.
struct Header<'a> {
    name: &'a [u8],
    mode: u32,
    method: u16,
    crc: u32,
    packed: u32,
    size: u32,
}

impl<W: Write> Zip<W> {
    /// A zip file whose entries all have one time, in seconds since 1970.
    pub(super) fn new(out: W, seconds: i64) -> Self {
        Self {
            out,
            offset: 0,
            stamp: stamp(seconds),
            directory: Vec::new(),
            entries: 0,
            compress: Compress::new(Compression::new(LEVEL), false),
            buffer: Vec::new(),
        }
    }

    /// Adds a folder.
    ///
    /// # Errors
    /// As [`Zip::add`].
    pub(super) fn folder(&mut self, name: &str) -> io::Result<()> {
        let name = format!("{name}/");
        let header = Header {
            name: name.as_bytes(),
            mode: 0o40755,
            method: 0,
            crc: 0,
            packed: 0,
            size: 0,
        };
        self.write(&header, &[])
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] beyond what the plain format holds, and what the writer says.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let mode = match entry.kind {
            FileKind::Plain => 0o100_644,
            FileKind::Executable => 0o100_755,
            FileKind::Link => 0o120_777,
        };
        let mut crc = Crc::new();
        crc.update(entry.content);
        let mut packed = std::mem::take(&mut self.buffer);
        self.deflate(entry.content, &mut packed)?;
        let (method, bytes) = if packed.len() < entry.content.len() {
            (8, packed.as_slice())
        } else {
            (0, entry.content)
        };
        let header = Header {
            name: entry.name,
            mode,
            method,
            crc: crc.sum(),
            packed: narrow(bytes.len())?,
            size: narrow(entry.content.len())?,
        };
        self.write(&header, bytes)?;
        self.buffer = packed;
        Ok(())
    }

    fn deflate(&mut self, content: &[u8], packed: &mut Vec<u8>) -> io::Result<()> {
        packed.clear();
        self.compress.reset();
        let mut rest = content;
        loop {
            packed.reserve(rest.len() / 2 + 1024);
            let before = self.compress.total_in();
            let status = self
                .compress
                .compress_vec(rest, packed, FlushCompress::Finish)
                .map_err(io::Error::other)?;
            let taken =
                usize::try_from(self.compress.total_in() - before).map_err(io::Error::other)?;
            rest = rest.get(taken..).unwrap_or_default();
            if status == Status::StreamEnd {
                return Ok(());
            }
        }
    }

    fn write(&mut self, header: &Header<'_>, bytes: &[u8]) -> io::Result<()> {
        let offset = u32::try_from(self.offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.entries = self
            .entries
            .checked_add(1)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        let common = self.common(header)?;
        let mut local = b"PK\x03\x04".to_vec();
        local.extend(&common);
        local.extend(header.name);
        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(MADE_BY.to_le_bytes());
        self.directory.extend(&common);
        // No comment, first disk, binary.
        self.directory.extend([0; 6]);
        let folder = u32::from(header.name.ends_with(b"/")) << 4;
        self.directory
            .extend(((header.mode << 16) | folder).to_le_bytes());
        self.directory.extend(offset.to_le_bytes());
        self.directory.extend(header.name);
        self.put(&local)?;
        self.put(bytes)
    }

    fn common(&self, header: &Header<'_>) -> io::Result<Vec<u8>> {
        let length = u16::try_from(header.name.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let flags = if header.name.is_ascii() { 0 } else { UTF8 };
        let mut common = Vec::with_capacity(26);
        for short in [NEEDS, flags, header.method] {
            common.extend(short.to_le_bytes());
        }
        common.extend(self.stamp);
        for long in [header.crc, header.packed, header.size] {
            common.extend(long.to_le_bytes());
        }
        common.extend(length.to_le_bytes());
        common.extend([0; 2]);
        Ok(common)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.offset += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Writes the directory and gives the writer back.
    ///
    /// # Errors
    /// As [`Zip::add`].
    pub(super) fn finish(mut self) -> io::Result<W> {
        let start = u32::try_from(self.offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let directory = std::mem::take(&mut self.directory);
        self.put(&directory)?;
        let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
        end.extend(self.entries.to_le_bytes());
        end.extend(self.entries.to_le_bytes());
        end.extend(narrow(directory.len())?.to_le_bytes());
        end.extend(start.to_le_bytes());
        end.extend([0; 2]);
        self.put(&end)?;
        Ok(self.out)
    }
}

fn narrow(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// A time in the format of MS-DOS, in UTC, within what that can say: 1980 to 2107, even seconds.
fn stamp(seconds: i64) -> [u8; 4] {
    const EARLIEST: i64 = 315_532_800;
    const LATEST: i64 = 4_354_819_198;
    let time = jiff::Timestamp::from_second(seconds.clamp(EARLIEST, LATEST)).unwrap_or_default();
    let time = time.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    // All parts are within their bits by the clamp above.
    let part = |value: i8| u32::try_from(value).unwrap_or_default();
    let year = u32::try_from(time.year() - 1980).unwrap_or_default();
    let date = (year << 9) | (part(time.month()) << 5) | part(time.day());
    let seconds = part(time.second()) / 2;
    let clock = (part(time.hour()) << 11) | (part(time.minute()) << 5) | seconds;
    ((date << 16) | clock).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn build(entries: &[Entry<'_>], seconds: i64) -> Vec<u8> {
        let mut zip = Zip::new(Vec::new(), seconds);
        zip.folder("top").unwrap();
        for entry in entries {
            zip.add(entry).unwrap();
        }
        zip.finish().unwrap()
    }

    #[test]
    fn another_reader_finds_what_was_written() {
        let long = b"abc".repeat(100_000);
        let entries = [
            Entry {
                name: b"top/a.php",
                kind: FileKind::Plain,
                content: &long,
            },
            Entry {
                name: b"top/bin/run",
                kind: FileKind::Executable,
                content: b"#!",
            },
            Entry {
                name: b"top/empty",
                kind: FileKind::Plain,
                content: b"",
            },
            Entry {
                name: "top/lünk".as_bytes(),
                kind: FileKind::Link,
                content: b"a.php",
            },
        ];
        let bytes = build(&entries, 1_700_000_001);
        assert!(bytes.len() < 5000);
        let mut archive = ::zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
        assert_eq!(archive.len(), 5);
        for (entry, mode) in entries
            .iter()
            .zip([0o100_644, 0o100_755, 0o100_644, 0o120_777])
        {
            let mut file = archive
                .by_name(std::str::from_utf8(entry.name).unwrap())
                .unwrap();
            assert_eq!(file.unix_mode(), Some(mode));
            assert_eq!(
                file.last_modified().unwrap().to_string(),
                "2023-11-14 22:13:20"
            );
            assert_eq!(file.extra_data(), None);
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            assert_eq!(content, entry.content);
        }
    }

    #[test]
    fn times_beyond_the_format_are_clamped() {
        assert_eq!(stamp(0), stamp(315_532_800));
        assert_eq!(stamp(i64::MAX), stamp(4_354_819_198));
        assert_eq!(
            stamp(315_532_800),
            (0b0000_0000_0010_0001_u32 << 16).to_le_bytes()
        );
    }
}
