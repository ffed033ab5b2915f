//! The command line: from the arguments of the process to a [`Command`].
//!
//! clap reads it; its options come from [`table`]. Options stand before FILE, everything behind FILE is
//! the guest's. A usage error is clap's own message or, for a value that we judge, one of the same form.

mod grants;
mod keys;
mod options;
mod table;
mod units;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, ValueParser};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, ValueHint};

pub use grants::{DirGrant, Preload};
pub use options::{Mode, Options};

use keys::Asked;
use table::{Offer, ROWS, Takes};

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Run a module.
    Run(RunArgs),
    /// Check modules.
    Validate(Vec<PathBuf>),
    /// Show what is in a module.
    Inspect {
        /// The module.
        file: PathBuf,
        /// Whether as JSON.
        json: bool,
    },
    /// Show what a module would be able to do.
    Explain {
        /// How it would be run.
        run: RunArgs,
        /// Whether about the tiers of its functions.
        tiers: bool,
        /// Whether as JSON.
        json: bool,
    },
    /// Write a page that shows what becomes of functions.
    Explore(ExploreArgs),
    /// Compile a module to a file.
    Compile {
        /// The module and what its code is made for.
        run: RunArgs,
        /// The file; `None` is the module's name with another ending.
        out: Option<PathBuf>,
    },
    /// Look at the cache of compiled code, or empty it.
    Cache {
        /// Which of the two.
        what: CacheCommand,
        /// Whether as JSON.
        json: bool,
    },
    /// Run spec scripts.
    Wast(Vec<PathBuf>),
    /// Print a completion script.
    Completion(clap_complete::Shell),
    /// Print this, which was asked for, and be done.
    Print(String),
}

/// What is done with the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheCommand {
    /// Say how much is in it.
    Stat,
    /// Remove it all.
    Clean,
}

/// A module and how to run it.
#[derive(Clone, Debug)]
pub struct RunArgs {
    /// The options.
    pub options: Options,
    /// The module; `-` is the standard input.
    pub file: PathBuf,
    /// The guest's arguments, without its name.
    pub args: Vec<OsString>,
}

/// What of a module to show, and where.
#[derive(Debug)]
pub struct ExploreArgs {
    /// The options that decide about its code.
    pub options: Options,
    /// The module; `-` is the standard input.
    pub file: PathBuf,
    /// The names and indices of the functions; all functions where there are none.
    pub functions: Vec<String>,
    /// Where the page goes, if that is said.
    pub output: Option<PathBuf>,
    /// Bytes from which on no function is added to the page.
    pub max_page: u64,
}

/// Reads the arguments of the process, its name first.
///
/// # Errors
/// What clap prints: a usage error, or help and version, which are no errors.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    let given = matches.subcommand();
    let (name, matches) = given.unwrap_or(("run", &matches));
    Ok(match name {
        "run" | "explain" => {
            match run_args(matches).map_err(|mistake| mistake.into_error(given.map(|(name, _)| name)))? {
                Some(run) if name == "run" => Command::Run(run),
                Some(run) => {
                    Command::Explain { run, tiers: matches.get_flag("tiers"), json: matches.get_flag("json") }
                }
                None => Command::Print(asked_help(matches, Offer::ALL)),
            }
        }
        "explore" => {
            match explore_args(matches).map_err(|mistake| mistake.into_error(given.map(|(name, _)| name)))? {
                Some(args) => Command::Explore(args),
                None => Command::Print(asked_help(matches, Offer::OF_CODE)),
            }
        }
        "compile" => match options(matches, Offer::OF_CODE)
            .map_err(|mistake| mistake.into_error(given.map(|(name, _)| name)))?
        {
            Some(options) => {
                let run = RunArgs { options, file: paths(matches).remove(0), args: Vec::new() };
                Command::Compile { run, out: matches.get_one("output").cloned() }
            }
            None => Command::Print(asked_help(matches, Offer::OF_CODE)),
        },
        "validate" => Command::Validate(paths(matches)),
        "inspect" => Command::Inspect { file: paths(matches).remove(0), json: matches.get_flag("json") },
        "cache" => {
            let (what, matches) = matches.subcommand().expect("clap requires it");
            let what = if what == "clean" { CacheCommand::Clean } else { CacheCommand::Stat };
            Command::Cache { what, json: matches.get_flag("json") }
        }
        "wast" => Command::Wast(paths(matches)),
        _ => Command::Completion(*matches.get_one("shell").expect("clap requires it")),
    })
}

/// A mistake that clap did not see.
struct Mistake {
    kind: ErrorKind,
    message: String,
}

impl Mistake {
    /// The error in clap's form, with the usage of the command. Definitions are made anew for it, so that a
    /// run without mistakes makes them once.
    fn into_error(self, name: Option<&str>) -> clap::Error {
        let mut root = command();
        root.build();
        match name.and_then(|name| root.find_subcommand_mut(name)) {
            Some(command) => command.error(self.kind, self.message),
            None => root.error(self.kind, self.message),
        }
    }
}

/// What people need to know beside the options. The examples are run by a test.
const AFTER_HELP: &str = "\
FILE is a module in binary or text form, or - for the standard input. Everything behind it goes to the guest; \
one -- directly behind it is left out.
The guest gets no files and no environment unless options give them.

Examples:
  wasmrun app.wasm one two
  wasmrun --dir . --env LANG=C --timeout 10s app.wasm
  wasmrun --dir data::/in::ro --max-memory 64MiB app.wasm
  wasmrun --invoke add math.wat 1 0x2a
  wasmrun explain --dir . app.wasm
  wasmrun explore math.wat -o math.html

Exit codes: what the guest passed to proc_exit, or 0; 134 if it trapped, ended with an exception, or ran out of time, fuel or stack; 1 if it \
could not be loaded, linked or started, or a check failed; 2 if the command line is wrong.";

/// The whole command, for parsing and for completion scripts.
pub fn command() -> clap::Command {
    let run_usage = "wasmrun [run] [OPTIONS] FILE [ARGS]...\n       wasmrun COMMAND ...";
    let root = clap::Command::new("wasmrun")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Run WebAssembly")
        .after_help(AFTER_HELP)
        .override_usage(run_usage)
        .args_conflicts_with_subcommands(true)
        .arg_required_else_help(true)
        .subcommand_help_heading("Commands")
        .subcommand_value_name("COMMAND");
    run_options(root)
        .subcommand(
            run_options(clap::Command::new("run").about("Run a module (this is also what happens without a command)"))
                .override_usage("wasmrun run [OPTIONS] FILE [ARGS]..."),
        )
        .subcommand(
            clap::Command::new("validate")
                .about("Check that modules are valid and can be run; silent about those that are")
                .arg(files("Modules in binary or text form; - is the standard input").num_args(1..)),
        )
        .subcommand(
            clap::Command::new("inspect")
                .about("Show the sections, imports, exports and features of a module")
                .arg(json())
                .arg(files("A module in binary or text form; - is the standard input")),
        )
        .subcommand(
            run_options(clap::Command::new("explain").about(
                "Show what a module could do if it were run: each import, and which option grants it or would",
            ))
            .arg(json())
            .arg(
                Arg::new("tiers")
                    .long("tiers")
                    .help("Compile all functions instead, and show what that costs and which stay in the interpreter")
                    .action(ArgAction::SetTrue),
            )
            .override_usage("wasmrun explain [OPTIONS] FILE [ARGS]..."),
        )
        .subcommand(explore())
        .subcommand(
            table_options(
                clap::Command::new("compile")
                    .about("Compile a module to a file that `wasmrun run --allow-precompiled` starts at once"),
                Offer::OF_CODE,
            )
            .override_usage("wasmrun compile [OPTIONS] FILE [-o OUT]")
            .arg(files("A module in binary or text form; - is the standard input"))
            .arg(
                Arg::new("output")
                    .short('o')
                    .long("output")
                    .value_name("OUT")
                    .help("The file to write; - is the standard output; otherwise it is called like FILE, with the ending .wrc, and lies here")
                    .value_hint(ValueHint::FilePath)
                    .value_parser(PathBufValueParser::new()),
            ),
        )
        .subcommand(
            clap::Command::new("cache")
                .about("Look at the cache of compiled code, or empty it")
                .subcommand_required(true)
                .subcommand_value_name("COMMAND")
                .subcommand(clap::Command::new("stat").about("Say where it is and how much is in it").arg(json()))
                .subcommand(clap::Command::new("clean").about("Remove all code from it").arg(json())),
        )
        .subcommand(
            clap::Command::new("wast")
                .about("Run scripts of the specification's test suite")
                .arg(files("Scripts; a directory stands for all .wast files below it").num_args(1..)),
        )
        .subcommand(
            clap::Command::new("completion").about("Print a script that completes this command in a shell").arg(
                Arg::new("shell")
                    .required(true)
                    .value_name("SHELL")
                    .value_parser(clap::value_parser!(clap_complete::Shell)),
            ),
        )
}

fn explore() -> clap::Command {
    let command = clap::Command::new("explore")
        .about("Write a page that shows functions as WebAssembly, bytecode, intermediate code and machine code")
        .override_usage("wasmrun explore FILE [--function NAME|INDEX]... [-o PAGE.html] [OPTIONS]")
        .arg(files("A module in binary or text form; - is the standard input").required(false))
        .arg(
            Arg::new("function")
                .long("function")
                .value_name("NAME|INDEX")
                .help("Show this function, by its name, its export or its index; more than once for several")
                .action(ArgAction::Append),
        )
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("PAGE")
                .help("Write the page to this file; - is the standard output; otherwise it is FILE's name with `.explore.html`")
                .value_hint(ValueHint::FilePath)
                .value_parser(PathBufValueParser::new()),
        )
        .arg(
            Arg::new("max-page")
                .long("max-page")
                .value_name("SIZE")
                .help("Add no more functions when the page has this size, for example 64MiB")
                .default_value("16MiB"),
        );
    table_options(command, Offer::OF_CODE)
}

fn files(help: &'static str) -> Arg {
    Arg::new("file")
        .value_name("FILE")
        .help(help)
        .required(true)
        .value_hint(ValueHint::FilePath)
        .value_parser(PathBufValueParser::new())
}

fn json() -> Arg {
    Arg::new("json").long("json").help("Print JSON").action(ArgAction::SetTrue)
}

fn table_options(mut cmd: clap::Command, offer: Offer) -> clap::Command {
    for (long, row) in offer.rows() {
        let arg = Arg::new(long).long(long).help(row.help);
        cmd = cmd.arg(match row.takes {
            Takes::Switch => arg.action(ArgAction::SetTrue).overrides_with(long),
            Takes::Value(name) => {
                arg.value_name(name).action(ArgAction::Append).value_parser(ValueParser::os_string())
            }
        });
    }
    for group in offer.groups() {
        cmd = cmd.arg(
            Arg::new(group.letter)
                .short(group.letter.chars().next())
                .value_name("KEY[=VALUE],...")
                .help(format!("{}; `-{} help` lists the keys", group.title, group.letter))
                .action(ArgAction::Append)
                .value_parser(ValueParser::os_string()),
        );
    }
    cmd
}

fn run_options(cmd: clap::Command) -> clap::Command {
    table_options(cmd, Offer::ALL).arg(
        Arg::new("module")
            .value_names(["FILE", "ARGS"])
            .help("The module, and the guest's arguments")
            .num_args(1..)
            .trailing_var_arg(true)
            .value_hint(ValueHint::FilePath)
            .value_parser(ValueParser::os_string()),
    )
}

/// Reads options of the table. `None` if the list of keys was asked for.
fn options(matches: &ArgMatches, offer: Offer) -> Result<Option<Options>, Mistake> {
    // In the order in which they were written, so that a later one wins whatever its form.
    let mut written: Vec<(usize, &str, &OsStr)> = Vec::new();
    for (long, row) in offer.rows() {
        if row.takes == Takes::Switch {
            let given = matches.get_flag(long);
            let place = matches.indices_of(long).and_then(Iterator::last);
            written.extend(place.filter(|_| given).map(|at| (at, long, OsStr::new("y"))));
        } else {
            written.extend(values(matches, long));
        }
    }
    for group in offer.groups() {
        written.extend(values(matches, group.letter));
    }
    written.sort_by_key(|(at, ..)| *at);

    let mut options = Options::default();
    for (_, name, value) in written {
        let result = match ROWS.iter().find(|row| row.long == Some(name)) {
            Some(row) => (row.set)(&mut options, value).map_err(|message| format!("`--{name}`: {message}")),
            None => match keys::apply(name, value, &mut options) {
                Ok(Asked::Help) => return Ok(None),
                Ok(Asked::Options) => Ok(()),
                Err(message) => Err(message),
            },
        };
        result.map_err(invalid)?;
    }
    match options.contradiction() {
        Some(message) => Err(Mistake { kind: ErrorKind::ArgumentConflict, message: message.to_owned() }),
        None => Ok(Some(options)),
    }
}

fn invalid(message: String) -> Mistake {
    Mistake { kind: ErrorKind::InvalidValue, message }
}

fn file_missing(purpose: &str) -> Mistake {
    let message = format!("FILE, the module to {purpose}, is missing");
    Mistake { kind: ErrorKind::MissingRequiredArgument, message }
}

/// Reads the options of `explore`. `None` if the list of keys was asked for.
fn explore_args(matches: &ArgMatches) -> Result<Option<ExploreArgs>, Mistake> {
    let Some(options) = options(matches, Offer::OF_CODE)? else { return Ok(None) };
    let file = paths(matches).into_iter().next().ok_or_else(|| file_missing("explore"))?;
    let max_page: &String = matches.get_one("max-page").expect("it has a default");
    let max_page = units::size(max_page).map_err(|message| invalid(format!("`--max-page`: {message}")))?;
    let functions = matches.get_many("function").into_iter().flatten().cloned().collect();
    let output = matches.get_one("output").cloned();
    Ok(Some(ExploreArgs { options, file, functions, output, max_page }))
}

/// Reads the options of `run` and the words behind them. `None` if the list of keys was asked for.
fn run_args(matches: &ArgMatches) -> Result<Option<RunArgs>, Mistake> {
    let Some(options) = options(matches, Offer::ALL)? else { return Ok(None) };
    let mut words = matches.get_many::<OsString>("module").into_iter().flatten().cloned();
    let file = words.next().ok_or_else(|| file_missing("run"))?;
    let mut args: Vec<OsString> = words.collect();
    if args.first().is_some_and(|arg| arg == "--") {
        args.remove(0);
    }
    Ok(Some(RunArgs { options, file: file.into(), args }))
}

fn values<'a>(matches: &'a ArgMatches, id: &'a str) -> impl Iterator<Item = (usize, &'a str, &'a OsStr)> {
    let indices = matches.indices_of(id).into_iter().flatten();
    let values = matches.get_many::<OsString>(id).into_iter().flatten();
    indices.zip(values).map(move |(at, value)| (at, id, value.as_os_str()))
}

/// The lists of keys that were asked for.
fn asked_help(matches: &ArgMatches, offer: Offer) -> String {
    let mut text = String::new();
    for group in offer.groups() {
        let mut lists = matches.get_many::<OsString>(group.letter).into_iter().flatten();
        if lists.any(|list| list.to_string_lossy().split(',').any(|item| item == "help")) {
            text.push_str(&keys::help(group));
        }
    }
    text
}

fn paths(matches: &ArgMatches) -> Vec<PathBuf> {
    matches.get_many::<PathBuf>("file").into_iter().flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> RunArgs {
        let args = ["wasmrun"].iter().chain(args).map(OsString::from);
        match parse(args).unwrap() {
            Command::Run(run) => run,
            other => panic!("{other:?}"),
        }
    }

    fn refused(args: &[&str]) -> String {
        let args = ["wasmrun"].iter().chain(args).map(OsString::from);
        parse(args).unwrap_err().to_string()
    }

    #[test]
    fn clap_finds_no_fault_with_the_definitions() {
        command().debug_assert();
    }

    #[test]
    fn run_is_implied() {
        for args in [&["a.wasm", "x", "y"][..], &["run", "a.wasm", "x", "y"]] {
            let run = run(args);
            assert_eq!(run.file, PathBuf::from("a.wasm"));
            assert_eq!(run.args, ["x", "y"]);
        }
    }

    #[test]
    fn everything_behind_the_file_is_the_guests() {
        assert_eq!(run(&["a.wasm", "--dir", ".", "-h", "--version"]).args, ["--dir", ".", "-h", "--version"]);
        assert_eq!(run(&["a.wasm", "run", "validate"]).args, ["run", "validate"]);
        assert_eq!(run(&["--fuel", "3", "a.wasm", "--fuel", "4"]).options.fuel, Some(3));
    }

    #[test]
    fn one_double_dash_directly_behind_the_file_is_stripped() {
        assert_eq!(run(&["a.wasm", "--", "x"]).args, ["x"]);
        assert_eq!(run(&["a.wasm", "--", "--", "x"]).args, ["--", "x"]);
        assert_eq!(run(&["a.wasm", "x", "--", "y"]).args, ["x", "--", "y"]);
        assert_eq!(run(&["run", "a.wasm", "--"]).args, [""; 0]);
    }

    #[test]
    fn the_later_of_two_forms_wins() {
        assert_eq!(run(&["--fuel", "1", "-W", "fuel=2", "a.wasm"]).options.fuel, Some(2));
        assert_eq!(run(&["-Wfuel=2", "--fuel=1", "a.wasm"]).options.fuel, Some(1));
        assert!(!run(&["--inherit-env", "-S", "inherit-env=n", "a.wasm"]).options.inherit_env);
        assert!(run(&["-S", "inherit-env=n", "--inherit-env", "a.wasm"]).options.inherit_env);
    }

    #[test]
    fn options_that_contradict_each_other_are_refused() {
        for (args, error) in [
            (&["--mode", "quick", "-O", "opt-level=2"][..], "error: `--mode quick` compiles to slower code"),
            (&["-Oopt-level=s", "--mode=quick"], "error: `--mode quick` compiles to slower code"),
            (&["--mode", "interp", "-O", "opt-level=0"], "error: `--mode interp` compiles nothing"),
            (&["--mode", "interp", "-O", "max-code-size=1MiB"], "error: `--mode interp` compiles nothing"),
        ] {
            let refused = refused(&[args, &["a.wasm"]].concat());
            assert!(refused.starts_with(error), "{refused}");
        }
        let options = run(&["--mode", "quick", "-O", "opt-level=0,max-code-size=2MiB", "a.wasm"]).options;
        assert_eq!((options.optimise, options.max_code_size), (Some(false), Some(2 << 20)));
        // The last of one kind counts.
        assert_eq!(
            run(&["--mode", "quick", "-Oopt-level=2,opt-level=0", "a.wasm"]).options.mode,
            Mode::Quick
        );
    }

    #[test]
    fn directories_are_taken_with_and_without_an_equals_sign() {
        let run = run(&["--dir=.", "--dir", "a::b::ro", "--cwd", "c", "a.wasm"]);
        let dirs: Vec<_> = run.options.all_dirs().map(|d| (d.guest.as_str(), d.read_only)).collect();
        assert_eq!(dirs, [(".", false), (".", false), ("b", true)]);
    }

    #[test]
    fn a_file_that_is_missing_and_an_option_that_is_unknown_are_usage_errors() {
        assert!(refused(&["run"]).starts_with("error: FILE, the module to run, is missing\n"));
        assert!(refused(&["--fuel", "1"]).starts_with("error: FILE, the module to run, is missing\n"));
        assert!(
            refused(&["--no-such-option", "a.wasm"])
                .starts_with("error: unexpected argument '--no-such-option'")
        );
        assert!(refused(&["--fuel", "x", "a.wasm"]).starts_with("error: `--fuel`: `x` is no whole number"));
    }

    #[test]
    fn explore_takes_its_options_on_both_sides_of_the_file() {
        let explore = |args: &[&str]| {
            let args = ["wasmrun", "explore"].iter().chain(args).map(OsString::from);
            parse(args)
        };
        let Ok(Command::Explore(args)) =
            explore(&["--function", "f", "a.wasm", "--function=3", "-o", "x.html", "--mode", "quick"])
        else {
            panic!()
        };
        assert_eq!((args.file, args.output), (PathBuf::from("a.wasm"), Some(PathBuf::from("x.html"))));
        assert_eq!((args.functions, args.options.mode), (vec!["f".to_owned(), "3".to_owned()], Mode::Quick));
        assert_eq!(args.max_page, 16 << 20);
        let refused = |args: &[&str]| explore(args).unwrap_err().to_string();
        assert!(refused(&[]).starts_with("error: FILE, the module to explore, is missing\n"));
        assert!(refused(&["a.wasm", "--max-page", "x"]).starts_with("error: `--max-page`: "));
        // What would have no effect is not taken.
        assert!(refused(&["--dir", ".", "a.wasm"]).contains("unexpected argument '--dir'"));
    }

    #[test]
    fn help_for_a_letter_needs_no_file() {
        for args in [
            &["-W", "help"][..],
            &["run", "-Wfuel=1,help"],
            &["explain", "-W", "help"],
            &["explore", "-W", "help"],
        ] {
            let args = ["wasmrun"].iter().chain(args).map(OsString::from);
            let Command::Print(text) = parse(args).unwrap() else { panic!() };
            assert!(text.contains("-W fuel=N") && text.contains("-W tail-call[=y|n]"), "{text}");
        }
    }
}
