//! What the arena promises while several threads use it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering::*};
use std::thread;

use super::*;

/// A generator of numbers that repeats for a seed (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

#[test]
fn threads_install_free_run_and_look_up_together() {
    const ROUNDS: usize = 5000;
    for kind in KINDS {
        // Small, so that ranges are reused all the time, and often full.
        let arena = Arena::with_mapping(1 << 18, kind).unwrap();
        let steady: Vec<Blob> = (0..16).map(|i| arena.install(&returns(i), Arc::new(i)).unwrap()).collect();
        let base = arena.shared.base.addr().get();
        let busy = AtomicUsize::new(3);
        let start = Barrier::new(5);
        let churn = |seed: u64| {
            let mut random = Random(seed);
            let mut mine: Vec<(Blob, u32)> = Vec::new();
            start.wait();
            let _end = AtEnd(|| _ = busy.fetch_sub(1, SeqCst));
            for round in 0..ROUNDS {
                let value = (seed as u32) << 24 | round as u32;
                let code = loops_and_returns(1, value, random.below(2000));
                match arena.install_with_line_at(&code, random.below(code.len()), Arc::new(value)) {
                    Ok(blob) => mine.push((blob, value)),
                    Err(ArenaError::Exhausted { .. }) => mine.truncate(mine.len() / 2),
                    Err(error) => panic!("{error}"),
                }
                if let Some((blob, value)) = mine.get(random.below(mine.len().max(1))) {
                    assert_eq!(run(blob), *value);
                    let pc = blob.addresses().start + random.below(blob.addresses().len());
                    assert_eq!(arena.lookup(pc).map(|found| found.addresses()), Some(blob.addresses()));
                    assert_eq!(meta_at(&arena, pc), Some(*value));
                }
                if random.below(3) == 0 && !mine.is_empty() {
                    let (blob, _) = mine.swap_remove(random.below(mine.len()));
                    drop(blob);
                }
            }
        };
        thread::scope(|scope| {
            for seed in 1..=3 {
                scope.spawn(move || churn(seed));
            }
            // What stays installed runs and is found at all times.
            scope.spawn(|| {
                start.wait();
                while busy.load(SeqCst) > 0 {
                    for (i, blob) in (0..).zip(&steady) {
                        assert_eq!(run(blob), i);
                        assert!(blob.addresses().all(|pc| meta_at(&arena, pc) == Some(i)));
                    }
                }
            });
            // Whatever is found anywhere contains what was asked for; its metadata are left alone.
            scope.spawn(|| {
                let mut random = Random(99);
                start.wait();
                while busy.load(SeqCst) > 0 {
                    let pc = base + random.below(1 << 18);
                    if let Some(found) = arena.lookup(pc) {
                        assert!(found.addresses().contains(&pc) && found.addresses().start % 16 == 0);
                    }
                }
            });
        });
        drop(steady);
        assert_eq!(arena.usage().used, 0);
    }
}

#[test]
fn neighbours_run_on_while_memory_is_freed_and_reused() {
    for kind in KINDS {
        let arena = Arena::with_mapping(1 << 18, kind).unwrap();
        // Alternating, so that what is freed and reused lies between what runs.
        let long = loops_and_returns(20_000, 77, 0);
        let (running, mut between): (Vec<Blob>, Vec<Blob>) = (0..16)
            .map(|i| {
                (
                    arena.install(&long, Arc::new(())).unwrap(),
                    arena.install(&returns(i), Arc::new(())).unwrap(),
                )
            })
            .unzip();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    assert!(running.iter().all(|blob| run(blob) == 77));
                }
            });
            let _end = AtEnd(|| done.store(true, Relaxed));
            for i in 0..5000 {
                let at = i as usize % between.len();
                let free = between.swap_remove(at).entry();
                let blob = arena.install(&returns(i), Arc::new(())).unwrap();
                assert_eq!(blob.entry(), free, "reused");
                assert_eq!(run(&blob), i);
                between.push(blob);
            }
        });
    }
}

#[test]
fn code_of_another_thread_is_whole_when_it_is_handed_over_at_a_reused_address() {
    for kind in KINDS {
        let arena = Arena::with_mapping(1 << 18, kind).unwrap();
        let cell = AtomicPtr::new(ptr::null_mut::<u8>());
        // Number of the blob in the cell, and of the last that was run; the largest means the end.
        let given = AtomicU32::new(0);
        let taken = AtomicU32::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                let _end = AtEnd(|| taken.store(u32::MAX, Release));
                for turn in 1..=5000 {
                    while given.load(Acquire) < turn {
                        thread::yield_now();
                    }
                    // SAFETY: installed until this turn is reported back.
                    assert_eq!(unsafe { call(cell.load(Relaxed)) }, turn);
                    taken.store(turn, Release);
                }
            });
            let _end = AtEnd(|| given.store(u32::MAX, Release));
            let mut last = None;
            for turn in 1..=5000 {
                let blob = arena.install(&returns(turn), Arc::new(())).unwrap();
                assert!(last.is_none_or(|last| last == blob.entry()), "the same address every time");
                last = Some(blob.entry());
                cell.store(blob.entry().cast_mut(), Relaxed);
                given.store(turn, Release);
                while taken.load(Acquire) < turn {
                    thread::yield_now();
                }
            }
        });
    }
}
