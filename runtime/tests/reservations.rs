//! What memories reserve is counted, process by process: this one has nothing else in it.

use wasmrun_runtime::types::MemoryType;
use wasmrun_runtime::vm::{Memory, MemoryStrategy, can_reserve};

#[test]
fn memories_that_reserve_too_much_together_are_made_without_guards() {
    // A tebibyte each: far more than a process has addresses for.
    const MANY: usize = 500;
    let wide = MemoryType::new64(1, Some(1 << 24));
    let make = |ty| Memory::new(ty, MemoryStrategy::Guarded).unwrap();
    for _ in 0..2 {
        let mut memories: Vec<Memory> = (0..MANY).map(|_| make(wide)).collect();
        let guarded = memories.iter().filter(|memory| memory.is_guarded()).count();
        // A machine may have fewer addresses than are usual.
        assert!(guarded <= 32, "{guarded}");
        assert!(!can_reserve(1 << 40));
        // All of them can be used, and the host and smaller memories have addresses as before.
        for memory in [0, MANY - 1].map(|at| memories.swap_remove(at.min(MANY - 2))) {
            let mut memory = memory;
            assert_eq!(memory.grow(3), Ok(1));
            memory.data_mut()[3 << 16] = 1;
        }
        let narrow = MemoryType::new(1, None);
        assert_eq!(make(narrow).is_guarded(), can_reserve(4 << 30));
        drop(memories);
        // What has been taken is given back.
        assert!(guarded == 0 || make(wide).is_guarded());
    }
}
