//! An embeddable WebAssembly engine: it starts like an interpreter and has the API that users of Wasmtime
//! and wasmi know. It is for Linux on x86-64; a build for anything else says so and fails.
//!
//! An [`Engine`] holds the settings, a [`Module`] is code, a [`Store`] is where instances live together with
//! the host's data, and a [`Linker`] gives modules what they import:
//!
//! ```
//! use wasmrun::{Caller, Engine, Linker, Module, Result, Store};
//!
//! fn main() -> Result<()> {
//!     let engine = Engine::default();
//!     let module = Module::new(&engine, r#"
//!         (module
//!           (import "host" "log" (func $log (param i32)))
//!           (func (export "run") (param i32)
//!             (call $log (i32.mul (local.get 0) (i32.const 2)))))
//!     "#)?;
//!
//!     let mut linker = Linker::new(&engine);
//!     linker.func_wrap("host", "log", |mut caller: Caller<'_, Vec<i32>>, value: i32| {
//!         caller.data_mut().push(value);
//!     })?;
//!
//!     let mut store = Store::new(&engine, Vec::new());
//!     let instance = linker.instantiate(&mut store, &module)?;
//!     let run = instance.get_typed_func::<i32, ()>(&mut store, "run")?;
//!     run.call(&mut store, 21)?;
//!     assert_eq!(store.data(), &[42]);
//!     Ok(())
//! }
//! ```
//!
//! # Cargo features
//! * `wat` (default): [`Module::new`] accepts the text format.
//! * `dwarf` (default): backtraces name source files and lines when a module carries DWARF.
//! * `explore`: `Module::explore` shows what becomes of a function, from bytecode to machine code. It brings a
//!   disassembler.
#![deny(missing_docs)]

mod backtrace;
mod cache;
mod config;
#[cfg(feature = "dwarf")]
mod dwarf;
mod engine;
mod entry;
mod error;
#[cfg(feature = "explore")]
mod explore;
mod externs;
mod func;
mod handle;
mod headroom;
mod instance;
mod instantiate;
mod link;
mod linker;
mod lock;
mod module;
mod objects;
mod precompiled;
mod rooted;
mod store;
mod symbol;
mod tiers;
mod timer;
mod types;
mod values;

pub use backtrace::{FrameInfo, WasmBacktrace};
pub use cache::{Cache, CacheConfig, CacheStat};
pub use config::Config;
/// How memories are laid out in the address space.
///
/// ```
/// use wasmrun::{Config, MemoryStrategy};
///
/// let mut config = Config::new();
/// config.memory_strategy(MemoryStrategy::Checked);
/// ```
pub use config::MemoryStrategy;
pub use engine::{Engine, EngineWeak};
pub use error::{Context, Error, I32Exit, Result};
#[cfg(feature = "explore")]
pub use explore::{CodeLine, Explored};
pub use externs::{Export, Extern, Global, Memory, MemoryAccessError, SharedMemory, Table, WaitResult};
pub use func::{Caller, Func, IntoFunc, TypedFunc, WasmParams, WasmResults, WasmRet, WasmTy};
pub use instance::Instance;
pub use linker::{InstancePre, Linker};
pub use module::{ExportType, ImportType, Module};
pub use objects::{
    AnyRef, ArrayRef, ArrayRefPre, ArrayType, EqRef, I31, StructRef, StructRefPre, StructType,
};
pub use precompiled::Precompiled;
pub use rooted::{ExternRef, GcRef, OwnedRooted, RootScope, Rooted, RootedGcRef};
pub use store::{
    AsContext, AsContextMut, InterruptHandle, ResourceLimiter, Store, StoreContext, StoreContextMut,
    StoreLimits, StoreLimitsBuilder, UpdateDeadline,
};
pub use symbol::FrameSymbol;
pub use tiers::{FunctionTier, OptLevel, Strategy, Uncompiled};
pub use types::{
    ExternType, FieldType, FuncType, GlobalType, HeapType, InvalidMemoryType, Limits, MemoryType,
    MemoryTypeBuilder, Mutability, RefType, StorageType, TableType, ValType,
};
pub use values::{Ref, V128, Val};
pub use wasmrun_jit::profiler::Profiler;
/// Why guest code stopped.
///
/// ```
/// use wasmrun::{Error, Trap};
///
/// let error = Error::from(Trap::IntegerDivisionByZero);
/// assert!(error.is::<Trap>());
/// ```
pub use wasmrun_runtime::trap::Trap;
/// What the collector of a store has done: see [`Store::gc_stats`].
///
/// ```
/// use wasmrun::{ExternRef, Store};
///
/// let mut store = Store::<()>::default();
/// assert_eq!(store.gc_stats(), None);
/// ExternRef::new(&mut store, 1)?;
/// store.gc();
/// assert_eq!(store.gc_stats().unwrap().collections, 1);
/// # Ok::<(), wasmrun::Error>(())
/// ```
pub use wasmrun_runtime::vm::gc::GcStats;
