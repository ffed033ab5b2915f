//! From a function of a module to machine code with its tables.
//!
//! Code is position-independent and complete: it reaches everything through its context, so that installing
//! it is a copy. Cranelift would like to call library functions for some instructions on old machines; code
//! that needs one is refused.

use std::fmt;

use cranelift_codegen::ir::TrapCode;
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{CodegenError, Context};
use cranelift_frontend::FunctionBuilderContext;
use wasmparser::Operator;
pub use wasmrun_runtime::module::MemoryPlan;
use wasmrun_runtime::module::Module;

pub use crate::lower::Start;
use crate::lower::{self, LowerError, Places};
use crate::stack_maps::StackMaps;
use crate::thunks;

/// The largest frame of a compiled function, in bytes. The poll at a function's entry runs when the frame is
/// already there: below the limit that it compares with there must be room for this and for the runtime.
pub const MAX_FRAME: u32 = 64 << 10;

/// How much time goes into the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The fastest code.
    Speed,
    /// Code that is there in half the time, twice as large and half as fast.
    Quick,
}

/// Why a function has not been compiled. The engine leaves such functions to tier 0.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// There is no compiler for this machine.
    #[error("the compiler does not know this machine: {0}")]
    Machine(String),
    /// The body cannot be lowered.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// Cranelift refuses the function.
    #[error("the compiler refuses the function: {0}")]
    Codegen(String),
    /// The code calls library functions.
    #[error("the code needs {0}, which does not exist here")]
    Relocation(String),
    /// The frame is larger than [`MAX_FRAME`].
    #[error("the function needs a frame of {0} bytes")]
    FrameTooLarge(u32),
}

/// The machine that code is compiled for: this one, with all that it can do.
#[derive(Clone)]
pub struct Isa {
    speed: OwnedTargetIsa,
    quick: OwnedTargetIsa,
}

impl Isa {
    /// The machine that this runs on.
    pub fn native() -> Result<Isa, CompileError> {
        Ok(Isa { speed: native(Mode::Speed, false)?, quick: native(Mode::Quick, false)? })
    }

    /// Cranelift's description of the machine, with the settings of a mode.
    pub fn target(&self, mode: Mode) -> &OwnedTargetIsa {
        match mode {
            Mode::Speed => &self.speed,
            Mode::Quick => &self.quick,
        }
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isa").field("triple", self.speed.triple()).finish_non_exhaustive()
    }
}

/// Cranelift's description of this machine, with the settings of a mode; perhaps it notes where the blocks of the code
/// begin, which changes nothing else.
pub(crate) fn native(mode: Mode, blocks: bool) -> Result<OwnedTargetIsa, CompileError> {
    let machine = |error: &dyn fmt::Display| CompileError::Machine(error.to_string());
    let (opt_level, regalloc) = match mode {
        Mode::Speed => ("speed", "backtracking"),
        Mode::Quick => ("none", "single_pass"),
    };
    let verifier = if cfg!(debug_assertions) { "true" } else { "false" };
    let mut flags = settings::builder();
    for (name, value) in [
        ("opt_level", opt_level),
        ("regalloc_algorithm", regalloc),
        // Tail calls need it, and so do backtraces.
        ("preserve_frame_pointers", "true"),
        // A frame larger than a page touches each of its pages in turn: none steps over the stack's guard.
        ("enable_probestack", "true"),
        ("probestack_strategy", "inline"),
        // Nothing unwinds compiled frames.
        ("unwind_info", "false"),
        ("enable_verifier", verifier),
        ("machine_code_cfg_info", if blocks { "true" } else { "false" }),
    ] {
        flags.set(name, value).map_err(|error| machine(&error))?;
    }
    let builder = cranelift_native::builder().map_err(|error| machine(&error))?;
    builder.finish(settings::Flags::new(flags)).map_err(|error| machine(&error))
}

/// Machine code of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledFunction {
    /// Its index in its module.
    pub function: u32,
    /// The code, and behind it the constants that it reads and the thunks that it calls. It is entered at its first byte.
    pub code: Vec<u8>,
    /// What the address of the code has to be a multiple of.
    pub alignment: u32,
    /// Bytes of its frame.
    pub frame: u32,
    /// Offsets of the instructions that can trap, in ascending order, with the reasons.
    pub traps: Vec<(u32, TrapCode)>,
    /// Offsets in the code, in ascending order, with the offsets in the module of the instructions that the
    /// code from there on belongs to. The address behind a call belongs to what comes before it. Where functions are
    /// inlined there are several entries for an offset: the calls, from the outermost on, and the instruction.
    pub positions: Vec<(u32, u32)>,
    /// Where collected references are in its frames.
    pub stack_maps: StackMaps,
}

impl CompiledFunction {
    /// The reason for which the instruction at `offset` traps.
    pub fn trap_at(&self, offset: u32) -> Option<TrapCode> {
        let at = self.traps.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        Some(self.traps[at].1)
    }

    /// The offset in the module of the instruction that the byte of code at `offset` belongs to. For the
    /// instruction behind a call's return address, ask for the byte before that.
    pub fn wasm_offset(&self, offset: u32) -> Option<u32> {
        self.outwards(offset).next()
    }

    /// The same, and behind it the calls that it is inlined at, outwards.
    pub fn outwards(&self, offset: u32) -> impl Iterator<Item = u32> {
        let next = self.positions.partition_point(|(start, _)| *start <= offset);
        let last = self.positions[..next].last().map(|(start, _)| *start);
        self.positions[..next]
            .iter()
            .rev()
            .take_while(move |(start, _)| Some(*start) == last)
            .map(|(_, at)| *at)
    }
}

/// What tier 0 has seen of a module.
pub trait Profile: Sync {
    /// The lower half of the index of the function that the `call_indirect` at the offset `at` of the module, in
    /// `function`, has called nearly always. It may be any number at all; a wrong one costs time.
    fn callee(&self, function: u32, at: u32) -> Option<u16>;
}

/// What is compiled, and how.
#[derive(Clone, Copy)]
pub struct Job<'p> {
    /// A function that the module defines.
    pub function: u32,
    /// Where its code starts.
    pub start: Start,
    /// How much time it is worth.
    pub mode: Mode,
    /// What the code takes memories to be. That for [`MemoryPlan::Guarded`] must not run on an instance one of whose
    /// memories, imported ones included, is not guarded.
    pub memory: MemoryPlan,
    /// Whether its frames can leave for tier 0: wherever [`NativeEntries::leaves`](wasmrun_runtime::vm::NativeEntries::leaves)
    /// says so, at the entry and at each turn of every loop. Such code is half as fast.
    pub leaves: bool,
    /// Whether loops poll, so that one that calls nothing can be stopped. Where frames can leave they do anyway.
    pub interruptible: bool,
    /// Whether short functions are compiled in place of calls of them.
    pub inlining: bool,
    /// Of those, whether the function with this index may be.
    pub may_be_inlined: fn(u32) -> bool,
    /// What the code is made to be fast for, if that is known.
    pub profile: Option<&'p dyn Profile>,
}

impl Job<'_> {
    /// The whole of a function, as fast as it can be where memories are guarded.
    pub fn new(function: u32) -> Job<'static> {
        Job {
            function,
            start: Start::Entry,
            mode: Mode::Speed,
            memory: MemoryPlan::Guarded,
            leaves: false,
            interruptible: true,
            inlining: true,
            may_be_inlined: |_| true,
            profile: None,
        }
    }

    /// Bytes of memory that the compiler takes for it at most, as far as has been seen.
    pub fn memory(&self, module: &Module) -> usize {
        /// For a function: more than allocators keep for themselves when it is given back.
        const FUNCTION: usize = 33 << 20;
        /// For a byte of the module that is compiled.
        const BYTE: usize = 2 << 10;
        /// On top, for an instruction that calls something, and for one that calls through a table: at each of them all
        /// registers change, and there are ways that are hardly ever gone.
        const CALL: usize = 12 << 10;
        const CALL_INDIRECT: usize = 28 << 10;
        let Some(body) = module.function_body(self.function) else { return FUNCTION };
        let len = body.as_bytes().len() as u32;
        let inlined = if self.inlining { lower::most_inlined(len) } else { 0 };
        let mut bytes = FUNCTION + (len as usize + inlined as usize) * BYTE;
        let mut operators = body.get_operators_reader().expect("validated body");
        while !operators.eof() {
            bytes += match operators.read().expect("validated operators") {
                Operator::CallIndirect { .. }
                | Operator::ReturnCallIndirect { .. }
                // Where a function is likely to be called, there are two calls.
                | Operator::CallRef { .. } => CALL_INDIRECT,
                Operator::Call { .. }
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallRef { .. }
                | Operator::RefFunc { .. }
                | Operator::MemoryGrow { .. }
                | Operator::MemoryFill { .. }
                | Operator::MemoryCopy { .. }
                | Operator::MemoryInit { .. }
                | Operator::DataDrop { .. }
                | Operator::TableGet { .. }
                | Operator::TableSet { .. }
                | Operator::TableGrow { .. }
                | Operator::TableFill { .. }
                | Operator::TableCopy { .. }
                | Operator::TableInit { .. }
                | Operator::ElemDrop { .. }
                | Operator::StructNew { .. }
                | Operator::StructNewDefault { .. }
                | Operator::ArrayNew { .. }
                | Operator::ArrayNewDefault { .. }
                | Operator::ArrayNewFixed { .. }
                | Operator::ArrayNewData { .. }
                | Operator::ArrayNewElem { .. }
                | Operator::ArrayInitData { .. }
                | Operator::ArrayInitElem { .. }
                | Operator::ArrayCopy { .. }
                | Operator::ArrayFill { .. } => CALL,
                _ => 0,
            };
        }
        bytes
    }
}

/// Compiles a function of `module`.
pub fn compile(isa: &Isa, module: &Module, job: &Job<'_>) -> Result<CompiledFunction, CompileError> {
    let isa: &dyn TargetIsa = &**isa.target(job.mode);
    let (clif, places) = lower::function(isa, module, job, &mut FunctionBuilderContext::new())?;
    emit(isa, &mut Context::for_function(clif), &places, job.function)
}

/// Makes machine code of the function in `context`, which has been lowered and is optimised where it is.
pub(crate) fn emit(
    isa: &dyn TargetIsa,
    context: &mut Context,
    places: &Places,
    function: u32,
) -> Result<CompiledFunction, CompileError> {
    context
        .compile(isa, &mut Default::default())
        .map_err(|error| CompileError::Codegen(describe(error.inner)))?;
    let buffer = &context.compiled_code().expect("it has been compiled").buffer;
    let mut code = buffer.data().to_vec();
    thunks::append(&mut code, buffer.relocs(), &context.func.params)?;
    let frame = buffer.frame_layout().map_or(0, |layout| layout.frame_to_fp_offset);
    if frame > MAX_FRAME {
        return Err(CompileError::FrameTooLarge(frame));
    }
    let mut stack_maps = StackMaps::default();
    for (at, below_frame_pointer, map) in buffer.user_stack_maps() {
        stack_maps.push(
            *at,
            map.entries().map(|(_, above_stack_pointer)| below_frame_pointer - above_stack_pointer),
        );
    }
    let positions = buffer.get_srclocs_sorted().iter().flat_map(|range| {
        let outwards: Vec<u32> = places.outwards(range.loc).collect();
        outwards.into_iter().rev().map(|offset| (range.start, offset))
    });
    Ok(CompiledFunction {
        function,
        code,
        alignment: buffer.alignment,
        frame,
        traps: buffer.traps().iter().map(|trap| (trap.offset, trap.code)).collect(),
        positions: positions.collect(),
        stack_maps,
    })
}

/// An error of Cranelift in one line. Those of the verifier are reports of many.
fn describe(error: CodegenError) -> String {
    match error {
        CodegenError::Verifier(errors) => {
            errors.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}
