//! Where the code of a module's functions is published: one *cell* for each function, in tables that
//! instances share.
//!
//! A context points at the table of its instance, and every call reads the callee's cell: so which code an
//! instance can reach is decided by its table alone. All instances whose memories are guarded share one. Those
//! with a memory that is not, be it their own or imported, share another, made when the first of them is:
//! compiled code that leaves out bounds checks is published in the first table only and cannot be reached
//! through the second. Bytecode checks always and is published in both.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What code may take for granted about the memories of the instances that run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryPlan {
    /// All are guarded: they never move and are followed by inaccessible addresses. Accesses need no check.
    Guarded,
    /// Nothing: every access is compared with the length.
    Checked,
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
    /// Offset of the entry of compiled code.
    pub const NATIVE: usize = std::mem::offset_of!(CodeCell, native);

    /// Entry of compiled code, called with `(vmctx, callee_id, args…)`; null when there is none.
    pub fn native(&self) -> *const u8 {
        self.native.load(Ordering::Acquire)
    }

    /// Entry of tier 0; null when the function has not been translated.
    #[inline(always)]
    pub fn interpreter(&self) -> *const u8 {
        self.interpreter.load(Ordering::Acquire)
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

type Blobs = BTreeMap<usize, Arc<dyn CodeBlob>>;

/// The tables of a module's cells, and the code that the module keeps alive for them.
pub struct Cells {
    guarded: Box<[CodeCell]>,
    /// Made under the lock of `blobs`, as is every entry of tier 0: the tables never differ in those.
    checked: OnceLock<Box<[CodeCell]>>,
    /// By the address behind each.
    blobs: Mutex<Blobs>,
}

impl Cells {
    /// Empty cells for `count` functions.
    pub(crate) fn new(count: usize) -> Cells {
        let guarded = (0..count).map(|_| CodeCell::default()).collect();
        Cells { guarded, checked: OnceLock::new(), blobs: Mutex::default() }
    }

    /// The table for instances whose memories are as `plan` says, in the order of the functions that the
    /// module defines.
    pub fn table(&self, plan: MemoryPlan) -> &[CodeCell] {
        match plan {
            MemoryPlan::Guarded => &self.guarded,
            MemoryPlan::Checked => self.checked.get().unwrap_or_else(|| {
                let _publishing = self.lock();
                self.checked.get_or_init(|| self.guarded.iter().map(without_native).collect())
            }),
        }
    }

    /// Keeps `blob` alive and publishes `entry` as tier 0's entry of the function in cell `defined`, in all
    /// tables, unless another thread was faster. Returns the published entry.
    pub(crate) fn publish_interpreter(
        &self,
        defined: usize,
        blob: Arc<dyn CodeBlob>,
        entry: *const u8,
    ) -> *const u8 {
        let mut blobs = self.lock();
        let published = self.guarded[defined].interpreter();
        if !published.is_null() {
            return published;
        }
        blobs.insert(blob.addresses().end, blob);
        for table in [Some(&self.guarded), self.checked.get()].into_iter().flatten() {
            table[defined].interpreter.store(entry.cast_mut(), Ordering::Release);
        }
        entry
    }

    /// The blob that occupies `address`.
    pub(crate) fn blob_at(&self, address: usize) -> Option<Arc<dyn CodeBlob>> {
        let blobs = self.lock();
        let (_, blob) = blobs.range(address + 1..).next()?;
        blob.addresses().contains(&address).then(|| blob.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Blobs> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A cell for instances that cannot run the compiled code of `cell`.
fn without_native(cell: &CodeCell) -> CodeCell {
    let interpreter = AtomicPtr::new(cell.interpreter().cast_mut());
    CodeCell { native: AtomicPtr::new(ptr::null_mut()), interpreter }
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

    fn publish(cells: &Cells, function: u32) -> *const u8 {
        let blob = Bytes(vec![0; 16].into(), function);
        let entry = blob.0.as_ptr();
        cells.publish_interpreter(function as usize, Arc::new(blob), entry)
    }

    #[test]
    fn bytecode_is_found_in_tables_made_before_and_after_it() {
        let cells = Cells::new(2);
        let before = publish(&cells, 0);
        let checked = cells.table(MemoryPlan::Checked);
        let after = publish(&cells, 1);
        for table in [cells.table(MemoryPlan::Guarded), checked] {
            assert_eq!([table[0].interpreter(), table[1].interpreter()], [before, after]);
        }
        assert_eq!(publish(&cells, 1), after, "the first publication counts");
        assert_eq!(cells.blob_at(before as usize + 3).unwrap().function(), 0);
        assert_eq!(cells.blob_at(after as usize).unwrap().function(), 1);
        assert!(cells.blob_at(1).is_none());
    }

    #[test]
    fn compiled_code_stays_in_the_table_that_it_was_published_in() {
        let cells = Cells::new(1);
        let code = [0u8; 1];
        // SAFETY: nobody calls it.
        #[allow(unsafe_code)]
        unsafe {
            cells.table(MemoryPlan::Guarded)[0].publish_native(code.as_ptr());
        }
        assert_eq!(cells.table(MemoryPlan::Guarded)[0].native(), code.as_ptr());
        assert!(cells.table(MemoryPlan::Checked)[0].native().is_null());
    }
}
