//! Reading a blob: the next chunk is read while the present one is being sent.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::PathBuf,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use package_broker_core::ports::storage::{Blob, StorageError};
use tokio::task::JoinHandle;

use super::{Failure, Outcome};

/// Bytes of a chunk. One is being read while one is being sent; an HTTP server may hold one or two more.
const CHUNK: u64 = 256 * 1024;

const READ: &str = "read a file";

/// Opens the file at `path` and reads its first chunk; `None` if there is no such file.
pub(super) fn open(path: PathBuf) -> Outcome<Option<Blob>> {
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::at(&path)(error)),
    };
    let size = file.metadata().map_err(Failure::at(&path))?.len();
    let (first, rest) = Rest {
        file,
        path,
        bytes: size,
    }
    .read()?;
    Ok(Some(Blob {
        size,
        body: body(first, rest).boxed(),
    }))
}

/// What of a file is still to be read.
struct Rest {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Rest {
    /// Reads the next chunk: a full one, or the last.
    fn read(mut self) -> Outcome<(Bytes, Self)> {
        let wanted = self.bytes.min(CHUNK);
        let mut chunk = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
        let read = (&self.file)
            .take(wanted)
            .read_to_end(&mut chunk)
            .map_err(Failure::at(&self.path))?;
        if read as u64 != wanted {
            let missing = self.bytes - read as u64;
            return Err(Failure(format!(
                "{} was cut: {missing} bytes are missing",
                self.path.display()
            )));
        }
        self.bytes -= wanted;
        Ok((chunk.into(), self))
    }
}

/// The chunk after the one that was given last.
enum Next {
    Ready(Bytes, Rest),
    Reading(JoinHandle<Outcome<(Bytes, Rest)>>),
}

fn body(
    first: Bytes,
    rest: Rest,
) -> impl Stream<Item = Result<Bytes, StorageError>> + Send + 'static {
    let first = (!first.is_empty()).then_some(Next::Ready(first, rest));
    stream::unfold(first, |next| async move {
        let read = match next? {
            Next::Ready(chunk, rest) => Ok((chunk, rest)),
            Next::Reading(task) => match task.await {
                Ok(read) => read.map_err(|Failure(problem)| StorageError::new(READ, problem)),
                Err(_) => Err(StorageError::new(READ, "the program is shutting down")),
            },
        };
        Some(match read {
            Ok((chunk, rest)) => (Ok(chunk), ahead(rest)),
            Err(error) => (Err(error), None),
        })
    })
}

/// Starts to read the next chunk, if there is one.
fn ahead(rest: Rest) -> Option<Next> {
    (rest.bytes > 0).then(|| Next::Reading(tokio::task::spawn_blocking(move || rest.read())))
}
