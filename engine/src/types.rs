//! The types of WebAssembly, as the runtime defines them.

/// The type of a value.
///
/// ```
/// assert_eq!(wasmrun::ValType::I32.to_string(), "i32");
/// ```
pub use wasmrun_runtime::types::ValType;

/// The type of a reference.
///
/// ```
/// assert_eq!(wasmrun::RefType::FUNCREF.to_string(), "funcref");
/// ```
pub use wasmrun_runtime::types::RefType;

/// What a reference points at.
///
/// ```
/// use wasmrun::{HeapType, RefType};
/// assert_eq!(RefType::EXTERNREF.heap, HeapType::Extern);
/// ```
pub use wasmrun_runtime::types::HeapType;

/// The type of a function.
///
/// ```
/// use wasmrun::{FuncType, ValType};
/// let ty = FuncType::new([ValType::I32, ValType::I64], [ValType::F64]);
/// assert_eq!(ty.to_string(), "(i32, i64) -> (f64)");
/// ```
pub use wasmrun_runtime::types::FuncType;

/// The type of a linear memory.
///
/// ```
/// assert_eq!(wasmrun::MemoryType::new(1, Some(16)).minimum(), 1);
/// ```
pub use wasmrun_runtime::types::MemoryType;

/// The type of a table.
///
/// ```
/// use wasmrun::{RefType, TableType};
/// assert_eq!(TableType::new(RefType::FUNCREF, 10, None).element(), RefType::FUNCREF);
/// ```
pub use wasmrun_runtime::types::TableType;

/// The type of a global.
///
/// ```
/// use wasmrun::{GlobalType, Mutability, ValType};
/// assert_eq!(GlobalType::new(ValType::I32, Mutability::Var).mutability(), Mutability::Var);
/// ```
pub use wasmrun_runtime::types::GlobalType;

/// Whether a global can be assigned.
///
/// ```
/// assert_ne!(wasmrun::Mutability::Const, wasmrun::Mutability::Var);
/// ```
pub use wasmrun_runtime::types::Mutability;

/// Bounds of a memory or table.
///
/// ```
/// assert_eq!(wasmrun::MemoryType::new(1, None).limits, wasmrun::Limits { min: 1, max: None });
/// ```
pub use wasmrun_runtime::types::Limits;

/// The type of an import or export.
///
/// ```
/// use wasmrun::{ExternType, FuncType};
/// let ty = ExternType::Func(FuncType::new([], []));
/// assert!(ty.func().is_some() && ty.memory().is_none());
/// ```
pub use wasmrun_runtime::types::ExternType;

/// A field of a structure, or the elements of an array.
///
/// ```
/// use wasmrun::{FieldType, Mutability, StorageType};
/// assert_eq!(FieldType::new(Mutability::Var, StorageType::I8).to_string(), "(mut i8)");
/// ```
pub use wasmrun_runtime::types::FieldType;

/// What a field or an element is stored as.
///
/// ```
/// use wasmrun::{StorageType, ValType};
/// assert_eq!(StorageType::I16.unpack(), ValType::I32);
/// ```
pub use wasmrun_runtime::types::StorageType;
