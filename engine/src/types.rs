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
/// use wasmrun::MemoryType;
/// assert_eq!(MemoryType::new(1, Some(16)).minimum(), 1);
/// assert!(MemoryType::new64(1, None).is_64());
/// assert_eq!(MemoryType::new(1, None).page_size(), 65536);
/// ```
pub use wasmrun_runtime::types::MemoryType;

/// Makes a [`MemoryType`] of all that it can consist of.
///
/// ```
/// use wasmrun::MemoryTypeBuilder;
/// let bytes = MemoryTypeBuilder::new().min(100).max(Some(1000)).page_size_log2(0).build()?;
/// assert_eq!((bytes.page_size(), bytes.is_64()), (1, false));
/// assert!(MemoryTypeBuilder::new().min(65537).build().is_err(), "that is more than 4 GiB");
/// # Ok::<(), wasmrun::InvalidMemoryType>(())
/// ```
pub use wasmrun_runtime::types::MemoryTypeBuilder;

/// Why there is no such memory type.
///
/// ```
/// use wasmrun::{InvalidMemoryType, MemoryType};
/// let error = MemoryType::builder().page_size_log2(12).build().unwrap_err();
/// assert_eq!(error, InvalidMemoryType::PageSize(12));
/// ```
pub use wasmrun_runtime::types::InvalidMemoryType;

/// The type of a table.
///
/// ```
/// use wasmrun::{RefType, TableType};
/// assert_eq!(TableType::new(RefType::FUNCREF, 10, None).element(), RefType::FUNCREF);
/// assert!(TableType::new64(RefType::FUNCREF, 10, None).is_64());
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

/// The type of a tag.
///
/// ```
/// use wasmrun::{TagType, ValType};
/// assert_eq!(TagType::new([ValType::I32, ValType::F64]).to_string(), "(i32, f64)");
/// ```
pub use wasmrun_runtime::types::TagType;
