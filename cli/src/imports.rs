//! What to say about imports that nothing provides, from what is known of where such modules come from.
//!
//! `run` and `explain` give the same advice.

use wasmrun_wasi::abi::{Class, Preview};
use wasmrun_wasi::{caps, origins};

use crate::wording::shown;

/// What provides threads, and the memory that they share.
pub const THREADS: &str = "`-S threads` lets the guest start threads";

/// Why an import is not there and what would provide it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Where a module with such an import comes from, if that is known.
    pub origin: Option<String>,
    /// What the user can do.
    pub help: String,
}

/// What to say about the import `module.name`, which nothing provides.
pub fn advise(module: &str, name: &str) -> Advice {
    if caps::classify(module, name) == Class::Threads {
        let origin = origins::of(module, name).map(|known| known.text.to_owned());
        return Advice { origin, help: THREADS.to_owned() };
    }
    if let Some(known) = origins::of(module, name) {
        return Advice { origin: Some(known.text.to_owned()), help: known.help.to_owned() };
    }
    if Preview::of_module(module).is_some() {
        let origin = format!("`{module}` has no function `{}`", shown(name));
        return Advice { origin: Some(origin), help: "build the program for WASI preview 1".to_owned() };
    }
    let module = shown(module);
    Advice {
        origin: None,
        help: format!(
            "`--preload {module}=FILE` provides the exports of another module as imports from `{module}`"
        ),
    }
}

/// Whether WASI provides the function `module.name`.
pub fn wasi_class(module: &str, name: &str) -> Option<Class> {
    match caps::classify(module, name) {
        Class::Unknown | Class::Threads => None,
        class => Some(class),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_origins_come_first_and_wasi_has_no_other_functions() {
        let origin = |module, name| advise(module, name).origin.unwrap_or_default();
        assert!(origin("wasi_snapshot_preview1", "sock_setsockopt").contains("WasmEdge"));
        assert_eq!(origin("wasi_unstable", "frob"), "`wasi_unstable` has no function `frob`");
    }

    #[test]
    fn an_import_of_unknown_origin_can_be_preloaded() {
        let advice = advise("env", "frob");
        assert_eq!(advice.origin, None);
        assert!(advice.help.starts_with("`--preload env=FILE` "), "{}", advice.help);
    }
}
