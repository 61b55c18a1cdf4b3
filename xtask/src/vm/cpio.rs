//! The "newc" archive format of an initramfs: a header of hexadecimal fields, a name, the bytes.

use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// Writes an archive. Without [`Cpio::finish`] the kernel takes it for damaged.
pub(super) struct Cpio<W> {
    output: W,
    next_inode: u32,
}

struct Member<'bytes> {
    name: &'bytes str,
    mode: u32,
    device: (u32, u32),
    content: &'bytes [u8],
}

impl<W: Write> Cpio<W> {
    pub(super) fn new(output: W) -> Self {
        Self { output, next_inode: 1 }
    }

    pub(super) fn directory(&mut self, name: &str) -> io::Result<()> {
        self.member(&Member { name, mode: DIRECTORY | 0o755, device: (0, 0), content: &[] })
    }

    pub(super) fn executable(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.member(&Member { name, mode: FILE | 0o755, device: (0, 0), content })
    }

    /// A device by its major and minor number.
    pub(super) fn device(&mut self, name: &str, device: (u32, u32)) -> io::Result<()> {
        self.member(&Member { name, mode: CHARACTER_DEVICE | 0o600, device, content: &[] })
    }

    pub(super) fn finish(mut self) -> io::Result<W> {
        self.member(&Member { name: "TRAILER!!!", mode: 0, device: (0, 0), content: &[] })?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn member(&mut self, member: &Member<'_>) -> io::Result<()> {
        let size = |bytes: usize| u32::try_from(bytes).map_err(io::Error::other);
        let fields = [
            self.next_inode,
            member.mode,
            0, // user
            0, // group
            1, // links
            0, // modification time: the same input gives the same archive
            size(member.content.len())?,
            0, // device the file is on, major and minor
            0,
            member.device.0,
            member.device.1,
            size(member.name.len() + 1)?,
            0, // check sum, unused in this format
        ];
        self.next_inode += 1;
        write!(self.output, "070701")?;
        for field in fields {
            write!(self.output, "{field:08x}")?;
        }
        self.output.write_all(member.name.as_bytes())?;
        self.output.write_all(&[0])?;
        self.pad(110 + member.name.len() + 1)?;
        self.output.write_all(member.content)?;
        self.pad(member.content.len())
    }

    /// Name and content each end on a multiple of four.
    fn pad(&mut self, length: usize) -> io::Result<()> {
        let missing = length.next_multiple_of(4) - length;
        self.output.write_all(&[0; 3][..missing])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_aligned_members_and_a_trailer() {
        let mut archive = Cpio::new(Vec::new());
        archive.directory("bin").unwrap();
        archive.executable("bin/a", b"12345").unwrap();
        archive.device("console", (5, 1)).unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(bytes.len() % 4, 0);
        // "bin" takes 110 + 4 bytes, padded to 116.
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[116..122], b"070701");
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains("0000000000000005"), "the file's size is written");
        assert!(text.contains("TRAILER!!!"));
    }
}
