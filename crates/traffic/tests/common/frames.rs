//! Random frames of the same small world: well-formed ones, then cut, flipped and tagged.

use super::Random;
use super::policies::{PORTS, PROTOCOLS};

const V4: [[u8; 4]; 8] = [
    [10, 0, 0, 53],
    [10, 0, 0, 54],
    [10, 0, 0, 55],
    [10, 1, 2, 3],
    [192, 168, 1, 1],
    [0, 0, 0, 0],
    [255, 255, 255, 255],
    [8, 8, 8, 8],
];
const V6: [[u8; 16]; 6] = [
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 2],
    [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
    [0; 16],
    [255; 16],
];

pub fn random(random: &mut Random) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    for _ in 0..*random.pick(&[0, 0, 0, 0, 1, 2, 3]) {
        frame.extend(random.pick(&[0x8100u16, 0x88a8]).to_be_bytes());
        frame.extend((random.next() as u16).to_be_bytes());
    }
    match random.below(10) {
        0 => {
            frame.extend(random.pick(&[0x0806u16, 0x88cc, 0x0000, 0x9100, 46]).to_be_bytes());
            frame.extend([0; 46]);
        }
        1..=6 => ipv4(random, &mut frame),
        _ => ipv6(random, &mut frame),
    }
    mutate(random, &mut frame);
    frame
}

fn mutate(random: &mut Random, frame: &mut Vec<u8>) {
    if random.one_in(8) {
        let keep = 14 + random.below(frame.len() - 13);
        frame.truncate(keep);
    }
    while random.one_in(6) {
        let at = 12 + random.below(frame.len() - 12);
        frame[at] ^= 1 << random.below(8);
    }
}

fn ipv4(random: &mut Random, frame: &mut Vec<u8>) {
    let words = *random.pick(&[5u8, 5, 5, 5, 6, 15]);
    let protocol = *random.pick(&PROTOCOLS);
    let field = *random.pick(&[0u16, 0, 0, 0, 0, 0x4000, 0x2000, 0x2001, 1, 0x1fff]);
    frame.extend([8, 0, 0x40 | words, 0, 0, 0]);
    frame.extend((random.below(3) as u16).to_be_bytes());
    frame.extend(field.to_be_bytes());
    frame.extend([64, protocol, 0, 0]);
    frame.extend(random.pick(&V4));
    frame.extend(random.pick(&V4));
    frame.extend(vec![1; usize::from(words - 5) * 4]);
    transport(random, protocol, frame);
}

fn ipv6(random: &mut Random, frame: &mut Vec<u8>) {
    let mut next = *random.pick(&PROTOCOLS);
    let mut behind = Vec::new();
    transport(random, next, &mut behind);
    for _ in 0..*random.pick(&[0usize, 0, 0, 1, 1, 2, 3, 6, 7]) {
        let kind = *random.pick(&[0u8, 43, 60, 44, 44, 135]);
        let mut head = vec![next, 0];
        if kind == 44 {
            head.extend(random.pick(&[0u16, 1, 8, 9, 0xfff8]).to_be_bytes());
            head.extend((random.below(3) as u32).to_be_bytes());
        } else {
            let units = *random.pick(&[0u8, 0, 1, 4, 20, 31]);
            head[1] = units;
            head.extend(vec![0; 6 + usize::from(units) * 8]);
        }
        head.extend(&behind);
        behind = head;
        next = kind;
    }
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, next, 64]);
    frame.extend(random.pick(&V6));
    frame.extend(random.pick(&V6));
    frame.extend(behind);
}

fn transport(random: &mut Random, protocol: u8, frame: &mut Vec<u8>) {
    if protocol == 1 || protocol == 58 {
        frame.extend([*random.pick(&[0u8, 3, 8, 128, 129, 135, 2]), *random.pick(&[0u8, 4])]);
        frame.extend([0, 0, 0, random.below(3) as u8, 0, 0]);
    } else {
        frame.extend(random.pick(&PORTS).to_be_bytes());
        frame.extend(random.pick(&PORTS).to_be_bytes());
        frame.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x50, *random.pick(&[2u8, 0x12, 0x10, 0x11, 4, 0])]);
    }
    frame.extend([0; 6]);
}
