//! Tests about what belongs to a process, its limits and rights and what it prints, run in a process of their own: the test
//! program starts itself again for the one test.

use std::env;
use std::process::{Command, Output};

const CHILD: &str = "WASMRUN_TEST_ALONE";

/// Runs `body` in a process in which the test `name` is alone. Returns what became of it; `None` in that process itself.
pub fn in_a_process(name: &str, body: impl FnOnce()) -> Option<Output> {
    if env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([name, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
    let output = command.env_remove("RUST_BACKTRACE").output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("running 1 test"), "one test is called {name}");
    Some(output)
}

/// The same for a test that ends well and prints nothing.
pub fn alone(name: &str, body: impl FnOnce()) {
    if let Some(output) = in_a_process(name, body) {
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }
}
