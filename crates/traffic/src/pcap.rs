//! Packet captures: bytes of a pcap or pcapng file in, frames with their times out. Both byte orders, micro- and
//! nanoseconds. A broken file gives the frames before the break and then one error. Nothing panics on any bytes.

/// A captured frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Since the epoch.
    pub time_nanos: u64,
    pub bytes: &'a [u8],
    /// On the wire; more than `bytes` when the capture was cut.
    pub length: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("neither pcap nor pcapng (capture with `tcpdump -w`)")]
    NotACapture,
    #[error("link type {0} is not Ethernet (capture on the interface itself, not on `any`)")]
    LinkType(u32),
    #[error("cut off or damaged at byte {0}")]
    Damaged(usize),
}

/// All frames of a file, in order.
#[derive(Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
    total: usize,
    format: Format,
    done: bool,
}

#[derive(Debug)]
enum Format {
    Pcap { big: bool, nanos: bool },
    Pcapng { big: bool, interfaces: Vec<Interface> },
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link_type: u32,
    /// Ticks per second.
    resolution: u64,
}

impl<'a> Frames<'a> {
    /// # Errors
    /// No capture, or not of Ethernet.
    pub fn open(file: &'a [u8]) -> Result<Frames<'a>, Error> {
        let magic: [u8; 4] = *file.first_chunk().ok_or(Error::NotACapture)?;
        let format = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => Format::Pcap { big: true, nanos: false },
            [0xd4, 0xc3, 0xb2, 0xa1] => Format::Pcap { big: false, nanos: false },
            [0xa1, 0xb2, 0x3c, 0x4d] => Format::Pcap { big: true, nanos: true },
            [0x4d, 0x3c, 0xb2, 0xa1] => Format::Pcap { big: false, nanos: true },
            [0x0a, 0x0d, 0x0d, 0x0a] => Format::Pcapng { big: false, interfaces: Vec::new() },
            _ => return Err(Error::NotACapture),
        };
        let mut rest = file;
        if let Format::Pcap { big, .. } = format {
            let link_type = u32_at(file, 20, big).ok_or(Error::Damaged(file.len()))? & 0x0fff_ffff;
            if link_type != ETHERNET {
                return Err(Error::LinkType(link_type));
            }
            rest = file.get(24..).unwrap_or_default();
        }
        Ok(Frames { rest, total: file.len(), format, done: false })
    }

    fn next_frame(&mut self) -> Option<Result<Frame<'a>, Error>> {
        loop {
            if self.rest.is_empty() || self.done {
                return None;
            }
            let at = self.total - self.rest.len();
            let found = match &mut self.format {
                Format::Pcap { big, nanos } => pcap_record(self.rest, *big, *nanos).map(|(f, used)| (Some(f), used)),
                Format::Pcapng { big, interfaces } => match pcapng_block(self.rest, big, interfaces) {
                    Some(Err(error)) => {
                        self.done = true;
                        return Some(Err(error));
                    }
                    Some(Ok(found)) => Some(found),
                    None => None,
                },
            };
            let Some((frame, used)) = found else {
                self.done = true;
                return Some(Err(Error::Damaged(at)));
            };
            self.rest = self.rest.get(used..).unwrap_or_default();
            if let Some(frame) = frame {
                return Some(Ok(frame));
            }
        }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_frame()
    }
}

/// The record at the beginning of `bytes` and its size.
fn pcap_record(bytes: &[u8], big: bool, nanos: bool) -> Option<(Frame<'_>, usize)> {
    let word = |at| u32_at(bytes, at, big);
    let (seconds, fraction, captured, length) = (word(0)?, word(4)?, word(8)? as usize, word(12)?);
    let fraction = u64::from(fraction) * if nanos { 1 } else { 1000 };
    let data = bytes.get(16..)?.get(..captured)?;
    Some((Frame { time_nanos: u64::from(seconds) * SECOND + fraction, bytes: data, length }, 16 + captured))
}

type Block<'a> = (Option<Frame<'a>>, usize);

/// The block at the beginning of `bytes` and its size; most blocks hold no frame.
fn pcapng_block<'a>(
    bytes: &'a [u8],
    big: &mut bool,
    interfaces: &mut Vec<Interface>,
) -> Option<Result<Block<'a>, Error>> {
    let kind = u32_at(bytes, 0, *big)?;
    if kind == SECTION_HEADER {
        *big = u32_at(bytes, 8, true)? == BYTE_ORDER_MAGIC;
        interfaces.clear();
    }
    let len = u32_at(bytes, 4, *big)? as usize;
    if len < 12 || !len.is_multiple_of(4) {
        return None;
    }
    let body = bytes.get(8..len.checked_sub(4)?)?;
    bytes.get(..len)?;
    let frame = match kind {
        INTERFACE => {
            interfaces.push(interface(body, *big)?);
            None
        }
        ENHANCED_PACKET => {
            let interface = *interfaces.get(u32_at(body, 0, *big)? as usize)?;
            if interface.link_type != ETHERNET {
                return Some(Err(Error::LinkType(interface.link_type)));
            }
            Some(enhanced_packet(body, *big, interface)?)
        }
        SIMPLE_PACKET => {
            let length = u32_at(body, 0, *big)?;
            let data = body.get(4..)?;
            Some(Frame { time_nanos: 0, bytes: data.get(..length as usize).unwrap_or(data), length })
        }
        _ => None,
    };
    Some(Ok((frame, len)))
}

fn interface(body: &[u8], big: bool) -> Option<Interface> {
    let link_type = u32::from(u16_at(body, 0, big)?);
    let mut resolution = 1_000_000;
    let mut options = body.get(8..).unwrap_or_default();
    while let (Some(code), Some(len)) = (u16_at(options, 0, big), u16_at(options, 2, big)) {
        let value = options.get(4..4 + usize::from(len))?;
        if code == OPTION_TIME_RESOLUTION {
            resolution = ticks(*value.first()?)?;
        }
        options = options.get(4 + usize::from(len).next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Interface { link_type, resolution })
}

/// Negative power of ten, or of two when the highest bit is set.
fn ticks(resolution: u8) -> Option<u64> {
    let exponent = u32::from(resolution & 0x7f);
    if resolution & 0x80 == 0 { 10u64.checked_pow(exponent) } else { 1u64.checked_shl(exponent) }
}

fn enhanced_packet(body: &[u8], big: bool, interface: Interface) -> Option<Frame<'_>> {
    let word = |at| u32_at(body, at, big);
    let stamp = u64::from(word(4)?) << 32 | u64::from(word(8)?);
    let (captured, length) = (word(12)? as usize, word(16)?);
    let nanos = u128::from(stamp) * u128::from(SECOND) / u128::from(interface.resolution.max(1));
    let bytes = body.get(20..)?.get(..captured)?;
    Some(Frame { time_nanos: u64::try_from(nanos).unwrap_or(u64::MAX), bytes, length })
}

fn u32_at(bytes: &[u8], at: usize, big: bool) -> Option<u32> {
    let word = *bytes.get(at..)?.first_chunk()?;
    Some(if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}

fn u16_at(bytes: &[u8], at: usize, big: bool) -> Option<u16> {
    let half = *bytes.get(at..)?.first_chunk()?;
    Some(if big { u16::from_be_bytes(half) } else { u16::from_le_bytes(half) })
}

/// Writes a pcap file of Ethernet frames (nanoseconds, little endian).
pub fn write<'a>(frames: impl IntoIterator<Item = (u64, &'a [u8])>) -> Vec<u8> {
    let mut file = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for (time_nanos, frame) in frames {
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        for word in [(time_nanos / SECOND) as u32, (time_nanos % SECOND) as u32, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}

const ETHERNET: u32 = 1;
const SECOND: u64 = 1_000_000_000;
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const OPTION_TIME_RESOLUTION: u16 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_wrote() {
        let file = write([(1_500_000_000_000_000_007, &[1u8; 20][..]), (2_000_000_000, &[2; 5])]);
        let frames: Vec<_> = Frames::open(&file).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(frames[0].time_nanos, 1_500_000_000_000_000_007);
        assert_eq!((frames[1].bytes, frames[1].length), (&[2u8; 5][..], 5));
    }

    #[test]
    fn a_cut_file_gives_frames_and_then_the_place() {
        let file = write([(0, &[1u8; 20][..]), (0, &[2; 5])]);
        let mut frames = Frames::open(&file[..file.len() - 1]).unwrap();
        assert!(frames.next().unwrap().is_ok());
        assert_eq!(frames.next(), Some(Err(Error::Damaged(60))));
        assert_eq!(frames.next(), None);
    }

    #[test]
    fn reads_pcapng() {
        let mut file = Vec::new();
        let mut block = |kind: u32, body: &[u8]| {
            let len = 12 + body.len() as u32;
            file.extend([&kind.to_le_bytes()[..], &len.to_le_bytes(), body, &len.to_le_bytes()].concat());
        };
        block(SECTION_HEADER, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
        block(INTERFACE, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0]);
        block(ENHANCED_PACKET, &[0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 3, 0, 0, 0, 60, 0, 0, 0, 1, 2, 3, 0]);
        let frames: Vec<_> = Frames::open(&file).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(frames, [Frame { time_nanos: 7, bytes: &[1, 2, 3], length: 60 }]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end(mut file in proptest::collection::vec(proptest::num::u8::ANY, 24..300), magic in 0usize..3) {
            file[..4].copy_from_slice(&[[0xd4, 0xc3, 0xb2, 0xa1], [0x0a, 0x0d, 0x0d, 0x0a], [0xa1, 0xb2, 0x3c, 0x4d]][magic]);
            if let Ok(frames) = Frames::open(&file) {
                proptest::prop_assert!(frames.count() <= 300);
            }
        }
    }
}
