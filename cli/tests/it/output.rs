//! Where the files of `compile` and `explore` go: what is replaced, what is written to, and what is left alone.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use crate::common::{Bench, NOTHING};

/// What `compile` makes of the module.
fn compiled(bench: &Bench) -> Vec<u8> {
    bench.run(&["compile", "a.wat", "-o", "expected.wrc"]).assert_clean(0, "");
    fs::read(bench.path("expected.wrc")).unwrap()
}

/// A bench with a link to the standard output of who follows it, one to that link, and one to the directory of descriptors.
fn with_links() -> Bench {
    let bench = Bench::with("a.wat", NOTHING).file("log", "before\n");
    symlink("/proc/self/fd/1", bench.path("stdout")).unwrap();
    symlink("stdout", bench.path("further")).unwrap();
    symlink("/proc/self/fd", bench.path("fds")).unwrap();
    bench
}

fn is_link(bench: &Bench, name: &str) -> bool {
    fs::symlink_metadata(bench.path(name)).unwrap().is_symlink()
}

#[track_caller]
fn assert_quiet(output: &Output) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_link_to_a_descriptor_is_written_to_behind_what_is_there() {
    for out in ["stdout", "further", "fds/1"] {
        let bench = with_links();
        let expected = [b"before\n", &compiled(&bench)[..], b"after\n"].concat();
        // Opened like `>>` and like `>` by a shell that has written to it before, and does again.
        for append in [true, false] {
            fs::write(bench.path("log"), "before\n").unwrap();
            let mut log = File::options().append(append).write(true).open(bench.path("log")).unwrap();
            log.seek(std::io::SeekFrom::End(0)).unwrap();
            let stdout = log.try_clone().unwrap();
            let output = bench.command(&["compile", "a.wat", "-o", out]).stdout(stdout).output();
            assert_quiet(&output.unwrap());
            log.write_all(b"after\n").unwrap();
            assert_eq!(fs::read(bench.path("log")).unwrap(), expected, "{out}, append: {append}");
        }
        assert!(is_link(&bench, "stdout") && is_link(&bench, "further"));
    }
}

#[test]
fn a_descriptor_of_a_file_that_has_no_name_any_more_is_written_to() {
    let bench = with_links();
    let page = bench.run(&["explore", "a.wat", "-o", "-"]);
    let mut log = File::options().read(true).write(true).open(bench.path("log")).unwrap();
    fs::remove_file(bench.path("log")).unwrap();
    let stdout = log.try_clone().unwrap();
    assert_quiet(&bench.command(&["explore", "a.wat", "-o", "stdout"]).stdout(stdout).output().unwrap());
    let mut written = String::new();
    log.rewind().unwrap();
    log.read_to_string(&mut written).unwrap();
    let behind = written.strip_prefix(page.text()).unwrap_or_else(|| panic!("{written}"));
    assert!(behind.starts_with("stdout: 1 function, "), "{behind}");
    assert!(is_link(&bench, "stdout") && !bench.path("log").exists());
}

#[test]
fn descriptors_that_nobody_has_given_are_an_error() {
    let bench = Bench::with("a.wat", NOTHING);
    symlink("/proc/self/fd/999", bench.path("none")).unwrap();
    bench
        .run(&["compile", "a.wat", "-o", "none"])
        .assert_error(1, "error: cannot write `none`\ncaused by: Bad file descriptor (os error 9)\n");
    assert!(is_link(&bench, "none"));
}

#[test]
fn a_link_to_nothing_makes_its_target() {
    let bench = Bench::with("a.wat", NOTHING).file("dir/x", "");
    let code = compiled(&bench);
    symlink("../target", bench.path("dir/second")).unwrap();
    symlink("dir/second", bench.path("first")).unwrap();
    bench.run(&["compile", "a.wat", "-o", "first"]).assert_clean(0, "");
    assert!(is_link(&bench, "first") && is_link(&bench, "dir/second"));
    assert_eq!(fs::read(bench.path("target")).unwrap(), code);
    // Now it is there, and replaced.
    fs::write(bench.path("target"), "something else").unwrap();
    bench.run(&["compile", "a.wat", "-o", "first"]).assert_clean(0, "");
    assert!(is_link(&bench, "first") && fs::read(bench.path("target")).unwrap() == code);
    // A path that can only be a directory's makes no file.
    for out in ["new/", "new/."] {
        assert_eq!(bench.run(&["compile", "a.wat", "-o", out]).code, Some(1), "{out}");
    }
    assert!(!bench.path("new").exists());
}

#[test]
fn a_loop_of_links_is_an_error_and_stays() {
    let bench = Bench::with("a.wat", NOTHING);
    symlink("two", bench.path("one")).unwrap();
    symlink("one", bench.path("two")).unwrap();
    bench.run(&["compile", "a.wat", "-o", "one"]).assert_error(
        1,
        "error: cannot write `one`\ncaused by: Too many levels of symbolic links (os error 40)\n",
    );
    assert!(is_link(&bench, "one") && is_link(&bench, "two"));
}

#[test]
fn a_dash_is_the_standard_output() {
    let bench = Bench::with("a.wat", NOTHING);
    let code = compiled(&bench);
    bench.run(&["compile", "a.wat", "-o", "-"]).assert_clean(0, &code);
    bench.run_with(&["compile", "-", "-o", "-"], NOTHING.as_bytes(), &[]).assert_clean(0, &code);
    assert!(bench.run(&["explore", "a.wat", "-o", "-"]).text().ends_with("</html>\n"));
    assert!(!bench.path("-").exists());
    bench.run(&["compile", "a.wat", "-o", "./-"]).assert_clean(0, "");
    assert_eq!(fs::read(bench.path("-")).unwrap(), code);
}

#[test]
fn a_timeout_stops_writing_to_a_pipe_that_nobody_reads() {
    let bench = Bench::with("a.wat", NOTHING);
    assert!(Command::new("mkfifo").arg(bench.path("fifo")).status().unwrap().success());
    for command in ["compile", "explore"] {
        bench.run(&[command, "--timeout", "3s", "a.wat", "-o", "fifo"]).assert_error(
            1,
            "error: `fifo` could not be written in time\n\
             caused by: the 3s of `--timeout` passed while writing it\n\
             help: `--timeout TIME` is the time for loading and running together\n",
        );
    }
    // More than a pipe holds.
    let functions = "(func (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))".repeat(40);
    let bench = bench.file("large.wat", format!("(module {functions})"));
    let explore = ["explore", "--timeout", "4s", "large.wat", "-o", "-"];
    let mut child = bench.command(&explore).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = child.stdout.take();
    let output = child.wait_with_output().unwrap();
    drop(stdout);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("error: the standard output could not be written in time\n"), "{stderr}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_directory_is_not_replaced() {
    let bench = Bench::with("a.wat", NOTHING).file("dir/x", "");
    bench
        .run(&["compile", "a.wat", "-o", "dir"])
        .assert_error(1, "error: cannot write `dir`\ncaused by: Is a directory (os error 21)\n");
    let names: Vec<PathBuf> =
        fs::read_dir(bench.root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}
