//! The promises of the arena as a whole, in both mappings: what the parts promise is tested beside them.
//!
//! Here what one thread sees; [`threads`] and [`processes`] have the rest.

mod processes;
mod threads;

use std::mem;

use super::*;

const KINDS: [MappingKind; 2] = [MappingKind::Dual, MappingKind::Protected];

/// `mov eax, value; ret`
fn returns(value: u32) -> Vec<u8> {
    let mut code = vec![0xB8];
    code.extend(value.to_le_bytes());
    code.push(0xC3);
    code
}

/// As [`returns`], after `turns` of an empty loop (`mov ecx, turns; dec ecx; jnz`) and with bytes behind that.
fn loops_and_returns(turns: u32, value: u32, behind: usize) -> Vec<u8> {
    let mut code = vec![0xB9];
    code.extend(turns.to_le_bytes());
    code.extend([0xFF, 0xC9, 0x75, 0xFC]);
    code.extend(returns(value));
    code.extend((0..behind).map(|_| 0x90));
    code
}

/// # Safety
/// `entry` is the start of what one of the functions above made, and stays installed.
unsafe fn call(entry: *const u8) -> u32 {
    // SAFETY: such code takes nothing and changes only registers that are the callee's.
    unsafe { mem::transmute::<*const u8, extern "C" fn() -> u32>(entry)() }
}

fn run(blob: &Blob) -> u32 {
    // SAFETY: all blobs in these tests that are run come from the functions above.
    unsafe { call(blob.entry()) }
}

/// What a test attached to the blob at this address, which must not go away meanwhile.
fn meta_at(arena: &Arena, pc: usize) -> Option<u32> {
    // SAFETY: callers hold the blob or know that there is none.
    arena.lookup(pc).map(|found| *unsafe { found.meta() }.downcast_ref::<u32>().unwrap())
}

/// Does something at the end of a scope, also when that panics: or else other threads wait for ever.
struct AtEnd<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn installed_code_runs_and_is_found() {
    for kind in KINDS {
        let arena = Arena::with_mapping(1 << 20, kind).unwrap();
        assert_eq!(arena.mapping(), kind);
        let blobs: Vec<Blob> = (0..100).map(|i| arena.install(&returns(i), Arc::new(i)).unwrap()).collect();
        for (i, blob) in (0..).zip(&blobs) {
            assert_eq!(run(blob), i);
            assert!(blob.entry().addr().is_multiple_of(16));
            assert_eq!(blob.code(), returns(i));
            assert_eq!(blob.meta().downcast_ref(), Some(&i));
            for pc in blob.addresses() {
                assert_eq!(arena.lookup(pc).unwrap().addresses(), blob.addresses());
                assert_eq!(meta_at(&arena, pc), Some(i));
            }
            assert!(arena.lookup(blob.addresses().end).is_none(), "what pads a blob is not part of it");
        }
        let base = arena.shared.base.addr().get();
        assert!(arena.contains(base) && arena.contains(base + (1 << 20) - 1));
        for outside in [0, base - 1, base + (1 << 20), usize::MAX] {
            assert!(!arena.contains(outside) && arena.lookup(outside).is_none());
        }
    }
}

#[test]
fn a_line_begins_where_it_was_asked_to() {
    for kind in KINDS {
        let arena = Arena::with_mapping(1 << 20, kind).unwrap();
        let mut kept = Vec::new();
        for offset in 0..200 {
            let code = loops_and_returns(1, offset, 300);
            let blob = arena.install_with_line_at(&code, offset as usize, Arc::new(())).unwrap();
            assert!(blob.entry().addr().is_multiple_of(16));
            assert!((blob.entry().addr() + offset as usize) % 64 < 16);
            assert_eq!(run(&blob), offset);
            kept.push(blob);
        }
    }
}

#[test]
fn the_default_size_can_be_had_and_a_new_arena_takes_no_memory() {
    for kind in KINDS {
        let arena = Arena::with_mapping(Arena::DEFAULT_BYTES, kind).unwrap();
        assert_eq!(arena.usage(), Usage { capacity: 1 << 30, committed: 0, used: 0 });
        assert_eq!(run(&arena.install(&returns(5), Arc::new(())).unwrap()), 5);
    }
}

#[test]
fn cores_serialise_where_other_code_was_before_and_nowhere_else() {
    let arena = Arena::new(1 << 20).unwrap();
    let mut room = arena.set_aside(2, 200).unwrap();
    let serialised = |change: &mut dyn FnMut()| {
        coherence::CALLS.set(0);
        change();
        coherence::CALLS.get() > 0
    };
    let mut blob = None;
    assert!(!serialised(&mut || blob = Some(arena.install(&returns(1), Arc::new(())).unwrap())));
    // Below code, and still the first there.
    for _ in 0..2 {
        assert!(!serialised(
            &mut || _ = arena.install_in(&mut room, &returns(2), Arc::new(())).unwrap().unwrap()
        ));
    }
    drop(blob.take());
    assert!(serialised(&mut || blob = Some(arena.install(&returns(3), Arc::new(())).unwrap())));
    drop(blob.take());
    let mut room = arena.set_aside(1, 100).unwrap();
    assert!(serialised(&mut || _ = arena.install_in(&mut room, &returns(4), Arc::new(())).unwrap().unwrap()));
}

#[test]
fn impossible_sizes_and_empty_code_are_errors() {
    for bytes in [0, (2 << 30) + 1, usize::MAX] {
        assert!(matches!(Arena::new(bytes), Err(ArenaError::Size { .. })));
    }
    let arena = Arena::new(1).unwrap();
    assert!(matches!(arena.install(&[], Arc::new(())), Err(ArenaError::Empty)));
}

#[test]
fn freed_code_is_traps_and_no_longer_found() {
    for kind in KINDS {
        let arena = Arena::with_mapping(1 << 20, kind).unwrap();
        let before = arena.install(&returns(1), Arc::new(1_u32)).unwrap();
        let blob = arena.install(&[0x90; 3000], Arc::new(2_u32)).unwrap();
        let behind = arena.install(&returns(3), Arc::new(3_u32)).unwrap();
        let freed = blob.addresses();
        let entry = blob.entry();
        drop(blob);
        for at in 0..freed.len() {
            // SAFETY: freed code memory stays mapped and readable for as long as the arena.
            assert_eq!(unsafe { *entry.add(at) }, 0xCC);
            assert!(arena.lookup(freed.start + at).is_none());
        }
        assert_eq!((run(&before), run(&behind)), (1, 3));
        assert_eq!(meta_at(&arena, before.addresses().start), Some(1));
        assert_eq!(meta_at(&arena, behind.addresses().start), Some(3));
    }
}

#[test]
fn bytes_around_code_are_traps() {
    for kind in KINDS {
        let arena = Arena::with_mapping(1 << 20, kind).unwrap();
        let blob = arena.install_with_line_at(&returns(1), 16, Arc::new(())).unwrap();
        let range = blob.installed.range.clone();
        for offset in range.filter(|offset| !blob.installed.code.contains(offset)) {
            // SAFETY: committed and readable.
            assert_eq!(unsafe { *arena.shared.base.as_ptr().add(offset) }, 0xCC);
        }
    }
}

#[test]
fn metadata_live_exactly_as_long_as_the_blob() {
    for kind in KINDS {
        let arena = Arena::with_mapping(1 << 20, kind).unwrap();
        let meta = Arc::new(7_u32);
        let blob = arena.install(&returns(1), meta.clone()).unwrap();
        assert_eq!(Arc::strong_count(&meta), 2);
        for _ in 0..10 {
            assert_eq!(meta_at(&arena, blob.entry().addr()), Some(7));
        }
        assert_eq!(Arc::strong_count(&meta), 2, "a lookup counts nothing");
        drop(blob);
        assert_eq!(Arc::strong_count(&meta), 1);

        arena.install(&returns(1), meta.clone()).unwrap().keep();
        assert_eq!(Arc::strong_count(&meta), 2);
        drop(arena);
        assert_eq!(Arc::strong_count(&meta), 1, "an arena that goes takes with it what was kept");
    }
}

#[test]
fn metadata_may_own_blobs_of_the_same_arena() {
    let arena = Arena::new(1 << 20).unwrap();
    let inner = arena.install(&returns(1), Arc::new(())).unwrap();
    drop(arena.install(&returns(2), Arc::new(Mutex::new(inner))).unwrap());
    assert_eq!(arena.usage().used, 0);
}

#[test]
fn blobs_outlive_the_arenas_handle() {
    let arena = Arena::new(1 << 20).unwrap();
    let blob = arena.install(&returns(4), Arc::new(())).unwrap();
    drop(arena);
    assert_eq!(run(&blob), 4);
}

#[test]
fn a_full_arena_is_an_error_and_freeing_recovers() {
    for kind in KINDS {
        let arena = Arena::with_mapping(1 << 18, kind).unwrap();
        let code = loops_and_returns(1, 3, 1000);
        for _ in 0..3 {
            let mut blobs = Vec::new();
            let error = loop {
                match arena.install(&code, Arc::new(())) {
                    Ok(blob) => blobs.push(blob),
                    Err(error) => break error,
                }
            };
            assert!(matches!(error, ArenaError::Exhausted { capacity: 0x4_0000, .. }), "{error}");
            assert!(blobs.len() >= (1 << 18) / 4096);
            let free = blobs.swap_remove(blobs.len() / 2).entry();
            let again = arena.install(&code, Arc::new(())).unwrap();
            assert_eq!((again.entry(), run(&again)), (free, 3));
        }
        assert_eq!(arena.usage().used, 0);
        let error = arena.install(&vec![0xC3; (1 << 18) + 1], Arc::new(())).unwrap_err();
        assert!(matches!(error, ArenaError::Exhausted { largest: 0x4_0000, .. }), "{error}");
        arena.install(&vec![0xC3; 1 << 18], Arc::new(())).unwrap();
    }
}
