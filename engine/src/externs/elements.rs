//! Elements of tables: references as words.
//!
//! This is one of the modules that hold the crate's `unsafe`: a word must be that of a reference of the
//! table's element type in its store.
#![allow(unsafe_code)]

use wasmrun_runtime::vm::{self, ExecContext};

use crate::error::{Error, Result};
use crate::func::Func;
use crate::handle::Handle;
use crate::store::StoreOpaque;
use crate::types::RefType;
use crate::values::Ref;

/// Copies elements from one table to another, which may be the same.
pub(super) fn copy_elements(
    store: &mut StoreOpaque,
    to: (&Handle<vm::Table>, u64),
    from: (&Handle<vm::Table>, u64),
    len: u64,
) -> Result<()> {
    let (target, source) = (to.0.get(store)?.ty().element, from.0.get(store)?.ty().element);
    if !source.matches(target, store.engine.registry()) {
        return Err(Error::msg(format!("elements of type {source} cannot be copied to a table of {target}")));
    }
    let (target, source) = (to.0.pointer(store)?, from.0.pointer(store)?);
    let exec: *mut ExecContext = store.vm.exec_mut();
    // SAFETY: both are alive, the types match, as was just checked, and the exclusive borrow of the store makes sure that nothing
    // borrows them.
    Ok(unsafe { vm::Table::copy(exec, target.as_ptr(), to.1, source.as_ptr(), from.1, len) }?)
}

/// The reference that a word stands for.
///
/// # Safety
/// The word comes from a place of this type in this store.
unsafe fn reference(store: &mut StoreOpaque, ty: RefType, word: u64) -> Ref {
    if ty.heap.is_collected() {
        return Ref::of_collected(store, ty.heap, word as u32);
    }
    // SAFETY: the caller's promise.
    Ref::Func(unsafe { Handle::of_word(store, word) }.map(Func::from_handle))
}

/// An element of a table; `None` outside of it.
pub(super) fn table_element(
    store: &mut StoreOpaque,
    table: &Handle<vm::Table>,
    index: u64,
) -> Result<Option<Ref>> {
    let table = table.get_mut(store)?;
    let (ty, word) = (table.ty().element, table.get(index));
    // SAFETY: the word comes from the table, which holds elements of its type.
    Ok(word.map(|word| unsafe { reference(store, ty, word) }))
}

/// Sets an element of a table.
pub(super) fn set_element(
    store: &mut StoreOpaque,
    table: &Handle<vm::Table>,
    index: u64,
    value: Ref,
) -> Result<()> {
    let word = value.to_word(store, table.get(store)?.ty().element)?;
    let exec: *mut ExecContext = store.vm.exec_mut();
    // SAFETY: the word is that of a value of the element type in this store, just checked.
    Ok(unsafe { table.get_mut(store)?.set(exec, index, word) }?)
}

/// Sets `len` elements of a table from `start` on.
pub(super) fn fill_elements(
    store: &mut StoreOpaque,
    table: &Handle<vm::Table>,
    start: u64,
    value: Ref,
    len: u64,
) -> Result<()> {
    let word = value.to_word(store, table.get(store)?.ty().element)?;
    let exec: *mut ExecContext = store.vm.exec_mut();
    // SAFETY: as for `set_element`.
    Ok(unsafe { table.get_mut(store)?.fill(exec, start, word, len) }?)
}
