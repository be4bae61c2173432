//! An initramfs archive in the `newc` form that the kernel unpacks (Documentation/driver-api/early-userspace). Comes in: directories
//! and files by path; goes out: the bytes. Parent directories are made as needed.

use std::collections::BTreeSet;

/// An archive under construction.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    seen: BTreeSet<String>,
}

impl Archive {
    pub fn directory(&mut self, path: &str) {
        let mut upto = String::new();
        for part in path.split('/').filter(|part| !part.is_empty()) {
            if !upto.is_empty() {
                upto.push('/');
            }
            upto.push_str(part);
            if self.seen.insert(upto.clone()) {
                self.entry(&upto, 0o040_755, &[]);
            }
        }
    }

    pub fn file(&mut self, path: &str, permissions: u32, data: &[u8]) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
        if self.seen.insert(path.to_owned()) {
            self.entry(path, 0o100_000 | permissions, data);
        }
    }

    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, data: &[u8]) {
        let number = self.seen.len();
        let head = [number, mode as usize, 0, 0, 1, 0, data.len(), 0, 0, 0, 0, path.len() + 1, 0];
        self.bytes.extend(b"070701");
        head.iter().for_each(|field| self.bytes.extend(format!("{field:08x}").bytes()));
        self.bytes.extend(path.bytes().chain([0]));
        self.pad();
        self.bytes.extend(data);
        self.pad();
    }

    /// Names and data end at multiples of four.
    fn pad(&mut self) {
        let len = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(len, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_parents_come_first() {
        let mut archive = Archive::default();
        archive.file("a/b", 0o644, b"xyz");
        archive.file("a/b", 0o644, b"again");
        let text = String::from_utf8(archive.finish()).unwrap();
        assert_eq!(text.len() % 4, 0);
        assert_eq!(text.matches("070701").count(), 3);
        assert!(text.find("a\0").unwrap() < text.find("a/b\0").unwrap());
    }
}
