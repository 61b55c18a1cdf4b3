//! `--out`: spans as OTLP/JSON lines in a file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::otlp;

#[derive(Debug, thiserror::Error)]
pub enum OutError {
    #[error("creating {path}")]
    Create { path: PathBuf, source: io::Error },
    #[error("writing {path}")]
    Write { path: PathBuf, source: io::Error },
}

/// Every span that was given is written or lost.
#[derive(Debug)]
pub struct OutFile {
    path: PathBuf,
    file: File,
    /// Length of the file up to its last whole line.
    whole_bytes: u64,
    failed: Option<io::Error>,
    pub written: u64,
    pub lost: u64,
}

impl OutFile {
    /// What the file holds stays there until [`OutFile::begin`].
    pub fn create(path: &Path) -> Result<Self, OutError> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|source| OutError::Create { path: path.to_owned(), source })?;
        let path = path.to_owned();
        Ok(Self { path, file, whole_bytes: 0, failed: None, written: 0, lost: 0 })
    }

    /// The command runs: what another run left goes.
    pub fn begin(&mut self) {
        // It fails on what has no length, a pipe for example.
        let _not_a_file = self.file.set_len(0);
    }

    /// Appends one line. After the first failure the rest is counted as lost: a disk that is full
    /// stays full, and half a line must not be followed by another.
    pub fn write(&mut self, request: &ExportTraceServiceRequest, spans: u64) {
        if self.failed.is_some() {
            self.lost += spans;
            return;
        }
        let line = otlp::json_line(request).map_err(io::Error::other);
        match line.and_then(|line| self.file.write_all(&line).map(|()| line.len() as u64)) {
            Ok(bytes) => {
                self.whole_bytes += bytes;
                self.written += spans;
            }
            Err(error) => {
                // Best effort: what is before the cut line stays readable.
                let _cut = self.file.set_len(self.whole_bytes);
                self.failed = Some(error);
                self.lost += spans;
            }
        }
    }

    /// What went wrong, if anything did.
    pub fn finish(self) -> Result<(), OutError> {
        match self.failed {
            None => Ok(()),
            Some(source) => Err(OutError::Write { path: self.path, source }),
        }
    }
}
