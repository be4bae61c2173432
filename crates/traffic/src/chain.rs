//! Chains of catalogue programs: `NAME:INPUT,...` in, stages in order out, or the one message that says what is wrong.
//! Messages and the order of checks are part of the command line contract. No I/O, no kernel.

use crate::catalogue::{self, InputKind, Layer, Program};
use crate::input::Input;

/// A program with its input: one step of a chain, or all of a single attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    pub program: &'static Program,
    pub input: Input,
}

/// What is put on an interface when programs are named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// One program alone: what it does not understand it judges by itself.
    Single(Stage),
    /// Programs one after the other: what one does not understand it leaves to the others.
    Chain(Vec<Stage>),
}

impl Selection {
    /// The stages in order.
    pub fn stages(&self) -> &[Stage] {
        match self {
            Selection::Single(stage) => std::slice::from_ref(stage),
            Selection::Chain(stages) => stages,
        }
    }
}

/// Reads and validates a chain of the catalogue's programs.
///
/// # Errors
/// See [`parse_with`].
pub fn parse(text: &str) -> Result<Vec<Stage>, String> {
    parse_with(text, None)
}

/// Reads and validates a chain, in which a `user`'s program may stand, too.
///
/// # Errors
/// The first entry that is wrong, or the order. Nothing is attached unless all of it is right.
pub fn parse_with(text: &str, user: Option<&'static Program>) -> Result<Vec<Stage>, String> {
    if text.is_empty() {
        return Err("--chain requires at least one program".into());
    }
    let mut stages = Vec::new();
    for entry in text.split(',') {
        if entry.is_empty() {
            return Err("empty chain entry".into());
        }
        if stages.len() == MAX_STAGES {
            return Err(format!("chain exceeds maximum of {MAX_STAGES} programs"));
        }
        stages.push(stage(entry, user)?);
    }
    check_order(&stages)?;
    Ok(stages)
}

fn stage(entry: &str, user: Option<&'static Program>) -> Result<Stage, String> {
    let (name, value) = entry.split_once(':').map_or((entry, None), |(name, value)| (name, Some(value)));
    let program = catalogue::find_with(name, user).ok_or_else(|| format!("unknown program in chain: '{name}'"))?;
    let input = match (value, program.input) {
        (Some(text), kind) => Input::parse(kind, text).map_err(|reason| format!("{reason}: '{text}'"))?,
        (None, InputKind::None) => Input::None,
        (None, _) => return Err(format!("program '{program}' in chain requires an input value (use name:value)")),
    };
    Ok(Stage { program, input })
}

fn check_order(stages: &[Stage]) -> Result<(), String> {
    if let Some(stage) = stages.iter().find(|s| s.program.layer.is_none()) {
        return Err(format!("program '{}' does not support chaining", stage.program));
    }
    let layers: Vec<Layer> = stages.iter().filter_map(|s| s.program.layer).collect();
    let gated = layers.first() == Some(&Layer::L2);
    if !gated && layers.iter().any(|l| *l != Layer::L2) {
        return Err("L3/L4 chains must start with allow_ethertype".into());
    }
    if !layers.is_sorted() {
        return Err("chain order must be L2 -> L3 -> L4".into());
    }
    if stages.len() > 1 && stages.iter().any(|s| names_a_tag(&s.input)) {
        return Err("VLAN EtherTypes in allow_ethertype chains require VLAN-aware L3/L4 parsing".into());
    }
    Ok(())
}

fn names_a_tag(input: &Input) -> bool {
    matches!(input, Input::EtherTypes(types) if types.iter().any(|t| TAG_TYPES.contains(t)))
}

/// Slots of a chain on the kernel side (`STAGES_PER_CHAIN` in frame.h).
pub const MAX_STAGES: usize = 8;
const TAG_TYPES: [u16; 2] = [0x8100, 0x88a8];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts() {
        for (text, names) in [
            ("allow_ethertype:ipv4+arp", vec!["allow_ethertype"]),
            ("allow_ethertype:vlan", vec!["allow_ethertype"]),
            ("ALLOW_ETHERTYPE:ipv4,allow_port:443,allow_port:443", vec!["allow_ethertype", "allow_port", "allow_port"]),
            (
                "allow_ethertype:ipv4,allow_proto:tcp,allow_ipv4:10.0.0.1,allow_dns:10.0.0.53",
                vec!["allow_ethertype", "allow_proto", "allow_ipv4", "allow_dns"],
            ),
        ] {
            let stages = parse(text).unwrap();
            assert_eq!(stages.iter().map(|s| s.program.name).collect::<Vec<_>>(), names);
        }
    }

    #[test]
    fn refuses_with_the_message() {
        let check = |text: &str, message: &str| assert_eq!(parse(text).unwrap_err(), message, "{text}");
        check("", "--chain requires at least one program");
        check(",nop", "empty chain entry");
        check("allow_ethertype:arp,", "empty chain entry");
        check(&["allow_ethertype:arp"; 9].join(","), "chain exceeds maximum of 8 programs");
        check("bogus:1", "unknown program in chain: 'bogus'");
        check("allow_port", "program 'allow_port' in chain requires an input value (use name:value)");
        check("allow_port:", "invalid port number: ''");
        check("nop:x", "program does not accept input: 'x'");
        check("allow_ethertype:ipv4,nop", "program 'nop' does not support chaining");
        check("block_port:443", "program 'block_port' does not support chaining");
        check("allow_port:443", "L3/L4 chains must start with allow_ethertype");
        check("allow_port:1,allow_ethertype:ipv4", "L3/L4 chains must start with allow_ethertype");
        check("allow_ethertype:ipv4,allow_port:1,allow_proto:6", "chain order must be L2 -> L3 -> L4");
        check(
            "allow_ethertype:vlan,allow_port:1",
            "VLAN EtherTypes in allow_ethertype chains require VLAN-aware L3/L4 parsing",
        );
        check(
            "allow_ethertype:0x88a8+ipv4,allow_ethertype:ipv4",
            "VLAN EtherTypes in allow_ethertype chains require VLAN-aware L3/L4 parsing",
        );
    }
}
