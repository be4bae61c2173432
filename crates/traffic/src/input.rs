//! The INPUT word of a catalogue program: text in, numbers in host byte order out, or the reason it is refused.
//! The reasons are part of the command line contract. No I/O, no kernel.

use crate::catalogue::InputKind;
use std::net::Ipv4Addr;

/// What a program is configured with, in host byte order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    None,
    Address(Ipv4Addr),
    Port(u16),
    EtherTypes(Vec<u16>),
    Protocols(Vec<u8>),
}

impl Input {
    /// Reads the text given for a program of kind `kind`; the error is the reason alone.
    pub fn parse(kind: InputKind, text: &str) -> Result<Input, &'static str> {
        match kind {
            InputKind::None => Err("program does not accept input"),
            InputKind::Address => text.parse().map(Input::Address).map_err(|_| "invalid IP address"),
            InputKind::Port => port(text).map(Input::Port),
            InputKind::EtherTypes => set(text, &ETHERTYPE_WORDS, ethertype).map(Input::EtherTypes),
            InputKind::Protocols => set(text, &PROTOCOL_WORDS, protocol).map(Input::Protocols),
        }
    }

    /// The values as the kernel side reads them.
    pub fn values(&self) -> Vec<u32> {
        match self {
            Input::None => Vec::new(),
            Input::Address(address) => vec![u32::from(*address)],
            Input::Port(port) => vec![u32::from(*port)],
            Input::EtherTypes(types) => types.iter().map(|t| u32::from(*t)).collect(),
            Input::Protocols(protocols) => protocols.iter().map(|p| u32::from(*p)).collect(),
        }
    }
}

/// Decimal 1..65535; blanks and a plus sign in front are accepted, as strtoul does.
fn port(text: &str) -> Result<u16, &'static str> {
    let digits = text.trim_start_matches(is_blank);
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let all_digits = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = if all_digits { digits.parse::<u16>().ok() } else { None };
    number.filter(|n| *n != 0).ok_or("invalid port number")
}

/// The texts that differ between the two kinds of sets.
struct SetWords {
    empty: &'static str,
    too_long: &'static str,
    too_many: &'static str,
    duplicate: &'static str,
}

fn set<T: PartialEq>(
    text: &str,
    words: &SetWords,
    parse: fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, &'static str> {
    check_shape(text, words)?;
    let mut values = Vec::new();
    for token in text.split('+') {
        if token.contains(is_blank) {
            return Err("value must not contain whitespace");
        }
        if values.len() == MAX_VALUES {
            return Err(words.too_many);
        }
        let value = parse(token)?;
        if values.contains(&value) {
            return Err(words.duplicate);
        }
        values.push(value);
    }
    Ok(values)
}

fn check_shape(text: &str, words: &SetWords) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err(words.empty);
    }
    if text.starts_with('+') {
        return Err("input must not start with '+'");
    }
    if text.ends_with('+') {
        return Err("input must not end with '+'");
    }
    if text.contains("++") {
        return Err("input contains empty value between '+' delimiters");
    }
    if text.len() > MAX_SET_BYTES { Err(words.too_long) } else { Ok(()) }
}

fn ethertype(token: &str) -> Result<u16, &'static str> {
    if let Some((_, value)) = ETHERTYPE_NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(token)) {
        return Ok(*value);
    }
    let Some(hex) = token.strip_prefix("0x").or_else(|| token.strip_prefix("0X")) else {
        return Err("unknown EtherType name");
    };
    let all_hex = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let significant = hex.trim_start_matches('0');
    let value = if all_hex { u16::from_str_radix(significant, 16).ok() } else { None };
    value.filter(|v| *v >= MIN_ETHERTYPE).ok_or("invalid EtherType hex value")
}

fn protocol(token: &str) -> Result<u8, &'static str> {
    if let Some((_, value)) = PROTOCOL_NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(token)) {
        return Ok(*value);
    }
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_digit()) {
        return Err("unknown protocol name (use a number 0-255)");
    }
    let significant = token.trim_start_matches('0');
    let value = if significant.is_empty() { Some(0) } else { significant.parse().ok() };
    value.ok_or("protocol number out of range (0-255)")
}

/// What C calls a space.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

const MAX_VALUES: usize = 8;
const MAX_SET_BYTES: usize = 255;
/// Smaller numbers in that place are frame lengths (IEEE 802.3).
const MIN_ETHERTYPE: u16 = 0x0600;
const ETHERTYPE_NAMES: [(&str, u16); 5] =
    [("ipv4", 0x0800), ("ipv6", 0x86dd), ("arp", 0x0806), ("vlan", 0x8100), ("qinq", 0x88a8)];
const PROTOCOL_NAMES: [(&str, u8); 4] = [("tcp", 6), ("udp", 17), ("icmp", 1), ("sctp", 132)];
const ETHERTYPE_WORDS: SetWords = SetWords {
    empty: "empty EtherType list",
    too_long: "EtherType list too long",
    too_many: "too many EtherType values",
    duplicate: "duplicate EtherType value",
};
const PROTOCOL_WORDS: SetWords = SetWords {
    empty: "empty protocol list",
    too_long: "protocol list too long",
    too_many: "too many protocol values",
    duplicate: "duplicate protocol value",
};

#[cfg(test)]
mod tests {
    use super::*;
    use InputKind::{Address, EtherTypes, Port, Protocols};

    #[test]
    fn accepts() {
        let check = |kind, text: &str, values: &[u32]| {
            assert_eq!(Input::parse(kind, text).map(|i| i.values()), Ok(values.to_vec()), "{text}");
        };
        check(Address, "0.0.0.0", &[0]);
        check(Address, "10.0.0.53", &[0x0a00_0035]);
        check(Port, "0443", &[443]);
        check(Port, " \t+65535", &[65535]);
        check(EtherTypes, "IPv4+0X86dd+arp", &[0x800, 0x86dd, 0x806]);
        check(EtherTypes, "0x00000600", &[0x600]);
        check(Protocols, "TCP+0+0017+255", &[6, 0, 17, 255]);
    }

    #[test]
    fn refuses_with_the_reason() {
        let check = |kind, text: &str, reason: &str| assert_eq!(Input::parse(kind, text), Err(reason), "{text}");
        for text in ["", "1.2.3", "1.2.3.4/8", "256.1.1.1", "01.2.3.4", "::1", " 1.2.3.4"] {
            check(Address, text, "invalid IP address");
        }
        for text in ["", "0", "65536", "-1", "443x", "0x1bb", "+", "99999999999999999999"] {
            check(Port, text, "invalid port number");
        }
        for text in ["0x", "0x0000", "0x05ff", "0x10000", "0x08g0", "0x-800"] {
            check(EtherTypes, text, "invalid EtherType hex value");
        }
        check(EtherTypes, "2048", "unknown EtherType name");
        check(EtherTypes, "", "empty EtherType list");
        check(EtherTypes, "+arp", "input must not start with '+'");
        check(EtherTypes, "arp+", "input must not end with '+'");
        check(EtherTypes, "arp++ipv4", "input contains empty value between '+' delimiters");
        check(EtherTypes, "arp+ ipv4", "value must not contain whitespace");
        check(EtherTypes, "arp+0x806", "duplicate EtherType value");
        check(Protocols, "1+2+3+4+5+6+7+8+9", "too many protocol values");
        check(Protocols, "6+tcp", "duplicate protocol value");
        check(Protocols, "256", "protocol number out of range (0-255)");
        check(Protocols, "99999999999999999999999", "protocol number out of range (0-255)");
        check(Protocols, "6x", "unknown protocol name (use a number 0-255)");
        check(Protocols, &"0".repeat(256), "protocol list too long");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "\\PC*") {
            for kind in [InputKind::None, Address, Port, EtherTypes, Protocols] {
                let values = Input::parse(kind, &text).map(|i| i.values().len()).unwrap_or(0);
                proptest::prop_assert!(values <= MAX_VALUES);
            }
        }
    }
}
