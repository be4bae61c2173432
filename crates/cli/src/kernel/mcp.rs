//! The Model Context Protocol over standard input and output: JSON-RPC 2.0 values come in, one compact line per answer goes out.
//! Every call is a run of its own: nothing carries over. A broken line is answered and skipped; only end of input ends the server.

use super::command::{self, COMMANDS, Command, Value as Takes};
use super::output::{Envelope, Json, Output, compact};
use super::{Style, run, schema};
use serde_json::Value;
use std::io::{BufRead, Write};

/// Whoever offers tools.
pub trait Tools {
    fn names(&self) -> Vec<&'static str>;
    /// `None` for a name that is not offered.
    fn describe(&self, name: &str) -> Option<Description>;
    fn call(&self, name: &str, arguments: &serde_json::Map<String, Value>) -> Result<Output, Fault>;
}

/// One tool as clients see it.
pub struct Description {
    pub about: String,
    pub input: Json,
    /// Keys of a JSON result with what they hold.
    pub output: &'static [(&'static str, &'static str, &'static str)],
    pub read_only: bool,
}

/// Serves the commands about kernel capabilities until the input ends.
pub fn serve(style: Style<'_>, input: impl BufRead, output: impl Write) -> Output {
    serve_tools(style.program, &Commands { style: Style { compact: true, ..style } }, input, output)
}

/// Serves any tools until the input ends.
pub fn serve_tools(program: &str, tools: &dyn Tools, input: impl BufRead, mut output: impl Write) -> Output {
    let mut server = Server { program, tools, version: OLDEST };
    for line in input.split(b'\n') {
        let answers = match line {
            Ok(line) => server.line(&String::from_utf8_lossy(&line)),
            Err(error) => return Envelope::runtime(program, format!("standard input: {error}")).output(),
        };
        for answer in answers {
            if writeln!(output, "{}", compact(&answer)).and_then(|()| output.flush()).is_err() {
                // The client is gone: nobody is left to tell.
                return Output::default();
            }
        }
    }
    Output::default()
}

/// The rows of the command table as tools.
struct Commands<'a> {
    style: Style<'a>,
}

impl Tools for Commands<'_> {
    fn names(&self) -> Vec<&'static str> {
        COMMANDS.iter().filter(|command| command.is_tool).map(|command| command.name).collect()
    }

    fn describe(&self, name: &str) -> Option<Description> {
        let command = command::find(name).filter(|command| command.is_tool)?;
        let input = schema::node(self.style.program, Some(command), self.style.native);
        Some(Description { about: command.short.to_owned(), input, output: result_keys(name), read_only: true })
    }

    fn call(&self, name: &str, arguments: &serde_json::Map<String, Value>) -> Result<Output, Fault> {
        let command = command::find(name).filter(|command| command.is_tool).ok_or_else(unknown_tool)?;
        Ok(run(self.style, &words(command, self.style.native, arguments)?))
    }
}

struct Server<'a> {
    program: &'a str,
    tools: &'a dyn Tools,
    /// What the client speaks.
    version: &'static str,
}

/// A JSON-RPC error.
pub type Fault = (i64, String);

pub fn unknown_tool() -> Fault {
    invalid("unknown tool".into())
}

pub fn invalid(message: String) -> Fault {
    (INVALID_PARAMS, message)
}

impl Server<'_> {
    /// A line may hold several values, or be broken.
    fn line(&mut self, line: &str) -> Vec<Json> {
        let mut answers = Vec::new();
        for value in serde_json::Deserializer::from_str(line).into_iter::<Value>() {
            match value {
                Ok(Value::Array(batch)) if !batch.is_empty() => {
                    let each: Vec<Json> = batch.iter().filter_map(|request| self.request(request)).collect();
                    answers.extend((!each.is_empty()).then_some(Json::Array(each)));
                }
                Ok(request) => answers.extend(self.request(&request)),
                Err(error) => {
                    answers.push(reply(&Value::Null, Err((PARSE_ERROR, format!("parse error: {error}")))));
                    break;
                }
            }
        }
        answers
    }

    /// `None` for a notification.
    fn request(&mut self, request: &Value) -> Option<Json> {
        let id = request.get("id");
        let Some(object) = request.as_object() else {
            return Some(reply(&Value::Null, Err((INVALID_REQUEST, "a request must be an object".into()))));
        };
        if object.get("jsonrpc").is_some_and(|version| version != "2.0") {
            return id.map(|id| reply(id, Err((INVALID_REQUEST, "jsonrpc must be 2.0".into()))));
        }
        let params = object.get("params").unwrap_or(&Value::Null);
        let result = match object.get("method").and_then(Value::as_str) {
            Some("initialize") => Ok(self.initialize(params)),
            Some("ping") => Ok(Json::Object(Vec::new())),
            Some("tools/list") => Ok(self.tools()),
            Some("tools/call") => self.call(params),
            Some(_) if id.is_none() => return None,
            Some(_) => Err((METHOD_NOT_FOUND, "method not found".into())),
            None if id.is_none() => return None,
            None => Err((INVALID_REQUEST, "a request needs a method".into())),
        };
        id.map(|id| reply(id, result))
    }

    fn initialize(&mut self, params: &Value) -> Json {
        let asked = params.get("protocolVersion").and_then(Value::as_str);
        let version = match asked {
            None => OLDEST,
            Some(asked) => VERSIONS.iter().copied().find(|known| *known == asked).unwrap_or(LATEST),
        };
        self.version = version;
        let tools =
            if self.is_structured() { Json::object([("listChanged", false.into())]) } else { Json::Object(Vec::new()) };
        let version_of = option_env!("HAWKBELL_VERSION").unwrap_or("dev");
        Json::object([
            ("protocolVersion", version.into()),
            ("serverInfo", Json::object([("name", self.program.into()), ("version", version_of.into())])),
            ("capabilities", Json::object([("tools", tools)])),
        ])
    }

    /// Versions are dates, so they compare as texts.
    fn is_structured(&self) -> bool {
        self.version >= SINCE_STRUCTURED
    }

    fn tools(&self) -> Json {
        let all = self.tools.names().into_iter().filter_map(|name| Some(self.tool(name, self.tools.describe(name)?)));
        Json::object([("tools", Json::Array(all.collect()))])
    }

    fn tool(&self, name: &str, description: Description) -> Json {
        let mut pairs = vec![
            ("name".to_owned(), name.into()),
            ("description".to_owned(), description.about.into()),
            ("inputSchema".to_owned(), description.input),
        ];
        if self.is_structured() {
            pairs.push(("outputSchema".into(), result_schema(description.output)));
        }
        if self.version >= SINCE_HINTS {
            let hints = [("readOnlyHint", description.read_only.into()), ("openWorldHint", false.into())];
            pairs.push(("annotations".into(), Json::object(hints)));
        }
        Json::Object(pairs)
    }

    fn call(&self, params: &Value) -> Result<Json, Fault> {
        let Some(params) = params.as_object() else { return Err((INVALID_PARAMS, "invalid tools/call params".into())) };
        let name = match params.get("name") {
            None | Some(Value::Null) => return Err((INVALID_PARAMS, "tool name is required".into())),
            Some(Value::String(name)) if name.is_empty() => {
                return Err((INVALID_PARAMS, "tool name is required".into()));
            }
            Some(Value::String(name)) => name,
            Some(_) => return Err((INVALID_PARAMS, "invalid tools/call params".into())),
        };
        let empty = serde_json::Map::new();
        let arguments = match params.get("arguments") {
            None | Some(Value::Null) => &empty,
            Some(Value::Object(arguments)) => arguments,
            Some(_) => return Err((INVALID_PARAMS, "invalid tools/call params".into())),
        };
        Ok(self.result(&self.tools.call(name, arguments)?))
    }

    fn result(&self, output: &Output) -> Json {
        let text = format!("{}{}", output.stdout, output.stderr);
        let content = Json::object([("type", "text".into()), ("text", text.as_str().into())]);
        let mut pairs = vec![("content".to_owned(), Json::Array(vec![content]))];
        if self.is_structured() {
            let parsed = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
            let structured = parsed.map_or_else(|| Json::object([("text", text.as_str().into())]), Json::from);
            pairs.push(("structuredContent".into(), structured));
        }
        if output.status != 0 {
            pairs.push(("isError".into(), true.into()));
        }
        Json::Object(pairs)
    }
}

/// The arguments of a call as a command line, keys in alphabetical order.
fn words(command: &Command, native: bool, arguments: &serde_json::Map<String, Value>) -> Result<Vec<String>, Fault> {
    let mut keys: Vec<&String> = arguments.keys().collect();
    keys.sort_unstable();
    let mut words = vec![command.name.to_owned()];
    for key in keys {
        let flag = command.flags(native).find(|flag| flag.name == key);
        let flag = flag.ok_or_else(|| (INVALID_PARAMS, format!("unknown argument \"{key}\"")))?;
        let values = match arguments.get(key) {
            Some(Value::Array(items)) => items.iter().collect(),
            Some(Value::Null) | None => Vec::new(),
            Some(single) => vec![single],
        };
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            match flag.value {
                Takes::Bool => words.push(format!("--{key}={text}")),
                _ => words.extend([format!("--{key}"), text]),
            }
        }
    }
    Ok(words)
}

/// What the JSON of a tool holds: key, type, meaning. Other tools answer with what they print.
pub fn result_keys(tool: &str) -> &'static [(&'static str, &'static str, &'static str)] {
    match tool {
        "check" => &[
            ("ok", "boolean", "nothing required is missing"),
            ("kernel", "string", "release of the kernel that was asked"),
            ("requirements", "array", "every requirement with answer, cause, reason and fix"),
            ("objects", "array", "every object with its verdict"),
            ("feature", "string", "the first requirement that is not met"),
            ("reason", "string", "why it is not met, and the fix"),
        ],
        "probe" => &[
            ("format", "integer", "version of this form"),
            ("context", "object", "host and security context"),
            ("answers", "object", "answer by requirement"),
            ("config", "object", "kernel configuration"),
            ("known", "object", "names in the kernel's BTF"),
        ],
        _ => &[],
    }
}

/// Any object, with the keys that are known; text that is no JSON comes as `text`.
fn result_schema(keys: &[(&str, &str, &str)]) -> Json {
    let text = ("text", "string", "what was printed, where it is no JSON object");
    let property = |(key, kind, about): &(&str, &str, &str)| {
        ((*key).to_owned(), Json::object([("type", (*kind).into()), ("description", (*about).into())]))
    };
    let properties = keys.iter().chain([&text]).map(property).collect();
    Json::object([("type", "object".into()), ("properties", Json::Object(properties))])
}

fn reply(id: &Value, result: Result<Json, Fault>) -> Json {
    let outcome = match result {
        Ok(result) => ("result", result),
        Err((code, message)) => ("error", Json::object([("code", code.into()), ("message", message.into())])),
    };
    Json::object([("jsonrpc", "2.0".into()), ("id", id.clone().into()), outcome])
}

const OLDEST: &str = "2024-11-05";
const SINCE_HINTS: &str = "2025-03-26";
const SINCE_STRUCTURED: &str = "2025-06-18";
const LATEST: &str = "2025-11-25";
const VERSIONS: &[&str] = &[OLDEST, SINCE_HINTS, SINCE_STRUCTURED, LATEST];
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
const INVALID_PARAMS: i64 = -32602;
