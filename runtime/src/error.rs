//! Why modules are refused.

use wasmparser::BinaryReaderError;

/// Why bytes are not a module that the engine can run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The bytes are not a valid module.
    #[error("{message} (at offset 0x{offset:x}{})", in_function(.function))]
    Invalid {
        /// What is wrong, in the validator's words.
        message: String,
        /// Where, in bytes from the start of the module.
        offset: usize,
        /// The function whose body it is in.
        function: Option<u32>,
    },
    /// The module is valid, but needs a proposal that is off or not executed yet.
    #[error("{message} (at offset 0x{offset:x}{}): the module uses the proposal `{proposal}`, which {}",
        in_function(.function), if *.executed { "is switched off" } else { "this engine does not execute yet" })]
    Proposal {
        /// Name of the proposal.
        proposal: &'static str,
        /// Whether the engine could execute it.
        executed: bool,
        /// What the validator said without it.
        message: String,
        /// Where it is first needed.
        offset: usize,
        /// The function whose body it is in.
        function: Option<u32>,
    },
    /// The bytes are a component, not a core module.
    #[error("this is a WebAssembly component; only core modules can be run")]
    Component,
    /// The module is valid but exceeds a limit of the engine.
    #[error("{what} (at offset 0x{offset:x}{})", in_function(.function))]
    TooLarge {
        /// The limit and what was found.
        what: String,
        /// Where, in bytes from the start of the module.
        offset: usize,
        /// The function whose body it is in.
        function: Option<u32>,
    },
}

fn in_function(function: &Option<u32>) -> String {
    function.map_or(String::new(), |f| format!(" in function {f}"))
}

/// Why a module is refused, before it is known which proposal would admit it.
pub(crate) enum Refusal {
    Invalid { message: String, offset: usize, function: Option<u32> },
    TooLarge(ParseError),
}

impl From<BinaryReaderError> for Refusal {
    fn from(error: BinaryReaderError) -> Refusal {
        Refusal::Invalid {
            message: error.message().to_owned(),
            offset: error.offset() as usize,
            function: None,
        }
    }
}
