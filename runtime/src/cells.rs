//! Where the code of a module's functions is published: one *cell* for each function, in tables that
//! instances share.
//!
//! A context points at the table of its instance, and every call reads the callee's cell: so which code an
//! instance can reach is decided by its table alone. All instances whose memories are guarded share one. Those
//! with a memory that is not, be it their own or imported, share another, made when the first of them is:
//! compiled code that leaves out bounds checks is published in the first table only and cannot be reached
//! through the second. Bytecode checks always, but it knows the way into compiled code, and so each table has its
//! own.
//!
//! A cell shows what callers shall find. What a function has besides is kept behind it: its own bytecode, which a
//! frame of compiled code goes on in when it has to leave that.

use std::any::Any;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::{Index, IndexMut, Range};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What code may take for granted about the memories of the instances that run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryPlan {
    /// All are guarded that are of a type of which memories can be ([`reservation_of`](crate::vm::reservation_of)): they never
    /// move and are followed by inaccessible addresses. Accesses need no look at their lengths.
    Guarded,
    /// Nothing: every access is compared with the length.
    Checked,
}

impl MemoryPlan {
    /// All there are.
    pub const ALL: [MemoryPlan; 2] = [MemoryPlan::Guarded, MemoryPlan::Checked];
}

/// One of something for each plan.
#[derive(Debug, Default)]
pub struct PerPlan<T>([T; MemoryPlan::ALL.len()]);

impl<T> PerPlan<T> {
    /// All of them, in the order of the plans.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl<T> Index<MemoryPlan> for PerPlan<T> {
    type Output = T;

    fn index(&self, plan: MemoryPlan) -> &T {
        &self.0[plan as usize]
    }
}

impl<T> IndexMut<MemoryPlan> for PerPlan<T> {
    fn index_mut(&mut self, plan: MemoryPlan) -> &mut T {
        &mut self.0[plan as usize]
    }
}

/// Where callers find the code of a function: one word per tier.
///
/// Each cell starts empty. A caller that finds it so asks its tier's binder, which publishes an entry with
/// a release store; from then on the cell is read with one load. The entry of tier 0 points at the first
/// instruction of the function's bytecode.
#[derive(Debug, Default)]
#[repr(C)]
pub struct CodeCell {
    native: AtomicPtr<u8>,
    interpreter: AtomicPtr<u8>,
}

impl CodeCell {
    /// A cell that starts with this compiled code; null when there is none.
    pub(crate) fn new(native: *const u8) -> CodeCell {
        CodeCell { native: AtomicPtr::new(native.cast_mut()), interpreter: AtomicPtr::default() }
    }

    /// Offset of the entry of compiled code.
    pub const NATIVE: usize = std::mem::offset_of!(CodeCell, native);

    /// Entry of compiled code, called with `(vmctx, callee_id, args…)`; null when there is none.
    #[inline]
    pub fn native(&self) -> *const u8 {
        self.native.load(Ordering::Acquire)
    }

    /// Entry of tier 0; null when the function has not been translated.
    #[inline(always)]
    pub fn interpreter(&self) -> *const u8 {
        self.interpreter.load(Ordering::Acquire)
    }

    /// Publishes code in place of `unbound`, unless there is other code by now.
    ///
    /// # Safety
    /// As for [`CodeCell::publish_native`].
    #[allow(unsafe_code)]
    pub unsafe fn bind_native(&self, unbound: *const u8, entry: *const u8) {
        let (unbound, entry) = (unbound.cast_mut(), entry.cast_mut());
        let _ = self.native.compare_exchange(unbound, entry, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Publishes compiled code, in place of what was there.
    ///
    /// # Safety
    /// `entry` is the entry of compiled code of the cell's function, which stays for as long as anything can
    /// find it here. It assumes no more about memories than the plan of the cell's table says.
    #[allow(unsafe_code)]
    pub unsafe fn publish_native(&self, entry: *const u8) {
        self.native.store(entry.cast_mut(), Ordering::Release);
    }
}

/// Code that a tier made for functions of a module; lives as long as the module.
pub trait CodeBlob: Any + Send + Sync {
    /// The addresses that it occupies.
    fn addresses(&self) -> Range<usize>;
    /// The function that it belongs to.
    fn function(&self) -> u32;
    /// The concrete type of the tier.
    fn as_any(&self) -> &dyn Any;
}

/// Bytecode of a function, or what stands for it, and its first instruction.
#[derive(Clone)]
pub struct Bytecode {
    /// Keeps it alive.
    pub blob: Arc<dyn CodeBlob>,
    /// Where it is entered.
    pub entry: *const u8,
}

/// The tables of a module's cells, and the code that the module keeps alive for them.
pub struct Cells {
    guarded: Box<[CodeCell]>,
    checked: OnceLock<Box<[CodeCell]>>,
    /// What cells of compiled code start with: code that binds the function when it is called.
    unbound: *const u8,
    kept: Mutex<Kept>,
}

// SAFETY: `unbound` is the address of code.
#[allow(unsafe_code)]
unsafe impl Send for Cells {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Cells {}

#[derive(Default)]
struct Kept {
    /// By the address behind each.
    bytecode: BTreeMap<usize, Arc<dyn CodeBlob>>,
    /// The functions' own bytecode, by plan and cell.
    own: HashMap<(MemoryPlan, usize), Bytecode>,
    compiled: Vec<Box<dyn Any + Send + Sync>>,
}

impl Cells {
    /// Empty cells for `count` functions.
    pub(crate) fn new(count: usize) -> Cells {
        Cells {
            guarded: table(count, ptr::null()),
            checked: OnceLock::new(),
            unbound: ptr::null(),
            kept: Mutex::default(),
        }
    }

    /// Empty cells for the same functions.
    pub(crate) fn like(&self) -> Cells {
        let mut cells = Cells::new(self.guarded.len());
        cells.start_with(self.unbound);
        cells
    }

    /// Lets all cells start with this code instead of none.
    pub(crate) fn start_with(&mut self, unbound: *const u8) {
        self.unbound = unbound;
        self.guarded = table(self.guarded.len(), unbound);
    }

    /// The table for instances whose memories are as `plan` says, in the order of the functions that the
    /// module defines.
    pub fn table(&self, plan: MemoryPlan) -> &[CodeCell] {
        match plan {
            MemoryPlan::Guarded => &self.guarded,
            MemoryPlan::Checked => self.checked.get_or_init(|| table(self.guarded.len(), self.unbound)),
        }
    }

    /// Which table starts at this address: the plan of an instance, by its context.
    pub fn plan_of(&self, table: *const CodeCell) -> MemoryPlan {
        if ptr::eq(table, self.guarded.as_ptr()) { MemoryPlan::Guarded } else { MemoryPlan::Checked }
    }

    /// The own bytecode of the function in cell `defined`, whatever callers find there.
    pub(crate) fn own_bytecode(&self, plan: MemoryPlan, defined: usize) -> Option<Bytecode> {
        self.lock().own.get(&(plan, defined)).cloned()
    }

    /// Keeps bytecode of the function in cell `defined` and publishes it where callers find none yet. Where two
    /// have translated the same function, the first counts.
    pub(crate) fn publish_bytecode(&self, plan: MemoryPlan, defined: usize, bytecode: Bytecode) {
        let mut kept = self.lock();
        if let Entry::Vacant(place) = kept.own.entry((plan, defined)) {
            place.insert(bytecode.clone());
            kept.bytecode.insert(bytecode.blob.addresses().end, bytecode.blob);
            let cell = &self.table(plan)[defined];
            if cell.interpreter().is_null() {
                cell.interpreter.store(bytecode.entry.cast_mut(), Ordering::Release);
            }
        }
    }

    /// Publishes compiled code of the function in cell `defined`, for instances as `plan` says, in place of what
    /// was there, and with it what tier 0 shall run instead of the function's own bytecode. `code` is kept alive.
    pub(crate) fn publish_compiled(
        &self,
        plan: MemoryPlan,
        defined: usize,
        entry: *const u8,
        way_in: Option<Bytecode>,
        code: Box<dyn Any + Send + Sync>,
    ) {
        let cell = &self.table(plan)[defined];
        let mut kept = self.lock();
        kept.compiled.push(code);
        cell.native.store(entry.cast_mut(), Ordering::Release);
        if let Some(way_in) = way_in {
            kept.bytecode.insert(way_in.blob.addresses().end, way_in.blob);
            cell.interpreter.store(way_in.entry.cast_mut(), Ordering::Release);
        }
    }

    /// Lets callers of the function in cell `defined` find tier 0 again. Compiled frames go on.
    pub(crate) fn withdraw_compiled(&self, plan: MemoryPlan, defined: usize) {
        let cell = &self.table(plan)[defined];
        let kept = self.lock();
        let own = kept.own.get(&(plan, defined)).map_or(ptr::null(), |bytecode| bytecode.entry);
        cell.interpreter.store(own.cast_mut(), Ordering::Release);
        cell.native.store(self.unbound.cast_mut(), Ordering::Release);
    }

    /// Keeps code that no cell shows.
    pub(crate) fn keep(&self, code: Box<dyn Any + Send + Sync>) {
        self.lock().compiled.push(code);
    }

    /// The bytecode that occupies `address`.
    pub(crate) fn blob_at(&self, address: usize) -> Option<Arc<dyn CodeBlob>> {
        let kept = self.lock();
        let (_, blob) = kept.bytecode.range(address + 1..).next()?;
        blob.addresses().contains(&address).then(|| blob.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn table(count: usize, unbound: *const u8) -> Box<[CodeCell]> {
    (0..count).map(|_| CodeCell::new(unbound)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Box<[u8]>, u32);

    impl CodeBlob for Bytes {
        fn addresses(&self) -> Range<usize> {
            let range = self.0.as_ptr_range();
            range.start as usize..range.end as usize
        }
        fn function(&self) -> u32 {
            self.1
        }
        fn as_any(&self) -> &dyn Any {
            self
        }
    }

    fn bytecode(function: u32) -> Bytecode {
        let blob = Bytes(vec![0; 16].into(), function);
        let entry = blob.0.as_ptr();
        Bytecode { blob: Arc::new(blob), entry }
    }

    fn publish(cells: &Cells, plan: MemoryPlan, function: u32) -> *const u8 {
        let bytecode = bytecode(function);
        cells.publish_bytecode(plan, function as usize, bytecode.clone());
        bytecode.entry
    }

    const GUARDED: MemoryPlan = MemoryPlan::Guarded;
    const CHECKED: MemoryPlan = MemoryPlan::Checked;

    #[test]
    fn each_table_has_bytecode_of_its_own_and_keeps_the_first() {
        let cells = Cells::new(2);
        let first = publish(&cells, GUARDED, 0);
        publish(&cells, GUARDED, 0);
        assert_eq!(cells.table(GUARDED)[0].interpreter(), first);
        assert!(cells.table(CHECKED)[0].interpreter().is_null());
        let checked = publish(&cells, CHECKED, 0);
        assert_eq!(cells.table(GUARDED)[0].interpreter(), first);
        assert_eq!(cells.table(CHECKED)[0].interpreter(), checked);
        let other = publish(&cells, CHECKED, 1);
        for (entry, function) in [(first, 0), (checked, 0), (other, 1)] {
            assert_eq!(cells.blob_at(entry as usize + 3).unwrap().function(), function);
        }
        assert!(cells.blob_at(1).is_none());
        for plan in [GUARDED, CHECKED] {
            assert_eq!(cells.plan_of(cells.table(plan).as_ptr()), plan);
        }
    }

    #[test]
    fn compiled_code_stays_in_the_table_that_it_was_published_in_until_it_is_withdrawn() {
        let mut cells = Cells::new(2);
        let (unbound, code) = ([0u8; 1], [0u8; 1]);
        cells.start_with(unbound.as_ptr());
        let own = publish(&cells, GUARDED, 0);
        let way_in = bytecode(0);
        let keep = Arc::new(());
        let (guarded, checked) = (cells.table(GUARDED), cells.table(CHECKED));
        for function in 0..2 {
            cells.publish_compiled(
                GUARDED,
                function,
                code.as_ptr(),
                Some(way_in.clone()),
                Box::new(keep.clone()),
            );
        }
        assert_eq!((guarded[0].native(), guarded[0].interpreter()), (code.as_ptr(), way_in.entry));
        assert_eq!(checked[0].native(), unbound.as_ptr());
        // A translation that comes late is kept, and does not hide compiled code.
        let late = publish(&cells, GUARDED, 1);
        assert_eq!(guarded[1].interpreter(), way_in.entry);
        for (function, own) in [(0, own), (1, late)] {
            assert_eq!(cells.own_bytecode(GUARDED, function).unwrap().entry, own);
            cells.withdraw_compiled(GUARDED, function);
            assert_eq!(
                (guarded[function].native(), guarded[function].interpreter()),
                (unbound.as_ptr(), own)
            );
        }
        cells.keep(Box::new(keep.clone()));
        assert_eq!(Arc::strong_count(&keep), 4, "frames that run it go on");
        drop(cells);
        assert_eq!(Arc::strong_count(&keep), 1);
    }
}
