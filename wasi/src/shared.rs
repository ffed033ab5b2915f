//! A context that the threads of a guest share.

use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::wait::Waiter;
use crate::{Canceller, Fault, Outcome, WasiCtx};

/// A thread whose turn has not come for so long has its engine asked whether it may go on waiting.
const PATIENCE: Duration = Duration::from_millis(10);

/// One thread's hold on a context that the threads of a guest share: its descriptors, clocks and limits are those of all.
/// A clone is the hold of another thread.
///
/// Calls are made one after the other; what a call waits for it waits for outside, so that a thread which sleeps or reads
/// from a terminal keeps no other one from its calls. For that writes look before they act, as with
/// [`WasiCtx::interruptible_writes`]. Work that the host does for one call, as for `fd_sync`, the others wait for: deadlines,
/// epochs and interrupts end that as they end other waits.
#[derive(Debug)]
pub struct SharedWasiCtx {
    context: Arc<Context>,
    waiter: Waiter,
}

/// What all threads have.
#[derive(Debug)]
struct Context {
    turn: Mutex<Turn>,
    /// Notified when a turn ends and somebody waits for that.
    ended: Condvar,
    /// What the context has given out cancels all threads.
    canceller: Canceller,
}

/// Whose turn it is to make a call.
#[derive(Debug)]
struct Turn {
    /// Not there while somebody makes one.
    ctx: Option<Box<WasiCtx>>,
    /// How many wait for theirs.
    waiting: usize,
}

impl SharedWasiCtx {
    /// A context to be shared. Cancellers that it has given out end the waits of all threads.
    pub fn new(mut ctx: WasiCtx) -> SharedWasiCtx {
        let canceller = ctx.canceller();
        let waiter = Waiter::of_thread(&canceller);
        let turn = Mutex::new(Turn { ctx: Some(Box::new(ctx)), waiting: 0 });
        SharedWasiCtx { context: Arc::new(Context { turn, ended: Condvar::new(), canceller }), waiter }
    }

    /// Makes a call for an engine, which has been told that it may wait or has not, when the thread's turn has come. If that
    /// takes long the call is interrupted: the engine is asked, and it is made again.
    pub(crate) fn attached(&mut self, may_wait: bool, call: impl FnOnce(&mut WasiCtx) -> Outcome) -> Outcome {
        if !may_wait {
            self.waiter.forget();
        }
        let ctx = self.context.take().ok_or(Fault::Interrupted)?;
        Held::new(&self.context, ctx, &mut self.waiter).ctx().attached(may_wait, call)
    }

    pub(crate) fn waiter(&mut self) -> &mut Waiter {
        &mut self.waiter
    }
}

impl Clone for SharedWasiCtx {
    fn clone(&self) -> SharedWasiCtx {
        SharedWasiCtx { context: self.context.clone(), waiter: Waiter::of_thread(&self.context.canceller) }
    }
}

impl Context {
    /// The context, for one call; `None` if it is not there for long.
    fn take(&self) -> Option<Box<WasiCtx>> {
        let mut turn = self.turn();
        if turn.ctx.is_none() {
            turn.waiting += 1;
            let waited = self.ended.wait_timeout_while(turn, PATIENCE, |turn| turn.ctx.is_none());
            turn = waited.unwrap_or_else(PoisonError::into_inner).0;
            turn.waiting -= 1;
        }
        turn.ctx.take()
    }

    fn put_back(&self, ctx: Box<WasiCtx>) {
        let mut turn = self.turn();
        turn.ctx = Some(ctx);
        if turn.waiting > 0 {
            self.ended.notify_one();
        }
    }

    /// Held for no longer than it takes to look.
    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A context for the time of one call, which waits as the thread does that makes it, and no longer when the call ends or
/// panics.
struct Held<'a> {
    context: &'a Context,
    /// There until this is dropped.
    ctx: Option<Box<WasiCtx>>,
    /// The thread's; meanwhile that of the context.
    waiter: &'a mut Waiter,
}

impl<'a> Held<'a> {
    fn new(context: &'a Context, mut ctx: Box<WasiCtx>, waiter: &'a mut Waiter) -> Held<'a> {
        mem::swap(&mut ctx.waiter, waiter);
        Held { context, ctx: Some(ctx), waiter }
    }

    fn ctx(&mut self) -> &mut WasiCtx {
        self.ctx.as_mut().expect("a call is made once")
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(mut ctx) = self.ctx.take() {
            mem::swap(&mut ctx.waiter, self.waiter);
            self.context.put_back(ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;

    fn shared() -> SharedWasiCtx {
        SharedWasiCtx::new(WasiCtx::builder().build().unwrap())
    }

    #[test]
    fn a_thread_whose_call_panics_keeps_its_own_waits() {
        let mut thread = shared();
        let mut other = thread.clone();
        let panics =
            catch_unwind(AssertUnwindSafe(|| thread.attached(false, |_| panic!("a call of a test"))));
        assert!(panics.is_err());
        assert!(thread.waiter().waits_elsewhere());
        for thread in [&mut thread, &mut other] {
            let outcome = thread.attached(false, |ctx| {
                assert!(ctx.waiter.waits_elsewhere());
                Ok(())
            });
            assert_eq!(outcome, Ok(()));
        }
        assert!(thread.context.take().is_some_and(|ctx| !ctx.waiter.waits_elsewhere()));
    }

    #[test]
    fn a_thread_asks_whether_it_may_go_on_while_the_call_of_another_takes_long() {
        let mut thread = shared();
        let mut other = thread.clone();
        let ((begin, begun), (end, ended)) = (mpsc::channel(), mpsc::channel());
        let works = std::thread::spawn(move || {
            other.attached(false, |_| {
                begin.send(()).unwrap();
                ended.recv().unwrap();
                Ok(())
            })
        });
        begun.recv().unwrap();
        for may_wait in [false, true] {
            let outcome = thread.attached(may_wait, |_| unreachable!("it is the other one's turn"));
            assert_eq!(outcome, Err(Fault::Interrupted));
        }
        end.send(()).unwrap();
        assert_eq!(works.join().unwrap(), Ok(()));
        assert_eq!(thread.attached(true, |_| Ok(())), Ok(()));
    }

    #[test]
    fn cancellers_of_a_context_end_the_calls_of_all_threads_that_share_it() {
        let mut ctx = WasiCtx::builder().build().unwrap();
        let canceller = ctx.canceller();
        let mut threads = vec![SharedWasiCtx::new(ctx)];
        threads.push(threads[0].clone());
        canceller.cancel();
        threads.push(threads[1].clone());
        for thread in &mut threads {
            assert!(thread.waiter().is_cancelled());
            assert_eq!(thread.attached(false, |ctx| ctx.waiter.check()), Err(Fault::Interrupted));
        }
        canceller.reset();
        for thread in &mut threads {
            assert_eq!(thread.attached(false, |ctx| ctx.waiter.check()), Ok(()));
        }
        // One that waits already.
        let mut sleeper = threads.pop().unwrap();
        sleeper.attached(false, |ctx| ctx.waiter.wait(&[], None).map(drop)).unwrap_err();
        let (begin, begun) = mpsc::channel();
        let sleeps = std::thread::spawn(move || {
            begin.send(()).unwrap();
            sleeper.waiter().wait_elsewhere();
            sleeper.waiter().is_cancelled()
        });
        begun.recv().unwrap();
        canceller.cancel();
        assert!(sleeps.join().unwrap());
    }
}
