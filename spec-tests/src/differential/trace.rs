//! The oracle for calls: all that the host can see of a guest, written down. Two settings of wasmrun that can be told
//! apart by it are one too many.

use std::fmt::Write as _;

use ::wasmrun::{AsContext, Caller, Error, ExternType, Func, Instance, Module, Store, Val, WasmBacktrace};

use super::wasmrun::{provide, stop, val, value_of};
use super::{Stop, Value, generate, mixed};

/// What each call has shown, as far as all tiers must agree: up to where one of them ran out of stack.
pub type Trace = Vec<Step>;

/// What one call has shown.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// The call and all that came of it but the memory.
    pub line: String,
    /// The bytes of the memory.
    pub memory: Vec<u8>,
}

/// How often each function is called.
const ROUNDS: usize = 3;

/// More than any guest here can spend.
const PLENTY: u64 = 1 << 40;

/// Calls of the host whose frames are looked at: the first, and then one of so many.
const FIRST: u32 = 12;
const ONE_OF: u32 = 61;

/// What the host's functions have been shown.
#[derive(Default)]
struct Log {
    digest: u64,
    calls: u32,
}

impl Log {
    fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.digest = mixed(self.digest ^ u64::from(byte)));
    }
}

fn notice(caller: &mut Caller<'_, Log>, args: &[Value]) {
    let log = caller.data_mut();
    log.text(&format!("{args:?}"));
    log.calls += 1;
    if log.calls <= FIRST || log.calls.is_multiple_of(ONE_OF) {
        let frames = frames(&WasmBacktrace::capture(&*caller));
        caller.data_mut().text(&frames);
    }
}

/// Functions and offsets, innermost first.
fn frames(backtrace: &WasmBacktrace) -> String {
    let frame = |frame: &::wasmrun::FrameInfo| format!("{}@{:?} ", frame.func_index(), frame.func_offset());
    backtrace.frames().iter().map(frame).collect()
}

/// Calls all exports of a module made by [`super::calls`] whose names begin with `e`, with arguments that follow from
/// `seed`, on one instance: a few rounds, and if the guest pays with fuel, each call once more with less than it took.
///
/// # Panics
/// The module cannot be instantiated.
pub fn trace(module: &Module, seed: u64) -> Trace {
    let mut store = Store::new(module.engine(), Log::default());
    let pays = store.set_fuel(PLENTY).is_ok();
    let imports: Result<Vec<_>, Error> =
        module.imports().map(|import| provide(&mut store, &import, notice)).collect();
    let instance = Instance::new(&mut store, module, &imports.expect("the host has it all"));
    let instance = instance.expect("the module starts nothing");
    let mut random = generate::Random::new(seed);
    let mut trace = Trace::new();
    for round in 0..ROUNDS {
        for export in module.exports().filter(|export| export.name().starts_with('e')) {
            let func = instance.get_func(&mut store, export.name()).expect("the export is a function");
            let ExternType::Func(ty) = export.ty() else { unreachable!("the export is a function") };
            let args: Vec<Value> =
                ty.params().iter().map(|ty| random.value(super::wasmrun::type_of(*ty))).collect();
            let what = format!("round {round}, {}{args:?}", export.name());
            let Some(line) = call(&mut store, func, &args) else { return trace };
            trace.push(step(&mut store, instance, format!("{what}: {line}")));
            if pays {
                let taken = PLENTY - store.get_fuel().expect("it pays with fuel");
                let less = taken - taken / (2 + random.number() % 8);
                store.set_fuel(less).expect("it pays with fuel");
                let Some(line) = call(&mut store, func, &args) else { return trace };
                trace.push(step(&mut store, instance, format!("{what} with {less}: {line}")));
                store.set_fuel(PLENTY).expect("it pays with fuel");
            }
        }
    }
    trace
}

/// What one call shows; nothing if it runs out of stack.
fn call(store: &mut Store<Log>, func: Func, args: &[Value]) -> Option<String> {
    let args: Result<Vec<Val>, Error> = args.iter().map(|value| val(&mut *store, *value)).collect();
    let mut results = vec![Val::I32(0); func.ty(&*store).results().len()];
    let called = args.and_then(|args| func.call(&mut *store, &args, &mut results));
    let mut line = String::new();
    match called {
        Ok(()) => {
            let results: Vec<Value> = results.iter().map(|value| value_of(&*store, value)).collect();
            write!(line, "{results:?}").expect("strings grow");
        }
        Err(error) => {
            let stop = stop(&error);
            if stop == Stop::Limit(::wasmrun::Trap::StackOverflow.to_string()) {
                return None;
            }
            let backtrace = error.downcast_ref::<WasmBacktrace>().map(frames);
            write!(line, "{stop:?} at {backtrace:?}").expect("strings grow");
        }
    }
    if let Ok(left) = store.get_fuel() {
        write!(line, ", {left} units left").expect("strings grow");
    }
    write!(line, ", the host saw {:x}", store.data().digest).expect("strings grow");
    Some(line)
}

/// What can be seen behind a call.
fn step(store: &mut Store<Log>, instance: Instance, mut line: String) -> Step {
    line.push_str(", globals");
    for name in ["g0", "g1", "g2", "g3", "g4", "g5"] {
        let global = instance.get_global(&mut *store, name).expect("the export exists");
        let value = global.get(&mut *store);
        write!(line, " {:?}", value_of(&*store, &value)).expect("strings grow");
    }
    let memory = instance.get_memory(&mut *store, "m").expect("the export exists");
    Step { line, memory: memory.data(store.as_context()).to_vec() }
}
