//! Types as a module's bytes write them, turned into those of the engine.

use wasmparser::AbstractHeapType as Abstract;

use crate::types::{
    ArrayType, CompositeType, FieldType, FuncType, GlobalType, HeapType, Limits, MemoryType, Mutability,
    RefType, StorageType, StructType, TableType, ValType,
};

/// Turns types of a module's bytes into those of the engine; it holds what references to the type with an index are.
pub(crate) struct ParsedTypes<F>(pub(crate) F);

impl<F: Fn(u32) -> HeapType> ParsedTypes<F> {
    pub(crate) fn heap(&self, ty: wasmparser::HeapType) -> HeapType {
        match ty {
            wasmparser::HeapType::Abstract { ty, .. } => match ty {
                Abstract::Func => HeapType::Func,
                Abstract::NoFunc => HeapType::NoFunc,
                Abstract::Extern => HeapType::Extern,
                Abstract::NoExtern => HeapType::NoExtern,
                Abstract::Any => HeapType::Any,
                Abstract::Eq => HeapType::Eq,
                Abstract::I31 => HeapType::I31,
                Abstract::Struct => HeapType::Struct,
                Abstract::Array => HeapType::Array,
                Abstract::None => HeapType::None,
                Abstract::Exn => HeapType::Exn,
                Abstract::NoExn => HeapType::NoExn,
                // Continuations exist only under `Features::all`, where no module is made.
                Abstract::Cont | Abstract::NoCont => HeapType::None,
            },
            wasmparser::HeapType::Concrete(index) | wasmparser::HeapType::Exact(index) => {
                (self.0)(index.as_module_index().expect("types in a module's bytes are indices"))
            }
        }
    }

    pub(crate) fn reference(&self, ty: wasmparser::RefType) -> RefType {
        RefType::new(ty.is_nullable(), self.heap(ty.heap_type()))
    }

    pub(crate) fn value(&self, ty: wasmparser::ValType) -> ValType {
        match ty {
            wasmparser::ValType::I32 => ValType::I32,
            wasmparser::ValType::I64 => ValType::I64,
            wasmparser::ValType::F32 => ValType::F32,
            wasmparser::ValType::F64 => ValType::F64,
            wasmparser::ValType::V128 => ValType::V128,
            wasmparser::ValType::Ref(ty) => ValType::Ref(self.reference(ty)),
        }
    }

    fn field(&self, ty: wasmparser::FieldType) -> FieldType {
        let element = match ty.element_type {
            wasmparser::StorageType::I8 => StorageType::I8,
            wasmparser::StorageType::I16 => StorageType::I16,
            wasmparser::StorageType::Val(ty) => StorageType::Val(self.value(ty)),
        };
        FieldType::new(mutability(ty.mutable), element)
    }

    pub(crate) fn composite(&self, ty: &wasmparser::CompositeInnerType) -> CompositeType {
        use wasmparser::CompositeInnerType as Parsed;
        let values = |types: &[wasmparser::ValType]| -> Vec<ValType> {
            types.iter().map(|ty| self.value(*ty)).collect()
        };
        match ty {
            Parsed::Func(ty) => CompositeType::Func(FuncType::new(values(ty.params()), values(ty.results()))),
            Parsed::Struct(ty) => {
                CompositeType::Struct(StructType::new(ty.fields.iter().map(|field| self.field(*field))))
            }
            Parsed::Array(ty) => CompositeType::Array(ArrayType { element: self.field(ty.0) }),
            // As above: no module is made of one with continuations.
            Parsed::Cont(_) => CompositeType::Func(FuncType::new([], [])),
        }
    }

    pub(crate) fn table(&self, ty: &wasmparser::TableType) -> TableType {
        let element = self.reference(ty.element_type);
        let any =
            if ty.table64 { TableType::new64(element, 0, None) } else { TableType::new(element, 0, None) };
        any.with_limits(Limits { min: ty.initial, max: ty.maximum })
    }

    pub(crate) fn global(&self, ty: &wasmparser::GlobalType) -> GlobalType {
        GlobalType::new(self.value(ty.content_type), mutability(ty.mutable))
    }
}

pub(crate) fn memory_type(ty: &wasmparser::MemoryType) -> MemoryType {
    let log2 = ty.page_size_log2.map_or(MemoryType::PAGE_LOG2, |log2| log2 as u8);
    let builder = MemoryType::builder().memory64(ty.memory64).shared(ty.shared).page_size_log2(log2);
    // The validator has looked at it; only without its features, where no module is made, it may be something else.
    let ty = builder.min(ty.initial).max(ty.maximum).build();
    ty.unwrap_or_else(|_| MemoryType::new(0, None))
}

fn mutability(mutable: bool) -> Mutability {
    if mutable { Mutability::Var } else { Mutability::Const }
}
