//! Random policies over a small world of addresses and ports, so that rules overlap and frames hit them.

use super::Random;
use traffic::policy::ranges::{Addresses, Ranges};
use traffic::policy::*;

pub const PORTS: [u16; 8] = [0, 22, 53, 67, 443, 8000, 8080, 65535];
pub const PROTOCOLS: [u8; 8] = [1, 6, 17, 58, 132, 50, 0, 255];

pub fn random(random: &mut Random) -> Policy {
    let most = if random.one_in(8) { 150 } else { 12 };
    let rules = random.below(most);
    Policy {
        name: "fuzz".into(),
        target: Target::default(),
        direction: Directions::Both,
        default: verdict(random),
        audit: random.one_in(6),
        state: State { enabled: random.one_in(2), capacity: 16_384, recheck: false },
        essentials: Essential::ALL.iter().copied().filter(|_| random.one_in(2)).collect(),
        malformed: verdict(random),
        log: *random.pick(&[Log::None, Log::Denied, Log::All]),
        last_word: random.one_in(2),
        rules: (0..rules).map(|at| rule(random, at)).collect(),
    }
}

fn verdict(random: &mut Random) -> Verdict {
    *random.pick(&[Verdict::Allow, Verdict::Deny])
}

fn rule(random: &mut Random, at: usize) -> Rule {
    let flows = 1 + random.below(3);
    Rule {
        name: format!("r{at}"),
        verdict: verdict(random),
        audit: random.one_in(5),
        flows: (0..flows).map(|_| flow(random)).collect(),
    }
}

fn flow(random: &mut Random) -> Flow {
    let mut flow =
        Flow { direction: *random.pick(&[None, None, None, Some(Direction::In), Some(Direction::Out)]), ..Flow::any() };
    if random.one_in(10) {
        flow.ethertypes = Ranges::one(*random.pick(&[0x0806, 0x88cc, 0x0000]));
        return flow;
    }
    flow.from = random.one_in(3).then(|| addresses(random));
    flow.to = random.one_in(2).then(|| addresses(random));
    match random.below(5) {
        0 => flow.protocols = Ranges::new((0..2).map(|_| *random.pick(&PROTOCOLS)).map(|p| (p, p)).collect()),
        1 | 2 => {
            flow.protocols = Ranges::new(vec![*random.pick(&[(6, 6), (17, 17), (132, 132)])]);
            flow.ports = if random.one_in(4) { Ranges::default() } else { ports(random) };
            flow.source_ports = if random.one_in(3) { ports(random) } else { Ranges::default() };
        }
        3 => {
            flow.protocols = Ranges::one(*random.pick(&[1, 58]));
            let kind = *random.pick(&[0u16, 3, 8, 128, 135]);
            flow.icmp = Ranges::new(vec![if random.one_in(2) {
                (kind << 8, kind << 8 | 255)
            } else {
                (kind << 8 | 4, kind << 8 | 4)
            }]);
        }
        _ => {}
    }
    flow
}

fn ports(random: &mut Random) -> Ranges<u16> {
    let range = |random: &mut Random| {
        let (a, b) = (*random.pick(&PORTS), *random.pick(&PORTS));
        (a.min(b), if random.one_in(2) { a.min(b) } else { a.max(b) })
    };
    Ranges::new((0..1 + random.below(3)).map(|_| range(random)).collect())
}

fn addresses(random: &mut Random) -> Addresses {
    let nets: Vec<_> = (0..1 + random.below(4)).map(|_| net(random)).collect();
    let all = Addresses::of(&nets);
    if random.one_in(3) { all.without(&Addresses::of(&[net(random)])) } else { all }
}

fn net(random: &mut Random) -> ipnet::IpNet {
    let nets = [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.0.0.0/24",
        "10.0.0.53/32",
        "10.0.0.54/31",
        "255.255.255.255/32",
        "0.0.0.0/32",
        "192.168.0.0/16",
        "::/0",
        "2001:db8::/32",
        "2001:db8::1/128",
        "2001:db8::2/127",
        "fe80::/10",
        "2001:db8:0:0:8000::/65",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
    ];
    random.pick(&nets).parse().unwrap()
}
