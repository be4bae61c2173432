//! The policy commands of `hawkbell traffic` as clap reads them. Words only: nothing is opened or decided here.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Decide which packets may pass an interface, by a program or by a policy
#[derive(Parser)]
#[command(after_help = PROGRAMS)]
pub struct TrafficArgs {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Check policy files; every problem is shown with its place and its fix
    Validate(FilesArgs),
    /// Show what `apply` would change, compared with what is attached
    Plan(ApplyArgs),
    /// Attach policies, or replace their earlier versions in place
    Apply(ApplyArgs),
    /// List attached policies
    List(ListArgs),
    /// Show an attached policy: rules, counters, how it is attached
    Show(NamedArgs),
    /// Take policies off
    Detach(DetachArgs),
    /// Show packets as they are dropped, with rule and reason
    Watch(WatchArgs),
    /// Counters of all attached policies as Prometheus text
    Metrics(ListArgs),
    /// Judge the frames of a capture by a policy, without attaching it
    Test(TestArgs),
    /// Say what a policy does with one packet, and why
    Explain(ExplainArgs),
    /// Print the JSON Schema of policy files
    Schema,
    /// Print the C header for packet programs of your own (`--program-file`)
    Header,
}

#[derive(Args)]
pub struct FilesArgs {
    /// Policy files (`-` reads standard input)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ApplyArgs {
    /// Policy files (`-` reads standard input)
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The interface, instead of the one in the file
    #[arg(short, long, value_name = "NAME")]
    pub interface: Option<String>,
    /// The network namespace, instead of the one in the file: a name under /run/netns or a path
    #[arg(long, value_name = "NAME|PATH")]
    pub netns: Option<String>,
    /// Put the earlier version back unless `yes` is typed within this time (`30s`, `2m`)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub confirm: Option<std::time::Duration>,
    /// How to attach, instead of the best way this kernel has
    #[arg(long, value_enum)]
    pub mechanism: Option<MechanismArg>,
    #[command(flatten)]
    pub place: BpffsArgs,
    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct BpffsArgs {
    /// The BPF file system for pins
    #[arg(long, value_name = "DIR")]
    pub bpffs: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum MechanismArg {
    Tcx,
    Clsact,
}

#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    pub place: BpffsArgs,
    /// Look for filters in this network namespace, too
    #[arg(long, value_name = "NAME|PATH")]
    pub netns: Option<String>,
    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct NamedArgs {
    /// Name of the policy
    pub policy: String,
    #[command(flatten)]
    pub list: ListArgs,
}

#[derive(Args)]
pub struct DetachArgs {
    /// Names of policies
    #[arg(required_unless_present_any = ["all", "stale"], value_name = "POLICY")]
    pub policies: Vec<String>,
    /// Every policy
    #[arg(long)]
    pub all: bool,
    /// Only what is left of policies whose interface is gone
    #[arg(long)]
    pub stale: bool,
    /// Only on this interface
    #[arg(short, long, value_name = "NAME")]
    pub interface: Option<String>,
    #[command(flatten)]
    pub list: ListArgs,
}

#[derive(Args)]
pub struct WatchArgs {
    /// Name of the policy
    pub policy: String,
    /// End after so many packets
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// End after this time (`30s`, `2m`)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<std::time::Duration>,
    #[command(flatten)]
    pub list: ListArgs,
}

#[derive(Args)]
pub struct TestArgs {
    /// The policy file
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
    /// Which policy of the file, when it holds several
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The capture (pcap or pcapng of an Ethernet interface)
    pub capture: PathBuf,
    /// Which way the frames go (default: the policy's own direction)
    #[arg(long, value_enum)]
    pub direction: Option<DirectionArg>,
    /// Addresses of this side: what comes from them goes out, everything else comes in
    #[arg(long, value_name = "CIDR", conflicts_with = "direction")]
    pub local: Vec<String>,
    /// Compare with these verdicts (as printed with --json); differences end with status 1
    #[arg(long, value_name = "FILE")]
    pub expect: Option<PathBuf>,
    /// Show the flows that this other policy judges differently
    #[arg(long, value_name = "FILE", conflicts_with = "expect")]
    pub diff: Option<PathBuf>,
    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub struct ExplainArgs {
    /// The policy file
    #[arg(long, value_name = "FILE")]
    pub policy: PathBuf,
    /// Which policy of the file, when it holds several
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The packet: `tcp 10.0.0.5:40000 -> 1.1.1.1:443`, `icmp 10.0.0.5 -> 1.1.1.1 echo-request`, `arp`
    #[arg(required = true, value_name = "FLOW", allow_hyphen_values = true)]
    pub flow: Vec<String>,
    /// Which way it goes (default: the policy's own direction)
    #[arg(long, value_enum)]
    pub direction: Option<DirectionArg>,
    /// Machine-readable output
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum DirectionArg {
    In,
    Out,
}

fn duration(text: &str) -> Result<std::time::Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| "write for example 30s or 2m".to_owned())?;
    let seconds = match unit {
        "s" | "" => number,
        "m" => number * 60,
        _ => return Err("write for example 30s or 2m".to_owned()),
    };
    Ok(std::time::Duration::from_secs(seconds))
}

const PROGRAMS: &str = "\
Or name a program instead of a command; it stays attached until it is stopped:
  hawkbell traffic -i eth0 --at egress block_port 25
  hawkbell traffic -i eth0 --chain allow_ethertype:ipv4+arp,allow_proto:tcp,allow_port:443
  hawkbell traffic --usage        the options of programs";
