//! References that the host holds. A collection finds and updates them here; the host has numbers of them.
//!
//! Most are *scoped*: they end in the order in which they began, with the scope that they were made in, and a call of a
//! function of the host is one. Others are *owned* and stay as long as a handle of theirs does.

use std::sync::Arc;

/// A scoped reference of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScopedHandle {
    index: u32,
    generation: u64,
}

/// An owned reference of the host, which ends when the last clone of this is dropped.
#[derive(Clone, Debug)]
pub struct OwnedHandle {
    index: usize,
    /// Shared with the handles' table, which sees by it that it is the only one left.
    alive: Arc<()>,
}

/// The beginning of a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Scope(u32);

#[derive(Debug)]
struct Scoped {
    word: u32,
    generation: u64,
}

#[derive(Debug)]
struct Owned {
    word: u32,
    alive: Arc<()>,
}

/// The references that the host holds.
#[derive(Debug, Default)]
pub struct Handles {
    scoped: Vec<Scoped>,
    /// The number of scopes that have ended with references in them: handles of an earlier one are told by it from those
    /// that came to be at the same place.
    generation: u64,
    owned: Vec<Option<Owned>>,
    free: Vec<usize>,
    /// How many owned ones there were when the unused ones were last thrown away.
    kept: usize,
}

impl Handles {
    /// Begins a scope.
    #[inline]
    pub fn open(&self) -> Scope {
        Scope(self.scoped.len() as u32)
    }

    /// Ends a scope, and those inside of it.
    #[inline]
    pub fn close(&mut self, scope: Scope) {
        if self.scoped.len() > scope.0 as usize {
            self.scoped.truncate(scope.0 as usize);
            self.generation += 1;
        }
    }

    /// A handle of a reference, which is not null, in the innermost scope.
    ///
    /// # Panics
    /// There are 2³² of them.
    pub fn scoped(&mut self, word: u32) -> ScopedHandle {
        let index = u32::try_from(self.scoped.len()).expect("fewer handles than references");
        self.scoped.push(Scoped { word, generation: self.generation });
        ScopedHandle { index, generation: self.generation }
    }

    /// The reference of a handle, unless its scope has ended.
    pub fn get(&self, handle: ScopedHandle) -> Option<u32> {
        let scoped = self.scoped.get(handle.index as usize)?;
        (scoped.generation == handle.generation).then_some(scoped.word)
    }

    /// An owned handle of a reference, which is not null.
    pub fn owned(&mut self, word: u32) -> OwnedHandle {
        if self.owned.len() - self.free.len() > 2 * self.kept + 16 {
            self.trim();
        }
        let alive = Arc::new(());
        let owned = Some(Owned { word, alive: alive.clone() });
        let index = match self.free.pop() {
            Some(index) => {
                self.owned[index] = owned;
                index
            }
            None => {
                self.owned.push(owned);
                self.owned.len() - 1
            }
        };
        OwnedHandle { index, alive }
    }

    /// The reference of an owned handle, if it is one of this table.
    pub fn get_owned(&self, handle: &OwnedHandle) -> Option<u32> {
        let owned = self.owned.get(handle.index)?.as_ref()?;
        Arc::ptr_eq(&owned.alive, &handle.alive).then_some(owned.word)
    }

    /// Forgets the owned references of which no handle is left.
    fn trim(&mut self) {
        for (index, place) in self.owned.iter_mut().enumerate() {
            if place.as_ref().is_some_and(|owned| Arc::strong_count(&owned.alive) == 1) {
                *place = None;
                self.free.push(index);
            }
        }
        self.kept = self.owned.len() - self.free.len();
    }

    /// The references, to be updated.
    pub(in crate::vm) fn words(&mut self) -> impl Iterator<Item = &mut u32> {
        self.trim();
        let owned = self.owned.iter_mut().flatten().map(|owned| &mut owned.word);
        self.scoped.iter_mut().map(|scoped| &mut scoped.word).chain(owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_ends_with_its_scope_also_when_another_takes_its_place() {
        let mut handles = Handles::default();
        let outer = handles.scoped(8);
        let scope = handles.open();
        let inner = handles.scoped(16);
        assert_eq!((handles.get(outer), handles.get(inner)), (Some(8), Some(16)));
        handles.close(scope);
        assert_eq!((handles.get(outer), handles.get(inner)), (Some(8), None));
        let later = handles.scoped(24);
        assert_eq!((handles.get(inner), handles.get(later)), (None, Some(24)));
        let empty = handles.open();
        handles.close(empty);
        assert_eq!(handles.get(later), Some(24));
    }

    #[test]
    fn owned_references_are_forgotten_with_their_last_handle() {
        let mut handles = Handles::default();
        let kept: Vec<_> = (0..10).map(|i| handles.owned(8 * i + 8)).collect();
        let clone = kept[3].clone();
        for i in 0..100_000 {
            let handle = handles.owned(i);
            assert_eq!(handles.get_owned(&handle), Some(i));
        }
        assert!(handles.owned.len() < 100, "{}", handles.owned.len());
        drop(kept);
        assert_eq!(handles.words().map(|word| *word).collect::<Vec<_>>(), [32]);
        assert_eq!(handles.get_owned(&clone), Some(32));
        assert_eq!(Handles::default().get_owned(&clone), None);
    }
}
