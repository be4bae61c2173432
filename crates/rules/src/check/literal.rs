//! The values that conditions spell, read by the type of the field they are compared with. Text that is not a value of
//! that type is an error with the text that load results show.

use super::CheckError;
use super::types::integer_width;
use event::ParamType;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A decimal number, cut to the width of `ty` as `scanf(3)` would.
pub fn number(text: &[u8], ty: ParamType) -> Result<i128, CheckError> {
    let text = String::from_utf8_lossy(text);
    if ty == ParamType::Port {
        return port(&text);
    }
    let invalid = || CheckError(format!("{text} is not a valid number"));
    let (signed, bits) = integer_width(ty).ok_or_else(invalid)?;
    let digits = text.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let (negative, digits) = match digits.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, digits.strip_prefix('+').unwrap_or(digits)),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(invalid());
    }
    let magnitude = digits.parse::<i128>().unwrap_or(i128::MAX >> 1);
    Ok(cut(if negative { -magnitude } else { magnitude }, signed, bits))
}

/// Saturates at 64 bits, then keeps the low `bits` bits.
fn cut(value: i128, signed: bool, bits: u32) -> i128 {
    let saturated = match signed {
        true => value.clamp(i64::MIN.into(), i64::MAX.into()),
        false if value.unsigned_abs() > u64::MAX.into() => u64::MAX.into(),
        false => value,
    };
    let low = saturated & ((1i128 << bits) - 1);
    let negative = signed && low >> (bits - 1) & 1 == 1;
    if negative { low - (1i128 << bits) } else { low }
}

fn port(text: &str) -> Result<i128, CheckError> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        let digits = text.trim_start_matches('0');
        return Ok(digits.bytes().fold(0, |n, b| (n * 10 + i128::from(b - b'0')) % 65536));
    }
    let service = SERVICES.iter().find(|(name, _)| *name == text);
    service.map(|(_, port)| i128::from(*port)).ok_or_else(|| CheckError(format!("unrecognized protocol {text}")))
}

pub fn boolean(text: &[u8]) -> Result<bool, CheckError> {
    match text {
        b"true" => Ok(true),
        b"false" => Ok(false),
        _ => {
            let text = String::from_utf8_lossy(text);
            Err(CheckError(format!("filter error: unrecognized boolean value {text}")))
        }
    }
}

pub fn address(text: &[u8]) -> Result<IpAddr, CheckError> {
    let text = String::from_utf8_lossy(text);
    if text.contains('.') && !text.contains(':') {
        let address = text.parse::<Ipv4Addr>().map(IpAddr::V4);
        return address.map_err(|_| CheckError(format!("unrecognized IPv4 address {text}")));
    }
    text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| CheckError(format!("unrecognized IPv6 address {text}")))
}

pub fn network(text: &[u8]) -> Result<IpNet, CheckError> {
    let text = String::from_utf8_lossy(text);
    let unrecognized = || CheckError(format!("unrecognized IP network {text}"));
    let is_v4 = text.contains('.') && !text.contains(':');
    let (address, mask) = match text.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None if is_v4 => return Err(unrecognized()),
        None => (&*text, None),
    };
    let address = self::address(address.as_bytes()).map_err(|_| unrecognized())?;
    let widest = if address.is_ipv4() { 32 } else { 128 };
    let invalid = |mask: &str| CheckError(format!("invalid netmask {mask}"));
    let prefix =
        mask.map_or(Ok(widest), |m| m.parse::<u8>().ok().filter(|p| *p <= widest).ok_or_else(|| invalid(m)))?;
    IpNet::new(address, prefix).map(|n| n.trunc()).map_err(|_| unrecognized())
}

/// Bytes written as pairs of hexadecimal digits.
pub fn hex(text: &[u8]) -> Result<Vec<u8>, CheckError> {
    let shown = String::from_utf8_lossy(text);
    let invalid = || CheckError(format!("filter error: {shown} is not a hexadecimal string of even length"));
    if !text.len().is_multiple_of(2) {
        return Err(invalid());
    }
    let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok()).ok_or_else(invalid);
    text.chunks_exact(2).map(|pair| Ok(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

/// Service names that ports may be written as (IANA service name registry); the well-known part of `services(5)`.
const SERVICES: &[(&str, u16)] = &[
    ("echo", 7),
    ("discard", 9),
    ("systat", 11),
    ("daytime", 13),
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("time", 37),
    ("whois", 43),
    ("tacacs", 49),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("gopher", 70),
    ("finger", 79),
    ("http", 80),
    ("www", 80),
    ("kerberos", 88),
    ("pop3", 110),
    ("sunrpc", 111),
    ("auth", 113),
    ("nntp", 119),
    ("ntp", 123),
    ("epmap", 135),
    ("netbios-ns", 137),
    ("netbios-dgm", 138),
    ("netbios-ssn", 139),
    ("imap2", 143),
    ("imap", 143),
    ("snmp", 161),
    ("snmp-trap", 162),
    ("xdmcp", 177),
    ("bgp", 179),
    ("irc", 194),
    ("ldap", 389),
    ("https", 443),
    ("microsoft-ds", 445),
    ("submissions", 465),
    ("isakmp", 500),
    ("exec", 512),
    ("login", 513),
    ("shell", 514),
    ("syslog", 514),
    ("printer", 515),
    ("talk", 517),
    ("route", 520),
    ("uucp", 540),
    ("klogin", 543),
    ("kshell", 544),
    ("nntps", 563),
    ("submission", 587),
    ("ipp", 631),
    ("ldaps", 636),
    ("iscsi-target", 860),
    ("rsync", 873),
    ("ftps-data", 989),
    ("ftps", 990),
    ("telnets", 992),
    ("imaps", 993),
    ("pop3s", 995),
    ("socks", 1080),
    ("openvpn", 1194),
    ("ms-sql-s", 1433),
    ("ms-sql-m", 1434),
    ("radius", 1812),
    ("radius-acct", 1813),
    ("mqtt", 1883),
    ("nfs", 2049),
    ("mysql", 3306),
    ("ms-wbt-server", 3389),
    ("svn", 3690),
    ("sip", 5060),
    ("sip-tls", 5061),
    ("xmpp-client", 5222),
    ("xmpp-server", 5269),
    ("mdns", 5353),
    ("postgresql", 5432),
    ("amqp", 5672),
    ("amqps", 5671),
    ("x11", 6000),
    ("redis", 6379),
    ("http-alt", 8080),
    ("mqtts", 8883),
    ("git", 9418),
    ("zabbix-agent", 10050),
    ("zabbix-trapper", 10051),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal_and_cut_to_their_type() {
        let cases: &[(&str, ParamType, Option<i128>)] = &[
            ("5", ParamType::Int64, Some(5)),
            (" +7", ParamType::Int64, Some(7)),
            ("-1", ParamType::Int64, Some(-1)),
            ("-1", ParamType::Uint32, Some(4_294_967_295)),
            ("-1", ParamType::Uint64, Some(i128::from(u64::MAX))),
            ("300", ParamType::Uint8, Some(44)),
            ("99999999999999999999999", ParamType::Int64, Some(i128::from(i64::MAX))),
            ("0x10", ParamType::Int64, None),
            ("5.5", ParamType::Double, None),
            ("1e3", ParamType::Uint64, None),
            ("", ParamType::Uint64, None),
            ("443", ParamType::Port, Some(443)),
            ("65537", ParamType::Port, Some(1)),
            ("https", ParamType::Port, Some(443)),
            ("nosuchservice", ParamType::Port, None),
        ];
        for (text, ty, expected) in cases {
            assert_eq!(number(text.as_bytes(), *ty).ok(), *expected, "{text} as {ty:?}");
        }
    }

    #[test]
    fn networks_need_a_prefix_when_v4() {
        assert_eq!(network(b"127.0.0.1/24").map(|n| n.to_string()), Ok("127.0.0.0/24".to_owned()));
        assert_eq!(network(b"10.0.0.1"), Err(CheckError::new("unrecognized IP network 10.0.0.1")));
        assert_eq!(network(b"10.0.0.0/33"), Err(CheckError::new("invalid netmask 33")));
        assert!(network(b"fe80::/10").is_ok());
        assert_eq!(address(b"1.2.3"), Err(CheckError::new("unrecognized IPv4 address 1.2.3")));
        assert!(address(b"::1").is_ok());
        assert_eq!(hex(b"0aFf"), Ok(vec![10, 255]));
        assert!(hex(b"0aF").is_err() && hex(b"zz").is_err());
    }
}
