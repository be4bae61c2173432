//! One program or a chain on one interface, held by a foreground process. Words come in; messages, dots and exit statuses
//! go out exactly as users of the re-created tool know them. The filter is in place before the first dot.

use super::PROGRAM_NEEDS;
use crate::exit::{Exit, Outcome};
use crate::kernel::needs::missing;
use crate::tools::Invocation;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use traffic::attach::{Hook, HookDirection, ProgramAttachment};
use traffic::chain::{Selection, Stage};
use traffic::input::Input;
use traffic::kernel::LoadedPrograms;
use traffic::traffico::{self, At, Command, World};
use traffic::user::UserProgram;

pub fn run(invocation: &Invocation) -> Outcome {
    let name = &invocation.program;
    let words: Vec<String> = invocation.args.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let exists = |interface: &str| nix::net::if_::if_nametoindex(interface).is_ok();
    let program_file = |path: &str| UserProgram::read(Path::new(path)).map_err(|error| error.to_string());
    match traffico::parse(&words, World { interface: &exists, program_file: &program_file }) {
        Err(message) => usage_error(name, &message),
        Ok(Command::Help) => Ok(super::print(&traffico::help(name))?),
        Ok(Command::Usage) => Ok(super::print(&traffico::usage(name))?),
        Ok(Command::Version) => Ok(super::print(traffico::VERSION)?),
        Ok(Command::Attach(wanted)) => prepare(name, &wanted),
    }
}

fn usage_error(name: &str, message: &str) -> Outcome {
    let mut err = std::io::stderr().lock();
    writeln!(err, "{name}: {message}")?;
    writeln!(err, "Try `{name} --help' or `{name} --usage' for more information.")?;
    Ok(Exit::FAILED)
}

fn prepare(name: &str, wanted: &traffico::Invocation) -> Outcome {
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    let interface = match wanted.interface.as_deref().or_else(|| traffico::default_interface(&routes)) {
        Some(interface) => interface.to_owned(),
        None => return usage_error(name, "could not get the default gateway interface\n"),
    };
    match wanted.selection() {
        Err(message) => usage_error(name, &message),
        Ok(selection) => {
            let strict_vlan = wanted.strict_vlan.unwrap_or(name != "traffico");
            hold(&Job { name, wanted, interface: &interface, selection: &selection, strict_vlan })
        }
    }
}

struct Job<'a> {
    name: &'a str,
    wanted: &'a traffico::Invocation,
    interface: &'a str,
    selection: &'a Selection,
    strict_vlan: bool,
}

fn hold(job: &Job<'_>) -> Outcome {
    let missing = missing(PROGRAM_NEEDS);
    if !missing.is_empty() {
        missing.iter().try_for_each(|line| writeln!(std::io::stderr(), "{}: {line}", job.name))?;
        return Ok(Exit::FAILED);
    }
    let signals = listen()?;
    job.say_selection()?;
    let attachment = match job.attach() {
        Ok(attachment) => attachment,
        Err(error) => return job.failed("attach", &error),
    };
    job.say_attached(&attachment)?;
    // a reader that is gone ends the process; the filter stays, as after any other kill
    if let Err(error) = dots(&signals) {
        return if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(Exit::BROKEN_PIPE) } else { Err(error.into()) };
    }
    if !job.wanted.cleanup {
        return Ok(Exit::OK);
    }
    job.say("done: detaching the TC eBPF program")?;
    match attachment.detach() {
        Ok(()) => Ok(Exit::OK),
        Err(error) => job.failed("detach", &error),
    }
}

impl Job<'_> {
    fn attach(&self) -> Result<ProgramAttachment, traffic::attach::Error> {
        let loaded =
            LoadedPrograms::load_with(self.wanted.user.as_ref(), self.selection, self.strict_vlan, TC_ACT_UNSPEC)?;
        let missing = || traffic::attach::Error::NoInterface(self.interface.to_owned());
        let index = nix::net::if_::if_nametoindex(self.interface).map_err(|_| missing())?;
        let direction = match self.wanted.at {
            At::Ingress => HookDirection::Ingress,
            At::Egress => HookDirection::Egress,
        };
        let hook = Hook { ifindex: i32::try_from(index).map_err(|_| missing())?, direction };
        ProgramAttachment::attach(&loaded, self.interface, hook, None)
    }

    fn say(&self, text: &str) -> std::io::Result<()> {
        if !self.wanted.verbose {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "traffico: {text}")?;
        out.flush()
    }

    fn say_selection(&self) -> std::io::Result<()> {
        match self.selection {
            Selection::Chain(stages) => self.say(&format!("chain: {} programs", stages.len())),
            Selection::Single(Stage { program, input }) => {
                self.say(&format!("prog: {program}"))?;
                if *input == Input::None { Ok(()) } else { self.say("done: setting rodata input") }
            }
        }
    }

    fn say_attached(&self, attachment: &ProgramAttachment) -> std::io::Result<()> {
        if attachment.shared_qdisc {
            self.say("done: hook already existing, using it")?;
        }
        if let Selection::Chain(stages) = self.selection {
            for (slot, stage) in stages.iter().enumerate() {
                self.say(&format!("done: loaded {} at slot {slot}", stage.program))?;
            }
            self.say("done: attached dispatcher")?;
            return self.say(&format!("done: chain of {} programs attached", stages.len()));
        }
        self.say("done: attaching the TC eBPF program")?;
        self.say(&format!("opts: handle: {:#x}", attachment.handle))?;
        self.say(&format!("opts: priority: {}", attachment.priority))?;
        self.say(&format!("opts: program ID: {}", attachment.program_id))
    }

    /// The reason on standard error, the errno as exit status.
    fn failed(&self, what: &str, error: &traffic::attach::Error) -> Outcome {
        writeln!(std::io::stderr(), "{}: fail: {what}: {error}", self.name)?;
        let status = error.errno().and_then(|errno| u8::try_from(errno).ok()).filter(|status| *status != 0);
        Ok(Exit(status.unwrap_or(1)))
    }
}

fn listen() -> Result<SignalFd, std::io::Error> {
    let mut mask = SigSet::empty();
    mask.add(Signal::SIGINT);
    mask.add(Signal::SIGTERM);
    mask.thread_block()?;
    Ok(SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC)?)
}

/// A dot a second until a signal comes, then a line end.
fn dots(signals: &SignalFd) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    loop {
        out.write_all(b".")?;
        out.flush()?;
        let mut waiting = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, PollTimeout::from(1000u16)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => break,
            Err(error) => return Err(error.into()),
        }
    }
    let _ = out.write_all(b"\n");
    let _ = out.flush();
    Ok(())
}

/// Packets that pass go on to the filters behind: instances stack instead of overriding each other.
const TC_ACT_UNSPEC: i32 = -1;
