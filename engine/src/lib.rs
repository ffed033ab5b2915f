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
//! # Objects and exceptions
//! Numbers cross the border by value. Everything else that a guest makes stays in the [`Store`] and is collected there; the host has
//! handles: a [`Rooted`] in a scope, an [`OwnedRooted`] without one. [`StructRef`], [`ArrayRef`] and [`ExternRef`] are what they
//! lead to, as is [`ExnRef`], an exception with a [`Tag`]. One that leaves the guest is the error of the call, an [`Exception`]; a
//! function of the host throws by returning such an error:
//!
//! ```
//! use wasmrun::{Caller, Engine, Exception, ExnRef, Linker, Module, Result, Store, Tag, TagType, Val, ValType};
//!
//! fn main() -> Result<()> {
//!     let engine = Engine::default();
//!     let module = Module::new(&engine, r#"
//!         (module
//!           (import "host" "not found" (tag $not_found (param i32)))
//!           (import "host" "look up" (func $look_up (param i32) (result i32)))
//!           (func (export "look up or 0") (param i32) (result i32)
//!             (block $caught (result i32)
//!               (return (try_table (result i32) (catch $not_found $caught) (call $look_up (local.get 0)))))
//!             (drop) (i32.const 0))
//!           (func (export "give up") (throw $not_found (i32.const 404))))
//!     "#)?;
//!
//!     let mut store = Store::new(&engine, ());
//!     let not_found = Tag::new(&mut store, TagType::new([ValType::I32]))?;
//!     let mut linker = Linker::new(&engine);
//!     linker.define(&store, "host", "not found", not_found)?;
//!     linker.func_wrap("host", "look up", move |mut caller: Caller<'_, ()>, key: i32| -> Result<i32> {
//!         if key == 7 {
//!             return Ok(77);
//!         }
//!         let exception = ExnRef::new(&mut caller, &not_found, &[Val::I32(key)])?;
//!         Err(Exception::new(&mut caller, &exception)?.into())
//!     })?;
//!     let instance = linker.instantiate(&mut store, &module)?;
//!     let look_up = instance.get_typed_func::<i32, i32>(&mut store, "look up or 0")?;
//!     assert_eq!((look_up.call(&mut store, 7)?, look_up.call(&mut store, 8)?), (77, 0));
//!
//!     let error = instance.get_typed_func::<(), ()>(&mut store, "give up")?.call(&mut store, ()).unwrap_err();
//!     let thrown: &Exception = error.downcast_ref().unwrap();
//!     assert_eq!((thrown.tag(), thrown.exception().field(&mut store, 0)?), (not_found, Val::I32(404)));
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
mod exception;
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
pub mod probe;
mod rooted;
mod store;
mod strategy;
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
pub use exception::Exception;
#[cfg(feature = "explore")]
pub use explore::{CodeLine, Explored};
pub use externs::{Export, Extern, Global, Memory, MemoryAccessError, SharedMemory, Table, Tag, WaitResult};
pub use func::{Caller, Func, IntoFunc, TypedFunc, WasmParams, WasmResults, WasmRet, WasmTy};
pub use instance::Instance;
pub use linker::{InstancePre, Linker};
pub use module::{ExportType, ImportType, Module};
pub use objects::{
    AnyRef, ArrayRef, ArrayRefPre, ArrayType, EqRef, ExnRef, I31, StructRef, StructRefPre, StructType,
};
pub use precompiled::Precompiled;
pub use rooted::{ExternRef, GcRef, OwnedRooted, RootScope, Rooted, RootedGcRef};
pub use store::{
    AsContext, AsContextMut, InterruptHandle, ResourceLimiter, Store, StoreContext, StoreContextMut,
    StoreLimits, StoreLimitsBuilder, UpdateDeadline,
};
pub use strategy::{OptLevel, Strategy};
pub use symbol::FrameSymbol;
pub use tiers::{FunctionTier, Uncompiled};
pub use types::{
    ExternType, FieldType, FuncType, GlobalType, HeapType, InvalidMemoryType, Limits, MemoryType,
    MemoryTypeBuilder, Mutability, RefType, StorageType, TableType, TagType, ValType,
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
/// assert_eq!(store.gc_stats().unwrap().full.count, 1);
/// # Ok::<(), wasmrun::Error>(())
/// ```
pub use wasmrun_runtime::vm::gc::{Collections, Collector, GcStats};
