//! From a function of a module to machine code with its tables.
//!
//! Code is position-independent and complete: it reaches everything through its context, so that installing
//! it is a copy. Cranelift would like to call library functions for some instructions on old machines; code
//! that needs one is refused.

use std::fmt;

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::{Function, SourceLoc, TrapCode};
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::{
    CodegenError, CodegenResult, CompiledCode, Context, Final, FinalizedMachCallSite,
    FinalizedMachExceptionHandler, MachBufferFinalized,
};
use cranelift_frontend::FunctionBuilderContext;
pub use wasmrun_runtime::module::MemoryPlan;
use wasmrun_runtime::module::Module;

use crate::handlers::{Handler, handler_at};
pub use crate::job::{Job, Mode, Profile, Start};
use crate::lower::{self, LowerError, Places};
use crate::merged;
use crate::stack_maps::StackMaps;
use crate::thunks;

/// The largest frame of a compiled function, in bytes. The poll at a function's entry runs when the frame is
/// already there: below the limit that it compares with there must be room for this and for the runtime.
pub const MAX_FRAME: u32 = 64 << 10;

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
    /// Where exceptions that come out of its calls go on, in the order of the calls.
    pub handlers: Vec<Handler>,
}

impl CompiledFunction {
    /// The reason for which the instruction at `offset` traps.
    pub fn trap_at(&self, offset: u32) -> Option<TrapCode> {
        let at = self.traps.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        Some(self.traps[at].1)
    }

    /// Where an exception goes on that comes out of the call which returns to the offset `at`.
    pub fn handler_at(&self, at: u32) -> Option<Handler> {
        handler_at(&self.handlers, at)
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

/// Compiles a function of `module`.
pub fn compile(isa: &Isa, module: &Module, job: &Job<'_>) -> Result<CompiledFunction, CompileError> {
    let isa: &dyn TargetIsa = &**isa.target(job.mode);
    let lower = |job: &Job<'_>| lower::function(isa, module, job, &mut FunctionBuilderContext::new());
    let (clif, places) = match lower(job) {
        // What is inlined may be what is too much.
        Err(LowerError::TooLarge) if job.inlining => lower(&Job { inlining: false, ..*job })?,
        lowered => lowered?,
    };
    let mut context = Context::for_function(clif);
    let emitted = emit(isa, &mut context)?;
    finish(emitted, &context.func, &places, job.function)
}

/// Makes machine code of the function in `context`, which has been lowered and is optimised where it is.
pub(crate) fn emit(isa: &dyn TargetIsa, context: &mut Context) -> Result<CompiledCode, CompileError> {
    emit_in_places(isa, context).map_err(|error| CompileError::Codegen(describe(error)))
}

/// What [`Context::compile`] does, and between its two halves [`merged::give_places`].
fn emit_in_places(isa: &dyn TargetIsa, context: &mut Context) -> CodegenResult<CompiledCode> {
    let mut control_plane = ControlPlane::default();
    context.verify_if(isa)?;
    context.optimize(isa, &mut control_plane)?;
    merged::give_places(&mut context.func);
    let (allocator, disassembly) = (&mut regalloc2::Ctx::default(), false);
    let emitted =
        isa.compile_function(&context.func, &context.domtree, allocator, disassembly, &mut control_plane)?;
    Ok(emitted.apply_params(&context.func.params))
}

/// What has to be known of the machine code of a function, which was made of `clif` as it is now.
pub(crate) fn finish(
    emitted: CompiledCode,
    clif: &Function,
    places: &Places,
    function: u32,
) -> Result<CompiledFunction, CompileError> {
    let buffer = &emitted.buffer;
    let mut code = buffer.data().to_vec();
    thunks::append(&mut code, buffer.relocs(), &clif.params)?;
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
    let positions = places_in_code(clif, buffer).into_iter().flat_map(|(start, place)| {
        let outwards: Vec<u32> = places.outwards(place).collect();
        outwards.into_iter().rev().map(move |offset| (start, offset))
    });
    Ok(CompiledFunction {
        function,
        code,
        alignment: buffer.alignment,
        frame,
        traps: buffer.traps().iter().map(|trap| (trap.offset, trap.code)).collect(),
        positions: positions.collect(),
        stack_maps,
        handlers: buffer.call_sites().flat_map(handlers_of).collect(),
    })
}

/// Where in the code another place of the module begins, in order.
fn places_in_code(function: &Function, buffer: &MachBufferFinalized<Final>) -> Vec<(u32, SourceLoc)> {
    let ranges = buffer.get_srclocs_sorted();
    let place_of = |offset: u32| {
        let behind = ranges.partition_point(|range| range.start <= offset);
        behind.checked_sub(1).map_or(SourceLoc::default(), |index| ranges[index].loc)
    };
    let traps = buffer.traps().iter().map(|trap| (trap.offset, trap.code, place_of(trap.offset)));
    let mut merged = merged::loads(function, traps).into_iter().peekable();
    let mut places = Vec::with_capacity(ranges.len());
    for range in ranges {
        let mut start = range.start;
        // An instruction is known by its first byte when it traps.
        while let Some((at, load)) = merged.next_if(|(at, _)| *at < range.end) {
            if start < at {
                places.push((start, range.loc));
            }
            places.push((at, load));
            start = at + 1;
        }
        if start < range.end {
            places.push((start, range.loc));
        }
    }
    places
}

/// Where an exception that comes out of a call goes on, if it has a handler.
fn handlers_of(call: FinalizedMachCallSite<'_>) -> Option<Handler> {
    let [handler] = *call.exception_handlers else { return None };
    let FinalizedMachExceptionHandler::Default(code) = handler else {
        unreachable!("handlers take every exception")
    };
    let distance = call.frame_offset.expect("calls know their frames");
    Some(Handler { returns_to: call.ret_addr, code, distance })
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
