//! Runs one `.wast` script, directive by directive.
//!
//! A directive that cannot be tried is skipped, with the reason: it needs a proposal that the engine does not
//! execute, or an instance that was skipped for such a reason. So is a module that has to be refused, and is
//! refused for such a reason only. Everything else passes or fails; nothing is left out of the counts.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use wasmrun::{Config, Engine, Error, Exception, Instance, Linker, Module, Store, Trap, Val};
use wasmrun_runtime::ParseError;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::{Id, Span};
use wast::{QuoteWat, Wast, WastDirective, WastExecute, WastInvoke, Wat};

use crate::report::{FileReport, Note};
use crate::{folded, refusal, spectest, values};

/// Native stack for a script: the parser of the text format recurses on nested blocks.
const STACK: usize = 64 << 20;

/// How scripts are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The engine's settings. A mode of execution is a setting like any other.
    pub config: Config,
    /// Time that a single call or instantiation may take before the guest is stopped, if it can be.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        // The slowest call of the official suite takes seconds in an unoptimised build.
        Options { config: Config::default(), timeout: Duration::from_secs(120) }
    }
}

/// Runs the script `text`. `name` is for messages.
pub fn run_script(name: &str, text: &str, options: &Options) -> FileReport {
    thread::scope(|scope| {
        let run = || Script::new(name, text, options).run();
        match thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run) {
            Ok(thread) => {
                thread.join().unwrap_or_else(|_| one_failure(name, 0, "the runner panicked".into()))
            }
            Err(error) => one_failure(name, 0, format!("cannot start a thread: {error}")),
        }
    })
}

fn one_failure(name: &str, line: usize, message: String) -> FileReport {
    FileReport { name: name.to_string(), failures: vec![Note { line, message }], ..FileReport::default() }
}

/// Why a directive did not pass.
enum Stop {
    /// It is wrong: what was expected and what came.
    Failed(String),
    /// It could not be tried: the reason.
    Skipped(String),
}

type Verdict<T = ()> = Result<T, Stop>;

fn failed<T>(message: impl Into<String>) -> Verdict<T> {
    Err(Stop::Failed(message.into()))
}

/// Something that a name in a script can stand for, or the reason why it stands for nothing.
type Slot<T> = Result<T, String>;

struct Script<'a> {
    name: &'a str,
    text: &'a str,
    options: &'a Options,
    report: FileReport,
}

struct State {
    engine: Engine,
    store: Store<()>,
    linker: Linker<()>,
    /// The instance that directives without a name mean.
    current: Option<Slot<Instance>>,
    instances: HashMap<String, Slot<Instance>>,
    definitions: HashMap<String, Slot<Module>>,
    last_definition: Option<Slot<Module>>,
    /// Names registered for instances that were skipped, with the reasons.
    missing: HashMap<String, String>,
    /// The proposal for which the first module was skipped.
    unexecuted: Option<&'static str>,
}

impl<'a> Script<'a> {
    fn new(name: &'a str, text: &'a str, options: &'a Options) -> Script<'a> {
        let report = FileReport { name: name.to_string(), ..FileReport::default() };
        Script { name, text, options, report }
    }

    fn run(mut self) -> FileReport {
        let text = match folded::unfold(self.text) {
            Ok(text) => text,
            Err(error) => return self.unreadable(self.text, &error),
        };
        let mut lexer = Lexer::new(&text);
        lexer.allow_confusing_unicode(true);
        let buffer = match ParseBuffer::new_with_lexer(lexer) {
            Ok(buffer) => buffer,
            Err(error) => return self.unreadable(&text, &error),
        };
        let script = match parser::parse::<Wast<'_>>(&buffer) {
            Ok(script) => script,
            Err(error) => return self.unreadable(&text, &error),
        };
        let mut state = match State::new(self.options) {
            Ok(state) => state,
            Err(error) => return one_failure(self.name, 0, format!("no engine: {error:#}")),
        };
        let lines = Lines::new(&text);
        self.directives(&mut state, &lines, script.directives);
        self.report
    }

    fn directives(&mut self, state: &mut State, lines: &Lines, directives: Vec<WastDirective<'_>>) {
        for directive in directives {
            let line = lines.line(directive.span());
            match state.directive(directive) {
                Ok(()) => self.report.passed += 1,
                Err(Stop::Failed(message)) => self.report.failures.push(Note { line, message }),
                Err(Stop::Skipped(message)) => self.report.skips.push(Note { line, message }),
            }
        }
    }

    /// The script, of which the parser has seen `text`, is not in the text format.
    fn unreadable(&self, text: &str, error: &wast::Error) -> FileReport {
        let line = error.span().linecol_in(text).0 + 1;
        one_failure(self.name, line, format!("the script cannot be parsed: {}", error.message()))
    }
}

/// A script is small: what the engine was told to compile of it, it compiles, and does not leave to the interpreter.
fn all_compiled(module: Module) -> Verdict<Module> {
    if let Some(reason) = module.engine().no_compiled_code() {
        return failed(format!("nothing is compiled: {reason}"));
    }
    match module.uncompiled().first() {
        Some(left) => failed(format!("function {} is not compiled: {}", left.function, left.reason)),
        None => Ok(module),
    }
}

impl State {
    fn new(options: &Options) -> wasmrun::Result<State> {
        let engine = Engine::new(&options.config)?;
        let mut store = Store::new(&engine, ());
        store.set_timeout(options.config.is_interruptible().then_some(options.timeout));
        let mut linker = Linker::new(&engine);
        linker.allow_shadowing(true);
        spectest::define(&mut linker, &mut store)?;
        Ok(State {
            engine,
            store,
            linker,
            current: None,
            instances: HashMap::new(),
            definitions: HashMap::new(),
            last_definition: None,
            missing: HashMap::new(),
            unexecuted: None,
        })
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Verdict {
        match directive {
            WastDirective::Module(mut module) => {
                let name = module.name();
                let instance = self.load(&mut module).and_then(|module| self.instantiate(&module));
                self.set_current(name, instance)
            }
            WastDirective::ModuleDefinition(mut module) => {
                let name = module.name();
                let (slot, verdict) = split(self.load(&mut module));
                if let Some(name) = name {
                    self.definitions.insert(name.name().to_string(), slot.clone());
                }
                self.last_definition = Some(slot);
                verdict
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let slot = match module {
                    Some(name) => self.definitions.get(name.name()).cloned(),
                    None => self.last_definition.clone(),
                };
                let made = resolve(slot, module, "module definition").and_then(|m| self.instantiate(&m));
                self.set_current(instance, made)
            }
            WastDirective::Register { name, module, .. } => self.register(name, module),
            WastDirective::Invoke(invoke) => self.expect_values(Exec::Invoke(&invoke)).map(drop),
            WastDirective::AssertReturn { mut exec, results, .. } => {
                let got = self.expect_values(Exec::Any(&mut exec))?;
                match values::mismatch(&mut self.store, &results, &got) {
                    Some(message) => failed(message),
                    None => Ok(()),
                }
            }
            WastDirective::AssertTrap { mut exec, message, .. } => {
                let trap = self.expect_trap(Exec::Any(&mut exec), message)?;
                if says(trap, message) { Ok(()) } else { failed(wrong_trap(message, trap)) }
            }
            WastDirective::AssertExhaustion { call, message, .. } => {
                match self.expect_trap(Exec::Invoke(&call), message)? {
                    Trap::StackOverflow => Ok(()),
                    trap => failed(wrong_trap(message, trap)),
                }
            }
            WastDirective::AssertException { mut exec, .. } => match self.execute(Exec::Any(&mut exec))? {
                Ok(values) => failed(format!("expected an exception, got {}", values::list(&values))),
                Err(error) if error.is::<Exception>() => Ok(()),
                Err(error) => failed(format!("expected an exception, got the error: {error:#}")),
            },
            WastDirective::AssertSuspension { .. } => Err(Stop::Skipped("stack-switching".to_string())),
            WastDirective::AssertInvalid { mut module, message, .. }
            | WastDirective::AssertMalformed { mut module, message, .. } => self.refuse(&mut module, message),
            WastDirective::AssertInvalidCustom { mut module, message, .. }
            | WastDirective::AssertMalformedCustom { mut module, message, .. } => {
                // A malformed annotation is an error of the text format. In a binary, custom sections have
                // no say in whether a module can be run.
                match self.refuse(&mut module, message) {
                    Err(Stop::Failed(_)) => {
                        Err(Stop::Skipped("custom sections are not validated".to_string()))
                    }
                    verdict => verdict,
                }
            }
            WastDirective::AssertUnlinkable { module, message, .. } => {
                let mut module = module;
                let module = self.load_encoded(module.encode())?;
                self.not_missing(&module)?;
                match self.try_instantiate(&module) {
                    Ok(_) => failed(format!("expected a link error ({message}), but it was instantiated")),
                    Err(error) if error.is::<Trap>() => {
                        failed(format!("expected a link error ({message}), got the trap: {error:#}"))
                    }
                    Err(error) if format!("{error:#}").contains(message) => Ok(()),
                    Err(error) => failed(format!("expected a link error ({message}), got: {error:#}")),
                }
            }
            WastDirective::Thread(_) | WastDirective::Wait { .. } => {
                Err(Stop::Skipped("threads of scripts".to_string()))
            }
        }
    }

    /// Encodes and loads a module that should be fine.
    fn load(&mut self, module: &mut QuoteWat<'_>) -> Verdict<Module> {
        if let QuoteWat::Wat(Wat::Component(_)) | QuoteWat::QuoteComponent(..) = module {
            return Err(Stop::Skipped("component-model".to_string()));
        }
        self.load_encoded(module.encode())
    }

    fn load_encoded(&mut self, encoded: Result<Vec<u8>, wast::Error>) -> Verdict<Module> {
        let bytes = match encoded {
            Ok(bytes) => bytes,
            Err(error) => return failed(format!("the module cannot be encoded: {}", error.message())),
        };
        let error = match Module::from_binary(&self.engine, &bytes) {
            Ok(module) => return all_compiled(module),
            Err(error) => error,
        };
        if let Some(proposal) = missing_proposal(&error) {
            self.unexecuted.get_or_insert(proposal);
            return Err(Stop::Skipped(proposal.to_string()));
        }
        match self.unexecuted {
            // The script is about a proposal that the engine does not execute; the validator may know an
            // older draft of it.
            Some(proposal) => Err(Stop::Skipped(proposal.to_string())),
            None => failed(format!("the module was refused: {error:#}")),
        }
    }

    /// Whether a module is refused, as it should be because of `message`.
    fn refuse(&mut self, module: &mut QuoteWat<'_>, message: &str) -> Verdict {
        let Ok(bytes) = module.encode() else { return Ok(()) };
        if Module::from_binary(&self.engine, &bytes).is_err() {
            return match refusal::blinded_by(&bytes) {
                Some(proposal) => Err(Stop::Skipped(proposal.to_string())),
                None => Ok(()),
            };
        }
        match self.admitted_by(&bytes) {
            Some(proposal) => Err(Stop::Skipped(format!("{proposal} makes it valid"))),
            None => failed(format!("expected the module to be refused ({message}), but it was accepted")),
        }
    }

    /// The proposal without which the module in `bytes` would not be valid: scripts of earlier editions say
    /// that it is not. These are the proposals that made invalid modules valid by lifting a restriction.
    fn admitted_by(&self, bytes: &[u8]) -> Option<&'static str> {
        const LIFTING: [&str; 3] = ["multi-memory", "reference-types", "extended-const"];
        LIFTING.into_iter().find(|proposal| {
            let mut config = self.engine.config().clone();
            let engine = config.wasm_feature(proposal, false).and_then(|config| Engine::new(config));
            engine.is_ok_and(|engine| Module::validate(&engine, bytes).is_err())
        })
    }

    fn instantiate(&mut self, module: &Module) -> Verdict<Instance> {
        self.not_missing(module)?;
        self.try_instantiate(module)
            .map_err(|error| Stop::Failed(format!("the module was not instantiated: {error:#}")))
    }

    fn try_instantiate(&mut self, module: &Module) -> wasmrun::Result<Instance> {
        self.linker.instantiate(&mut self.store, module)
    }

    /// Skips a module that imports from one that was skipped.
    fn not_missing(&self, module: &Module) -> Verdict {
        let reason = module.imports().find_map(|import| self.missing.get(import.module()));
        reason.map_or(Ok(()), |reason| Err(Stop::Skipped(reason.clone())))
    }

    fn set_current(&mut self, name: Option<Id<'_>>, instance: Verdict<Instance>) -> Verdict {
        let (slot, verdict) = split(instance);
        if let Some(name) = name {
            self.instances.insert(name.name().to_string(), slot.clone());
        }
        self.current = Some(slot);
        verdict
    }

    fn instance(&self, name: Option<Id<'_>>) -> Verdict<Instance> {
        let slot = match name {
            Some(name) => self.instances.get(name.name()).cloned(),
            None => self.current.clone(),
        };
        resolve(slot, name, "instance")
    }

    fn register(&mut self, name: &str, instance: Option<Id<'_>>) -> Verdict {
        match self.instance(instance) {
            Ok(instance) => {
                self.missing.remove(name);
                let defined = self.linker.instance(&mut self.store, name, instance);
                defined.map(drop).map_err(|error| Stop::Failed(format!("{error:#}")))
            }
            Err(Stop::Skipped(reason)) => {
                self.missing.insert(name.to_string(), reason.clone());
                Err(Stop::Skipped(reason))
            }
            Err(stop) => Err(stop),
        }
    }

    fn expect_values(&mut self, exec: Exec<'_, '_>) -> Verdict<Vec<Val>> {
        self.execute(exec)?
            .map_err(|error| Stop::Failed(format!("expected to return, got the error: {error:#}")))
    }

    fn expect_trap(&mut self, exec: Exec<'_, '_>, message: &str) -> Verdict<Trap> {
        match self.execute(exec)? {
            Ok(values) => failed(format!("expected the trap `{message}`, got {}", values::list(&values))),
            Err(error) => match error.downcast_ref::<Trap>() {
                Some(trap) => Ok(*trap),
                None => failed(format!("expected the trap `{message}`, got the error: {error:#}")),
            },
        }
    }

    /// Does what a directive asks for. The inner result is the guest's.
    fn execute(&mut self, exec: Exec<'_, '_>) -> Verdict<wasmrun::Result<Vec<Val>>> {
        match exec {
            Exec::Invoke(invoke) => self.invoke(invoke),
            Exec::Any(WastExecute::Invoke(invoke)) => self.invoke(invoke),
            Exec::Any(WastExecute::Wat(wat)) => {
                let module = self.load_encoded(wat.encode())?;
                self.not_missing(&module)?;
                Ok(self.try_instantiate(&module).map(|_| Vec::new()))
            }
            Exec::Any(WastExecute::Get { module, global, .. }) => {
                let instance = self.instance(*module)?;
                match instance.get_global(&mut self.store, global) {
                    Some(global) => Ok(Ok(vec![global.get(&mut self.store)])),
                    None => failed(format!("there is no exported global `{global}`")),
                }
            }
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Verdict<wasmrun::Result<Vec<Val>>> {
        let instance = self.instance(invoke.module)?;
        let Some(func) = instance.get_func(&mut self.store, invoke.name) else {
            return failed(format!("there is no exported function `{}`", invoke.name));
        };
        let args: Result<Vec<Val>, String> =
            invoke.args.iter().map(|arg| values::argument(&mut self.store, arg)).collect();
        let args = args.map_err(Stop::Skipped)?;
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        Ok(func.call(&mut self.store, &args, &mut results).map(|()| results))
    }
}

/// What a directive runs.
enum Exec<'e, 'a> {
    Invoke(&'e WastInvoke<'a>),
    Any(&'e mut WastExecute<'a>),
}

/// The proposal that a load error blames.
fn missing_proposal(error: &Error) -> Option<&'static str> {
    match error.downcast_ref::<ParseError>()? {
        ParseError::Proposal { proposal, .. } => Some(proposal),
        _ => None,
    }
}

/// What a name stands for from now on, and what to report.
fn split<T: Clone>(made: Verdict<T>) -> (Slot<T>, Verdict) {
    match made {
        Ok(value) => (Ok(value), Ok(())),
        Err(Stop::Skipped(reason)) => (Err(reason.clone()), Err(Stop::Skipped(reason))),
        // The failure is reported where it happened; what depends on it is skipped.
        Err(Stop::Failed(message)) => {
            (Err("needs a module that failed".to_string()), Err(Stop::Failed(message)))
        }
    }
}

fn resolve<T>(slot: Option<Slot<T>>, name: Option<Id<'_>>, what: &str) -> Verdict<T> {
    match (slot, name) {
        (Some(Ok(value)), _) => Ok(value),
        (Some(Err(reason)), _) => Err(Stop::Skipped(reason)),
        (None, Some(name)) => failed(format!("there is no {what} ${}", name.name())),
        (None, None) => failed(format!("there is no {what} yet")),
    }
}

/// Whether `trap` is what the suite calls `message`. It distinguishes a call through an element outside the
/// table from other accesses outside it, and appends indices.
fn says(trap: Trap, message: &str) -> bool {
    let words = match trap {
        Trap::UnreachableCodeReached => "unreachable",
        Trap::TableOutOfBounds if message.starts_with("undefined") => "undefined",
        // It says what the reference is to.
        Trap::NullReference if message.starts_with("null ") && message.ends_with(" reference") => message,
        _ => trap.message(),
    };
    // The suite says "out of bounds" for any of them in places, and never less than a word.
    message.starts_with(words) || (!message.is_empty() && words.starts_with(message))
}

fn wrong_trap(expected: &str, got: Trap) -> String {
    format!("expected the trap `{expected}`, got the trap `{got}`")
}

/// From offsets to lines, in logarithmic time: scripts have tens of thousands of lines and directives.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn new(text: &str) -> Lines {
        Lines { starts: text.match_indices('\n').map(|(at, _)| at + 1).collect() }
    }

    fn line(&self, span: Span) -> usize {
        self.starts.partition_point(|start| *start <= span.offset()) + 1
    }
}
