//! Threads that make modules, run them and drop them while other threads compile them, publish their code and withdraw it.
//!
//! `.ci/tsan` runs this under ThreadSanitizer, and with more rounds: `WASMRUN_RACES=20` means twenty times as many as usual.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use wasmrun::{Config, Engine, Func, Instance, Module, Result, Store, Strategy, Trap};

/// Threads that run guests.
const GUESTS: u64 = 4;

fn rounds(few: u64) -> u64 {
    let times =
        std::env::var("WASMRUN_RACES").map_or(1, |times| times.parse().expect("WASMRUN_RACES=number"));
    few * times
}

/// Numbers that differ from thread to thread and are the same in each run.
struct Random(u64);

impl Random {
    /// A number below `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        // Marsaglia, "Xorshift RNGs", 2003.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// A module, and the number that tells its code from that of others.
#[derive(Clone)]
struct Guest {
    module: Module,
    number: i32,
}

impl Guest {
    fn new(engine: &Engine, number: i32) -> Result<Guest> {
        let wat = format!(
            r#"(module
                (import "host" "id" (func $id (param i32) (result i32)))
                (type $unary (func (param i32) (result i32)))
                (memory 1) (data (i32.const 0) "\01") (data (i32.const 9000) "more")
                (table funcref (elem $add $triple $id))
                (func $add (type $unary) (i32.add (local.get 0) (i32.const {number})))
                (func $triple (type $unary) (i32.mul (call $add (local.get 0)) (i32.const 3)))
                (func (export "run") (param $n i32) (result i32)
                  (loop $l
                    (i32.store (i32.const 0)
                      (call_indirect (type $unary)
                        (i32.add (i32.load (i32.const 0)) (local.get $n))
                        (i32.rem_u (local.get $n) (i32.const 3))))
                    (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                  (i32.load (i32.const 0)))
                (func (export "beyond") (param $address i32) (result i32)
                  (call $triple (i32.load (local.get $address)))))"#
        );
        Ok(Guest { module: Module::new(engine, wat)?, number })
    }

    fn expected(&self, n: i32) -> i32 {
        (1..=n).rev().fold(1, |value: i32, n| {
            let value = value.wrapping_add(n);
            match n % 3 {
                0 => value.wrapping_add(self.number),
                1 => value.wrapping_add(self.number).wrapping_mul(3),
                _ => value,
            }
        })
    }

    /// Runs it in a new instance: what it computes is right, and what it must not do traps where it should.
    fn run(&self, engine: &Engine, n: i32) -> Result<()> {
        let mut store = Store::new(engine, ());
        let id = Func::wrap(&mut store, |n: i32| n);
        let instance = Instance::new(&mut store, &self.module, &[id.into()])?;
        let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
        assert_eq!(run.call(&mut store, n)?, self.expected(n), "{} {n}", self.number);
        let beyond = instance.get_typed_func::<i32, i32>(&mut store, "beyond")?;
        let trap = beyond.call(&mut store, 65533 + n).unwrap_err();
        assert_eq!(trap.downcast_ref(), Some(&Trap::MemoryOutOfBounds));
        Ok(())
    }
}

/// A thread that runs guests, until it ends in whatever way.
struct Running<'a>(&'a AtomicUsize);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Guests run modules that all of them know and that they replace all the time, while somebody looks at everything.
fn race(engine: &Engine, rounds: u64) {
    let shared: Vec<_> = (0..3).map(|i| Mutex::new(Guest::new(engine, i).unwrap())).collect();
    let running = AtomicUsize::new(GUESTS as usize);
    thread::scope(|scope| {
        for thread in 1..=GUESTS {
            let (shared, running) = (&shared, &running);
            scope.spawn(move || {
                let _running = Running(running);
                let mut random = Random(thread);
                for round in 0..rounds {
                    let place = &shared[random.below(3) as usize];
                    let guest = place.lock().unwrap().clone();
                    guest.run(engine, 1 + random.below(200) as i32).unwrap();
                    if random.below(4) == 0 {
                        let new = Guest::new(engine, (round * 10 + thread) as i32).unwrap();
                        // The last one to use the old module drops it, or a thread that compiles it.
                        let old = std::mem::replace(&mut *place.lock().unwrap(), new);
                        drop(old);
                    }
                }
            });
        }
        scope.spawn(|| {
            while running.load(Ordering::Relaxed) > 0 {
                engine.increment_epoch();
                engine.code_size();
                for place in &shared {
                    let guest = place.lock().unwrap().clone();
                    assert_eq!(guest.module.tiers().len(), 4);
                    assert!(guest.module.uncompiled().is_empty());
                }
                thread::yield_now();
            }
        });
    });
    // All of this was about compiled code.
    let guest = shared[0].lock().unwrap().clone();
    let compiled = (0..10_000).any(|_| {
        guest.run(engine, 200).unwrap();
        guest.module.tiers().iter().any(|function| function.compiled)
    });
    assert!(compiled);
}

#[test]
fn modules_are_compiled_run_and_dropped_by_many_threads_at_once() {
    for threads in [1, 3] {
        let mut config = Config::new();
        config.strategy(Strategy::Tiered).tier_up_threshold(20).compile_threads(threads);
        race(&Engine::new(&config).unwrap(), rounds(200));
    }
}

#[test]
fn code_is_published_and_withdrawn_while_many_threads_run_it() {
    let engine = Engine::new(Config::new().strategy(Strategy::Tiered).chaos(5)).unwrap();
    race(&engine, rounds(60));
}

#[test]
fn modules_are_compiled_ahead_by_many_threads_at_once() {
    race(&Engine::new(Config::new().strategy(Strategy::Jit)).unwrap(), rounds(60));
}

#[test]
fn engines_come_and_go_on_many_threads() {
    thread::scope(|scope| {
        for thread in 1..=GUESTS {
            scope.spawn(move || {
                let mut random = Random(thread);
                for round in 0..rounds(40) {
                    let mut config = Config::new();
                    config.strategy(Strategy::Tiered).tier_up_threshold(10).compile_threads(2);
                    let engine = Engine::new(&config).unwrap();
                    let guest = Guest::new(&engine, round as i32).unwrap();
                    let n = 1 + random.below(100) as i32;
                    thread::scope(|scope| {
                        // The last handle of the engine goes here or there.
                        let (other, engine_of_other) = (guest.clone(), engine.clone());
                        scope.spawn(move || other.run(&engine_of_other, n).unwrap());
                        guest.run(&engine, n).unwrap();
                        drop((guest, engine));
                    });
                }
            });
        }
    });
}
