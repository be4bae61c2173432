//! Loaded objects: their programs and maps, and links that hold programs to hooks.

use crate::error::Error;
use crate::ffi::{self, LogBuffer};
use crate::loader::TP_BTF;
use crate::map::Map;
use libbpf_rs::{MapCore, ProgramMut};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// An object in the kernel. Dropping it unloads programs that no link, pin or program array holds.
#[derive(Debug)]
pub struct Object {
    name: String,
    object: libbpf_rs::Object,
    /// libbpf keeps a pointer into it, so it is dropped after `object`.
    log: LogBuffer,
}

impl Object {
    pub(crate) fn new(name: &str, object: libbpf_rs::Object, log: LogBuffer) -> Object {
        Object { name: name.to_owned(), object, log }
    }

    /// What the verifier said about the program loaded last, when [`crate::Loader::statistics`] asked it to.
    pub fn verifier_log(&self) -> String {
        self.log.text()
    }

    /// The map called `name`.
    ///
    /// # Errors
    /// [`Error::NoSuch`].
    pub fn map(&self, name: &str) -> Result<Map, Error> {
        let map = self.object.maps().find(|m| m.name() == name).ok_or_else(|| self.no_such("map", name))?;
        Map::of(&map)
    }

    /// Every map, those of global variables included.
    ///
    /// # Errors
    /// EMFILE when no descriptor is left.
    pub fn maps(&self) -> Result<Vec<Map>, Error> {
        self.object.maps().map(|m| Map::of(&m)).collect()
    }

    /// Names of the programs that were loaded.
    pub fn programs(&self) -> Vec<String> {
        let loaded = |p: &libbpf_rs::Program<'_>| p.autoload() && std::os::fd::AsRawFd::as_raw_fd(&p.as_fd()) >= 0;
        self.object.progs().filter(loaded).map(|p| p.name().to_string_lossy().into_owned()).collect()
    }

    pub fn has_program(&self, name: &str) -> bool {
        self.program(name).is_ok()
    }

    /// Attaches by what the section says: tracepoints, raw and BTF tracepoints, uprobes, iterators, ...
    ///
    /// # Errors
    /// ENOENT when the hook does not exist, EPERM when it is not allowed.
    pub fn attach(&self, program: &str) -> Result<Link, Error> {
        let found = self.program(program)?;
        let link = ffi::attach_auto(&found);
        Link::new(program, link.map_err(|errno| attach_error(program, errno))?)
    }

    /// Attaches a program loaded by [`crate::Loader::raw_tracepoints`] to the tracepoint that its section names.
    ///
    /// # Errors
    /// ENOENT when the kernel has no such tracepoint.
    pub fn attach_raw_tracepoint(&self, program: &str) -> Result<Link, Error> {
        let found = self.program(program)?;
        let section = found.section().to_string_lossy().into_owned();
        let link = found.attach_raw_tracepoint(section.trim_start_matches('?').trim_start_matches(TP_BTF));
        Link::new(program, link.map_err(|e| Error::call("attach program", program, &e))?)
    }

    /// Attaches to a cgroup, by its open folder.
    ///
    /// # Errors
    /// EBADF when the descriptor is no cgroup2 folder.
    pub fn attach_cgroup(&self, program: &str, cgroup: BorrowedFd<'_>) -> Result<Link, Error> {
        use std::os::fd::AsRawFd;
        let link = self.program(program)?.attach_cgroup(cgroup.as_raw_fd());
        Link::new(program, link.map_err(|e| Error::call("attach program", program, &e))?)
    }

    /// Attaches a perf tracepoint.
    ///
    /// # Errors
    /// ENOENT without tracefs or without that tracepoint.
    pub fn attach_tracepoint(&self, program: &str, category: &str, event: &str) -> Result<Link, Error> {
        let category = libbpf_rs::TracepointCategory::Custom(category.to_owned());
        let link = self.program(program)?.attach_tracepoint(category, event);
        Link::new(program, link.map_err(|e| Error::call("attach program", program, &e))?)
    }

    /// Attaches to XDP of an interface.
    ///
    /// # Errors
    /// EBUSY when another program is there.
    pub fn attach_xdp(&self, program: &str, ifindex: i32) -> Result<Link, Error> {
        let link = self.program(program)?.attach_xdp(ifindex);
        Link::new(program, link.map_err(|e| Error::call("attach program", program, &e))?)
    }

    /// Attaches to a tcx hook (Linux 6.6 and later), before or after the programs already there. The section
    /// (`tcx/ingress`, `tcx/egress`) says the direction.
    ///
    /// # Errors
    /// EINVAL on kernels without tcx: use [`crate::net::Clsact`] there.
    pub fn attach_tcx(&self, program: &str, ifindex: i32, first: bool) -> Result<Link, Error> {
        let link = ffi::attach_tcx(&self.program(program)?, ifindex, first);
        Link::new(program, link.map_err(|errno| attach_error(program, errno))?)
    }

    /// Runs a program once on `input` (BPF_PROG_TEST_RUN): its return value and the packet afterwards.
    ///
    /// # Errors
    /// ENOTSUPP for types without test runs.
    pub fn test_run(&self, program: &str, input: &[u8]) -> Result<(u32, Vec<u8>), Error> {
        let mut output = vec![0; input.len() + 256];
        let found = self.program(program)?;
        let run = libbpf_rs::ProgramInput { data_in: Some(input), data_out: Some(&mut output), ..Default::default() };
        let done = found.test_run(run).map_err(|e| Error::call("run program", program, &e))?;
        let (value, len) = (done.return_value, done.data.map_or(0, |d| d.len()));
        output.truncate(len);
        Ok((value, output))
    }

    /// A descriptor of a program, for what this value has no call for.
    ///
    /// # Errors
    /// [`Error::NoSuch`], EMFILE when no descriptor is left.
    pub fn program_descriptor(&self, program: &str) -> Result<OwnedFd, Error> {
        let found = self.program(program)?;
        let copy = found.as_fd().try_clone_to_owned();
        let errno = |e: std::io::Error| e.raw_os_error().unwrap_or(EMFILE);
        copy.map_err(|e| Error::Call { what: "copy descriptor of", name: program.to_owned(), errno: errno(e) })
    }

    /// Pins a program.
    ///
    /// # Errors
    /// EEXIST when the path is taken, EINVAL outside a BPF file system.
    pub fn pin_program(&self, program: &str, path: &Path) -> Result<(), Error> {
        ffi::pin(self.program(program)?.as_fd(), path).map_err(|errno| Error::Call {
            what: "pin program",
            name: program.to_owned(),
            errno,
        })
    }

    /// Puts a program into slot `index` of a program array.
    ///
    /// # Errors
    /// EINVAL when the program does not fit the array's other programs.
    pub fn tail_call_target(&self, array: &Map, index: u32, program: &str) -> Result<(), Error> {
        array.update_fd(&index.to_ne_bytes(), self.program(program)?.as_fd())
    }

    /// The loaded program, open a second time.
    ///
    /// # Errors
    /// EMFILE when no descriptor is left.
    pub fn program_fd(&self, program: &str) -> Result<OwnedFd, Error> {
        let fd = self.program(program)?.as_fd().try_clone_to_owned();
        fd.map_err(|e| Error::Call {
            what: "open program",
            name: program.to_owned(),
            errno: e.raw_os_error().unwrap_or(0),
        })
    }

    pub(crate) fn program(&self, name: &str) -> Result<ProgramMut<'_>, Error> {
        let loaded = |p: &ProgramMut<'_>| p.name() == name && p.autoload();
        self.object.progs_mut().find(loaded).ok_or_else(|| self.no_such("program", name))
    }

    fn no_such(&self, what: &'static str, name: &str) -> Error {
        Error::NoSuch { object: self.name.clone(), what, name: name.to_owned() }
    }
}

/// Holds a program to its hook; dropping it detaches unless it is pinned.
#[derive(Debug)]
pub struct Link {
    program: String,
    link: libbpf_rs::Link,
}

impl Link {
    #[allow(clippy::unnecessary_wraps)] // keeps the attach functions in one shape
    fn new(program: &str, link: libbpf_rs::Link) -> Result<Link, Error> {
        Ok(Link { program: program.to_owned(), link })
    }

    /// Opens a pinned link.
    ///
    /// # Errors
    /// ENOENT when nothing is pinned there.
    pub fn open_pinned(path: &Path) -> Result<Link, Error> {
        let name = path.display().to_string();
        let link = libbpf_rs::Link::open(path).map_err(|e| Error::call("open pinned link", &name, &e))?;
        Ok(Link { program: name, link })
    }

    /// Pins the link: the program stays attached after this process is gone.
    ///
    /// # Errors
    /// EEXIST when the path is taken, EINVAL outside a BPF file system, EOPNOTSUPP for links that cannot be pinned.
    pub fn pin(&mut self, path: &Path) -> Result<(), Error> {
        self.link.pin(path).map_err(|e| Error::call("pin link of", &self.program, &e))
    }

    /// Detaches now, pinned or not (Linux 5.9 and later).
    ///
    /// # Errors
    /// EOPNOTSUPP for link types that cannot.
    pub fn detach(&self) -> Result<(), Error> {
        self.link.detach().map_err(|e| Error::call("detach link of", &self.program, &e))
    }

    /// Exchanges the program behind the link, without a moment in which none is attached.
    ///
    /// # Errors
    /// EINVAL when type or attach type differ.
    pub fn replace(&mut self, object: &Object, program: &str) -> Result<(), Error> {
        let found = object.object.progs().find(|p| p.name() == program);
        let found = found.ok_or_else(|| object.no_such("program", program))?;
        self.link.update_prog(&found).map_err(|e| Error::call("replace program", program, &e))
    }
}

impl Link {
    pub(crate) fn raw(&self) -> &libbpf_rs::Link {
        &self.link
    }

    pub(crate) fn name(&self) -> &str {
        &self.program
    }
}

impl Link {
    /// Exchanges the program behind the link for a loaded one, without a moment in which none is attached.
    ///
    /// # Errors
    /// EINVAL when type or attach type differ, ENOLINK when the interface is gone.
    pub fn replace_with(&self, program: BorrowedFd<'_>) -> Result<(), Error> {
        ffi::update_link(self.as_fd(), program).map_err(|errno| Error::Call {
            what: "replace program of link",
            name: self.program.clone(),
            errno,
        })
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }
}

/// One pass of a BPF iterator, read as a file.
#[derive(Debug)]
pub struct Iter(libbpf_rs::Iter);

impl Iter {
    /// Starts a pass of an attached iterator program.
    ///
    /// # Errors
    /// EINVAL when the link holds no iterator.
    pub fn start(link: &Link) -> Result<Iter, Error> {
        libbpf_rs::Iter::new(&link.link).map(Iter).map_err(|e| Error::call("start iterator", &link.program, &e))
    }
}

impl Read for Iter {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

fn attach_error(program: &str, errno: i32) -> Error {
    Error::Call { what: "attach program", name: program.to_owned(), errno }
}

const EMFILE: i32 = 24;
