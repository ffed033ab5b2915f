//! Guests can be stopped from outside: by interrupts, epochs and deadlines. No test measures time: guests
//! that are stopped spin for ever otherwise, and hosts wait for progress, not for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wasmrun::{
    Caller, Engine, Error, Func, Instance, InterruptHandle, Linker, Memory, MemoryType, Module,
    ResourceLimiter, Result, Store, Trap, TypedFunc, UpdateDeadline, Val, WasmBacktrace,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    an_interrupt_stops_running_loops_and_recursion_and_nothing_later
    an_interrupt_of_an_idle_store_stops_the_next_call_unless_it_is_cleared
    an_engine_interrupts_all_its_stores
    interrupts_wake_host_functions_that_wait
    an_epoch_stops_guests_whose_deadline_it_reaches
    an_epoch_callback_decides_how_to_go_on
    an_epoch_callback_that_asks_for_no_tick_more_lets_the_guest_go_on
    an_epoch_callback_cannot_enter_or_change_the_guest
    calls_that_an_epoch_callback_is_refused_leave_the_frames_of_the_guest_alone
    an_epoch_callback_sees_no_frames_of_calls_that_are_over
    a_timeout_stops_each_call_anew
    a_deadline_in_the_past_stops_calls_before_they_begin
    a_deadline_that_nothing_would_hold_is_refused
    a_deadline_covers_host_functions_and_wakes_them
    a_deadline_that_a_host_function_ignores_stops_the_guest_when_it_comes_back
    a_deadline_that_stopped_a_nested_call_stops_those_around_it_too
    an_interrupt_does_not_hide_a_deadline
    a_deadline_of_one_call_never_stops_a_later_one
    the_timer_thread_ends_with_the_engine
    a_waker_that_panics_stops_neither_this_deadline_nor_the_next
    a_deadline_stops_every_way_to_run_for_ever
    an_interrupt_at_any_time_stops_every_way_to_run_for_ever
}

const SPIN: &str = r#"
    (import "host" "tick" (func $tick))
    (func (export "spin") (loop $l (br $l)))
    (func (export "tick") (loop $l (call $tick) (br $l)))
    (func $deep (export "recurse") (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
        (else (i32.const 0))))
    (func (export "recurse for ever") (loop $l (drop (call $deep (i32.const 10))) (br $l)))
    (func (export "nothing") (nop))
"#;

struct Guest<T: 'static> {
    store: Store<T>,
    spin: TypedFunc<(), ()>,
    tick: TypedFunc<(), ()>,
    recurse: TypedFunc<(), ()>,
    nothing: TypedFunc<(), ()>,
}

fn guest<T>(
    mode: Mode,
    data: T,
    tick: impl Fn(Caller<'_, T>) -> Result<()> + Send + Sync + 'static,
) -> Result<Guest<T>> {
    let engine = mode.engine();
    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "tick", tick)?;
    let module = Module::new(&engine, SPIN)?;
    let mut store = Store::new(&engine, data);
    let instance = linker.instantiate(&mut store, &module)?;
    let mut get = |name: &str| instance.get_typed_func(&mut store, name);
    let (spin, tick, recurse) = (get("spin")?, get("tick")?, get("recurse for ever")?);
    let nothing = get("nothing")?;
    Ok(Guest { store, spin, tick, recurse, nothing })
}

fn trap(result: Result<()>) -> Option<Trap> {
    result.unwrap_err().downcast_ref().copied()
}

/// Interrupts the guest from another thread while its memory grows: in the middle of an instruction that does
/// not look for interrupts itself, as calls of host functions do.
struct InterruptsGrowth(Option<InterruptHandle>);

impl ResourceLimiter for InterruptsGrowth {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        if let Some(handle) = self.0.clone() {
            std::thread::spawn(move || handle.interrupt()).join().unwrap();
        }
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        Ok(true)
    }
}

fn an_interrupt_stops_running_loops_and_recursion_and_nothing_later(mode: Mode) -> Result<()> {
    // The interrupt comes when the guest is running already: what it does next has to notice. Loops and
    // recursion end by themselves, so that one which does not notice is a failure and no endless test.
    let engine = mode.engine();
    let module = Module::new(
        &engine,
        r#"
        (memory 0)
        (func (export "neither") (drop (memory.grow (i32.const 1))))
        (func (export "loop") (local $i i32)
          (drop (memory.grow (i32.const 1)))
          (loop $l
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 1000)))))
        (func $deep (param i32)
          (if (local.get 0) (then (call $deep (i32.sub (local.get 0) (i32.const 1))))))
        (func (export "recursion") (drop (memory.grow (i32.const 1))) (call $deep (i32.const 100)))
        (func (export "nothing"))
        "#,
    )?;
    let mut store = Store::new(&engine, InterruptsGrowth(None));
    store.limiter(|limiter| limiter);
    let instance = Instance::new(&mut store, &module, &[])?;
    store.data_mut().0 = Some(store.interrupt_handle());
    let nothing = instance.get_typed_func::<(), ()>(&mut store, "nothing")?;
    for name in ["loop", "recursion"] {
        let func = instance.get_typed_func(&mut store, name)?;
        assert_eq!(trap(func.call(&mut store, ())), Some(Trap::Interrupt), "{name}");
        nothing.call(&mut store, ())?;
    }
    // Growth alone does not look: it is loops and calls that did above.
    instance.get_typed_func::<(), ()>(&mut store, "neither")?.call(&mut store, ())?;
    assert_eq!(trap(nothing.call(&mut store, ())), Some(Trap::Interrupt));
    Ok(())
}

fn an_interrupt_of_an_idle_store_stops_the_next_call_unless_it_is_cleared(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, (), |_| Ok(()))?;
    let handle = guest.store.interrupt_handle();
    handle.interrupt();
    assert_eq!(trap(guest.nothing.call(&mut guest.store, ())), Some(Trap::Interrupt));
    guest.nothing.call(&mut guest.store, ())?;
    handle.interrupt();
    handle.clear();
    guest.nothing.call(&mut guest.store, ())
}

fn an_engine_interrupts_all_its_stores(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, (), |_| Ok(()))?;
    guest.store.engine().interrupt_all();
    assert_eq!(trap(guest.spin.call(&mut guest.store, ())), Some(Trap::Interrupt));
    Ok(())
}

fn interrupts_wake_host_functions_that_wait(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, (), |mut caller| {
        let waiting = std::thread::current();
        let waker: Arc<dyn Fn() + Send + Sync> = Arc::new(move || waiting.unpark());
        let handle = caller.interrupt_handle();
        handle.add_waker(Arc::downgrade(&waker));
        let other = handle.clone();
        let thread = std::thread::spawn(move || other.interrupt());
        let result = loop {
            if let Err(error) = caller.check_interrupts() {
                break Err(error);
            }
            std::thread::park();
        };
        thread.join().unwrap();
        result
    })?;
    assert_eq!(trap(guest.tick.call(&mut guest.store, ())), Some(Trap::Interrupt));
    guest.nothing.call(&mut guest.store, ())
}

fn an_epoch_stops_guests_whose_deadline_it_reaches(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, (), |caller| {
        caller.engine().increment_epoch();
        Ok(())
    })?;
    // Without a deadline, epochs mean nothing.
    guest.store.engine().increment_epoch();
    guest.nothing.call(&mut guest.store, ())?;
    guest.store.set_epoch_deadline(3);
    assert_eq!(trap(guest.tick.call(&mut guest.store, ())), Some(Trap::Interrupt));
    // It stays reached until it is set anew.
    assert_eq!(trap(guest.nothing.call(&mut guest.store, ())), Some(Trap::Interrupt));
    assert_eq!(trap(guest.nothing.call(&mut guest.store, ())), Some(Trap::Interrupt));
    guest.store.set_epoch_deadline(1);
    guest.nothing.call(&mut guest.store, ())?;
    guest.store.set_epoch_deadline(0);
    assert_eq!(trap(guest.nothing.call(&mut guest.store, ())), Some(Trap::Interrupt));
    Ok(())
}

fn an_epoch_callback_decides_how_to_go_on(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, (0u32, 0u32), |mut caller| {
        caller.data_mut().0 += 1;
        caller.engine().increment_epoch();
        Ok(())
    })?;
    guest.store.set_epoch_deadline(10);
    guest.store.epoch_deadline_callback(|mut store| {
        store.data_mut().1 += 1;
        Ok(if store.data().1 < 3 { UpdateDeadline::Continue(5) } else { UpdateDeadline::Interrupt })
    });
    assert_eq!(trap(guest.tick.call(&mut guest.store, ())), Some(Trap::Interrupt));
    assert_eq!(*guest.store.data(), (20, 3));
    guest.store.epoch_deadline_callback(|_| Err(Error::msg("no more")));
    let error = guest.tick.call(&mut guest.store, ()).unwrap_err();
    assert_eq!(error.to_string(), "no more");
    guest.store.epoch_deadline_callback(|_| panic!("callback"));
    let call = std::panic::AssertUnwindSafe(|| guest.tick.call(&mut guest.store, ()));
    assert_eq!(std::panic::catch_unwind(call).unwrap_err().downcast_ref(), Some(&"callback"));
    guest.store.epoch_deadline_trap();
    guest.store.set_epoch_deadline(1000);
    guest.nothing.call(&mut guest.store, ())
}

fn an_epoch_callback_that_asks_for_no_tick_more_lets_the_guest_go_on(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, 0u32, |mut caller| {
        *caller.data_mut() += 1;
        caller.engine().increment_epoch();
        Ok(())
    })?;
    guest.store.set_epoch_deadline(1);
    guest.store.epoch_deadline_callback(|store| {
        Ok(if *store.data() < 20 { UpdateDeadline::Continue(0) } else { UpdateDeadline::Interrupt })
    });
    assert_eq!(trap(guest.tick.call(&mut guest.store, ())), Some(Trap::Interrupt));
    assert_eq!(*guest.store.data(), 20);
    Ok(())
}

fn an_epoch_callback_cannot_enter_or_change_the_guest(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, None::<(TypedFunc<(), ()>, Memory)>, |caller| {
        caller.engine().increment_epoch();
        Ok(())
    })?;
    let memory = Memory::new(&mut guest.store, MemoryType::new(1, None))?;
    *guest.store.data_mut() = Some((guest.nothing, memory));
    guest.store.set_epoch_deadline(1);
    guest.store.epoch_deadline_callback(|mut store| {
        let (nothing, memory) = store.data().unwrap();
        assert!(nothing.call(&mut store, ()).is_err());
        assert!(memory.grow(&mut store, 1).is_err());
        assert!(Memory::new(&mut store, MemoryType::new(1, None)).is_err());
        Ok(UpdateDeadline::Interrupt)
    });
    assert_eq!(trap(guest.tick.call(&mut guest.store, ())), Some(Trap::Interrupt));
    guest.store.set_epoch_deadline(100);
    guest.nothing.call(&mut guest.store, ())
}

fn calls_that_an_epoch_callback_is_refused_leave_the_frames_of_the_guest_alone(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<Option<Func>>::new(&engine);
    linker.func_wrap("host", "tick", |caller: Caller<'_, Option<Func>>| caller.engine().increment_epoch())?;
    let module = Module::new(
        &engine,
        r#"(import "host" "tick" (func $tick))
           (func $inner (param i64 i64) (result i64)
             (call $tick)
             (loop $again (br_if $again (i32.const 0)) (local.set 0 (i64.add (local.get 0) (local.get 1))))
             (call $nothing)
             (local.get 0))
           (func $nothing)
           (func (export "run") (param i64 i64) (result i64)
             (i64.sub (call $inner (local.get 0) (local.get 1)) (local.get 1)))"#,
    )?;
    let mut store = Store::new(&engine, None);
    let instance = linker.instantiate(&mut store, &module)?;
    *store.data_mut() = instance.get_func(&mut store, "run");
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        let run = store.data().unwrap();
        assert!(run.call(&mut store, &[Val::I64(-1), Val::I64(-1)], &mut [Val::I64(0)]).is_err());
        assert!(run.typed::<(i64, i64), i64>(&store)?.call(&mut store, (-1, -1)).is_err());
        store.data_mut().take();
        Ok(UpdateDeadline::Continue(1))
    });
    let run = instance.get_typed_func::<(i64, i64), i64>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, (40, 2))?, 40);
    assert!(store.data().is_none(), "the callback has run");
    Ok(())
}

fn an_epoch_callback_sees_no_frames_of_calls_that_are_over(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<Vec<usize>>::new(&engine);
    linker.func_wrap("host", "tick", |mut caller: Caller<'_, Vec<usize>>| {
        let frames = WasmBacktrace::capture(&caller).frames().len();
        caller.data_mut().push(frames);
        caller.engine().increment_epoch();
    })?;
    // What returns leaves its frame behind, and the next call puts its arguments there.
    let module = Module::new(
        &engine,
        r#"(import "host" "tick" (func $tick))
           (func $calls_the_host (param i64 i64 i64 i64) (call $tick))
           (func $does_not (param i64 i64 i64 i64 i64 i64 i64 i64))
           (func (export "run")
             (call $calls_the_host (i64.const 1) (i64.const 2) (i64.const 3) (i64.const 4))
             (call $does_not (i64.const 1) (i64.const 3) (i64.const 5) (i64.const 7)
               (i64.const 9) (i64.const 11) (i64.const 13) (i64.const 15)))"#,
    )?;
    let mut store = Store::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &module)?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        let frames = WasmBacktrace::capture(&store).frames().len();
        store.data_mut().push(frames);
        Ok(UpdateDeadline::Continue(1))
    });
    instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
    assert_eq!(*store.data(), [2, 0]);
    Ok(())
}

fn a_timeout_stops_each_call_anew(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, (), |_| Ok(()))?;
    guest.store.set_timeout(Duration::from_millis(5));
    for func in [guest.spin, guest.tick, guest.recurse, guest.spin] {
        assert_eq!(trap(func.call(&mut guest.store, ())), Some(Trap::Deadline));
    }
    guest.store.set_timeout(None);
    guest.nothing.call(&mut guest.store, ())
}

fn a_deadline_in_the_past_stops_calls_before_they_begin(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, (), |_| Ok(()))?;
    guest.store.set_deadline(Some(Instant::now()));
    assert_eq!(trap(guest.nothing.call(&mut guest.store, ())), Some(Trap::Deadline));
    guest.store.set_deadline(None);
    guest.nothing.call(&mut guest.store, ())
}

fn a_deadline_that_nothing_would_hold_is_refused(mode: Mode) -> Result<()> {
    let engine = Engine::new(mode.config().interruptible(false))?;
    let module = Module::new(&engine, r#"(module (func (export "run")))"#)?;
    let mut store = Store::new(&engine, ());
    let run = Instance::new(&mut store, &module, &[])?.get_typed_func::<(), ()>(&mut store, "run")?;
    run.call(&mut store, ())?;
    let deadlines: [fn(&mut Store<()>, bool); 2] = [
        |store, on| store.set_timeout(on.then_some(Duration::from_secs(100))),
        |store, on| store.set_epoch_deadline(if on { 1 } else { u64::MAX }),
    ];
    for set in deadlines {
        set(&mut store, true);
        match run.call(&mut store, ()) {
            Ok(()) => assert_eq!(mode, Mode::Interp),
            Err(error) => {
                assert_ne!(mode, Mode::Interp, "{error}");
                assert!(error.to_string().contains("Config::interruptible"), "{error}");
            }
        }
        set(&mut store, false);
        run.call(&mut store, ())?;
    }
    Ok(())
}

fn a_deadline_covers_host_functions_and_wakes_them(mode: Mode) -> Result<()> {
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    let mut guest = guest(mode, (), move |mut caller| {
        let (waiting, count) = (std::thread::current(), count.clone());
        let waker: Arc<dyn Fn() + Send + Sync> = Arc::new(move || {
            count.fetch_add(1, Ordering::SeqCst);
            waiting.unpark();
        });
        caller.interrupt_handle().add_waker(Arc::downgrade(&waker));
        while caller.check_interrupts().is_ok() {
            std::thread::park();
        }
        caller.check_interrupts()
    })?;
    // On a busy machine the time can be over before the guest has called.
    let mut time = Duration::from_millis(5);
    while woken.load(Ordering::SeqCst) == 0 {
        guest.store.set_timeout(time);
        assert_eq!(trap(guest.tick.call(&mut guest.store, ())), Some(Trap::Deadline));
        time *= 2;
    }
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    Ok(())
}

fn a_deadline_that_a_host_function_ignores_stops_the_guest_when_it_comes_back(mode: Mode) -> Result<()> {
    let calls = Arc::new(AtomicU32::new(0));
    let count = calls.clone();
    let mut guest = guest(mode, (), move |mut caller| {
        count.fetch_add(1, Ordering::SeqCst);
        while caller.check_interrupts().is_ok() {
            std::thread::yield_now();
        }
        Ok(())
    })?;
    // On a busy machine the time can be over before the guest has called.
    let mut time = Duration::from_millis(1);
    while calls.load(Ordering::SeqCst) == 0 {
        guest.store.set_timeout(time);
        assert_eq!(trap(guest.tick.call(&mut guest.store, ())), Some(Trap::Deadline));
        time *= 2;
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    Ok(())
}

fn a_deadline_that_stopped_a_nested_call_stops_those_around_it_too(mode: Mode) -> Result<()> {
    // The host function ignores what happened to the call that it made. If the guest is not stopped then, it
    // calls it once more.
    let mut guest = guest(mode, None::<TypedFunc<(), ()>>, |mut caller| {
        let spin = caller.data_mut().take().ok_or_else(|| Error::msg("the deadline was forgotten"))?;
        assert_eq!(trap(spin.call(&mut caller, ())), Some(Trap::Deadline));
        Ok(())
    })?;
    *guest.store.data_mut() = Some(guest.spin);
    guest.store.set_timeout(Some(Duration::from_millis(5)));
    assert_eq!(trap(guest.tick.call(&mut guest.store, ())), Some(Trap::Deadline));
    guest.store.set_timeout(None);
    guest.nothing.call(&mut guest.store, ())
}

fn an_interrupt_does_not_hide_a_deadline(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, None::<TypedFunc<(), ()>>, |mut caller| {
        let nothing = caller.data_mut().take().ok_or_else(|| Error::msg("the deadline was forgotten"))?;
        while caller.check_interrupts().is_ok() {
            std::thread::yield_now();
        }
        // The guest finds both when it is entered; the interrupt is answered, and ignored.
        caller.interrupt_handle().interrupt();
        assert_eq!(trap(nothing.call(&mut caller, ())), Some(Trap::Interrupt));
        Ok(())
    })?;
    *guest.store.data_mut() = Some(guest.nothing);
    guest.store.set_timeout(Some(Duration::from_millis(1)));
    assert_eq!(trap(guest.tick.call(&mut guest.store, ())), Some(Trap::Deadline));
    guest.store.set_timeout(None);
    guest.nothing.call(&mut guest.store, ())
}

fn a_deadline_of_one_call_never_stops_a_later_one(mode: Mode) -> Result<()> {
    // The host function comes back when the deadline has been noticed, and nothing is left to stop.
    let mut guest = guest(mode, (), |_| Ok(()))?;
    let wait = Func::wrap(&mut guest.store, |mut caller: Caller<'_, ()>| {
        while caller.check_interrupts().is_ok() {
            std::thread::yield_now();
        }
    });
    for _ in 0..20 {
        guest.store.set_timeout(Duration::from_micros(100));
        wait.call(&mut guest.store, &[], &mut [])?;
        guest.store.set_timeout(None);
        guest.nothing.call(&mut guest.store, ())?;
    }
    Ok(())
}

fn the_timer_thread_ends_with_the_engine(mode: Mode) -> Result<()> {
    let count = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let mut most = 0;
    for _ in 0..200 {
        let mut guest = guest(mode, (), |_| Ok(()))?;
        guest.store.set_timeout(Duration::from_secs(3600));
        guest.nothing.call(&mut guest.store, ())?;
        most = most.max(count());
    }
    // Other tests of this file run beside it, with a few threads each; two hundred would be a leak.
    assert!(most < 100, "{most} threads");
    Ok(())
}

fn a_waker_that_panics_stops_neither_this_deadline_nor_the_next(mode: Mode) -> Result<()> {
    let mut guest = guest(mode, (), |_| Ok(()))?;
    let waker: Arc<dyn Fn() + Send + Sync> = Arc::new(|| panic!("a waker of the host"));
    guest.store.interrupt_handle().add_waker(Arc::downgrade(&waker));
    guest.store.set_timeout(Duration::from_millis(1));
    for _ in 0..3 {
        let error = guest.spin.call(&mut guest.store, ()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::Deadline));
    }
    Ok(())
}

/// Ways to run for ever, among them those that go from one function to another all the time.
const FOR_EVER: &str = r#"
    (import "host" "begin" (func $begin))
    (type $v (func))
    (table 2 funcref) (elem (i32.const 0) $indirect $other_indirect)
    (func (export "loop") (call $begin) (loop (br 0)))
    (func (export "other loop") (call $begin) (loop (br_if 0 (i32.const 1))))
    (func (export "tail") (call $begin) (return_call $even (i64.const 1)))
    (func $even (param i64) (return_call $odd (local.get 0) (i32.const 1) (i32.const 2)))
    (func $odd (param i64 i32 i32) (return_call $even (local.get 0)))
    (func (export "tail to itself") (call $begin) (return_call $self))
    (func $self (return_call $self))
    (func (export "other tail to itself") (call $begin) (call $other_self))
    (func $nothing)
    (func $other_self (return_call $other_self))
    (func (export "indirect") (call $begin) (return_call $indirect))
    (func $indirect (return_call_indirect (type $v) (i32.const 1)))
    (func $other_indirect (return_call_indirect (type $v) (i32.const 0)))
    (func $tree (param i32)
      (if (local.get 0) (then
        (call $other_tree (i32.sub (local.get 0) (i32.const 1)))
        (call $other_tree (i32.sub (local.get 0) (i32.const 1))))))
    (func $other_tree (param i32)
      (if (local.get 0) (then
        (call $tree (i32.sub (local.get 0) (i32.const 1)))
        (call $tree (i32.sub (local.get 0) (i32.const 1))))))
    (func (export "recursion") (call $begin) (call $tree (i32.const 100)))
"#;

const WAYS: [&str; 7] =
    ["loop", "other loop", "tail", "tail to itself", "other tail to itself", "indirect", "recursion"];

fn a_deadline_stops_every_way_to_run_for_ever(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap("host", "begin", || ())?;
    let module = Module::new(&engine, FOR_EVER)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    store.set_timeout(Duration::from_millis(2));
    for way in WAYS {
        let func = instance.get_typed_func(&mut store, way)?;
        for _ in 0..3 {
            assert_eq!(trap(func.call(&mut store, ())), Some(Trap::Deadline), "{way}");
        }
    }
    Ok(())
}

fn an_interrupt_at_any_time_stops_every_way_to_run_for_ever(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap("host", "begin", |caller: Caller<'_, ()>| {
        let handle = caller.interrupt_handle();
        std::thread::spawn(move || handle.interrupt());
    })?;
    let module = Module::new(&engine, FOR_EVER)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    for way in WAYS {
        let func = instance.get_typed_func(&mut store, way)?;
        for _ in 0..10 {
            assert_eq!(trap(func.call(&mut store, ())), Some(Trap::Interrupt), "{way}");
        }
    }
    Ok(())
}
