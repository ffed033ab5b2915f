//! Matching of imports with what is given for them, by the rules of the specification (section 4.5.3,
//! "external typing", and 3.3, "import subtyping").
//!
//! Bindings hold pointers into the store's instances, which is why this is one of the modules that hold the
//! crate's `unsafe`. They are made and used within one borrow of the store.
#![allow(unsafe_code)]

use std::sync::Arc;

use wasmrun_runtime::module as runtime;
use wasmrun_runtime::types::{Limits, TypeRegistry};
use wasmrun_runtime::vm::{Imports, InstanceKey};

use crate::error::{Error, Result};
use crate::externs::{Extern, SharedMemory};
use crate::instantiate::instantiate;
use crate::module::Module;
use crate::store::{StoreInner, StoreOpaque};
use crate::types::{ExternType, Mutability};

/// What the imports of a module are bound to, checked.
pub(crate) struct Bindings {
    imports: Imports,
    // Keeps what an instance will keep once it is made.
    shared: Vec<SharedMemory>,
}

impl Bindings {
    /// Checks that `items` are what `module` imports, in order.
    pub(crate) fn new(store: &StoreOpaque, module: &Module, items: &[Extern]) -> Result<Bindings> {
        let expected = module.runtime().imports();
        if expected.len() != items.len() {
            let (expected, found) = (expected.len(), items.len());
            return Err(Error::msg(format!("wrong number of imports: expected {expected}, found {found}")));
        }
        let mut bindings = Bindings { imports: Imports::default(), shared: Vec::new() };
        for (import, item) in expected.iter().zip(items) {
            bindings.push(store, import, item)?;
        }
        Ok(bindings)
    }

    fn push(&mut self, store: &StoreOpaque, import: &runtime::Import, item: &Extern) -> Result<()> {
        let found = type_in(store, item).map_err(|error| {
            error.context(format!("`{}::{}` cannot be imported", import.module, import.name))
        })?;
        if !matches(&import.ty, &found, store.engine.registry()) {
            return Err(Error::msg(format!(
                "incompatible import type for `{}::{}`: expected {}, found {found}",
                import.module, import.name, import.ty
            )));
        }
        match item {
            Extern::Func(func) => self.imports.functions.push(func.handle().pointer(store)?),
            Extern::Table(table) => self.imports.tables.push(table.handle().pointer(store)?),
            Extern::Memory(memory) => self.imports.memories.push(memory.handle().pointer(store)?),
            Extern::SharedMemory(memory) => {
                self.imports.memories.push(memory.runtime().as_ptr());
                self.shared.push(memory.clone());
            }
            Extern::Global(global) => self.imports.globals.push(global.handle().pointer(store)?),
            Extern::Tag(tag) => self.imports.tags.push(tag.id(store)?),
        }
        Ok(())
    }

    /// Makes the instance.
    pub(crate) fn instantiate<T: 'static>(
        self,
        inner: &mut StoreInner<T>,
        module: Arc<runtime::Module>,
    ) -> Result<InstanceKey> {
        // SAFETY: the imports have been checked, and nothing has been dropped since: bindings live within one
        // borrow of the store.
        unsafe { instantiate(inner, module, &self.imports) }
    }
}

/// The type of an item as it is now: memories and tables with their current size.
fn type_in(store: &StoreOpaque, item: &Extern) -> Result<ExternType> {
    Ok(match item {
        Extern::Func(func) => ExternType::Func(func.type_in(store)?),
        Extern::Table(table) => {
            let table = table.handle().get(store)?;
            let mut ty = table.ty();
            ty.limits.min = table.len();
            ExternType::Table(ty)
        }
        Extern::Memory(memory) => {
            let memory = memory.handle().get(store)?;
            let mut ty = memory.ty();
            ty.limits.min = memory.pages();
            ExternType::Memory(ty)
        }
        Extern::SharedMemory(memory) => ExternType::Memory(memory.ty()),
        Extern::Global(global) => {
            global.handle().get(store)?;
            ExternType::Global(global.declared_type())
        }
        Extern::Tag(tag) => ExternType::Tag(tag.type_in(store)?),
    })
}

/// Whether a value of type `found` can be imported as `expected`.
fn matches(expected: &ExternType, found: &ExternType, types: &TypeRegistry) -> bool {
    match (expected, found) {
        (ExternType::Func(expected), ExternType::Func(found)) => {
            expected == found || types.is_subtype(types.intern(found), types.intern(expected))
        }
        (ExternType::Table(expected), ExternType::Table(found)) => {
            expected.element == found.element
                && expected.is_64() == found.is_64()
                && within(expected.limits, found.limits)
        }
        (ExternType::Memory(expected), ExternType::Memory(found)) => {
            expected.is_64() == found.is_64()
                && expected.is_shared() == found.is_shared()
                && expected.page_size() == found.page_size()
                && within(expected.limits, found.limits)
        }
        (ExternType::Global(expected), ExternType::Global(found)) => {
            expected == found
                || (expected.mutability, found.mutability) == (Mutability::Const, Mutability::Const)
                    && found.content.matches(expected.content, types)
        }
        (ExternType::Tag(expected), ExternType::Tag(found)) => expected == found,
        _ => false,
    }
}

/// Whether what has the limits `found` keeps the promises of `expected`.
fn within(expected: Limits, found: Limits) -> bool {
    found.min >= expected.min
        && match (expected.max, found.max) {
            (None, _) => true,
            (Some(expected), Some(found)) => found <= expected,
            (Some(_), None) => false,
        }
}
