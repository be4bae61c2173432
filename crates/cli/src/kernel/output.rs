//! What a run printed and how it ended, and the reference's error envelope: one JSON line on standard error. In: text and causes;
//! out: an [`Output`] that the caller writes or hands to an MCP client. Nothing here writes to the terminal.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// Everything a command said.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Output {
    pub stdout: String,
    pub stderr: String,
    pub status: u8,
}

impl Output {
    pub fn ok(stdout: impl Into<String>) -> Self {
        Output { stdout: stdout.into(), ..Output::default() }
    }
}

/// An error as programs read it. Keys with nothing to say are left out.
#[derive(Debug, Default)]
pub struct Envelope {
    pub error: &'static str,
    pub status: u8,
    pub message: String,
    pub flag: Option<String>,
    pub got: Option<String>,
    pub expected: Option<&'static str>,
    pub command: Option<String>,
    pub hint: Option<String>,
    pub available: Vec<&'static str>,
}

impl Envelope {
    /// Something went wrong while running.
    pub fn runtime(command: &str, message: impl Into<String>) -> Self {
        Envelope {
            error: "error",
            status: 1,
            message: message.into(),
            command: Some(command.into()),
            ..Envelope::default()
        }
    }

    pub fn output(&self) -> Output {
        Output { stdout: String::new(), stderr: self.line(), status: self.status }
    }

    pub fn line(&self) -> String {
        let mut line = compact(&self.value());
        line.push('\n');
        line
    }

    pub fn value(&self) -> Json {
        let texts = [
            ("flag", self.flag.as_deref()),
            ("got", self.got.as_deref()),
            ("expected", self.expected),
            ("command", self.command.as_deref()),
            ("hint", self.hint.as_deref()),
        ];
        let mut pairs = vec![
            ("error".to_owned(), self.error.into()),
            ("exit_code".to_owned(), u64::from(self.status).into()),
            ("message".to_owned(), self.message.as_str().into()),
        ];
        pairs.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text?.into()))));
        if !self.available.is_empty() {
            pairs.push(("available".into(), Json::Array(self.available.iter().map(|name| (*name).into()).collect())));
        }
        Json::Object(pairs)
    }
}

/// JSON whose objects keep the order they were built in.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    Plain(serde_json::Value),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn object<const N: usize>(pairs: [(&str, Json); N]) -> Json {
        Json::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

impl<T: Into<serde_json::Value>> From<T> for Json {
    fn from(value: T) -> Self {
        Json::Plain(value.into())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Plain(value) => value.serialize(serializer),
            Json::Array(items) => serializer.collect_seq(items),
            Json::Object(pairs) => {
                let mut map = serializer.serialize_map(Some(pairs.len()))?;
                pairs.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

/// JSON on one line, escaped like Go does.
pub fn compact(value: &impl Serialize) -> String {
    // Serialising to memory fails only for maps with keys that are no text; ours are text.
    escape(serde_json::to_string(value).unwrap_or_default())
}

/// JSON with two-space indentation and a newline at the end, escaped like Go does.
pub fn pretty(value: &impl Serialize) -> String {
    let mut text = escape(serde_json::to_string_pretty(value).unwrap_or_default());
    text.push('\n');
    text
}

/// These letters occur only inside strings of JSON.
fn escape(json: String) -> String {
    let escapes = [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")];
    escapes.into_iter().fold(
        json,
        |json, (letter, escape)| {
            if json.contains(letter) { json.replace(letter, escape) } else { json }
        },
    )
}
