//! Lets a test do what another process might, around the waits of its thread.

use std::cell::{Cell, RefCell};

#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// Before a wait or a look begins.
    Waits,
    /// After it has ended without being interrupted.
    Ready,
}

type Hook = Box<dyn FnMut(Moment)>;

thread_local! {
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

pub fn set(hook: impl FnMut(Moment) + 'static) {
    COUNT.set(0);
    HOOK.set(Some(Box::new(hook)));
}

/// How often the hook was called. It is gone after this.
pub fn take_count() -> usize {
    HOOK.set(None);
    COUNT.take()
}

pub fn call(moment: Moment) {
    HOOK.with_borrow_mut(|hook| {
        if let Some(hook) = hook {
            COUNT.set(COUNT.get() + 1);
            hook(moment);
        }
    });
}
