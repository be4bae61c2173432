//! Event parameters as text and values. In: one parameter of an event and the state behind it. Out: its raw text
//! (`3`), its resolved text (`<f>/etc/passwd`), both together (`fd=3(<f>/etc/passwd)`), or its typed value. Text of
//! foreign origin leaves here as valid UTF-8.

use super::text::{Text, c_string, valid};
use super::{address, names, paths, time, users};
use crate::context::Context;
use crate::state::path::AT_FDCWD;
use crate::state::{FdEntry, thread::items};
use bumpalo::Bump;
use event::snapshot::L4;
use event::tables::{Base, Domain, FlagTable, ParamType, Sc};
use event::{ParamInfo, Value};

/// One parameter of the event at hand. A dynamic parameter shows the type and value of its variant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param<'a> {
    ctx: &'a Context<'a>,
    info: &'static ParamInfo,
    ty: ParamType,
    bytes: &'a [u8],
}

impl<'a> Param<'a> {
    /// Parameter `index`; `None` when the event does not carry that many.
    pub(crate) fn at(ctx: &'a Context<'a>, index: usize) -> Option<Self> {
        let info = ctx.event.kind.info()?.params.get(index)?;
        let bytes = ctx.event.param(index)?;
        let plain = Param { ctx, info, ty: info.ty, bytes };
        if info.ty != ParamType::Dyn {
            return Some(plain);
        }
        Some(plain.variant().unwrap_or(plain))
    }

    /// The parameter called `name`.
    pub(crate) fn named(ctx: &'a Context<'a>, name: &str) -> Option<Self> {
        let index = ctx.event.kind.info()?.params.iter().position(|p| p.name == name)?;
        Param::at(ctx, index)
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn ty(&self) -> ParamType {
        self.ty
    }

    /// Resolved text if there is any, else raw text.
    pub(crate) fn text(&self, arena: &'a Bump) -> &'a [u8] {
        if self.is_plain_text() {
            return valid(c_string(self.bytes), arena);
        }
        let mut out = Text::new(arena);
        self.push_resolved(&mut out, arena);
        if out.is_empty() {
            self.push_raw(&mut out);
        }
        out.finish()
    }

    /// `name=raw` or `name=raw(resolved)`.
    pub(crate) fn push_labelled(&self, out: &mut Text<'_>, arena: &'a Bump) {
        out.push(self.info.name.as_bytes());
        out.push(b"=");
        self.push_raw(out);
        let mark = out.len();
        out.push(b"(");
        self.push_resolved(out, arena);
        if out.len() == mark + 1 {
            out.truncate(mark);
        } else {
            out.push(b")");
        }
    }

    /// The text that shows the value itself.
    pub(crate) fn push_raw(&self, out: &mut Text<'_>) {
        use ParamType as T;
        if self.bytes.is_empty() {
            out.push(empty_text(self.ty));
            return;
        }
        match self.ty {
            T::Int8 | T::Int16 | T::Int32 | T::Int64 if self.info.base != Base::Hex => {
                out.push_signed(self.signed());
            }
            T::Errno | T::Fd | T::Fd32 | T::Pid | T::Pid32 => out.push_signed(self.signed()),
            T::Int8 | T::Int16 | T::Int32 | T::Int64 => push_based(out, self.unsigned(), Base::Hex),
            T::Uint8 | T::Uint16 | T::Uint32 | T::Uint64 => push_based(out, self.unsigned(), self.info.base),
            T::Mode => push_based(out, self.unsigned(), Base::Oct),
            T::Uid | T::Gid if self.is_unset_id() => out.push(b"-1"),
            T::Abstime => time::push_date_clock(out, self.unsigned(), &self.ctx.around.zone),
            T::Bool => out.put(format_args!("{}", self.unsigned() != 0)),
            T::Double => out.put(format_args!("{:.1}", f64::from_bits(self.unsigned()))),
            T::Charbuf | T::Fspath | T::Fsrelpath => out.push_valid(c_string(self.bytes)),
            T::Charbufarray | T::CharbufPairArray => push_items(out, self.bytes),
            T::Bytebuf | T::Dyn | T::Ipnet => out.push_dotted(self.bytes),
            T::Ipv4addr | T::Ipv6addr | T::Ipaddr => self.push_ip(out),
            T::Sockaddr => push_or_family(out, self.bytes, address::push_sockaddr),
            T::Socktuple => push_or_family(out, self.bytes, address::push_tuple),
            T::Fdlist => self.push_fdlist(out),
            _ => out.push_number(self.unsigned()),
        }
    }

    /// The text that shows what the value stands for; nothing when it stands for itself.
    pub(crate) fn push_resolved(&self, out: &mut Text<'_>, arena: &'a Bump) {
        use ParamType as T;
        if self.bytes.is_empty() {
            return;
        }
        match self.ty {
            T::Errno => push_errno(out, self.signed()),
            T::Fd | T::Fd32 => self.push_fd(out),
            T::Pid | T::Pid32 => self.push_comm(out),
            T::Uid => out.push_valid(users::user_name(self.ctx, self.id()).unwrap_or(users::UNSET_ID)),
            T::Gid => out.push_valid(users::group_name(self.ctx, self.id()).unwrap_or(users::UNSET_ID)),
            T::Flags8 | T::Flags16 | T::Flags32 | T::Mode => self.with_flags(|f| push_bits(out, f, self.unsigned())),
            T::Enumflags8 | T::Enumflags16 | T::Enumflags32 => {
                self.with_flags(|f| push_values(out, f, self.unsigned()));
            }
            T::Sigtype => out.push(names::signal(self.unsigned()).unwrap_or_default().as_bytes()),
            T::Sigset => push_signals(out, self.unsigned()),
            T::Syscallid => out.push(self.syscall_name().as_bytes()),
            T::Reltime => push_seconds(out, self.unsigned(), arena),
            T::Fspath | T::Fsrelpath => self.push_path(out, arena),
            _ => {}
        }
    }

    /// The typed value; `None` when it is empty.
    pub(crate) fn value(&self, arena: &'a Bump) -> Option<Value<'a>> {
        use ParamType as T;
        if self.bytes.is_empty() {
            return None;
        }
        Some(match self.ty {
            T::Int8 | T::Int16 | T::Int32 | T::Int64 | T::Errno | T::Fd | T::Fd32 | T::Pid | T::Pid32 => {
                Value::Int(self.signed())
            }
            T::Bool => Value::Bool(self.unsigned() != 0),
            T::Double => Value::Double(f64::from_bits(self.unsigned())),
            T::Charbuf | T::Fspath | T::Fsrelpath => Value::Str(valid(c_string(self.bytes), arena)),
            T::Ipv4addr | T::Ipv6addr | T::Ipaddr => Value::Ip(address::ip(self.bytes)?),
            T::Bytebuf
            | T::Charbufarray
            | T::CharbufPairArray
            | T::Sockaddr
            | T::Socktuple
            | T::Fdlist
            | T::Ipnet
            | T::Dyn => Value::Bytes(self.bytes),
            _ => Value::Uint(self.unsigned()),
        })
    }

    fn variant(self) -> Option<Self> {
        let Some(Domain::Variants(types)) = self.info.domain else { return None };
        let (tag, bytes) = self.bytes.split_first()?;
        let ty = *types.get(usize::from(*tag))?;
        Some(Param { ty, bytes, ..self })
    }

    fn signed(&self) -> i64 {
        let shift = 64 - 8 * self.bytes.len().clamp(1, 8);
        (self.unsigned() << shift).cast_signed() >> shift
    }

    fn unsigned(&self) -> u64 {
        self.bytes.iter().take(8).rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    fn id(&self) -> u32 {
        u32::try_from(self.unsigned()).unwrap_or(u32::MAX)
    }

    fn is_unset_id(&self) -> bool {
        self.id() == u32::MAX
    }

    fn with_flags(&self, print: impl FnOnce(&FlagTable)) {
        if let Some(Domain::Flags(flags)) = self.info.domain {
            print(flags);
        }
    }

    /// Text that nothing resolves: most of it, so it is not copied.
    fn is_plain_text(&self) -> bool {
        match self.ty {
            ParamType::Charbuf => !self.bytes.is_empty(),
            ParamType::Fspath | ParamType::Fsrelpath => self.bytes.first() == Some(&b'/'),
            _ => false,
        }
    }

    fn syscall_name(&self) -> &'static str {
        let code = u16::try_from(self.unsigned()).unwrap_or(u16::MAX);
        Sc(code).name().unwrap_or("unknown")
    }

    fn push_ip(&self, out: &mut Text<'_>) {
        if let Some(ip) = address::ip(self.bytes) {
            out.put(format_args!("{ip}"));
        }
    }

    fn push_fd(&self, out: &mut Text<'_>) {
        let number = self.signed();
        if number == AT_FDCWD {
            out.push(b"AT_FDCWD");
        } else if number < 0 {
            push_errno(out, number);
        } else if let Some(entry) = self.fd_entry(number) {
            push_fd_text(out, entry);
        }
    }

    fn fd_entry(&self, number: i64) -> Option<&'a FdEntry> {
        self.ctx.state.fd(self.ctx.thread?, number)
    }

    fn push_comm(&self, out: &mut Text<'_>) {
        if let Some(thread) = self.ctx.state.thread(self.signed()) {
            out.push_valid(&thread.comm);
        }
    }

    /// A relative path seen from the working directory or the directory that the call names.
    fn push_path(&self, out: &mut Text<'_>, arena: &'a Bump) {
        let name = c_string(self.bytes);
        if name.first().is_none_or(|c| *c == b'/') {
            return;
        }
        let dirfd = match self.ty {
            ParamType::Fspath => Some(AT_FDCWD),
            _ => self.info.dirfd.and_then(|index| self.ctx.event.i64(usize::from(index))),
        };
        if let (Some(dirfd), Some(_)) = (dirfd, self.ctx.thread) {
            out.push(paths::resolve(self.ctx, dirfd, name, arena));
        }
    }

    fn push_fdlist(&self, out: &mut Text<'_>) {
        let start = out.len();
        for (fd, flags) in address::poll_list(self.bytes) {
            out.separate(start, b" ");
            out.push_signed(fd);
            out.push(b":");
            out.push(self.fd_entry(fd).map_or(b"x", |entry| super::fd::typechar(entry.ty)));
            out.put(format_args!("{flags:x}"));
        }
    }
}

/// `<4t>1.2.3.4:5->6.7.8.9:10`: the kind of descriptor, its protocol if it is an IP socket, its name.
fn push_fd_text(out: &mut Text<'_>, entry: &FdEntry) {
    let protocol: &[u8] = match entry.l4() {
        L4::Tcp => b"t",
        L4::Udp => b"u",
        L4::Icmp => b"i",
        L4::Raw => b"r",
        L4::Unknown | L4::Na => b"",
    };
    for part in [b"<", &super::fd::typechar(entry.ty)[..], protocol, b">"] {
        out.push(part);
    }
    out.push_valid(&entry.name);
}

fn push_errno(out: &mut Text<'_>, number: i64) {
    if number < 0 {
        out.push(names::errno(number.unsigned_abs()).unwrap_or_default().as_bytes());
    }
}

/// Hexadecimal is upper case without prefix; octal has a leading zero.
fn push_based(out: &mut Text<'_>, value: u64, base: Base) {
    match base {
        Base::Hex => out.put(format_args!("{value:X}")),
        Base::Oct if value != 0 => out.put(format_args!("0{value:o}")),
        Base::Oct | Base::Dec | Base::Na => out.push_number(value),
    }
}

/// The names of the bits of `value`, in table order; a name that needs several bits takes them all.
fn push_bits(out: &mut Text<'_>, table: &FlagTable, value: u64) {
    let start = out.len();
    let mut left = value;
    for flag in table.flags {
        let bits = flag.value.cast_unsigned();
        if (bits != 0 && left & bits == bits) || (bits == 0 && value == 0) {
            left &= !bits;
            out.separate(start, b"|");
            out.push(flag.name.as_bytes());
        }
    }
}

/// All names of exactly `value`.
fn push_values(out: &mut Text<'_>, table: &FlagTable, value: u64) {
    let start = out.len();
    for flag in table.flags.iter().filter(|f| f.value.cast_unsigned() == value) {
        out.separate(start, b"|");
        out.push(flag.name.as_bytes());
    }
}

fn push_signals(out: &mut Text<'_>, set: u64) {
    let start = out.len();
    for name in (0..64).filter(|bit| set >> bit & 1 == 1).filter_map(|bit| names::signal(bit + 1)) {
        out.separate(start, b"|");
        out.push(name.as_bytes());
    }
}

fn push_items(out: &mut Text<'_>, list: &[u8]) {
    let start = out.len();
    for item in items(list) {
        out.separate(start, b" ");
        out.push_valid(item);
    }
}

fn push_or_family(out: &mut Text<'_>, bytes: &[u8], print: fn(&mut Text<'_>, &[u8]) -> Option<()>) {
    if print(out, bytes).is_none()
        && let Some(family) = bytes.first()
    {
        out.put(format_args!("family {family}"));
    }
}

/// Nanoseconds as seconds with at most six significant digits, as C's `%g` prints them: `1.5s`, `1e-05s`.
fn push_seconds(out: &mut Text<'_>, nanos: u64, arena: &Bump) {
    #[allow(clippy::cast_precision_loss)] // six digits are printed
    let seconds = nanos as f64 / 1e9;
    let scientific = super::text::format(arena, format_args!("{seconds:.5e}"));
    let text = std::str::from_utf8(scientific).unwrap_or_default();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        let fixed = super::text::format(arena, format_args!("{seconds:.decimals$}"));
        out.push(without_zeros(fixed));
    } else {
        out.push(without_zeros(mantissa.as_bytes()));
        let sign = if exponent < 0 { '-' } else { '+' };
        out.put(format_args!("e{sign}{:02}", exponent.unsigned_abs()));
    }
    out.push(b"s");
}

/// A decimal fraction without trailing zeros and without a dot that ends it.
fn without_zeros(number: &[u8]) -> &[u8] {
    if !number.contains(&b'.') {
        return number;
    }
    let end = number.iter().rposition(|c| *c != b'0').map_or(0, |last| last + 1);
    let kept = number.get(..end).unwrap_or(number);
    kept.strip_suffix(b".").unwrap_or(kept)
}

/// What stands for a parameter whose value was not available.
fn empty_text(ty: ParamType) -> &'static [u8] {
    match ty {
        ParamType::Bytebuf | ParamType::Socktuple | ParamType::Fdlist | ParamType::Dyn => b"NULL",
        _ => b"<NA>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::tables::domain;

    fn printed(print: impl FnOnce(&mut Text<'_>, &Bump)) -> String {
        let arena = Bump::new();
        let mut out = Text::new(&arena);
        print(&mut out, &arena);
        String::from_utf8_lossy(out.finish()).into_owned()
    }

    fn bits(table: &str, value: u64) -> String {
        let Some(Domain::Flags(table)) = domain(table) else { panic!("no table {table}") };
        printed(|out, _| push_bits(out, table, value))
    }

    #[test]
    fn flags_print_in_table_order_and_take_their_bits() {
        assert_eq!(bits("file_flags", 16646), "O_TRUNC|O_CREAT|O_WRONLY|O_F_CREATED");
        assert_eq!(bits("file_flags", 4099), "O_RDWR|O_CLOEXEC");
        assert_eq!(bits("file_flags", 0), "O_NONE");
        assert_eq!(bits("futex_operations", 129), "FUTEX_PRIVATE_FLAG|FUTEX_WAKE");
        assert_eq!(bits("futex_operations", 128), "FUTEX_PRIVATE_FLAG");
        assert_eq!(bits("clone_flags", 0), "");
    }

    #[test]
    fn enumerations_print_every_name_of_the_value() {
        let Some(Domain::Flags(table)) = domain("socket_families") else { panic!("no table") };
        assert_eq!(printed(|out, _| push_values(out, table, 1)), "AF_LOCAL|AF_UNIX");
        assert_eq!(printed(|out, _| push_values(out, table, 9999)), "");
    }

    #[test]
    fn seconds_print_like_percent_g() {
        let seconds = |nanos| printed(|out, arena| push_seconds(out, nanos, arena));
        assert_eq!(seconds(0), "0s");
        assert_eq!(seconds(1_500_000_000), "1.5s");
        assert_eq!(seconds(10_000), "1e-05s");
        assert_eq!(seconds(100_000), "0.0001s");
        assert_eq!(seconds(1_234_567_890), "1.23457s");
        assert_eq!(seconds(60_000_000_000), "60s");
        assert_eq!(seconds(1_234_567_000_000_000), "1.23457e+06s");
    }

    #[test]
    fn numbers_print_in_their_base() {
        assert_eq!(printed(|out, _| push_based(out, 0x7fad, Base::Hex)), "7FAD");
        assert_eq!(printed(|out, _| push_based(out, 0o666, Base::Oct)), "0666");
        assert_eq!(printed(|out, _| push_based(out, 0, Base::Oct)), "0");
    }
}
