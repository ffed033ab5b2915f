//! The oracle for calls: all that the host can see of a guest, written down. Two settings of wasmrun that can be told
//! apart by it are one too many.

use std::fmt::Write as _;

use ::wasmrun::{
    Caller, Error, Exception, Extern, ExternType, Func, Instance, Module, Store, Tag, Val, WasmBacktrace,
};

use super::imports::{provide, seen_exception};
use super::wasmrun::{seen, stop, val};
use super::{Stop, Value, generate, mixed};

/// What each call has shown, as far as all tiers must agree: up to where one of them ran out of stack.
pub type Trace = Vec<Step>;

/// What one call has shown.
#[derive(Debug)]
pub struct Step {
    /// The call and all that came of it but the rest of this.
    line: String,
    /// Where what nobody has caught was thrown last, innermost first: functions, and offsets in them.
    thrown: Vec<(u32, Option<usize>)>,
    /// The bytes of the memory.
    memory: Vec<u8>,
}

impl Step {
    /// What says that this is not what `other` is, if anything does.
    pub fn differs_from(&self, other: &Step) -> Option<String> {
        if self.line != other.line {
            return Some(format!("{}\nand not\n{}", self.line, other.line));
        }
        if !self.thrown_like(other) {
            return Some(format!("{:?} and not {:?} in {}", self.thrown, other.thrown, self.line));
        }
        (self.memory != other.memory).then(|| format!("other bytes after {}", self.line))
    }

    /// Compiled code throws on what it does not catch after all, and the frames before that are gone: but for where it does,
    /// the outer frames are the same.
    fn thrown_like(&self, other: &Step) -> bool {
        let len = self.thrown.len().min(other.thrown.len());
        let [one, other] = [self, other].map(|step| &step.thrown[step.thrown.len() - len..]);
        let [innermost, other_innermost] = [one, other].map(|frames| frames.first().map(|frame| frame.0));
        innermost == other_innermost && one.iter().skip(1).eq(other.iter().skip(1))
    }

    /// Whether the call has trapped.
    pub fn trapped(&self) -> bool {
        self.line.contains("Trap(")
    }

    /// Whether an exception has left it.
    pub fn threw(&self) -> bool {
        self.line.contains("Exception(")
    }
}

/// How often each function is called.
const ROUNDS: usize = 3;

/// More than any guest here can spend.
const PLENTY: u64 = 1 << 40;

/// Calls of the host whose frames are looked at: the first, and then one of so many.
const FIRST: u32 = 12;
const ONE_OF: u32 = 61;

/// What is written down of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frames {
    /// Functions and offsets in them.
    Offsets,
    /// Functions: what two forms of one program have in common. Where an exception was thrown is not.
    Functions,
}

impl Frames {
    /// Frames, innermost first.
    fn of(self, backtrace: &WasmBacktrace) -> String {
        let frame = |frame: &::wasmrun::FrameInfo| match self {
            Frames::Offsets => format!("{}@{:?} ", frame.func_index(), frame.func_offset()),
            Frames::Functions => format!("{} ", frame.func_index()),
        };
        backtrace.frames().iter().map(frame).collect()
    }
}

/// What the host's functions have been shown.
struct Log {
    digest: u64,
    calls: u32,
    frames: Frames,
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
        let backtrace = WasmBacktrace::capture(&*caller);
        let frames = caller.data().frames.of(&backtrace);
        caller.data_mut().text(&frames);
    }
}

/// Instantiates a module made by [`super::calls`], and calls all of its exports whose names begin with `e`, with arguments
/// that follow from `seed`, on one instance: a few rounds, and if the guest pays with fuel, each call once more with less
/// than it took.
pub fn trace(module: &Module, seed: u64, frames: Frames) -> Trace {
    let mut store = Store::new(module.engine(), Log { digest: 0, calls: 0, frames });
    let pays = store.set_fuel(PLENTY).is_ok();
    let imports = provide(&mut store, module, notice).expect("the host has it all");
    let mut trace = Trace::new();
    let instance = match Instance::new(&mut store, module, &imports) {
        Ok(instance) => instance,
        Err(error) => {
            let stopped = stopped(&mut store, &error, &[]);
            trace.extend(stopped.map(|(line, thrown)| Step { line, thrown, memory: Vec::new() }));
            return trace;
        }
    };
    let tags: Vec<Tag> = (0..)
        .map_while(|number| instance.get_export(&mut store, &format!("x{number}"))?.into_tag())
        .collect();
    if pays {
        // The start function has paid.
        store.set_fuel(PLENTY).expect("it pays with fuel");
    }
    let mut random = generate::Random::new(seed);
    for round in 0..ROUNDS {
        for export in module.exports().filter(|export| export.name().starts_with('e')) {
            let func = instance.get_func(&mut store, export.name()).expect("the export is a function");
            let ExternType::Func(ty) = export.ty() else { unreachable!("the export is a function") };
            let args: Vec<Value> =
                ty.params().iter().map(|ty| random.value(super::wasmrun::type_of(*ty))).collect();
            let what = format!("round {round}, {}{args:?}", export.name());
            let Some(came) = call(&mut store, func, &args, &tags) else { return trace };
            trace.push(step(&mut store, instance, &what, came));
            if pays {
                let taken = PLENTY - store.get_fuel().expect("it pays with fuel");
                let less = taken - taken / (2 + random.number() % 8);
                store.set_fuel(less).expect("it pays with fuel");
                let Some(came) = call(&mut store, func, &args, &tags) else { return trace };
                trace.push(step(&mut store, instance, &format!("{what} with {less}"), came));
                store.set_fuel(PLENTY).expect("it pays with fuel");
            }
        }
    }
    trace
}

/// What has come of a call, and where it has thrown.
type Came = (String, Vec<(u32, Option<usize>)>);

/// What one call shows; nothing if it runs out of stack.
fn call(store: &mut Store<Log>, func: Func, args: &[Value], tags: &[Tag]) -> Option<Came> {
    let args: Result<Vec<Val>, Error> = args.iter().map(|value| val(&mut *store, *value)).collect();
    let mut results = vec![Val::I32(0); func.ty(&*store).results().len()];
    let called = args.and_then(|args| func.call(&mut *store, &args, &mut results));
    let (mut line, thrown) = match called {
        Ok(()) => {
            let results: Vec<Value> = results.iter().map(|value| seen(&mut *store, value, 0)).collect();
            (format!("{results:?}"), Vec::new())
        }
        Err(error) => stopped(store, &error, tags)?,
    };
    if let Ok(left) = store.get_fuel() {
        write!(line, ", {left} units left").expect("strings grow");
    }
    write!(line, ", the host saw {:x}", store.data().digest).expect("strings grow");
    Some((line, thrown))
}

/// Why the guest has stopped; nothing if it ran out of stack.
fn stopped(store: &mut Store<Log>, error: &Error, tags: &[Tag]) -> Option<Came> {
    let frames = store.data().frames;
    let backtrace = error.downcast_ref::<WasmBacktrace>();
    if let Some(exception) = error.downcast_ref::<Exception>() {
        let exception = seen_exception(store, exception, tags).expect("the exception is of this store");
        let frames = backtrace.filter(|_| frames == Frames::Offsets).into_iter().flat_map(|b| b.frames());
        let thrown = frames.map(|frame| (frame.func_index(), frame.func_offset())).collect();
        return Some((format!("Exception({exception:?})"), thrown));
    }
    let stop = stop(error);
    let out_of_stack = stop == Stop::Limit(::wasmrun::Trap::StackOverflow.to_string());
    let backtrace = backtrace.map(|backtrace| frames.of(backtrace));
    (!out_of_stack).then(|| (format!("{stop:?} at {backtrace:?}"), Vec::new()))
}

/// What can be seen behind a call.
fn step(store: &mut Store<Log>, instance: Instance, what: &str, (line, thrown): Came) -> Step {
    let mut line = format!("{what}: {line}, globals");
    let mut bytes = Vec::new();
    let exports: Vec<Extern> = instance.exports(&mut *store).map(|export| export.into_extern()).collect();
    for export in exports {
        match export {
            Extern::Global(global) => {
                let value = global.get(&mut *store);
                write!(line, " {:?}", seen(&mut *store, &value, 0)).expect("strings grow");
            }
            Extern::Memory(memory) => bytes = memory.data(&*store).to_vec(),
            Extern::SharedMemory(memory) => {
                bytes.resize(memory.data_size(), 0);
                memory.read(0, &mut bytes).expect("the memory has as many bytes");
            }
            _ => {}
        }
    }
    Step { line, thrown, memory: bytes }
}
