//! The lock around a tree, and what keeps its nodes alive while they are open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::tree::{Ino, Tree};

/// A tree that several directories and files refer to.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<Tree>>);

impl Shared {
    pub(super) fn new(tree: Tree) -> Shared {
        Shared(Arc::new(Mutex::new(tree)))
    }

    /// A panic elsewhere leaves nothing half done that would matter: each map is consistent by itself.
    pub(super) fn lock(&self) -> MutexGuard<'_, Tree> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both are the same tree.
    pub(super) fn is(&self, other: &Shared) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Refers to a node and keeps it alive.
pub(super) struct Handle {
    tree: Shared,
    ino: Ino,
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle").field("ino", &self.ino).finish_non_exhaustive()
    }
}

impl Handle {
    /// A handle for a node of a tree, of which the caller has the lock and must let it go before the handle.
    pub(super) fn new(shared: &Shared, tree: &mut Tree, ino: Ino) -> Handle {
        tree.retain(ino);
        Handle { tree: shared.clone(), ino }
    }

    pub(super) fn ino(&self) -> Ino {
        self.ino
    }

    pub(super) fn tree(&self) -> &Shared {
        &self.tree
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tree.lock().release(self.ino);
    }
}
