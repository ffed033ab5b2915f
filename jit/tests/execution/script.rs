//! Scripts of the official suite: modules, calls, and what is said of their results.

use std::collections::HashMap;
use std::ops::AddAssign;

use wasmrun_jit::compile::{MemoryPlan, Mode};
use wasmrun_runtime::module::ExternIndex;
use wasmrun_runtime::trap::{Pending, Trap};
use wasmrun_runtime::types::{FuncType, ValType};
use wasmrun_runtime::vm::InstanceKey;
use wast::core::{AbstractHeapType, HeapType, NanPattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet, Wat};

use crate::guest::{Refused, World};

/// The suite's own module, but for its functions.
const SPECTEST: &str = r#"(module
    (memory (export "memory") 1 2)
    (table (export "table") 10 20 funcref)
    (global (export "global_i32") i32 (i32.const 666))
    (global (export "global_i64") i64 (i64.const 666))
    (global (export "global_f32") f32 (f32.const 666.6))
    (global (export "global_f64") f64 (f64.const 666.6)))"#;

/// What became of assertions.
#[derive(Debug, Default)]
pub struct Counts {
    pub passed: usize,
    pub failed: Vec<String>,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
    }
}

/// Why an assertion did not pass.
enum Stop {
    /// It, or a module that it needs, uses something that is not executed yet.
    Skipped,
    Failed(String),
}

type Verdict<T = ()> = Result<T, Stop>;

fn failed<T>(why: impl Into<String>) -> Verdict<T> {
    Err(Stop::Failed(why.into()))
}

/// Runs a script. Assertions about text and validation have nothing to do with compiled code and are left out.
pub fn run(name: &str, text: &str, mode: Mode, plan: MemoryPlan) -> Counts {
    let mut lexer = Lexer::new(text);
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).unwrap();
    let script = parser::parse::<Wast<'_>>(&buffer).unwrap();
    let mut state = Script { world: World::new(mode, plan), instances: HashMap::new(), current: None };
    let spectest = state.world.instantiate(wat::parse_str(SPECTEST).unwrap()).unwrap();
    state.world.name("spectest", spectest);
    let mut counts = Counts::default();
    for directive in script.directives {
        let (line, _) = directive.span().linecol_in(text);
        let is_assertion = !matches!(directive, WastDirective::Module(_) | WastDirective::Register { .. });
        match state.directive(directive) {
            Ok(true) if is_assertion => counts.passed += 1,
            Ok(_) | Err(Stop::Skipped) => {}
            Err(Stop::Failed(why)) => counts.failed.push(format!("{name}:{}: {why}", line + 1)),
        }
    }
    counts
}

struct Script {
    world: World,
    /// `None` stands for a module that was skipped.
    instances: HashMap<String, Option<InstanceKey>>,
    current: Option<InstanceKey>,
}

impl Script {
    /// Returns whether the directive concerns compiled code.
    fn directive(&mut self, directive: WastDirective<'_>) -> Verdict<bool> {
        match directive {
            WastDirective::Module(mut module) => {
                let name = module.name();
                // What is skipped leaves nothing behind that later calls could be taken for.
                self.current = None;
                if let Some(id) = name {
                    self.instances.insert(id.name().to_owned(), None);
                }
                let instance = self.load(&mut module)?;
                self.current = Some(instance);
                if let Some(id) = name {
                    self.instances.insert(id.name().to_owned(), Some(instance));
                }
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module)?;
                self.world.name(name, instance);
            }
            WastDirective::Invoke(invoke) => {
                self.invoke(&invoke)?.map_err(|error| Stop::Failed(format!("{error:?}")))?;
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                let values = self.execute(exec)?.map_err(|error| Stop::Failed(format!("{error:?}")))?;
                let matches = |(ret, (ty, word)): (&WastRet<'_>, &(ValType, u64))| match ret {
                    WastRet::Core(ret) => is(ret, *ty, *word),
                    _ => Some(false),
                };
                let answers: Option<Vec<bool>> = results.iter().zip(&values).map(matches).collect();
                let right = answers.ok_or(Stop::Skipped)?.into_iter().all(|right| right);
                if !right || results.len() != values.len() {
                    return failed(format!("expected {results:?}, got {values:x?}"));
                }
            }
            WastDirective::AssertTrap { exec, message, .. } => match self.execute(exec)? {
                Err(Pending::Trap(trap)) if says(trap, message) => {}
                other => return failed(format!("expected the trap `{message}`, got {other:?}")),
            },
            WastDirective::AssertExhaustion { call, message, .. } => match self.invoke(&call)? {
                Err(Pending::Trap(Trap::StackOverflow)) => {}
                other => return failed(format!("expected `{message}`, got {other:?}")),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn load(&mut self, module: &mut QuoteWat<'_>) -> Verdict<InstanceKey> {
        let Ok(bytes) = module.encode() else { return Err(Stop::Skipped) };
        match self.world.instantiate(bytes) {
            Ok(instance) => Ok(instance),
            // Of a proposal that is not executed yet, or importing from such a module.
            Err(Refused::Invalid | Refused::Link) => Err(Stop::Skipped),
            Err(Refused::Trap(pending)) => failed(format!("the module was not instantiated: {pending:?}")),
        }
    }

    fn instance(&self, name: Option<Id<'_>>) -> Verdict<InstanceKey> {
        let instance = match name {
            Some(id) => self.instances.get(id.name()).copied().flatten(),
            None => self.current,
        };
        instance.ok_or(Stop::Skipped)
    }

    fn execute(&mut self, exec: WastExecute<'_>) -> Verdict<Result<Vec<(ValType, u64)>, Pending>> {
        match exec {
            WastExecute::Invoke(invoke) => self.invoke(&invoke),
            WastExecute::Wat(Wat::Module(mut module)) => {
                let Ok(bytes) = module.encode() else { return Err(Stop::Skipped) };
                match self.world.instantiate(bytes) {
                    Ok(_) => Ok(Ok(Vec::new())),
                    Err(Refused::Trap(pending)) => Ok(Err(pending)),
                    Err(_) => Err(Stop::Skipped),
                }
            }
            WastExecute::Wat(_) => Err(Stop::Skipped),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module)?;
                let module = self.world.module(instance);
                match module.export(global) {
                    Some(ExternIndex::Global(index)) => {
                        let word = self.world.global(instance, index);
                        Ok(Ok(vec![(module.global_type(index).content, word)]))
                    }
                    _ => failed(format!("there is no exported global `{global}`")),
                }
            }
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Verdict<Result<Vec<(ValType, u64)>, Pending>> {
        let instance = self.instance(invoke.module)?;
        let module = self.world.module(instance);
        let Some(ExternIndex::Func(function)) = module.export(invoke.name) else {
            return failed(format!("there is no exported function `{}`", invoke.name));
        };
        let ty: FuncType = module.function_type(function).clone();
        let mut slots = vec![0; World::slots(&ty)];
        for (slot, arg) in slots.iter_mut().zip(&invoke.args) {
            let WastArg::Core(arg) = arg else { return Err(Stop::Skipped) };
            *slot = word(arg).ok_or(Stop::Skipped)?;
        }
        let result = self.world.call(instance, function, &mut slots);
        Ok(result.map(|()| ty.results().iter().copied().zip(slots).collect()))
    }
}

/// An argument in the representation of a slot. References of the host are numbers above 0.
fn word(arg: &WastArgCore<'_>) -> Option<u64> {
    Some(match arg {
        WastArgCore::I32(value) => u64::from(*value as u32),
        WastArgCore::I64(value) => *value as u64,
        WastArgCore::F32(value) => value.bits.into(),
        WastArgCore::F64(value) => value.bits,
        WastArgCore::RefNull(_) => 0,
        WastArgCore::RefExtern(number) => u64::from(*number) + 1,
        _ => return None,
    })
}

/// Whether a result is what the script says; `None` when it says something of a proposal that is not executed.
fn is(expected: &WastRetCore<'_>, ty: ValType, word: u64) -> Option<bool> {
    Some(match expected {
        WastRetCore::I32(value) => ty == ValType::I32 && word == u64::from(*value as u32),
        WastRetCore::I64(value) => ty == ValType::I64 && word == *value as u64,
        WastRetCore::F32(pattern) => {
            ty == ValType::F32 && word >> 32 == 0 && {
                let bits = word as u32;
                match pattern {
                    NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
                    NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
                    NanPattern::Value(value) => bits == value.bits,
                }
            }
        }
        WastRetCore::F64(pattern) => {
            ty == ValType::F64
                && match pattern {
                    NanPattern::CanonicalNan => word & !(1 << 63) == 0x7ff8_0000_0000_0000,
                    NanPattern::ArithmeticNan => word & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
                    NanPattern::Value(value) => word == value.bits,
                }
        }
        WastRetCore::RefNull(heap) => {
            let of_kind = match heap {
                Some(HeapType::Abstract { ty: AbstractHeapType::Extern, .. }) => ty == ValType::EXTERNREF,
                Some(HeapType::Abstract { ty: AbstractHeapType::Func, .. }) => ty == ValType::FUNCREF,
                _ => matches!(ty, ValType::Ref(_)),
            };
            of_kind && word == 0
        }
        WastRetCore::RefExtern(number) => {
            ty == ValType::EXTERNREF && number.map_or(word != 0, |number| word == u64::from(number) + 1)
        }
        WastRetCore::RefFunc(_) => ty == ValType::FUNCREF && word != 0,
        WastRetCore::Either(any) => {
            let answers: Option<Vec<bool>> = any.iter().map(|expected| is(expected, ty, word)).collect();
            answers?.contains(&true)
        }
        _ => return None,
    })
}

/// Whether `trap` is what the suite calls `message`.
fn says(trap: Trap, message: &str) -> bool {
    let words = match trap {
        Trap::UnreachableCodeReached => "unreachable",
        Trap::TableOutOfBounds if message.starts_with("undefined") => "undefined",
        _ => trap.message(),
    };
    message.starts_with(words) || words.starts_with(message)
}
