//! Errno values as words, the way messages show them. Comes in: a positive errno. Goes out: text without a full stop.

use nix::errno::Errno;

/// `1` -> `operation not permitted`.
pub fn words(errno: i32) -> String {
    let text = Errno::from_raw(errno).desc();
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// The words of an I/O error, without the number that the standard library appends.
pub fn of(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), words)
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_have_no_number_and_no_capital() {
        assert_eq!(super::words(libc::EPERM), "operation not permitted");
        assert_eq!(super::of(&std::io::Error::from_raw_os_error(libc::ENOENT)), "no such file or directory");
    }
}
