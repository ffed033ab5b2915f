//! WebAssembly/wasi-testsuite, where the environment variable `WASI_TESTSUITE` says that there is a checkout
//! of its branch `prod/testsuite-base`. The suite is 100 MB of prebuilt programs and no part of this
//! repository; without the variable this test says so and checks nothing.

use std::path::PathBuf;

use wasmrun::Config;
use wasmrun_spec_tests::wasi_suite::{Runner, run};

#[test]
fn all_programs_of_the_wasi_testsuite_pass() {
    let Some(suite) = std::env::var_os("WASI_TESTSUITE").map(PathBuf::from) else {
        println!("WASI_TESTSUITE is not set: nothing was checked");
        return;
    };
    let report = run(&suite, &Runner::InProcess(Config::default()), |_| ()).unwrap();
    assert_eq!(report.failed(), 0, "{report}");
    assert!(report.passed() >= 72, "the suite has 72 programs, found {}", report.passed());
}
