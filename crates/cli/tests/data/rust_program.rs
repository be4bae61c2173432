//! An XDP program in Rust, without `core` so that it compiles for eBPF with nothing but rustc. Comes in: a context; goes out: a
//! verdict. Compiled by a test, never part of a crate.

#![feature(no_core, lang_items)]
#![allow(internal_features)]
#![no_core]

#[lang = "pointee_sized"]
pub trait PointeeSized {}
#[lang = "meta_sized"]
pub trait MetaSized: PointeeSized {}
#[lang = "sized"]
pub trait Sized: MetaSized {}
#[lang = "copy"]
pub trait Copy {}
impl Copy for u32 {}
impl<T> Copy for *const T {}
#[lang = "sync"]
pub trait Sync {}
impl Sync for u32 {}

#[repr(C)]
pub struct XdpContext {
    data: u32,
    data_end: u32,
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "xdp")]
pub extern "C" fn rusty(context: &XdpContext) -> u32 {
    match context.data_end {
        0 => 1,
        _ => 2,
    }
}

/// `GPL` and a zero byte, little-endian.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
pub static LICENSE: u32 = 0x004c_5047;

#[lang = "drop_in_place"]
fn drop_in_place<T>(_: *mut T) {}
