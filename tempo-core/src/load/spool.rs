//! A file of requests that are ready to be sent, so that any number of them takes no memory. Not here: sending them.
//!
//! Each record is the payload's length and its number of spans, both of 8 bytes in little endian, and the payload.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use super::drive::Prepared;

const BUFFER_BYTES: usize = 1 << 20;

/// Writes requests into a new file; returns how many spans are in it.
pub fn write(path: &Path, requests: impl Iterator<Item = Prepared>) -> std::io::Result<u64> {
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create(path)?);
    let mut spans = 0;
    for request in requests {
        file.write_all(&(request.payload.len() as u64).to_le_bytes())?;
        file.write_all(&request.spans.to_le_bytes())?;
        file.write_all(&request.payload)?;
        spans += request.spans;
    }
    file.flush()?;
    Ok(spans)
}

/// The requests of a file in its order, each with the number of spans before it, but for those that begin among the first
/// `skip` spans, whose payloads are not read. Reading ends at the file's end or at the first record that is not whole.
pub fn read(path: &Path, skip: u64) -> std::io::Result<impl Iterator<Item = (u64, Prepared)> + Send + use<>> {
    let mut file = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
    let mut passed = 0;
    while passed < skip {
        let Ok((length, spans)) = header(&mut file) else {
            break;
        };
        file.seek_relative(i64::try_from(length).unwrap_or(i64::MAX))?;
        passed += spans;
    }
    Ok(std::iter::from_fn(move || {
        let request = record(&mut file).ok()?;
        let before = passed;
        passed += request.spans;
        Some((before, request))
    }))
}

/// The length of the next payload, and how many spans it has.
fn header(file: &mut impl Read) -> std::io::Result<(u64, u64)> {
    let mut number = || {
        let mut bytes = [0; 8];
        file.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    };
    Ok((number()?, number()?))
}

fn record(file: &mut impl Read) -> std::io::Result<Prepared> {
    let (length, spans) = header(file)?;
    let mut payload = Vec::new();
    file.take(length).read_to_end(&mut payload)?;
    if payload.len() as u64 != length {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Prepared {
        payload: payload.into(),
        spans,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests");
        let request = |text: &str, spans| Prepared {
            payload: text.to_owned().into(),
            spans,
        };
        let requests = [
            request("one", 1),
            request("two", 2),
            request("", 0),
            request("three", 3),
        ];
        assert_eq!(write(&path, requests.clone().into_iter()).unwrap(), 6);
        let read_from = |skip| read(&path, skip).unwrap().collect::<Vec<_>>();
        let placed: Vec<_> = [0, 1, 3, 3].into_iter().zip(requests).collect();
        assert_eq!(read_from(0), placed);
        assert_eq!(read_from(1), placed[1..]);
        assert_eq!(
            read_from(2),
            placed[2..],
            "a request that begins before is left out"
        );
        assert_eq!(read_from(9), []);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(std::fs::metadata(&path).unwrap().len() - 1).unwrap();
        assert_eq!(read_from(0), placed[..3]);
    }
}
