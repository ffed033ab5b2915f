//! What an engine makes of a function, as text: bytecode, intermediate code, machine code.

use std::ops::Range;

use wasmrun_interpreter as interpreter;
use wasmrun_jit::compile::{Job, Mode};
use wasmrun_jit::explore::{self, Line, Listing};

use crate::error::{Error, Result};
use crate::module::Module;
use crate::strategy::OptLevel;
use crate::tiers;

/// A line of text about a piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CodeLine {
    /// Offset in the code, in bytes, where the line stands for a place of bytecode or of machine code.
    pub offset: Option<u32>,
    /// Offset in the module of the instruction that it was made of. Lines of several forms of code that name the
    /// same offset belong together.
    pub wasm: Option<u32>,
    /// What stands there.
    pub text: String,
}

/// What becomes of a function: see [`Module::explore`].
///
/// A form of code that there is not has no lines. One that would have megabytes of them ends early; its last line
/// says so.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explored {
    /// Its index in the module.
    pub function: u32,
    /// Its name, if the module says so.
    pub name: Option<String>,
    /// Where its body is in the module, in bytes.
    pub body: Range<u32>,
    /// The bytecode that the interpreter runs.
    pub bytecode: Vec<CodeLine>,
    /// Why there is no bytecode.
    pub not_interpreted: Option<String>,
    /// The compiler's intermediate code (Cranelift's CLIF) as the body is lowered to it.
    pub lowered: Vec<CodeLine>,
    /// The intermediate code that machine code is made of.
    pub optimised: Vec<CodeLine>,
    /// The machine code. Its offsets count from the function's entry.
    pub machine: Vec<CodeLine>,
    /// The effort with which it is compiled: that of the engine, or less for a large body.
    pub opt_level: OptLevel,
    /// Why the function is not compiled. The forms that it has until then are there.
    pub not_compiled: Option<String>,
}

impl From<Line> for CodeLine {
    fn from(Line { offset, wasm, text }: Line) -> CodeLine {
        CodeLine { offset, wasm, text }
    }
}

impl Module {
    /// Shows what becomes of a function: its bytecode, and what the compiler makes of it on the way to machine code.
    ///
    /// The function is compiled for that, with the settings of the engine, whichever way the engine
    /// [runs](crate::Strategy) code, and without what running it would show about its calls through tables. Nothing of it is
    /// kept, and no code is made runnable.
    ///
    /// # Errors
    /// The module does not define a function with this index.
    ///
    /// ```
    /// use wasmrun::{Engine, Module};
    ///
    /// let text = r#"(module (func $half (param i32) (result i32)
    ///     (i32.div_s (local.get 0) (i32.const 2))))"#;
    /// let module = Module::new(&Engine::default(), text)?;
    /// let explored = module.explore(0)?;
    /// assert_eq!(explored.name.as_deref(), Some("half"));
    ///
    /// // The division in two forms of code.
    /// let divides = |line: &&wasmrun::CodeLine| line.text.contains("div");
    /// let bytecode = explored.bytecode.iter().find(divides).unwrap();
    /// let lowered = explored.lowered.iter().find(divides).unwrap();
    /// assert!(bytecode.wasm.is_some() && bytecode.wasm == lowered.wasm);
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn explore(&self, function: u32) -> Result<Explored> {
        let module = self.runtime();
        let Some(body) = module.body(function) else {
            let count = module.function_count();
            let what = if function < count {
                "is imported: its code is elsewhere".to_owned()
            } else {
                format!("does not exist: the module has {count}, counted from 0")
            };
            return Err(Error::msg(format!("the function {function} {what}")));
        };
        let (bytecode, not_interpreted) = match interpreter::disassemble(module, function) {
            Ok(disassembly) => (bytecode(&disassembly), None),
            Err(reason) => (Vec::new(), Some(reason.to_string())),
        };
        let config = self.engine().config();
        let plan = tiers::expected_plan(module, config.memories());
        let job = tiers::job(module, function, config.opt_level().mode(), tiers::settings(config), plan);
        let quick = job.as_ref().is_ok_and(|job| job.mode == Mode::Quick);
        let compiled = tiers::guarded(|| {
            let chosen = config.to_be_compiled();
            if !chosen(function) {
                return Err("the engine is configured to leave it to the interpreter".to_owned());
            }
            Ok(explore::explore(module, &Job { may_be_inlined: chosen, ..job? }))
        });
        let (compiled, not_compiled) = match compiled {
            Ok(mut explored) => {
                let error = explored.error.take();
                (explored, error.map(|error| error.to_string()))
            }
            Err(reason) => (explore::Explored::default(), Some(reason)),
        };
        let lines = |lines: Vec<Line>| lines.into_iter().map(CodeLine::from).collect();
        Ok(Explored {
            function,
            name: module.function_name(function).map(str::to_owned),
            body: body.start..body.start + body.len,
            bytecode,
            not_interpreted,
            lowered: lines(compiled.lowered),
            optimised: lines(compiled.optimised),
            machine: lines(compiled.machine),
            opt_level: if quick { OptLevel::None } else { config.opt_level() },
            not_compiled,
        })
    }
}

/// The lines of bytecode, with the bound that those of the compiler have.
fn bytecode(disassembly: &interpreter::Disassembly) -> Vec<CodeLine> {
    let mut listing = Listing::default();
    for interpreter::BytecodeLine { offset, wasm, text } in disassembly.lines() {
        if listing.push(offset, wasm, text).is_err() {
            break;
        }
    }
    listing.into_lines().into_iter().map(CodeLine::from).collect()
}
