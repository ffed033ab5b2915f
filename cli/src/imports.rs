//! What is known about imports that nothing provides: where such modules come from, and what helps.
//!
//! `run` and `explain` give the same advice.

use wasmrun_wasi::abi::{Class, PREVIEW0, PREVIEW1};
use wasmrun_wasi::caps;

use crate::output::shown;

/// Why an import is not there and what would provide it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Where a module with such an import comes from, if that is known.
    pub origin: Option<String>,
    /// What the user can do.
    pub help: String,
}

/// A family of host interfaces that this command does not have, or not under this name.
struct Family {
    matches: fn(module: &str, name: &str) -> bool,
    origin: &'static str,
    help: &'static str,
}

/// Tried in order.
const FAMILIES: &[Family] = &[
    Family {
        matches: |module, name| {
            module.contains("wbindgen") || name.starts_with("__wbindgen") || module == "wbg"
        },
        origin: "this module was built by wasm-bindgen for a JavaScript host",
        help: "build the program for the target `wasm32-wasip1`, without wasm-bindgen",
    },
    Family {
        matches: |module, _| module == "gojs" || module == "go",
        origin: "this module was built by Go for a JavaScript host",
        help: "build the program with `GOOS=wasip1 GOARCH=wasm`",
    },
    Family {
        matches: |module, name| module == "env" && is_emscripten(name) || module == "a",
        origin: "this module was built by Emscripten for a JavaScript host",
        help: "link it with `-sSTANDALONE_WASM`, or build it with a WASI SDK",
    },
    Family {
        matches: |module, _| module.starts_with("wasmedge_") || module.starts_with("wasi_ephemeral_nn"),
        origin: "this module was built for an extension of WasmEdge",
        help: "it needs that runtime; WASI preview 1 has no such functions",
    },
];

/// Names that Emscripten's runtime imports from `env`.
fn is_emscripten(name: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "emscripten_",
        "_emscripten_",
        "__syscall_",
        "__cxa_",
        "invoke_",
        "_embind_",
        "_emval_",
        "_tzset_js",
        "_localtime_js",
        "_gmtime_js",
        "_mktime_js",
        "_mmap_js",
        "_munmap_js",
        "_abort_js",
        "__asyncjs__",
    ];
    const NAMES: &[&str] = &[
        "setTempRet0",
        "getTempRet0",
        "__assert_fail",
        "abortOnCannotGrowMemory",
        "DYNAMICTOP_PTR",
        "__table_base",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name)
}

/// What to say about the import `module.name`, which nothing provides.
pub fn advise(module: &str, name: &str) -> Advice {
    if let Some(family) = FAMILIES.iter().find(|family| (family.matches)(module, name)) {
        return Advice { origin: Some(family.origin.to_owned()), help: family.help.to_owned() };
    }
    if let Some(hint) = caps::hint(module, name) {
        let help = "build the program for WASI preview 1, without these extensions".to_owned();
        return Advice { origin: Some(hint.to_owned()), help };
    }
    if [PREVIEW1.module, PREVIEW0.module].contains(&module) {
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
    fn modules_for_other_hosts_are_recognised() {
        let origin = |module, name| advise(module, name).origin.unwrap_or_default();
        assert!(origin("env", "emscripten_resize_heap").contains("Emscripten"));
        assert!(origin("env", "__syscall_openat").contains("Emscripten"));
        assert!(origin("wasi_snapshot_preview1", "sock_setsockopt").contains("WasmEdge"));
        assert!(origin("wasix_32v1", "proc_fork").contains("WASIX"));
        assert!(origin("wbg", "__wbg_log_1").contains("wasm-bindgen"));
        assert!(origin("gojs", "runtime.wasmExit").contains("Go"));
        assert!(origin("wasi", "thread-spawn").contains("wasi-threads"));
        assert_eq!(origin("wasi_unstable", "frob"), "`wasi_unstable` has no function `frob`");
    }

    #[test]
    fn an_import_of_unknown_origin_can_be_preloaded() {
        let advice = advise("env", "frob");
        assert_eq!(advice.origin, None);
        assert!(advice.help.starts_with("`--preload env=FILE` "), "{}", advice.help);
    }
}
