//! What the reader accepts, and what it says about mistakes: place, cause, fix.

use super::*;
use crate::describe;

fn check(text: &str) -> Result<Vec<Policy>, Vec<String>> {
    let read = read("p.yaml", text, &|path| match path {
        "nets" => Ok("10.0.0.0/8 # private\n\n192.168.0.0/16\n".to_owned()),
        "bad" => Ok("10.0.0.0/8\nrubbish\n".to_owned()),
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
    });
    read.map_err(|findings| {
        let place = |f: &Finding| f.span.as_ref().map_or(String::new(), |s| format!("{}:{} ", s.line, s.column));
        findings.iter().map(|f| format!("{}{}: {}", place(f), f.id, f.reason)).collect()
    })
}

fn rule_lines(text: &str) -> Vec<String> {
    let policy = check(text).unwrap().remove(0);
    describe::lines(&policy).into_iter().filter(|line| line.starts_with("rule")).collect()
}

#[test]
fn the_example_is_valid() {
    let text = include_str!("../../../../../examples/policy.yaml");
    assert_eq!(check(text).unwrap()[0].rules.len(), 3);
}

#[test]
fn defaults_are_the_safe_ones() {
    let policy = check("name: p").unwrap().remove(0);
    assert_eq!((policy.default, policy.malformed, policy.audit), (Verdict::Deny, Verdict::Deny, false));
    assert_eq!((policy.direction, policy.state.enabled, policy.essentials.len()), (Directions::Out, true, 4));
}

#[test]
fn sets_exceptions_and_ranges() {
    let text = "name: p\nessential: none\nsets: {a: {file: nets}, b: [10.1.0.0/16]}\nrules:\n  - {name: r, action: deny, to: [a, 1.1.1.1], except: b, protocol: [tcp, 17], port: [443, 80-81, 79]}\n  - {name: s, action: allow, from: 'fe80::/10', icmpv6: [135, packet-too-big/0]}\n  - {name: t, action: allow, ethertype: [lldp, 0x9000]}\n  - {name: u, action: allow, except: 0.0.0.0/1, family: ipv4}\n";
    assert_eq!(
        rule_lines(text),
        [
            "rule 1 r: deny to 1.1.1.1/32,10.0.0.0/16,10.2.0.0/15,10.4.0.0/14,10.8.0.0/13,10.16.0.0/12,10.32.0.0/11,10.64.0.0/10,10.128.0.0/9,192.168.0.0/16 tcp,udp port 79-81,443",
            "rule 2 s: allow from fe80::/10 icmpv6 type packet-too-big,neighbour-solicitation",
            "rule 3 t: allow ethertype 0x88cc,0x9000",
            "rule 4 u: allow to 128.0.0.0/1",
        ]
    );
}

#[test]
fn all_mistakes_at_once_with_their_places() {
    let text = "name: 'no good'\ncolour: red\nstateful: maybe\nrules:\n  - name: a\n    action: allow\n    to: 10.0.0.300\n    port: 443\n  - name: a\n    action: deny\n    any: []\n  - {name: b, action: allow, to: 10.0.0.1, from: '::1'}\n  - {action: allow}\n";
    let all = check(text).unwrap_err();
    assert_eq!(all[..2], ["1:7 bad-name: `no good` is no policy name", "2:1 unknown-key: unknown key `colour`"]);
    assert_eq!(all.len(), 9, "a bad name hides nothing: {all:#?}");
    let text = text.replace("'no good'", "good").replace("colour: red\n", "");
    assert_eq!(
        check(&text).unwrap_err(),
        [
            "2:11 bad-choice: `maybe` is not possible here",
            "6:9 bad-cidr: `10.0.0.300` is no address, no CIDR and no set",
            "7:11 port-protocol: `port` without a protocol that has ports",
            "8:11 duplicate-rule: rule `a` occurs twice",
            "10:10 empty-any: `any` has no entries",
            "11:5 no-family: no packet can match: source and destination share no address family",
            "12:5 rule-name: rule has no usable `name`",
        ]
    );
}

#[test]
fn the_direction_of_a_rule_is_that_of_its_flows() {
    let text = "name: p\ndirection: both\nessential: none\nrules:\n  - name: r\n    action: allow\n    direction: out\n    any:\n      - {protocol: 47}\n      - {protocol: 50, direction: in}\n";
    assert_eq!(rule_lines(text), ["rule 1 r: allow out gre", "rule 1 r: allow in esp"]);
}

#[test]
fn one_mistake_is_one_finding() {
    let text = "name: p\nrules:\n  - {name: r, action: allow, protocol: tpc, port: 443}\n";
    assert_eq!(check(text).unwrap_err(), ["3:40 bad-protocol: unknown protocol `tpc`"]);
}

#[test]
fn files_of_sets() {
    assert_eq!(
        check("name: p\nsets: {a: {file: gone}}").unwrap_err(),
        ["2:18 set-file: set file `gone`: entity not found"]
    );
    assert_eq!(
        check("name: p\nsets: {a: {file: bad}}").unwrap_err(),
        ["2:18 bad-cidr: set file `bad`, line 2: `rubbish` is no address and no CIDR"]
    );
}

#[test]
fn broken_yaml_and_empty_files() {
    assert!(check("name: [").unwrap_err()[0].contains("yaml-syntax"));
    assert_eq!(check("").unwrap_err(), ["empty-policy: the file holds no policy"]);
    assert_eq!(check("- a").unwrap_err(), ["1:1 not-a-mapping: a mapping is wanted here"]);
    assert_eq!(check("name: a\n---\nname: a").unwrap_err(), ["duplicate-policy: policy `a` occurs twice"]);
}

#[test]
fn the_schema_knows_the_same_keys() {
    let schema: serde_json::Value = serde_json::from_str(crate::policy::schema::SCHEMA).unwrap();
    let keys = |pointer: &str| {
        let mut keys: Vec<String> = schema.pointer(pointer).unwrap().as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let sorted = |keys: &[&str]| {
        let mut keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys("/properties"), sorted(KEYS));
    assert_eq!(keys("/$defs/rule/properties"), sorted(RULE_KEYS));
    assert_eq!(keys("/$defs/flow/properties"), sorted(flow::FLOW_KEYS));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z0-9 :\\[\\]{},/.'\n-]{0,120}") {
        let text = format!("name: p\nrules:\n  - {{name: x, action: allow, {text}}}\n");
        if let Err(problems) = check(&text) {
            proptest::prop_assert!(!problems.is_empty());
        }
    }
}
