//! Compiled functions where they run: code that is installed, with what it takes to tell from an address what it
//! belongs to.
//!
//! An engine has one [`CodeSpace`]. Its stores name it in their execution contexts, so that the signal handler and
//! backtraces find it; the modules of the engine keep the [`InstalledFunction`]s that belong to them.
#![allow(unsafe_code)]

use std::io;
use std::ops::Range;
use std::sync::{Arc, Weak};

use wasmrun_runtime::module::Module;
use wasmrun_runtime::types::FuncType;
use wasmrun_runtime::vm::{ExecContext, Position};

use crate::arena::{Arena, ArenaError, Blob};
use crate::calls::without_parameters;
use crate::compile::{self, CompileError, CompiledFunction, Isa, MemoryPlan, Mode, Start};
use crate::entrances::{Entrance, Entrances};
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
}

/// The code of an engine.
#[derive(Debug)]
pub struct CodeSpace {
    isa: Isa,
    arena: Arena,
    stubs: Stubs,
    entrances: Entrances,
}

/// What is attached to the code of a function.
#[derive(Debug)]
struct Description {
    /// The code goes with its module: this is dead only while that happens.
    module: Weak<Module>,
    function: CompiledFunction,
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
    code: InstalledFunction,
    /// How it is entered: without arguments.
    entrance: Entrance,
    /// The type of a function without parameters and with the same results.
    results: FuncType,
}

impl LoopCode {
    /// The code.
    pub fn code(&self) -> &InstalledFunction {
        &self.code
    }

    pub(crate) fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    pub(crate) fn results(&self) -> &FuncType {
        &self.results
    }
}

impl CodeSpace {
    /// Room for so many bytes of code.
    pub fn new(bytes: usize) -> Result<CodeSpace, SpaceError> {
        let (isa, arena) = (Isa::native()?, Arena::new(bytes)?);
        let stubs = Stubs::new(&isa, arena.clone());
        let space = CodeSpace { isa, arena, stubs, entrances: Entrances::default() };
        trap::install(trap_in_current).map_err(SpaceError::Signals)?;
        Ok(space)
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

    /// How a function is entered.
    pub(crate) fn entrance(&self, module: &Module, function: u32) -> Result<&Entrance, StubError> {
        self.entrances.get(&self.stubs, module, function)
    }

    /// Compiles a function that `module` defines and installs its code. Where the code may be published is said
    /// at [`compile::compile`].
    pub fn compile(
        &self,
        module: &Arc<Module>,
        function: u32,
        mode: Mode,
        memory: MemoryPlan,
    ) -> Result<InstalledFunction, InstallError> {
        let compiled = compile::compile(&self.isa, module, function, mode, memory)?;
        self.install(module, compiled)
    }

    /// Compiles what a function that `module` defines does from the header of a loop on, and installs the code: for
    /// [`enter_loop`](crate::calls::enter_loop).
    pub fn compile_loop(
        &self,
        module: &Arc<Module>,
        function: u32,
        at: u32,
        mode: Mode,
        memory: MemoryPlan,
    ) -> Result<LoopCode, InstallError> {
        let compiled = compile::compile_from(&self.isa, module, function, Start::Loop(at), mode, memory)?;
        let way = without_parameters(module.function_type(function));
        let stub = self.stubs.enter(&way)?;
        Ok(LoopCode {
            code: self.install(module, compiled)?,
            entrance: Entrance::new(stub, &way),
            results: way,
        })
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
        let description = Description { module: Arc::downgrade(module), function: compiled };
        let blob = self.arena.install(&code, Arc::new(description))?;
        Ok(InstalledFunction { blob, function })
    }

    fn describe(&self, pc: usize) -> Option<(&Description, u32)> {
        let found = self.arena.lookup(pc)?;
        // SAFETY: asked only for addresses of code that runs, or whose module is alive.
        let description = unsafe { found.meta() }.downcast_ref::<Description>()?;
        Some((description, (pc - found.addresses().start) as u32))
    }

    /// Whether the instruction at `pc` may trap. Async-signal-safe.
    fn trap_at(&self, pc: usize) -> Option<TrapInfo> {
        let (description, offset) = self.describe(pc)?;
        let code = description.function.trap_at(offset)?;
        Some(TrapInfo { code })
    }

    /// What the code at `pc`, an address inside the instruction, is executing; `None` where that is a stub.
    ///
    /// # Safety
    /// The code is that of a frame of guest code, running or just stopped.
    pub unsafe fn position(&self, pc: usize) -> Option<Position> {
        let (description, offset) = self.describe(pc)?;
        let module = description.module.upgrade()?;
        let function = description.function.function;
        let offset = description.function.wasm_offset(offset);
        let offset = offset.or_else(|| Some(module.body(function)?.start))?;
        Some(Position { module, function, offset })
    }
}

/// The lookup of the signal handler: the code of the store that runs on this thread.
fn trap_in_current(pc: usize) -> Option<TrapInfo> {
    let exec: *const ExecContext = current_exec();
    // SAFETY: the current execution context is alive, and so is the engine of its store, which set the pointer.
    let space = unsafe { exec.as_ref()?.native.code.cast::<CodeSpace>().as_ref()? };
    space.trap_at(pc)
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
