//! Tables.
//!
//! A table of functions starts as zeroes and looks its elements up in its module's element segments when
//! they are first read: instantiation does not make ten thousand references of which five are called. Code
//! reads the words directly; a word that is zero, or whose type does not match, takes the slow path here.

use std::marker::PhantomPinned;
use std::mem::offset_of;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::barrier::{Owner, RefWord, write_ref};
use super::builtins::inside;
use super::context::VmContext;
use super::exec::ExecContext;
use super::func_ref::{FuncRef, NULL_FUNC_REF, null_func_ref};
use super::gc::Tracer;
use crate::trap::Trap;
use crate::types::{TableType, TypeId, TypeRegistry};

/// The tables and evaluated element segments of an instance have no more elements than this together: they must
/// not be a way around limits on memory.
pub const MAX_ELEMENTS: u64 = 10_000_000;

/// How many elements the tables and segments of one instance may still get. Those of a table come back when all
/// of the instance goes, those of a segment when it is dropped.
#[derive(Clone, Debug)]
pub(super) struct ElementBudget(Arc<AtomicU64>);

impl Default for ElementBudget {
    fn default() -> ElementBudget {
        ElementBudget(Arc::new(AtomicU64::new(MAX_ELEMENTS)))
    }
}

impl ElementBudget {
    // One thread at a time uses an instance: nothing is ordered by these loads and stores.
    fn left(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Takes so many out of the budget, if they are there.
    pub(super) fn take(&self, elements: u64) -> Option<()> {
        self.0.store(self.left().checked_sub(elements)?, Ordering::Relaxed);
        Some(())
    }

    /// Puts back what was taken.
    pub(super) fn give_back(&self, elements: u64) {
        self.0.store(self.left() + elements, Ordering::Relaxed);
    }
}

/// First element and length of a table, as code of every tier reads them.
#[derive(Debug)]
#[repr(C)]
pub struct TableDescriptor {
    /// First element. For functions: a [`FuncRef`], [`NULL_FUNC_REF`], or 0 for "not looked up yet".
    /// For host references: the reference in the low half, 0 for null.
    pub elements: *const RefWord,
    /// Number of elements.
    pub len: usize,
}

/// A table.
#[derive(Debug)]
#[repr(C)]
pub struct Table {
    descriptor: TableDescriptor,
    ty: TableType,
    storage: Vec<RefWord>,
    lazy: Option<LazyElements>,
    budget: ElementBudget,
    /// Contexts point at it: see [`ExecContext`](super::ExecContext).
    _pinned: PhantomPinned,
}

/// Initial elements that have not been looked up yet.
#[derive(Debug)]
pub(super) struct LazyElements {
    /// Function index of each element, or [`NO_FUNCTION`].
    pub(super) functions: Arc<Vec<u32>>,
    /// The context whose functions they are.
    pub(super) owner: *mut VmContext,
}

/// Marks an element that no segment fills.
pub(super) const NO_FUNCTION: u32 = u32::MAX;

impl Owner for Table {}

impl Table {
    /// Offset of the descriptor.
    pub const DESCRIPTOR: usize = offset_of!(Table, descriptor);

    /// A table of nulls, of the type's initial size.
    pub(super) fn new(ty: TableType, budget: ElementBudget) -> Option<Table> {
        let mut table = Table {
            descriptor: TableDescriptor { elements: ptr::null(), len: 0 },
            ty,
            storage: Vec::new(),
            lazy: None,
            budget,
            _pinned: PhantomPinned,
        };
        table.resize(ty.limits.min)?;
        Some(table)
    }

    /// Names the initial elements.
    ///
    /// # Safety
    /// The table is of functions and has been given no elements yet. The functions are of the owner, can be
    /// referred to, and are of the table's type; the owner lives as long as the table.
    pub(super) unsafe fn set_lazy(&mut self, lazy: LazyElements) {
        self.lazy = Some(lazy);
    }

    /// The type as declared.
    pub fn ty(&self) -> TableType {
        self.ty
    }

    /// First element and length for generated code.
    pub fn descriptor(&self) -> *const TableDescriptor {
        &raw const self.descriptor
    }

    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.descriptor.len as u64
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most elements that it may have now.
    pub fn max_len(&self) -> u64 {
        let engine = self.len() + self.budget.left();
        self.ty.limits.max.map_or(engine, |max| max.min(engine))
    }

    fn is_functions(&self) -> bool {
        !self.ty.element.heap.is_collected()
    }

    /// An element in the representation of a slot: null is 0.
    pub fn get(&mut self, index: u64) -> Option<u64> {
        let index = usize::try_from(index).ok()?;
        let word = self.storage.get(index)?.get();
        if !self.is_functions() {
            return Some(word);
        }
        if word == 0 {
            return Some(self.look_up(index));
        }
        Some(if word == null_func_ref() { 0 } else { word })
    }

    /// Looks an element up in the initial elements, and remembers the answer.
    #[cold]
    fn look_up(&mut self, index: usize) -> u64 {
        let function = match &self.lazy {
            Some(lazy) => lazy.functions.get(index).copied().unwrap_or(NO_FUNCTION),
            None => NO_FUNCTION,
        };
        let func_ref = match (&self.lazy, function) {
            (None, _) | (_, NO_FUNCTION) => &raw const NULL_FUNC_REF,
            // SAFETY: promised in `set_lazy`.
            (Some(lazy), function) => unsafe { VmContext::func_ref(lazy.owner, function) }.as_ptr(),
        };
        self.storage[index].set_function(func_ref);
        if func_ref == &raw const NULL_FUNC_REF { 0 } else { func_ref as u64 }
    }

    /// The function to call for an element: what `call_indirect` does when the fast path fails.
    pub fn callee(
        &mut self,
        index: u64,
        expected: TypeId,
        types: &TypeRegistry,
    ) -> Result<*const FuncRef, Trap> {
        let word = self.get(index).ok_or(Trap::TableOutOfBounds)?;
        if word == 0 {
            return Err(Trap::IndirectCallToNull);
        }
        let func_ref = word as *const FuncRef;
        // SAFETY: references in a table point at functions that live as long as the store says.
        if !types.is_subtype(unsafe { (*func_ref).type_id }, expected) {
            return Err(Trap::BadSignature);
        }
        Ok(func_ref)
    }

    /// Stores `value` in all of `range`.
    ///
    /// # Safety
    /// As for [`Table::set`].
    unsafe fn store(&mut self, exec: *mut ExecContext, range: Range<usize>, value: u64) -> Option<()> {
        let (this, functions) = (&raw const *self, self.is_functions());
        for place in self.storage.get_mut(range)? {
            if functions {
                place.set_function(if value == 0 {
                    &raw const NULL_FUNC_REF
                } else {
                    value as *const FuncRef
                });
            } else {
                // SAFETY: the caller's promise.
                unsafe { write_ref(exec, this, place, value) };
            }
        }
        Some(())
    }

    /// Sets an element; `value` is in the representation of a slot.
    ///
    /// # Safety
    /// `value` is null or of the table's type, and alive in the store whose execution context is `exec` and to
    /// which the table belongs.
    pub unsafe fn set(&mut self, exec: *mut ExecContext, index: u64, value: u64) -> Result<(), Trap> {
        // SAFETY: the caller's promise.
        unsafe { self.fill(exec, index, value, 1) }
    }

    /// Grows by `delta` elements of `value` and returns the old length, or `None` when that is too many.
    ///
    /// # Safety
    /// As for [`Table::set`].
    pub unsafe fn grow(&mut self, exec: *mut ExecContext, delta: u64, value: u64) -> Option<u64> {
        let old = self.len();
        let new = old.checked_add(delta).filter(|new| *new <= self.max_len())?;
        self.resize(new)?;
        // New words are null: none of the initial elements, which could be looked up, is behind the initial length.
        if value != 0 {
            // SAFETY: the caller's promise.
            unsafe { self.store(exec, old as usize..new as usize, value) }?;
        }
        Some(old)
    }

    /// Makes it longer, by words that are new.
    fn resize(&mut self, len: u64) -> Option<()> {
        let more = len - self.len();
        if more > self.budget.left() {
            return None;
        }
        let len = len as usize;
        if self.storage.is_empty() {
            // Zeroed pages that the system provides as they are touched.
            self.storage = zeroed(len)?;
        } else {
            self.storage.try_reserve(len - self.storage.len()).ok()?;
            self.storage.resize_with(len, || RefWord::NEW);
        }
        self.budget.take(more)?;
        self.descriptor = TableDescriptor { elements: self.storage.as_ptr(), len };
        Some(())
    }

    /// Sets `len` elements from `start` on.
    ///
    /// # Safety
    /// As for [`Table::set`].
    pub unsafe fn fill(
        &mut self,
        exec: *mut ExecContext,
        start: u64,
        value: u64,
        len: u64,
    ) -> Result<(), Trap> {
        let range = inside(start, len, self.storage.len()).ok_or(Trap::TableOutOfBounds)?;
        // SAFETY: the caller's promise.
        unsafe { self.store(exec, range, value) }.ok_or(Trap::TableOutOfBounds)
    }

    /// Copies elements between two tables or within one.
    ///
    /// # Safety
    /// Both pointers must point at live tables that nothing else borrows; they may be equal. They belong to the
    /// store whose execution context is `exec`, and elements of `from` are of
    /// the element type of `to`.
    pub unsafe fn copy(
        exec: *mut ExecContext,
        to: *mut Table,
        to_start: u64,
        from: *mut Table,
        from_start: u64,
        len: u64,
    ) -> Result<(), Trap> {
        // SAFETY: the caller's promise. No reference to one table lives while the other is used.
        unsafe {
            for (table, start) in [(to, to_start), (from, from_start)] {
                inside(start, len, (*table).storage.len()).ok_or(Trap::TableOutOfBounds)?;
            }
            let mut copy = |i: u64| -> Result<(), Trap> {
                let value = (*from).get(from_start + i).ok_or(Trap::TableOutOfBounds)?;
                (*to).set(exec, to_start + i, value)
            };
            if to_start <= from_start {
                (0..len).try_for_each(&mut copy)
            } else {
                (0..len).rev().try_for_each(copy)
            }
        }
    }

    /// Shows the collected references in the table to a collection.
    ///
    /// # Safety
    /// They are of the store that is collected.
    pub(super) unsafe fn trace(&mut self, tracer: &mut Tracer<'_>) {
        if self.ty.element.heap.is_collected() {
            // SAFETY: the caller's promise.
            self.storage.iter_mut().for_each(|word| unsafe { RefWord::trace(word, tracer) });
        }
    }

    /// Calls `visit` with each function that the table refers to.
    pub(super) fn for_each_function(&self, visit: &mut dyn FnMut(*const FuncRef)) {
        if self.is_functions() {
            let words = self.storage.iter().map(RefWord::get);
            for word in words.filter(|w| *w != 0 && *w != null_func_ref()) {
                visit(word as *const FuncRef);
            }
        }
    }
}

fn zeroed(len: usize) -> Option<Vec<RefWord>> {
    if len == 0 {
        return Some(Vec::new());
    }
    let layout = std::alloc::Layout::array::<RefWord>(len).ok()?;
    // SAFETY: the layout is not empty; the vector gets exactly the allocation that it would have made, and new
    // words are zero.
    unsafe {
        let ptr = std::alloc::alloc_zeroed(layout).cast::<RefWord>();
        (!ptr.is_null()).then(|| Vec::from_raw_parts(ptr, len, len))
    }
}

const _: () = assert!(NULL_FUNC_REF.func_index == u32::MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::RefType;

    fn table(min: u32, max: Option<u32>) -> Table {
        Table::new(TableType::new(RefType::EXTERNREF, min, max), ElementBudget::default()).unwrap()
    }

    fn grow(table: &mut Table, delta: u64, value: u64) -> Option<u64> {
        // SAFETY: the values are null, or numbers that nobody follows.
        unsafe { table.grow(ptr::null_mut(), delta, value) }
    }

    fn set(table: &mut Table, index: u64, value: u64) {
        // SAFETY: as above.
        unsafe { table.set(ptr::null_mut(), index, value) }.unwrap();
    }

    #[test]
    fn offsets_known_to_generated_code_do_not_move() {
        assert_eq!((offset_of!(TableDescriptor, elements), offset_of!(TableDescriptor, len)), (0, 8));
    }

    #[test]
    fn growth_respects_the_maximum() {
        let mut table = table(2, Some(5));
        assert_eq!(grow(&mut table, 3, 7), Some(2));
        assert_eq!(table.get(4), Some(7));
        assert_eq!(grow(&mut table, 1, 0), None);
        assert_eq!(grow(&mut table, u64::MAX, 0), None);
        assert_eq!(table.len(), 5);
    }

    #[test]
    fn huge_tables_are_refused() {
        let ty = TableType::new(RefType::FUNCREF, u32::MAX, None);
        assert!(Table::new(ty, ElementBudget::default()).is_none());
        let ty = TableType::new64(RefType::FUNCREF, 1 << 60, None);
        assert!(Table::new(ty, ElementBudget::default()).is_none());
    }

    #[test]
    fn the_tables_of_an_instance_share_one_limit() {
        let budget = ElementBudget::default();
        let new = |min| Table::new(TableType::new(RefType::EXTERNREF, min, None), budget.clone());
        let most = MAX_ELEMENTS as u32;
        let (mut first, second) = (new(0).unwrap(), new(most - 5).unwrap());
        assert_eq!((first.max_len(), second.max_len()), (5, MAX_ELEMENTS));
        assert!(new(6).is_none());
        assert_eq!(grow(&mut first, 6, 0), None);
        assert_eq!(grow(&mut first, 5, 0), Some(0));
        assert_eq!(grow(&mut first, 1, 0), None);
        assert!(new(1).is_none());
    }

    #[test]
    fn overlapping_copies_behave_like_memmove() {
        let mut t = table(6, None);
        for i in 0..6 {
            set(&mut t, i, i + 1);
        }
        let p = &raw mut t;
        // SAFETY: one live table.
        unsafe {
            let exec = ptr::null_mut();
            Table::copy(exec, p, 1, p, 0, 4).unwrap();
            assert_eq!(Table::copy(exec, p, 3, p, 0, 4), Err(Trap::TableOutOfBounds));
        }
        let values: Vec<_> = (0..6).map(|i| t.get(i).unwrap()).collect();
        assert_eq!(values, [1, 1, 2, 3, 4, 6]);
    }

    #[test]
    fn null_functions_read_back_as_null() {
        let mut t = Table::new(TableType::new(RefType::FUNCREF, 2, None), ElementBudget::default()).unwrap();
        assert_eq!(t.get(0), Some(0));
        set(&mut t, 1, 0);
        assert_eq!(t.get(1), Some(0));
        let types = TypeRegistry::default();
        assert_eq!(t.callee(1, TypeId(0), &types), Err(Trap::IndirectCallToNull));
        assert_eq!(t.callee(2, TypeId(0), &types), Err(Trap::TableOutOfBounds));
    }
}
