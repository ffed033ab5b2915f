//! Compiled functions where they run: code that is installed, with what it takes to tell from an address what it
//! belongs to.
//!
//! An engine has one [`CodeSpace`]. Its stores name it in their execution contexts, so that the signal handler and
//! backtraces find it; the modules of the engine keep the [`InstalledFunction`]s that belong to them.
#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock, Weak};

use cranelift_codegen::ir::TrapCode;
use wasmrun_runtime::module::Module;
use wasmrun_runtime::types::{CompositeType, FuncType, TypeId};
use wasmrun_runtime::vm::{ExecContext, Position, Site};

use crate::abi::without_parameters;
use crate::arena::{Arena, ArenaError, Blob};
use crate::artifact::{Artifact, Stored, Tables};
use crate::compile::{self, CompileError, CompiledFunction, Isa, Job, MemoryPlan, Start};
use crate::entrances::{Entrance, Entrances};
use crate::handlers::Handler;
use crate::placement;
use crate::profiler::{Profiler, Recorder};
use crate::stubs::{StubError, Stubs};
use crate::trap::{self, TrapInfo, current_exec};

/// Why there is no compiled code at all.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// There is no compiler for this machine.
    #[error(transparent)]
    Compiler(#[from] CompileError),
    /// There is no memory for code.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// Faults of compiled code could not be turned into traps.
    #[error("the signal handler cannot be installed: {0}")]
    Signals(io::Error),
}

/// Why a function has no compiled code.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// It cannot be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Its code cannot be installed.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// There is no stub to enter it through.
    #[error(transparent)]
    Stub(#[from] StubError),
    /// Its code must start at a multiple of more bytes than code memory gives.
    #[error("the code needs an alignment of {0} bytes, and code memory has {max}", max = Arena::ALIGNMENT)]
    Alignment(u32),
    /// It is code of a function that the module does not define.
    #[error("the module defines no function {0}")]
    Function(u32),
}

/// The code of an engine.
#[derive(Debug)]
pub struct CodeSpace {
    isa: Isa,
    arena: Arena,
    stubs: Stubs,
    entrances: Entrances,
    recorder: Option<Recorder>,
}

/// What is attached to the code of a function, or of many.
#[derive(Debug)]
struct Description {
    /// The code goes with its module: this is dead only while that happens.
    module: Weak<Module>,
    functions: Functions,
}

#[derive(Debug)]
enum Functions {
    /// One, without its code.
    One(CompiledFunction),
    /// Those of an artefact, which were installed together.
    Many(Arc<OnceLock<Tables>>),
}

/// A function as an address in its code finds it.
enum Described<'a> {
    One(&'a CompiledFunction),
    Stored(Stored<'a>),
}

impl Described<'_> {
    fn function(&self) -> u32 {
        match self {
            Described::One(compiled) => compiled.function,
            Described::Stored(stored) => stored.function(),
        }
    }

    fn trap_at(&self, offset: u32) -> Option<TrapCode> {
        match self {
            Described::One(compiled) => compiled.trap_at(offset),
            Described::Stored(stored) => stored.trap_at(offset),
        }
    }

    /// Calls `visit` with how many bytes below the frame pointer references are during the call that returns to the
    /// offset `at`.
    fn for_each_reference(&self, at: u32, visit: impl FnMut(u32)) {
        match self {
            Described::One(compiled) => compiled.stack_maps.references(at).for_each(visit),
            Described::Stored(stored) => stored.references(at).for_each(visit),
        }
    }

    fn handler_at(&self, at: u32) -> Option<Handler> {
        match self {
            Described::One(compiled) => compiled.handler_at(at),
            Described::Stored(stored) => stored.handler_at(at),
        }
    }

    fn outwards(&self, offset: u32) -> Vec<u32> {
        match self {
            Described::One(compiled) => compiled.outwards(offset).collect(),
            Described::Stored(stored) => stored.outwards(offset).collect(),
        }
    }
}

impl Description {
    /// The function that the byte at an offset of the blob belongs to, and the offset in its code.
    #[inline]
    fn at(&self, offset: usize) -> Option<(Described<'_>, u32)> {
        match &self.functions {
            Functions::One(compiled) => Some((Described::One(compiled), offset as u32)),
            Functions::Many(tables) => {
                let stored = tables.get()?.function_at(offset)?;
                let within = offset - stored.code().start;
                Some((Described::Stored(stored), within as u32))
            }
        }
    }
}

/// Ends the process in a collection that has come to a frame of which nothing is known: its references would be left to lead to
/// where nothing is any more.
fn unknown_frame(frame: Site) -> ! {
    eprintln!("a collection has found a frame of compiled code that is unknown, at {:p}", frame.code);
    std::process::abort()
}

/// The installed code of an artefact. Dropping it frees the code, under the [rule](crate::arena) of the arena.
#[derive(Debug)]
pub struct InstalledArtifact {
    blob: Blob,
    /// Where each function is entered.
    entries: Vec<(u32, usize)>,
}

/// The installed code of one function. Dropping it frees the code, under the [rule](crate::arena) of the arena.
#[derive(Debug)]
pub struct InstalledFunction {
    blob: Blob,
    function: u32,
}

/// The installed code of a function from the header of a loop on.
#[derive(Debug)]
pub struct LoopCode {
    code: Arc<InstalledFunction>,
    /// How it is entered.
    entrance: Entrance,
    /// The type of functions that are entered like that: with the same results.
    ty: FuncType,
}

impl LoopCode {
    /// The code.
    pub fn code(&self) -> &InstalledFunction {
        &self.code
    }

    pub(crate) fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    pub(crate) fn ty(&self) -> &FuncType {
        &self.ty
    }
}

impl CodeSpace {
    /// Room for so many bytes of code, or for [as many](Arena::up_to) as the system allows.
    pub fn new(bytes: usize) -> Result<CodeSpace, SpaceError> {
        let (isa, arena) = (Isa::native()?, Arena::up_to(bytes)?);
        let stubs = Stubs::new(&isa, arena.clone());
        let space = CodeSpace { isa, arena, stubs, entrances: Entrances::default(), recorder: None };
        trap::install(trap_in_current).map_err(SpaceError::Signals)?;
        Ok(space)
    }

    /// Tells a profiler of what is installed from now on.
    pub fn profile_with(&mut self, profiler: Profiler) -> io::Result<()> {
        self.recorder = Some(Recorder::open(profiler)?);
        Ok(())
    }

    /// The machine that it compiles for.
    pub fn isa(&self) -> &Isa {
        &self.isa
    }

    /// Where the code is.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// The stubs at its borders.
    pub fn stubs(&self) -> &Stubs {
        &self.stubs
    }

    /// Sees to it that calls of functions that a module knows of never fail for want of code memory, in whatever tiers
    /// they are: to be done before any code of the module is published. See [`Stubs::set_room_aside`].
    pub fn make_room_for_calls(&self, module: &Module) -> Result<(), StubError> {
        self.stubs.set_room_aside(module.types().iter().filter_map(CompositeType::func))
    }

    /// How a function of a type is entered: of `ty`, whose id is `id`.
    #[inline]
    pub(crate) fn entrance<'t>(
        &self,
        id: TypeId,
        ty: impl FnOnce() -> &'t FuncType,
    ) -> Result<&Entrance, StubError> {
        self.entrances.get(&self.stubs, id, ty)
    }

    /// Compiles a function of `module` and installs its code. Where the code may be published is said at [`Job`].
    pub fn compile(&self, module: &Arc<Module>, job: &Job<'_>) -> Result<InstalledFunction, InstallError> {
        let compiled = compile::compile(&self.isa, module, job)?;
        self.install(module, compiled)
    }

    /// Compiles what a function that `module` defines does from the header of a loop on, and installs the code: for
    /// [`enter_loop`](crate::calls::enter_loop).
    pub fn compile_loop(&self, module: &Arc<Module>, job: &Job<'_>) -> Result<LoopCode, InstallError> {
        let code = Arc::new(self.compile(module, job)?);
        Ok(self.loop_code(module, job.start, code)?)
    }

    /// The code of a function as that of the loop where it starts as well, for [`enter_loop`](crate::calls::enter_loop).
    pub fn loop_code(
        &self,
        module: &Module,
        start: Start,
        code: Arc<InstalledFunction>,
    ) -> Result<LoopCode, StubError> {
        debug_assert_ne!(start, Start::Entry);
        let ty = module.function_type(code.function());
        let ty = if let Start::Loop(_) = start { without_parameters(ty) } else { ty.clone() };
        let entrance = Entrance::new(self.stubs.enter(&ty)?, &ty);
        Ok(LoopCode { code, entrance, ty })
    }

    /// Installs the code of a function of `module`.
    pub fn install(
        &self,
        module: &Arc<Module>,
        mut compiled: CompiledFunction,
    ) -> Result<InstalledFunction, InstallError> {
        if compiled.alignment as usize > Arena::ALIGNMENT {
            return Err(InstallError::Alignment(compiled.alignment));
        }
        let function = compiled.function;
        let code = std::mem::take(&mut compiled.code);
        let description = Description { module: Arc::downgrade(module), functions: Functions::One(compiled) };
        let blob = match placement::line_at(&code) {
            Some(offset) => self.arena.install_with_line_at(&code, offset as usize, Arc::new(description))?,
            None => self.arena.install(&code, Arc::new(description))?,
        };
        if let Some(recorder) = self.recorder {
            recorder.record(module, function, &blob, 0..code.len());
        }
        Ok(InstalledFunction { blob, function })
    }

    /// Installs all code of an artefact with functions of `module`, in one piece.
    pub fn install_artifact(
        &self,
        module: &Arc<Module>,
        artifact: Artifact,
    ) -> Result<InstalledArtifact, InstallError> {
        let mut entries = Vec::with_capacity(artifact.tables().len());
        for stored in artifact.tables().functions() {
            if stored.alignment() as usize > Arena::ALIGNMENT {
                return Err(InstallError::Alignment(stored.alignment()));
            }
            if stored.function() >= module.function_count() || module.body(stored.function()).is_none() {
                return Err(InstallError::Function(stored.function()));
            }
            entries.push((stored.function(), stored.code().start));
        }
        let tables = Arc::new(OnceLock::new());
        let functions = Functions::Many(Arc::clone(&tables));
        let description = Description { module: Arc::downgrade(module), functions };
        // Where its functions are in lines has been seen to when it was made.
        let blob = self.arena.install_with_line_at(artifact.code(), 0, Arc::new(description))?;
        if let Some(recorder) = self.recorder {
            for stored in artifact.tables().functions() {
                recorder.record(module, stored.function(), &blob, stored.code());
            }
        }
        // Nothing runs there yet. The code has been copied and goes.
        let _ = tables.set(artifact.into_tables());
        Ok(InstalledArtifact { blob, entries })
    }

    /// A copy of the function that is entered at `entry`, as the compiler made it; `None` if no compiled function
    /// is. The code of stubs is none.
    ///
    /// # Safety
    /// What is entered there is not dropped meanwhile: its module is alive.
    pub unsafe fn read_back(&self, entry: *const u8) -> Option<CompiledFunction> {
        let found = self.arena.lookup(entry.addr())?;
        // SAFETY: the caller's promise.
        let description = unsafe { found.meta() }.downcast_ref::<Description>()?;
        let start = entry.addr() - found.addresses().start;
        let (function, 0) = description.at(start)? else { return None };
        // SAFETY: installed code is readable and stays what it is; all of it belongs to one blob.
        let code = |len: usize| unsafe { std::slice::from_raw_parts(entry, len) };
        Some(match function {
            Described::One(compiled) => {
                CompiledFunction { code: code(found.addresses().len()).to_vec(), ..compiled.clone() }
            }
            Described::Stored(stored) => stored.to_compiled(code(stored.code().len())),
        })
    }

    /// A copy of the compiled code that a module has of a function that it defines, for instances as `plan` says.
    pub fn function_of(&self, module: &Module, plan: MemoryPlan, function: u32) -> Option<CompiledFunction> {
        let defined = function.checked_sub(module.imported_function_count())?;
        let cell = module.cells().table(plan).get(defined as usize)?;
        // SAFETY: a module keeps what is published in its cells.
        let compiled = unsafe { self.read_back(cell.native()) }?;
        (compiled.function == function).then_some(compiled)
    }

    /// The function whose code has a byte at `pc`, the offset of that byte in it, and its module.
    ///
    /// # Safety
    /// The code runs, or has just stopped.
    #[inline]
    unsafe fn describe(&self, pc: usize) -> Option<(&Weak<Module>, Described<'_>, u32)> {
        let found = self.arena.lookup(pc)?;
        // SAFETY: the caller's promise: code that runs is kept.
        let description = unsafe { found.meta() }.downcast_ref::<Description>()?;
        let (function, offset) = description.at(pc - found.addresses().start)?;
        Some((&description.module, function, offset))
    }

    /// Whether the instruction at `pc` may trap. Async-signal-safe.
    ///
    /// # Safety
    /// As for [`describe`](Self::describe).
    unsafe fn trap_at(&self, pc: usize) -> Option<TrapInfo> {
        // SAFETY: the caller's promise.
        let (_, function, offset) = unsafe { self.describe(pc) }?;
        let code = function.trap_at(offset)?;
        Some(TrapInfo { code })
    }

    /// Calls `visit` with each word of a frame that holds a collected reference which is used later.
    ///
    /// # Safety
    /// The frame is one of guest code that waits at a call.
    pub(crate) unsafe fn for_each_reference(&self, frame: Site, visit: &mut dyn FnMut(*mut u32)) {
        let Some(found) = self.arena.lookup(frame.code.addr()) else { unknown_frame(frame) };
        // SAFETY: the code runs. That of stubs has no description, and no references.
        let meta = unsafe { found.meta() };
        let Some(description) = meta.downcast_ref::<Description>() else { return };
        let within = frame.code.addr() - found.addresses().start;
        let Some((function, offset)) = description.at(within) else { unknown_frame(frame) };
        // The address is that of the last byte of the call.
        function.for_each_reference(offset + 1, |distance| {
            visit(frame.frame.wrapping_byte_sub(distance as usize).cast());
        });
    }

    /// The address where an exception goes on that comes out of the call which returns to the address `pc`, and how many
    /// bytes the stack pointer is below the frame pointer there. `None` if it goes on to the caller.
    ///
    /// # Safety
    /// The frame that called is on the stack.
    pub(crate) unsafe fn handler_of(&self, pc: usize) -> Option<(usize, usize)> {
        // The last byte of the call.
        // SAFETY: the caller's promise.
        let (_, function, offset) = unsafe { self.describe(pc - 1) }?;
        let handler = function.handler_at(offset + 1)?;
        Some((pc - handler.returns_to as usize + handler.code as usize, handler.distance as usize))
    }

    /// What the code at `pc`, an address inside the instruction, is executing: the calls that it is inlined at follow,
    /// outwards. Nothing where that is a stub.
    ///
    /// # Safety
    /// The code is that of a frame of guest code, running or just stopped.
    pub unsafe fn positions(&self, pc: usize) -> Vec<Position> {
        // SAFETY: the caller's promise.
        let Some((module, described, offset)) = (unsafe { self.describe(pc) }) else { return Vec::new() };
        let Some(module) = module.upgrade() else { return Vec::new() };
        let function = described.function();
        let mut outwards = described.outwards(offset);
        if outwards.is_empty() {
            outwards.extend(module.body(function).map(|body| body.start));
        }
        let position = |offset| {
            let function = module.function_at(offset).unwrap_or(function);
            Position { module: module.clone(), function, offset }
        };
        outwards.into_iter().map(position).collect()
    }
}

/// The lookup of the signal handler: the code of the store that runs on this thread.
fn trap_in_current(pc: usize) -> Option<TrapInfo> {
    let exec: *const ExecContext = current_exec();
    // SAFETY: the current execution context is alive, and so is the engine of its store, which set the pointer.
    let space = unsafe { exec.as_ref()?.native.code.cast::<CodeSpace>().as_ref()? };
    // SAFETY: the handler asks for the instruction that has just trapped.
    unsafe { space.trap_at(pc) }
}

impl InstalledFunction {
    /// Where it is entered.
    pub fn entry(&self) -> *const u8 {
        self.blob.entry()
    }

    /// The addresses of its code.
    pub fn addresses(&self) -> Range<usize> {
        self.blob.addresses()
    }

    /// Its index in its module.
    pub fn function(&self) -> u32 {
        self.function
    }
}

impl InstalledArtifact {
    /// Its functions, in ascending order, and where they are entered.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (u32, *const u8)> {
        let start = self.blob.entry();
        self.entries.iter().map(move |(function, offset)| (*function, start.wrapping_add(*offset)))
    }
}
