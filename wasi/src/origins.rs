//! Where modules come from that import what WASI preview 1 does not have: dialects and relatives of WASI, and the host
//! interfaces of other toolchains and engines, by the names that give them away.
//!
//! For commands that explain why a module cannot run: what it was built for, and how to build it for WASI.

use crate::abi::PREVIEW1;

/// A family of imports that no host of WASI preview 1 has.
#[derive(Debug)]
#[non_exhaustive]
pub struct Origin {
    /// What a module with such an import was built for: a sentence without a full stop.
    pub text: &'static str,
    /// What whoever builds it can do: an order without a full stop.
    pub help: &'static str,
    matches: fn(module: &str, name: &str) -> bool,
}

/// What helps against all extensions of WASI.
const NO_EXTENSIONS: &str = "build the program for WASI preview 1, without these extensions";

/// All families that are known. The first that matches counts.
pub static ORIGINS: &[Origin] = &[
    Origin {
        text: "this module was built by wasm-bindgen for a JavaScript host",
        help: "build the program for the target `wasm32-wasip1`, without wasm-bindgen",
        matches: |module, name| {
            module.contains("wbindgen") || name.starts_with("__wbindgen") || module == "wbg"
        },
    },
    Origin {
        text: "this module was built by Go for a JavaScript host",
        help: "build the program with `GOOS=wasip1 GOARCH=wasm`",
        matches: |module, _| module == "gojs" || module == "go",
    },
    Origin {
        text: "this module was built by Emscripten for a JavaScript host",
        help: "link it with `-sSTANDALONE_WASM`, or build it with a WASI SDK",
        // Minified, it calls the module `a` and the functions by a letter or two.
        matches: |module, name| module == "env" && is_emscripten(name) || module == "a" && name.len() <= 2,
    },
    Origin {
        text: "this module was built for an extension of WasmEdge",
        help: "it needs that runtime; WASI preview 1 has no such functions",
        matches: |module, _| module.starts_with("wasmedge_") || module.starts_with("wasi_ephemeral_nn"),
    },
    Origin {
        text: "this module was built for the sockets of WasmEdge, which are not part of WASI",
        help: NO_EXTENSIONS,
        matches: |module, name| module == PREVIEW1.module && name.starts_with("sock_"),
    },
    Origin {
        text: "this module was built for wasi-threads",
        help: "grant it threads, or build the program without them",
        matches: is_thread_spawn,
    },
    Origin {
        text: "this module was built for WASIX, which only Wasmer runs",
        help: NO_EXTENSIONS,
        matches: |module, _| module.starts_with("wasix_"),
    },
    Origin {
        text: "this is WASI 0.2 or later, which needs a component",
        help: NO_EXTENSIONS,
        matches: |module, _| module.starts_with("wasi:"),
    },
];

/// The family that the import `module.name` belongs to, which nothing provides.
pub fn of(module: &str, name: &str) -> Option<&'static Origin> {
    ORIGINS.iter().find(|origin| (origin.matches)(module, name))
}

/// Whether this is the one function of wasi-threads.
pub(crate) fn is_thread_spawn(module: &str, name: &str) -> bool {
    module == "wasi" && name == "thread-spawn"
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_for_other_hosts_are_recognised() {
        let text = |module, name| of(module, name).map_or("", |origin| origin.text);
        for (module, name, expected) in [
            ("env", "emscripten_resize_heap", "Emscripten"),
            ("env", "__syscall_openat", "Emscripten"),
            ("a", "b", "Emscripten"),
            ("wbg", "__wbg_log_1", "wasm-bindgen"),
            ("gojs", "runtime.wasmExit", "Go"),
            ("wasi_ephemeral_nn", "load", "WasmEdge"),
            ("wasi_snapshot_preview1", "sock_setsockopt", "WasmEdge"),
            ("wasix_32v1", "proc_fork", "WASIX"),
            ("wasi", "thread-spawn", "wasi-threads"),
            ("wasi:cli/run@0.2.0", "run", "component"),
        ] {
            assert!(text(module, name).contains(expected), "{module}.{name}: {}", text(module, name));
        }
        for (module, name) in [("env", "f"), ("wasi_unstable", "frob"), ("wasi", "other")] {
            assert!(of(module, name).is_none(), "{module}.{name}");
        }
    }
}
