//! What is mounted where: in, the text of `/proc/self/mountinfo` (proc(5)); out, rows and the control-group layout. Lines of an
//! unknown shape are left out, never an error.

use crate::root::Root;

/// One mount as seen by this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    pub point: String,
    pub fs: String,
    pub source: String,
    /// Options of the mount and of the file system, comma separated.
    pub options: String,
}

/// How control groups are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cgroups {
    V1,
    V2,
    Hybrid,
    None,
}

pub fn mounts(root: &Root) -> std::io::Result<Vec<Mount>> {
    root.text("/proc/self/mountinfo").map(|text| text.lines().filter_map(mount).collect())
}

pub fn cgroups(mounts: &[Mount]) -> Cgroups {
    let has = |fs: &str| mounts.iter().any(|m| m.fs == fs);
    match (has("cgroup"), has("cgroup2")) {
        (true, true) => Cgroups::Hybrid,
        (true, false) => Cgroups::V1,
        (false, true) => Cgroups::V2,
        (false, false) => Cgroups::None,
    }
}

impl Cgroups {
    pub fn name(self) -> &'static str {
        match self {
            Cgroups::V1 => "v1",
            Cgroups::V2 => "v2",
            Cgroups::Hybrid => "hybrid",
            Cgroups::None => "none",
        }
    }
}

fn mount(line: &str) -> Option<Mount> {
    let (own, fs) = line.split_once(" - ")?;
    let (point, flags) = (own.split(' ').nth(4)?, own.split(' ').nth(5)?);
    let mut fs = fs.split(' ');
    let (kind, source, super_options) = (fs.next()?, fs.next()?, fs.next().unwrap_or(""));
    let options = format!("{flags},{super_options}");
    Some(Mount { point: unescape(point), fs: kind.to_owned(), source: unescape(source), options })
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |t, (a, b)| t.replace(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_layout() {
        let text = "22 1 0:20 / /sys rw,nosuid shared:2 - sysfs sysfs rw\n30 22 0:26 / /a\\040b rw - cgroup2 none rw,nsdelegate\nbroken\n";
        let rows: Vec<Mount> = text.lines().filter_map(mount).collect();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[1].point.as_str(), rows[1].options.as_str()), ("/a b", "rw,rw,nsdelegate"));
        assert_eq!(cgroups(&rows), Cgroups::V2);
    }
}
