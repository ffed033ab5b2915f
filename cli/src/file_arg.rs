//! A FILE argument: a path, or `-` for the standard input.

use std::path::Path;

use wasmrun_runtime::printable;

/// The name of a FILE argument in messages.
pub fn display_name(file: &Path) -> String {
    if is_stdin(file) {
        "standard input".to_owned()
    } else {
        format!("`{}`", printable(&file.display().to_string()))
    }
}

/// Whether it is the standard input.
pub fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}
