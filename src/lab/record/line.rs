//! The lines of a recording: one JSON object each.
//!
//! ```text
//! {"schema":"twodoors.record/1","scenario":PATH,"seed":N,"files":{PATH:TEXT,…}}    the first
//! {"node":"proxy/1","at_us":N,"input":{"proxy":{…}},"outputs":[…],"facts":[…]}      one a call
//! {"lost":N}                                                                       calls missing here
//! {"end":{"calls":N}}                                                              the last
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::input::AnyInputShape;
use crate::policy::AnyInput;

/// The name and version of the shape of a recording.
pub const SCHEMA: &str = "twodoors.record/1";

/// The first line: enough to make the same machines anywhere.
#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) schema: String,
    /// The scenario's path, as it was named.
    pub(super) scenario: String,
    /// The scenario's seed.
    pub(super) seed: u64,
    /// Text by path of every file that was read.
    pub(super) files: BTreeMap<String, String>,
}

/// One call of a machine.
#[derive(Debug, Deserialize, Serialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct CallLine {
    /// `KIND/NAME`.
    pub(super) node: String,
    /// Since the start of the lab, in microseconds.
    pub(super) at_us: u64,
    /// `None` for a wake.
    pub(super) input: Option<InputLine>,
    /// As they are shown for debugging, in order.
    pub(super) outputs: Vec<String>,
    /// As they are shown for debugging, in order.
    pub(super) facts: Vec<String>,
}

/// An input of any machine.
#[derive(Debug, Deserialize, Serialize, PartialEq)]
#[serde(transparent)]
pub(super) struct InputLine(#[serde(with = "AnyInputShape")] pub(super) AnyInput);

/// Says that calls are missing.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LostLine {
    /// How many.
    pub(super) lost: u64,
}

/// The last line; a recording without it was cut off.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndLine {
    pub(super) end: Total,
}

/// What a whole recording holds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Total {
    /// How many calls were written.
    pub(super) calls: u64,
}

/// Any line after the first.
pub(super) enum Line {
    Call(Box<CallLine>),
    End(Total),
    Lost(u64),
}

impl Line {
    /// Reads a line; the error is a sentence.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(text).map_err(|e| e.to_string())?;
        let line = if value.get("lost").is_some() {
            serde_json::from_value(value).map(|LostLine { lost }| Self::Lost(lost))
        } else if value.get("end").is_some() {
            serde_json::from_value(value).map(|EndLine { end }| Self::End(end))
        } else {
            serde_json::from_value(value).map(Self::Call)
        };
        line.map_err(|error| error.to_string())
    }
}
