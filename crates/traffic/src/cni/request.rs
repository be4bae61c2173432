//! The network configuration of one plugin call: JSON in, what to attach and for whom out, or an error with the code of
//! the specification. Pure but for reading a policy file that the configuration names.

use super::json::Json;
use super::{DECODING_FAILURE, Environment, INCOMPATIBLE_VERSION, INVALID_CONFIG, INVALID_ENVIRONMENT, VERSIONS};
use crate::catalogue::{self, InputKind, Program};
use crate::chain::{self, Selection, Stage};
use crate::describe::hex;
use crate::input::Input;
use crate::policy::{Direction, Policy, read};
use crate::user::UserProgram;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: u16,
    pub message: String,
    pub details: Option<String>,
}

impl Failure {
    pub fn new(code: u16, message: &str) -> Failure {
        Failure { code, message: message.to_owned(), details: None }
    }

    #[must_use]
    pub fn details(mut self, details: impl Into<String>) -> Failure {
        self.details = Some(details.into());
        self
    }
}

/// What a configuration asks for.
#[derive(Debug, Clone)]
pub struct Request {
    pub what: What,
    /// Seen from the pod, for programs and chains; a policy says its own.
    pub direction: Direction,
    /// Name of the network, part of the identity of everything attached for it.
    pub network: String,
}

#[derive(Debug, Clone)]
pub enum What {
    /// With the user's program that is among them.
    Programs(Selection, Option<UserProgram>),
    Policy(Box<Policy>),
}

impl What {
    /// Names it in filters and messages.
    pub fn name(&self) -> String {
        match self {
            What::Programs(Selection::Single(stage), _) => stage.program.name.to_owned(),
            What::Programs(Selection::Chain(_), _) => "chain".to_owned(),
            What::Policy(policy) => policy.name.clone(),
        }
    }
}

/// Refuses specification versions that are not understood; the older plugin took any.
pub fn check_version(environment: &Environment, config: &Json) -> Result<(), Failure> {
    let Some(version) = config.get("cniVersion").and_then(Json::as_text) else { return Ok(()) };
    if environment.lenient || VERSIONS.contains(&version) {
        return Ok(());
    }
    let details = format!("`{version}` is not among {}", VERSIONS.join(", "));
    Err(Failure::new(INCOMPATIBLE_VERSION, "Incompatible CNI version").details(details))
}

/// The variables without which a command is about no pod; the older plugin asked for none.
pub fn check_environment(environment: &Environment, command: &str) -> Result<(), Failure> {
    let wanted: &[(&str, &Option<String>)] = match command {
        "ADD" | "CHECK" => &[
            ("CNI_CONTAINERID", &environment.container_id),
            ("CNI_IFNAME", &environment.ifname),
            ("CNI_NETNS", &environment.netns),
        ],
        "DEL" => &[("CNI_CONTAINERID", &environment.container_id), ("CNI_IFNAME", &environment.ifname)],
        _ => &[],
    };
    let is_missing = |value: &Option<String>| value.as_deref().unwrap_or_default().is_empty();
    let missing: Vec<&str> = wanted.iter().filter(|(_, value)| is_missing(value)).map(|(name, _)| *name).collect();
    if environment.lenient || missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(", ");
    Err(Failure::new(INVALID_ENVIRONMENT, &format!("Required environment variables are missing: {names}")))
}

/// Exactly one of the keys `program`, `chain` and `policy` says what to attach.
pub fn check_keys(config: &Json) -> Result<(), Failure> {
    let given = ["program", "chain", "policy"].iter().filter(|key| config.get(key).is_some()).count();
    let is_text = |key| config.get(key).is_none_or(|value| value.as_text().is_some());
    match (given, is_text("program")) {
        (0, _) | (_, false) => Err(Failure::new(INVALID_CONFIG, "Missing or invalid field 'program'")),
        (1, true) => Ok(()),
        _ => Err(Failure::new(INVALID_CONFIG, "Only one of 'program', 'chain' and 'policy' is possible")),
    }
}

/// Reads what to attach. The keys were checked before.
pub fn parse(config: &Json) -> Result<Request, Failure> {
    let text = |key: &str| config.get(key).and_then(Json::as_text);
    let user = user_of(config)?;
    let program = user.as_ref().map(|user| user.program);
    let what = match (text("program"), config.get("chain"), config.get("policy")) {
        (Some(name), ..) => What::Programs(Selection::Single(stage(config, name, program)?), user),
        (None, Some(chain), _) => What::Programs(Selection::Chain(chain_of(chain, program)?), user),
        (None, None, policy) => What::Policy(Box::new(policy_of(policy.unwrap_or(&Json::Null))?)),
    };
    Ok(Request { what, direction: direction(config)?, network: text("name").unwrap_or_default().to_owned() })
}

/// `programFile`: an object file whose program `program` and `chain` may name.
fn user_of(config: &Json) -> Result<Option<UserProgram>, Failure> {
    let Some(file) = config.get("programFile") else { return Ok(None) };
    let refuse = |message: &str| Failure::new(INVALID_CONFIG, message);
    let path = file.as_text().ok_or_else(|| refuse("'programFile' field must be a path"))?;
    let read = UserProgram::read(Path::new(path));
    read.map(Some).map_err(|error| refuse("Invalid program file").details(error.to_string()))
}

fn stage(config: &Json, name: &str, user: Option<&'static Program>) -> Result<Stage, Failure> {
    let refuse = |message: &str| Failure::new(INVALID_CONFIG, message);
    let program = catalogue::find_with(name, user).ok_or_else(|| refuse("Unknown program").details(name))?;
    let input = match config.get("input") {
        None if program.input == InputKind::None => Input::None,
        None => return Err(refuse("program requires an 'input' field")),
        Some(value) => {
            let text = value.as_text().ok_or_else(|| refuse("'input' field must be a string"))?;
            Input::parse(program.input, text).map_err(|reason| refuse(reason).details(format!("{reason}: '{text}'")))?
        }
    };
    Ok(Stage { program, input })
}

fn chain_of(value: &Json, user: Option<&'static Program>) -> Result<Vec<Stage>, Failure> {
    let text = value.as_text().ok_or_else(|| Failure::new(INVALID_CONFIG, "'chain' field must be a string"))?;
    chain::parse_with(text, user).map_err(|message| Failure::new(INVALID_CONFIG, &message))
}

/// A path to a policy file, or the policy itself.
fn policy_of(value: &Json) -> Result<Policy, Failure> {
    let refuse = |details: String| Failure::new(INVALID_CONFIG, "Invalid policy").details(details);
    let (file, text) = match value {
        Json::Text(path) => {
            let text = std::fs::read_to_string(path).map_err(|e| refuse(format!("policy file `{path}`: {e}")))?;
            (path.as_str(), text)
        }
        Json::Object(_) => ("policy", value.to_text().replace('\t', " ")),
        _ => return Err(Failure::new(DECODING_FAILURE, "'policy' field must be a path or an object")),
    };
    let read = read::read(file, &text, &|set| std::fs::read_to_string(set));
    let policies = read.map_err(|findings| {
        let all: Vec<String> = findings.iter().map(ToString::to_string).collect();
        refuse(all.join("; "))
    })?;
    let mut policies = policies.into_iter();
    match (policies.next(), policies.next()) {
        (Some(policy), None) => Ok(policy),
        _ => Err(refuse("one policy is wanted".to_owned())),
    }
}

/// `direction` is the pod's view. `attachPoint` is that of the host's end of the cable: what it sends, the pod receives.
fn direction(config: &Json) -> Result<Direction, Failure> {
    if let Some(value) = config.get("direction") {
        return match value.as_text() {
            Some("in") => Ok(Direction::In),
            Some("out") => Ok(Direction::Out),
            _ => Err(Failure::new(INVALID_CONFIG, "'direction' must be \"in\" or \"out\"")),
        };
    }
    match config.get("attachPoint").and_then(Json::as_text) {
        None => Ok(Direction::In),
        Some(word) if word.eq_ignore_ascii_case("egress") => Ok(Direction::In),
        Some(word) if word.eq_ignore_ascii_case("ingress") => Ok(Direction::Out),
        Some(word) => {
            let details = format!("attachPoint `{word}` is neither INGRESS nor EGRESS");
            Err(Failure::new(INVALID_CONFIG, "Failed to attach BPF program").details(details))
        }
    }
}

/// Names a pod interface in a network: [`network_identity`] and 12 hex digits of its own.
pub fn identity(network: &str, container_id: &str, ifname: &str) -> String {
    network_identity(network) + &hex(&Sha256::digest([network, container_id, ifname].join("\0")), 6)
}

/// What the identities of all pod interfaces in a network begin with: 6 hex digits.
pub fn network_identity(network: &str) -> String {
    hex(&Sha256::digest(network), 3)
}
