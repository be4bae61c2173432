//! The catalogue of packet programs: name, input kind, layer. The rows come from `bpf/catalogue.def`, which the C side
//! expands too, so that a program is added in one place. Nothing here touches the kernel.

use std::fmt;

/// One packet program that users can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// Stable number by which the kernel side knows it.
    pub number: u32,
    pub name: &'static str,
    pub input: InputKind,
    /// `Some` when the program may stand in a chain.
    pub layer: Option<Layer>,
}

/// What a program wants to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    None,
    Address,
    Port,
    EtherTypes,
    Protocols,
}

/// Where in the packet a chainable program looks; a chain never goes back to an earlier layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    L2,
    L3,
    L4,
}

/// Every program, sorted by name.
pub const PROGRAMS: &[Program] = &include!(concat!(env!("OUT_DIR"), "/catalogue_rows.rs"));

/// The program called `name`, case ignored.
pub fn find(name: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|p| p.name.eq_ignore_ascii_case(name))
}

/// The program called `name`, a `user`'s own among them.
pub fn find_with(name: &str, user: Option<&'static Program>) -> Option<&'static Program> {
    find(name).or_else(|| user.filter(|p| p.name.eq_ignore_ascii_case(name)))
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_numbers_are_unique() {
        assert!(PROGRAMS.windows(2).all(|w| w[0].name < w[1].name));
        let mut numbers: Vec<u32> = PROGRAMS.iter().map(|p| p.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), PROGRAMS.len());
        assert!(!numbers.contains(&0));
    }

    #[test]
    fn names_ignore_case() {
        assert_eq!(find("NoP").map(|p| p.name), Some("nop"));
        assert_eq!(find("0"), None);
        assert_eq!(find("allow_ethertype").and_then(|p| p.layer), Some(Layer::L2));
    }
}
