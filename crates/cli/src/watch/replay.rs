//! `hawkbell replay` and `engine.kind: replay`: a capture comes in, alerts go out, with a progress bar on a terminal and a
//! summary when asked for. Reading and judging are the daemon's; this only starts it and prints what it reports.

use super::args::ReplayArgs;
use super::{explain, print, start_log};
use crate::exit::{Exit, Failure, Outcome};
use crate::tools::Invocation;
use clap::CommandFactory;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use watch::config::Config;
use watch::log::{Log, Screen};
use watch::options::Options;
use watch::prepare;
use watch::replay::Report;
use watch::signals::Signals;

pub fn command() -> clap::Command {
    ReplayArgs::command()
}

pub fn run(invocation: &Invocation) -> Outcome {
    let args: ReplayArgs = invocation.parse_into()?;
    let options = args.options(&invocation.program);
    let config = prepare::configure(&options).map_err(|error| explain(&error, &invocation.program))?;
    let log = start_log(&config);
    judge(&options, config, &log)
}

/// Replays the capture that options or configuration name.
pub fn judge(options: &Options, config: Config, log: &Log) -> Outcome {
    let path = options.replay.clone().or_else(|| config.capture_file.clone());
    let path = path.ok_or_else(|| Failure::message("no capture file given"))?;
    let prepared = prepare::prepare(options, config, log).map_err(|error| explain(&error, &options.program))?;
    if options.dry_run {
        return Ok(Exit::OK);
    }
    let signals = Signals::listen()?;
    let bar = std::io::stderr().is_terminal().then(hidden_bar);
    if let Some(bar) = &bar {
        log.share(Box::new(Bar(bar.clone())));
    }
    let begin = Instant::now();
    let mut show = |read: u64, size: u64| {
        if let Some(bar) = &bar {
            bar.set_position(read);
            if bar.is_hidden() && begin.elapsed() > SHOW_AFTER {
                bar.set_style(style(size));
                bar.set_length(size);
                bar.set_draw_target(ProgressDrawTarget::stderr());
            }
        }
    };
    let report = watch::replay::run(&path, &prepared, options, (log, &signals), &mut show);
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    tell(&report?)
}

/// Statistics to standard output, notes to standard error.
pub fn tell(report: &Report) -> Outcome {
    let mut err = std::io::stderr().lock();
    for note in &report.notes {
        // Standard error is the last place to complain to.
        let _ = writeln!(err, "{note}");
    }
    if report.readers_gone {
        return Ok(Exit::BROKEN_PIPE);
    }
    print(&report.statistics)?;
    match &report.fault {
        None => Ok(Exit::OK),
        Some(fault) => Err(Failure::message(fault.clone()).help("alerts from what could be read are above")),
    }
}

/// The bar at the foot of a terminal; alerts and messages are written above it.
struct Bar(ProgressBar);

impl Screen for Bar {
    fn aside(&self, write: &mut dyn FnMut()) {
        self.0.suspend(write);
    }
}

fn hidden_bar() -> ProgressBar {
    ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden())
}

/// A bar where the size is known.
fn style(size: u64) -> ProgressStyle {
    let template = match size {
        0 => "{bytes} read",
        _ => "{bar:40} {percent:>3} % {bytes} of {total_bytes}, {eta} left",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// What is over sooner needs no bar.
const SHOW_AFTER: Duration = Duration::from_millis(300);
