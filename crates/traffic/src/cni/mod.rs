//! The CNI plugin: environment and standard input come in, one document and an exit status go out (CNI specification
//! 0.3.1 to 1.1.0). What to attach is a program, a chain or a policy; where is found from the pod's interface. Repeating
//! a command changes nothing, and what is gone already is no error for DEL and GC.

mod act;
pub mod json;
mod request;

pub use request::{Failure, Request, What};

use json::Json;
use std::path::PathBuf;

/// What the runtime says in environment variables, and the name the plugin was called by.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    pub command: Option<String>,
    pub container_id: Option<String>,
    pub netns: Option<String>,
    pub ifname: Option<String>,
    /// Commands and versions are taken as leniently as the older plugin took them.
    pub lenient: bool,
    /// BPF file system for pins, instead of the usual one.
    pub bpffs: Option<PathBuf>,
}

/// What is written to standard output, and the exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub text: String,
    pub status: u8,
}

/// Carries out the command. `read` reads all of standard input; it is not called for commands without one.
pub fn run(environment: &Environment, read: impl FnOnce() -> Vec<u8>) -> Reply {
    let Some(command) = environment.command.as_deref() else {
        return refuse(None, &Failure::new(INVALID_ENVIRONMENT, "CNI_COMMAND not set"));
    };
    if !COMMANDS.contains(&command) {
        if environment.lenient {
            return Reply { text: String::new(), status: 0 };
        }
        let failure = Failure::new(INVALID_ENVIRONMENT, "Unknown CNI_COMMAND").details(command);
        return refuse(None, &failure);
    }
    let input = read();
    let config = Json::parse(&input);
    let version = config.as_ref().and_then(|c| c.get("cniVersion")).and_then(Json::as_text).map(str::to_owned);
    let done = match (command, config) {
        ("VERSION", config) => Ok(versions(config.as_ref())),
        (_, None) if input.is_empty() => Err(Failure::new(IO_FAILURE, "Error reading stdin")),
        (_, None) => Err(Failure::new(DECODING_FAILURE, "Error parsing JSON")),
        (_, Some(config)) => request::check_version(environment, &config)
            .and_then(|()| request::check_environment(environment, command))
            .and_then(|()| act::run(environment, command, &config)),
    };
    match done {
        Ok(text) => Reply { text, status: 0 },
        Err(failure) => refuse(version, &failure),
    }
}

fn versions(config: Option<&Json>) -> String {
    let given = config.and_then(|c| c.get("cniVersion")).and_then(Json::as_text);
    let current = given.filter(|version| VERSIONS.contains(version)).unwrap_or(LATEST);
    let supported = VERSIONS.iter().map(|version| Json::text(*version)).collect();
    Json::object([("cniVersion", Json::text(current)), ("supportedVersions", Json::Array(supported))]).to_text()
}

fn refuse(version: Option<String>, failure: &Failure) -> Reply {
    let text = Json::object([
        ("cniVersion", Json::text(version.unwrap_or_else(|| "1.0.0".to_owned()))),
        ("code", Json::Number(f64::from(failure.code))),
        ("msg", Json::text(&failure.message)),
        ("details", Json::text(failure.details.as_ref().unwrap_or(&failure.message))),
    ])
    .to_text();
    Reply { text, status: FAILED }
}

const COMMANDS: [&str; 6] = ["ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION"];
/// Specification versions that are understood.
pub const VERSIONS: [&str; 4] = ["0.3.1", "0.4.0", "1.0.0", "1.1.0"];
const LATEST: &str = "1.1.0";
const FAILED: u8 = 255;
/// Error codes of the specification, section "Error".
pub const INCOMPATIBLE_VERSION: u16 = 1;
pub const INVALID_ENVIRONMENT: u16 = 4;
pub const IO_FAILURE: u16 = 5;
pub const DECODING_FAILURE: u16 = 6;
pub const INVALID_CONFIG: u16 = 7;
pub const NOT_AVAILABLE: u16 = 50;
/// Ours (100 and up): CHECK found that something is missing.
pub const NOT_ATTACHED: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(command: Option<&str>, input: &str, lenient: bool) -> Reply {
        let environment = Environment { command: command.map(str::to_owned), lenient, ..Environment::default() };
        run(&environment, || input.as_bytes().to_vec())
    }

    fn message(command: &str, input: &str) -> (String, String) {
        let reply = reply(Some(command), input, true);
        assert_eq!(reply.status, 255, "{}", reply.text);
        let json = Json::parse(reply.text.as_bytes()).unwrap();
        let Json::Number(code) = json.get("code").unwrap() else { panic!("no code") };
        (code.to_string(), json.get("msg").unwrap().as_text().unwrap().to_owned())
    }

    #[test]
    fn mistakes_in_order() {
        let check = |input: &str, code: &str, text: &str| {
            assert_eq!(message("ADD", input), (code.into(), text.into()), "{input}");
        };
        check("", "5", "Error reading stdin");
        check("{", "6", "Error parsing JSON");
        check("{}", "7", "Missing or invalid field 'program'");
        check(r#"{"program":1}"#, "7", "Missing or invalid field 'program'");
        check(r#"{"program":"x"}"#, "7", "Could not find prevResult in JSON");
        check(r#"{"program":"x","prevResult":{}}"#, "7", "Failed to get interfaces");
        check(r#"{"program":"x","prevResult":{"interfaces":[]}}"#, "7", "Failed to get default interface");
        check(r#"{"program":"x","prevResult":{"interfaces":[{}]}}"#, "7", "Failed to get ifname");
        check(r#"{"program":"x","prevResult":{"interfaces":[{"name":"nope0"}]}}"#, "7", "Failed to retrieve ifindex");
        check(r#"{"program":"x","prevResult":{"interfaces":[{"name":"lo"}]}}"#, "7", "Unknown program");
        check(
            r#"{"program":"allow_port","prevResult":{"interfaces":[{"name":"lo"}]}}"#,
            "7",
            "program requires an 'input' field",
        );
        check(
            r#"{"program":"allow_port","input":1,"prevResult":{"interfaces":[{"name":"lo"}]}}"#,
            "7",
            "'input' field must be a string",
        );
        check(
            r#"{"program":"allow_port","input":"0","prevResult":{"interfaces":[{"name":"lo"}]}}"#,
            "7",
            "invalid port number",
        );
        check(
            r#"{"program":"nop","attachPoint":"sideways","prevResult":{"interfaces":[{"name":"lo"}]}}"#,
            "7",
            "Failed to attach BPF program",
        );
    }

    #[test]
    fn environment_and_versions() {
        let unset = reply(None, "", true);
        assert_eq!(unset.status, 255);
        assert_eq!(
            unset.text,
            "{\n\t\"cniVersion\":\t\"1.0.0\",\n\t\"code\":\t4,\n\t\"msg\":\t\"CNI_COMMAND not set\",\n\t\"details\":\t\"CNI_COMMAND not set\"\n}\n"
        );
        assert_eq!(reply(Some("JUNK"), "", true), Reply { text: String::new(), status: 0 });
        assert_eq!(reply(Some("JUNK"), "", false).status, 255);
        assert!(
            reply(Some("VERSION"), r#"{"cniVersion":"0.4.0"}"#, false)
                .text
                .starts_with("{\n\t\"cniVersion\":\t\"0.4.0\"")
        );
        let old = reply(Some("ADD"), r#"{"cniVersion":"0.1.0","program":"nop"}"#, false);
        assert!(old.text.contains("\"code\":\t1"), "{}", old.text);
        let nowhere = reply(Some("ADD"), r#"{"cniVersion":"1.0.0","program":"nop"}"#, false);
        let named = "missing: CNI_CONTAINERID, CNI_IFNAME, CNI_NETNS\"";
        assert!(nowhere.text.contains("\"code\":\t4") && nowhere.text.contains(named), "{}", nowhere.text);
    }

    proptest::proptest! {
        #[test]
        fn any_input_is_answered(input in "\\PC{0,80}", command in "ADD|CHECK|VERSION|JUNK") {
            let reply = reply(Some(&command), &input, false);
            proptest::prop_assert!(reply.status == 0 || reply.text.contains("\"code\""));
        }
    }
}
