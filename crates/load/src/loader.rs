//! What to set before loading, and the loading itself. A [`Loader`] is a recipe: it can be carried out more than once,
//! so that a program which the kernel refuses can be left out and the rest loaded without it.

use crate::error::{Error, Refused};
use crate::ffi::{self, LogBuffer};
use crate::map::Map;
use crate::object::Object;
use libbpf_rs::{ObjectBuilder, OpenObject, PrintLevel, ProgramAttachType, ProgramType};
use std::cell::RefCell;
use std::os::fd::AsFd;
use std::sync::Once;

/// Settings for one object. Names that the object lacks are errors at load time.
#[derive(Debug, Clone)]
pub struct Loader<'a> {
    name: String,
    object: &'a [u8],
    globals: Vec<(String, Vec<u8>)>,
    max_entries: Vec<(String, u32)>,
    value_bytes: Vec<(String, u32)>,
    reused: Vec<(String, &'a Map)>,
    inner: Vec<(String, &'a Map)>,
    autoload: Vec<(String, bool)>,
    attach_types: Vec<(String, ProgramAttachType)>,
    only: Option<Vec<String>>,
    statistics: bool,
    raw_tracepoints: bool,
}

/// A program as the object declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgramInfo {
    pub name: String,
    /// ELF section: `tp_btf/sys_exit`, `tcx/ingress`, `?raw_tp/...` without the question mark.
    pub section: String,
    /// Whether it is loaded unless told otherwise.
    pub autoload: bool,
}

impl<'a> Loader<'a> {
    /// `object` must be 8-byte aligned; `name` is for messages and prefixes the names of global-variable maps.
    pub fn new(name: &str, object: &'a [u8]) -> Loader<'a> {
        Loader {
            name: name.to_owned(),
            object,
            globals: Vec::new(),
            max_entries: Vec::new(),
            value_bytes: Vec::new(),
            reused: Vec::new(),
            inner: Vec::new(),
            autoload: Vec::new(),
            attach_types: Vec::new(),
            only: None,
            statistics: false,
            raw_tracepoints: false,
        }
    }

    /// Sets a global variable (`.rodata`, `.data`, `.bss` and their named variants) to exactly these bytes.
    #[must_use]
    pub fn global(mut self, name: &str, value: &[u8]) -> Self {
        self.globals.push((name.to_owned(), value.to_vec()));
        self
    }

    #[must_use]
    pub fn max_entries(mut self, map: &str, entries: u32) -> Self {
        self.max_entries.push((map.to_owned(), entries));
        self
    }

    /// Sets the size of a map's values.
    #[must_use]
    pub fn value_bytes(mut self, map: &str, bytes: u32) -> Self {
        self.value_bytes.push((map.to_owned(), bytes));
        self
    }

    /// Uses an existing map instead of creating one.
    #[must_use]
    pub fn reuse(mut self, map: &str, existing: &'a Map) -> Self {
        self.reused.push((map.to_owned(), existing));
        self
    }

    /// The template of the maps that an array or hash of maps will hold.
    #[must_use]
    pub fn inner(mut self, map: &str, template: &'a Map) -> Self {
        self.inner.push((map.to_owned(), template));
        self
    }

    /// Whether to load a program, against what its section says.
    #[must_use]
    pub fn autoload(mut self, program: &str, load: bool) -> Self {
        self.autoload.push((program.to_owned(), load));
        self
    }

    /// Loads only these programs.
    #[must_use]
    pub fn only<S: AsRef<str>>(mut self, programs: impl IntoIterator<Item = S>) -> Self {
        self.only = Some(programs.into_iter().map(|p| p.as_ref().to_owned()).collect());
        self
    }

    /// Sets the expected attach type, where the section does not say it.
    #[must_use]
    pub fn attach_type(mut self, program: &str, ty: ProgramAttachType) -> Self {
        self.attach_types.push((program.to_owned(), ty));
        self
    }

    /// Has the verifier say how much work a program was; see [`Object::verifier_log`].
    #[must_use]
    pub fn statistics(mut self) -> Self {
        self.statistics = true;
        self
    }

    /// Loads `tp_btf/NAME` programs as raw tracepoints: for kernels that refuse the former. They get untyped arguments,
    /// so the programs must be written for both; attach them with [`Object::attach_raw_tracepoint`].
    #[must_use]
    pub fn raw_tracepoints(mut self) -> Self {
        self.raw_tracepoints = true;
        self
    }

    /// The programs that the object declares.
    ///
    /// # Errors
    /// [`Error::Open`] when the bytes are no BPF object.
    pub fn programs(&self) -> Result<Vec<ProgramInfo>, Error> {
        let open = self.open()?;
        let info = |p: libbpf_rs::OpenProgram<'_>| ProgramInfo {
            name: p.name().to_string_lossy().into_owned(),
            section: p.section().to_string_lossy().trim_start_matches('?').to_owned(),
            autoload: p.autoload(),
        };
        Ok(open.progs().map(info).collect())
    }

    /// The bytes a global variable has in the object; `None` when it has no such variable.
    ///
    /// # Errors
    /// [`Error::Open`] when the bytes are no BPF object.
    pub fn initial_value(&self, global: &str) -> Result<Option<Vec<u8>>, Error> {
        let open = self.open()?;
        let Some((section, offset, size)) = ffi::global_place(&open, global) else { return Ok(None) };
        let map = open.maps().find(|m| is_section(m.name().to_string_lossy().as_ref(), &section));
        Ok(map.and_then(|m| m.initial_value()?.get(offset..offset + size).map(<[u8]>::to_vec)))
    }

    /// Loads everything or nothing.
    ///
    /// # Errors
    /// The first program that is refused ([`Error::Refused`]), or what else went wrong.
    pub fn load(&self) -> Result<Object, Error> {
        self.attempt(&[])
    }

    /// Loads what the kernel takes and says what it refused. A refusal costs one more attempt without that program.
    ///
    /// # Errors
    /// What is not about one program: the object itself, a map, a global.
    pub fn load_what_loads(&self) -> Result<(Object, Vec<Refused>), Error> {
        let mut refused: Vec<Refused> = Vec::new();
        loop {
            let left_out: Vec<&str> = refused.iter().map(|r| r.program.as_str()).collect();
            match self.attempt(&left_out) {
                Ok(object) => return Ok((object, refused)),
                Err(Error::Refused(r)) if !left_out.contains(&r.program.as_str()) => refused.push(r),
                Err(e) => return Err(e),
            }
        }
    }

    fn attempt(&self, left_out: &[&str]) -> Result<Object, Error> {
        let mut open = self.open()?;
        let mut log = LogBuffer::new();
        self.apply_globals(&mut open)?;
        self.apply_maps(&mut open)?;
        self.apply_programs(&mut open, left_out, &mut log)?;
        SAID.take();
        match ffi::load(open) {
            Ok(object) => Ok(Object::new(&self.name, object, log)),
            Err(errno) => Err(self.failure(errno, &log)),
        }
    }

    fn open(&self) -> Result<OpenObject, Error> {
        listen();
        let mut builder = ObjectBuilder::default();
        let named = builder.name(&self.name).map_err(|e| Error::call("name object", &self.name, &e))?;
        SAID.take();
        let error = |e: &libbpf_rs::Error| Error::Open {
            object: self.name.clone(),
            errno: crate::error::errno_of(e),
            said: said_about(&SAID.take()),
        };
        named.open_memory(self.object).map_err(|e| error(&e))
    }

    fn no_such(&self, what: &'static str, name: &str) -> Error {
        Error::NoSuch { object: self.name.clone(), what, name: name.to_owned() }
    }

    fn apply_globals(&self, open: &mut OpenObject) -> Result<(), Error> {
        for (name, value) in &self.globals {
            let place = ffi::global_place(open, name).ok_or_else(|| self.no_such("global", name))?;
            let (section, offset, size) = place;
            if size != value.len() {
                return Err(Error::Size { name: name.clone(), expected: size, given: value.len() });
            }
            let mut map = open.maps_mut().find(|m| is_section(m.name().to_string_lossy().as_ref(), &section));
            let bytes = map.as_mut().and_then(|m| m.initial_value_mut());
            let slot = bytes
                .and_then(|b| b.get_mut(offset..offset + size))
                .ok_or_else(|| self.no_such("section", &section))?;
            slot.copy_from_slice(value);
        }
        Ok(())
    }

    fn apply_maps(&self, open: &mut OpenObject) -> Result<(), Error> {
        for (name, entries) in &self.max_entries {
            let mut map = self.open_map(open, name)?;
            map.set_max_entries(*entries).map_err(|e| Error::call("resize map", name, &e))?;
        }
        for (name, bytes) in &self.value_bytes {
            let mut map = self.open_map(open, name)?;
            map.set_value_size(*bytes).map_err(|e| Error::call("resize values of map", name, &e))?;
        }
        for (name, existing) in &self.reused {
            let mut map = self.open_map(open, name)?;
            map.reuse_fd(existing.as_fd()).map_err(|e| Error::call("reuse map", name, &e))?;
        }
        for (name, template) in &self.inner {
            let mut map = self.open_map(open, name)?;
            map.set_inner_map_fd(template.as_fd()).map_err(|e| Error::call("set inner map of", name, &e))?;
        }
        Ok(())
    }

    fn open_map<'o>(&self, open: &'o mut OpenObject, name: &str) -> Result<libbpf_rs::OpenMapMut<'o>, Error> {
        open.maps_mut().find(|m| m.name() == name).ok_or_else(|| self.no_such("map", name))
    }

    fn apply_programs(&self, open: &mut OpenObject, left_out: &[&str], log: &mut LogBuffer) -> Result<(), Error> {
        let named = self.autoload.iter().map(|(n, _)| n).chain(self.attach_types.iter().map(|(n, _)| n));
        for name in named.chain(self.only.iter().flatten()) {
            if !open.progs().any(|p| p.name() == name.as_str()) {
                return Err(self.no_such("program", name));
            }
        }
        for mut program in open.progs_mut() {
            let name = program.name().to_string_lossy().into_owned();
            let wanted = self.only.as_ref().map_or(program.autoload(), |only| only.contains(&name));
            let wanted = self.autoload.iter().rev().find(|(n, _)| *n == name).map_or(wanted, |(_, load)| *load);
            program.set_autoload(wanted && !left_out.contains(&name.as_str()));
            if let Some((_, ty)) = self.attach_types.iter().find(|(n, _)| *n == name) {
                program.set_attach_type(ty.clone());
            }
            if self.raw_tracepoints && program.section().to_string_lossy().starts_with(TP_BTF) {
                program.set_prog_type(ProgramType::RawTracepoint);
                program.set_attach_type(ProgramAttachType::CgroupInetIngress); // 0: none, as that type wants it
            }
            log.attach(&mut program);
            if self.statistics {
                program.set_log_level(BPF_LOG_STATS);
            }
        }
        Ok(())
    }

    /// libbpf says in its messages, and nowhere else, which program it was loading.
    fn failure(&self, errno: i32, log: &LogBuffer) -> Error {
        let said = SAID.take();
        let program = said.iter().find_map(|line| line.strip_prefix("prog '")?.split_once('\''));
        match program {
            Some((program, _)) => Refused::new(program.to_owned(), errno, log.text(), said_about(&said)).into(),
            None => Error::Load { object: self.name.clone(), errno, said: said_about(&said) },
        }
    }
}

/// What libbpf said that is not about one program being refused by the kernel, as one line.
fn said_about(said: &[String]) -> String {
    let own = |l: &&String| {
        !l.contains("BPF program load failed") && !l.contains("failed to load") && !l.contains("PROG LOAD LOG")
    };
    said.iter().filter(own).map(|l| l.trim()).collect::<Vec<_>>().join("; ")
}

/// libbpf names these maps `OBJECT.rodata`, cutting the object's name, unless the section is a named variant.
fn is_section(map: &str, section: &str) -> bool {
    map == section || map.split_once('.').is_some_and(|(_, rest)| section.strip_prefix('.') == Some(rest))
}

/// Sections of BTF raw tracepoints.
pub(crate) const TP_BTF: &str = "tp_btf/";

/// uapi/linux/bpf.h does not name it: include/linux/bpf_verifier.h, Linux 5.2.
const BPF_LOG_STATS: u32 = 4;

thread_local! {
    /// Warnings of libbpf on this thread since the last load began.
    static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The warnings since the last time this was asked or a load began.
pub(crate) fn take_said() -> Vec<String> {
    SAID.take()
}

/// Takes libbpf's messages away from standard error.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        libbpf_rs::set_print(Some((PrintLevel::Warn, |_, line| {
            let line = line.trim_start_matches("libbpf: ").trim_end().to_owned();
            SAID.with_borrow_mut(|said| said.push(line));
        })));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_object_are_refused() {
        let error = Loader::new("junk", b"not an object at all").load().expect_err("no object");
        assert!(matches!(error, Error::Open { .. }), "{error}");
    }

    #[test]
    fn sections_match_the_maps_libbpf_makes() {
        assert!(is_section("sensor.rodata", ".rodata"));
        assert!(is_section(".rodata.tables", ".rodata.tables"));
        assert!(!is_section("sensor.data", ".rodata"));
        assert!(!is_section("events", ".bss"));
    }
}
