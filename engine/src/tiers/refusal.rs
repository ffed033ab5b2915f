//! Why a function has no compiled code.

use wasmrun_jit::code::InstallError;

/// Why a function has no compiled code.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) reason: String,
    /// Whether another attempt would end in the same way.
    pub(super) lasting: bool,
}

impl Refusal {
    /// For now.
    pub(super) fn for_now(reason: impl ToString) -> Refusal {
        Refusal { reason: reason.to_string(), lasting: false }
    }
}

/// The function itself is the reason.
impl From<String> for Refusal {
    fn from(reason: String) -> Refusal {
        Refusal { reason, lasting: true }
    }
}

impl From<InstallError> for Refusal {
    fn from(error: InstallError) -> Refusal {
        Refusal { reason: error.to_string(), lasting: matches!(error, InstallError::Compile(_)) }
    }
}
