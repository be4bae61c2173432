//! BPF Type Format: any bytes become types or an error, and every type can be asked for all it has. Must never happen: a panic, an
//! overflow, a chain of types followed without end.

#![no_main]

use elf::btf::Btf;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(btf) = Btf::parse(data) else { return };
    for id in btf.ids().take(4096) {
        let Some(ty) = btf.get(id) else { continue };
        let _ = (btf.name(&ty), btf.size_of(id), btf.skip_modifiers(id), btf.skip_qualifiers(id));
        let _ = (ty.members().count(), ty.enumerators().count(), ty.params().count(), ty.placed().count());
        let _ = (ty.array(), ty.linkage(), ty.int_bits(), ty.tag_component(), ty.is_signed());
    }
});
