//! Element segments of an instance.
//!
//! Segments that are lists of functions stay with the module, and their references are made when they are
//! copied: nobody can tell. Expressions are evaluated once for each instance, before anything of it is visible:
//! those of an active segment straight into its table, those of a passive one into words here, until `elem.drop`.
//! These words count among the elements that the instance may have. They are roots, as tables and globals are:
//! a collector visits the three of each instance.

use super::barrier::{Owner, RefWord, write_ref};
use super::builtins::inside;
use super::constants::evaluate;
use super::context::VmContext;
use super::func_ref::FuncRef;
use super::gc::Tracer;
use super::instance::InstantiateError;
use super::table::{ElementBudget, Table};
use crate::module::{ElementItems, ElementSegment, SegmentMode};
use crate::trap::{Pending, Trap};
use crate::types::RefType;

/// The element segments of an instance, by their index.
#[derive(Debug)]
pub(super) struct Elements {
    segments: Box<[Values]>,
    budget: ElementBudget,
}

#[derive(Debug)]
enum Values {
    /// No elements: the segment has been dropped, is active, or only declares functions.
    Empty,
    /// As many functions as the module says.
    Functions,
    /// References of this type, evaluated; null is 0.
    References(RefType, Box<[RefWord]>),
}

/// A segment has more elements than the instance may still get, or the system has memory for.
pub(super) struct TooMany {
    pub(super) index: u32,
    pub(super) elements: u64,
}

impl Owner for Elements {}

impl Elements {
    /// No segments yet. What they will hold is taken from `budget`.
    pub(super) fn none(budget: ElementBudget) -> Elements {
        Elements { segments: Box::default(), budget }
    }

    /// Makes what an instance keeps of its segments: the values of the passive ones.
    ///
    /// # Safety
    /// `this` are the segments of an instance that its store has, whose context is `ctx` and whose globals have their values.
    pub(super) unsafe fn evaluate(this: *mut Elements, ctx: *mut VmContext) -> Result<(), InstantiateError> {
        // SAFETY: the caller's promise. Nothing is borrowed while an expression is evaluated.
        unsafe {
            let module = VmContext::module(ctx);
            let declared = &module.declared().elements;
            (*this).segments = declared.iter().map(|_| Values::Empty).collect();
            for (i, segment) in declared.iter().enumerate() {
                if !matches!(segment.mode, SegmentMode::Passive) {
                    continue;
                }
                let too_many = || TooMany { index: i as u32, elements: segment.items.len() as u64 };
                let ElementItems::Expressions(expressions) = &segment.items else {
                    (*this).segments[i] = Values::Functions;
                    continue;
                };
                let words = (*this).new_words(expressions.len()).ok_or_else(too_many)?;
                (*this).segments[i] = Values::References(segment.ty, words);
                for (place, expr) in expressions.iter(module.bytes()).enumerate() {
                    let value = evaluate(ctx, &expr)?.low();
                    let Values::References(_, words) = &mut (*this).segments[i] else { break };
                    let word = &raw mut words[place];
                    if segment.ty.heap.is_collected() {
                        write_ref(VmContext::exec(ctx), this, word, value);
                    } else {
                        (*word).set_function(value as *const FuncRef);
                    }
                }
            }
        }
        Ok(())
    }

    /// So many words, all null, if there may be.
    fn new_words(&self, count: usize) -> Option<Box<[RefWord]>> {
        let mut words = Vec::new();
        self.budget.take(count as u64)?;
        words.try_reserve_exact(count).ok()?;
        words.resize_with(count, || RefWord::NEW);
        Some(words.into())
    }

    /// `table.init`: copies from a segment into a table.
    ///
    /// # Safety
    /// `ctx` is the context of the instance, `index` is that of a segment whose elements are of the type of `table`,
    /// which is alive and borrowed by nobody.
    pub(super) unsafe fn copy(
        &self,
        ctx: *mut VmContext,
        index: u32,
        table: *mut Table,
        to: u64,
        from: u64,
        len: u64,
    ) -> Result<(), Trap> {
        // SAFETY: the caller's promise; the functions are named by a segment.
        unsafe {
            let items = &VmContext::module(ctx).declared().elements[index as usize].items;
            let words: &[RefWord] = match (&self.segments[index as usize], items) {
                (Values::Functions, ElementItems::Functions(functions)) => {
                    let range = inside(from, len, functions.len()).ok_or(Trap::TableOutOfBounds)?;
                    return store(ctx, table, to, len, functions[range].iter().map(|f| func_ref(ctx, *f)));
                }
                (Values::References(_, words), _) => words,
                _ => &[],
            };
            let range = inside(from, len, words.len()).ok_or(Trap::TableOutOfBounds)?;
            store(ctx, table, to, len, words[range].iter().map(RefWord::get))
        }
    }

    /// How many elements a segment has.
    ///
    /// # Safety
    /// `ctx` is the context of the instance.
    pub(super) unsafe fn len(&self, ctx: *mut VmContext, index: u32) -> usize {
        // SAFETY: the caller's promise.
        let module = unsafe { VmContext::module(ctx) };
        match &self.segments[index as usize] {
            Values::Empty => 0,
            Values::Functions => module.declared().elements[index as usize].items.len(),
            Values::References(_, words) => words.len(),
        }
    }

    /// Calls `visit` with each of the elements in a range, which there are, in order.
    ///
    /// # Safety
    /// `ctx` is the context of the instance.
    pub(super) unsafe fn for_each(
        &self,
        ctx: *mut VmContext,
        index: u32,
        range: std::ops::Range<usize>,
        mut visit: impl FnMut(u64),
    ) {
        // SAFETY: the caller's promise; the functions are named by a segment.
        unsafe {
            let items = &VmContext::module(ctx).declared().elements[index as usize].items;
            match (&self.segments[index as usize], items) {
                (Values::Functions, ElementItems::Functions(functions)) => {
                    functions[range].iter().for_each(|function| visit(func_ref(ctx, *function)));
                }
                (Values::References(_, words), _) => words[range].iter().for_each(|word| visit(word.get())),
                _ => {}
            }
        }
    }

    /// `elem.drop`.
    pub(super) fn drop(&mut self, index: u32) {
        if let Values::References(_, words) =
            std::mem::replace(&mut self.segments[index as usize], Values::Empty)
        {
            self.budget.give_back(words.len() as u64);
        }
    }

    /// Shows the collected references in the segments to a collection.
    ///
    /// # Safety
    /// They are of the store that is collected.
    pub(super) unsafe fn trace(&mut self, tracer: &mut Tracer<'_>) {
        for segment in &mut self.segments {
            if let Values::References(ty, words) = segment
                && ty.heap.is_collected()
            {
                // SAFETY: the caller's promise.
                words.iter_mut().for_each(|word| unsafe { RefWord::trace(word, tracer) });
            }
        }
    }

    /// Calls `visit` with each function that the segments refer to.
    pub(super) fn for_each_function(&self, visit: &mut dyn FnMut(*const FuncRef)) {
        for segment in &self.segments {
            if let Values::References(ty, words) = segment
                && !ty.heap.is_collected()
            {
                let words = words.iter().map(RefWord::get);
                words.filter(|w| *w != 0).for_each(|w| visit(w as *const FuncRef));
            }
        }
    }
}

/// Copies an active segment into its table.
///
/// # Safety
/// `ctx` is the context of a new instance; the elements of `segment`, which is one of its module, are of the type
/// of `table`, which is alive and borrowed by nobody.
pub(super) unsafe fn apply(
    ctx: *mut VmContext,
    bytes: &[u8],
    segment: &ElementSegment,
    table: *mut Table,
    to: u64,
) -> Result<(), Pending> {
    let len = segment.items.len() as u64;
    // SAFETY: the caller's promise; the functions are named by a segment.
    unsafe {
        match &segment.items {
            ElementItems::Functions(functions) => {
                Ok(store(ctx, table, to, len, functions.iter().map(|f| func_ref(ctx, *f)))?)
            }
            ElementItems::Expressions(expressions) => {
                // Whether they are all inside is asked first.
                store(ctx, table, to, len, std::iter::empty())?;
                for (i, expr) in expressions.iter(bytes).enumerate() {
                    let value = evaluate(ctx, &expr)?.low();
                    (*table).set(VmContext::exec(ctx), to + i as u64, value)?;
                }
                Ok(())
            }
        }
    }
}

/// Sets `len` elements of a table from `to` on, if they are all inside it.
///
/// # Safety
/// As for [`apply`]; the values are of the table's type.
unsafe fn store(
    ctx: *mut VmContext,
    table: *mut Table,
    to: u64,
    len: u64,
    values: impl Iterator<Item = u64>,
) -> Result<(), Trap> {
    // SAFETY: the caller's promise.
    unsafe {
        inside(to, len, (*table).len() as usize).ok_or(Trap::TableOutOfBounds)?;
        (to..).zip(values).try_for_each(|(i, value)| (*table).set(VmContext::exec(ctx), i, value))
    }
}

/// # Safety
/// `ctx` is alive, and a segment of its module names `function`.
unsafe fn func_ref(ctx: *mut VmContext, function: u32) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { VmContext::func_ref(ctx, function) }.as_ptr() as u64
}
