//! Memories of both strategies: how they grow, what of them stays where it is, and what they start with.

use super::*;

fn both(test: impl Fn(Memory)) {
    for strategy in [MemoryStrategy::Guarded, MemoryStrategy::Checked] {
        // Miri knows no reservations.
        if cfg!(miri) && strategy == MemoryStrategy::Guarded {
            continue;
        }
        test(Memory::new(MemoryType::new(1, Some(4)), strategy).unwrap());
    }
}

#[test]
#[cfg_attr(miri, ignore = "maps memory")]
fn code_for_a_type_runs_on_memories_of_which_as_much_is_reserved() {
    let guarded = |ty| Memory::new(ty, MemoryStrategy::Guarded).unwrap();
    let (any, huge) = (MemoryType::new64(1, None), MemoryType::new64(1, Some(1 << 48)));
    let (small, large) = (MemoryType::new64(1, Some(2)), MemoryType::new64(1, Some(1 << 22)));
    assert!(guarded(any).is_guarded_as(any) && guarded(small).is_guarded_as(small));
    // Less is reserved than code assumes, or there can be bytes that it takes for outside.
    assert!(!guarded(small).is_guarded_as(any));
    assert!(!guarded(large).is_guarded_as(any));
    assert!(guarded(any).is_guarded_as(huge), "such code assumes nothing");
    assert!(!Memory::new(any, MemoryStrategy::Checked).unwrap().is_guarded_as(any));
    assert!(!guarded(huge).is_guarded() && guarded(huge).max_pages() == 1 << 48);
    assert_eq!(guarded(any).max_pages(), 1 << 20);
}

#[test]
fn a_memory_of_single_bytes_grows_byte_by_byte() {
    let ty = MemoryType::builder().page_size_log2(0).min(3).max(Some(70_000)).build().unwrap();
    let mut memory = Memory::new(ty, MemoryStrategy::Guarded).unwrap();
    assert_eq!((memory.is_guarded(), memory.len(), memory.pages()), (false, 3, 3));
    memory.data_mut().fill(7);
    assert_eq!(memory.grow(1), Ok(3));
    assert_eq!(memory.data(), [7, 7, 7, 0]);
    assert_eq!(memory.grow(69_996), Ok(4));
    assert_eq!((memory.grow(1), memory.len()), (Err(GrowError::Maximum), 70_000));
    assert!(memory.data()[3..].iter().all(|byte| *byte == 0));
}

#[test]
fn growth_keeps_contents_and_adds_zeroes() {
    both(|mut memory| {
        memory.data_mut()[65535] = 7;
        assert_eq!(memory.grow(2), Ok(1));
        assert_eq!(memory.len(), 3 * 65536);
        assert_eq!(memory.data()[65535], 7);
        assert!(memory.data()[65536..].iter().all(|b| *b == 0));
    });
}

#[test]
fn growth_stops_at_the_maximum_and_changes_nothing() {
    both(|mut memory| {
        assert_eq!(memory.grow(4), Err(GrowError::Maximum));
        assert_eq!(memory.grow(u64::MAX), Err(GrowError::Maximum));
        assert_eq!(memory.pages(), 1);
        assert_eq!(memory.grow(3), Ok(1));
        assert_eq!(memory.grow(0), Ok(4));
    });
}

#[test]
fn a_checked_memory_that_grows_page_by_page_moves_seldom() {
    const PAGES: u64 = if cfg!(miri) { 32 } else { 4096 };
    let mut memory = Memory::new(MemoryType::new(1, None), MemoryStrategy::Checked).unwrap();
    let room = |memory: &Memory| match &memory.storage {
        Storage::Checked(pages) => pages.len,
        _ => panic!("it is checked"),
    };
    let mut rooms = vec![room(&memory)];
    for page in 0..PAGES {
        let start = page as usize * MemoryType::PAGE;
        assert_eq!((memory.len(), memory.data()[start]), (start + MemoryType::PAGE, 0));
        memory.data_mut()[start..start + 8].copy_from_slice(&(page + 1).to_le_bytes());
        assert_eq!(memory.grow(1), Ok(page + 1));
        rooms.push(room(&memory));
    }
    for (page, bytes) in (1..=PAGES).zip(memory.data().chunks(MemoryType::PAGE)) {
        assert_eq!(bytes[..8], page.to_le_bytes());
    }
    rooms.dedup();
    // One more than the logarithm to the base 3/2, and two for the first pages, of which a half is rounded.
    assert!(rooms.len() <= 24, "{rooms:?}");
    assert!(rooms.is_sorted() && rooms.last() < Some(&(memory.len() * 2)), "{rooms:?}");
}

#[test]
fn a_checked_memory_has_no_room_beyond_its_maximum() {
    let mut memory = Memory::new(MemoryType::new(8, Some(9)), MemoryStrategy::Checked).unwrap();
    for _ in 0..2 {
        let Storage::Checked(pages) = &memory.storage else { panic!("it is checked") };
        assert_eq!(pages.len, memory.len());
        let _ = memory.grow(1);
    }
    assert_eq!(memory.pages(), 9);
}

#[test]
#[cfg_attr(miri, ignore = "maps memory")]
fn guarded_memories_grow_in_place() {
    let mut memory = Memory::new(MemoryType::new(1, None), MemoryStrategy::Guarded).unwrap();
    let base = memory.data().as_ptr();
    memory.grow(1000).unwrap();
    assert!(memory.is_guarded());
    assert_eq!(memory.data().as_ptr(), base);
}

#[test]
#[cfg_attr(miri, ignore = "maps memory")]
fn writes_to_a_mapped_image_stay_private() {
    let image = ImageFile::new(&[5; 65536]).unwrap();
    for strategy in [MemoryStrategy::Guarded, MemoryStrategy::Checked] {
        let ty = MemoryType::new(2, None);
        let mut first = Memory::new(ty, strategy).unwrap();
        first.load_image(65536, &image).unwrap();
        first.data_mut()[65536] = 9;
        let mut second = Memory::new(ty, strategy).unwrap();
        second.load_image(65536, &image).unwrap();
        assert_eq!((second.data()[0], second.data()[65536], second.data()[131071]), (0, 5, 5));
    }
}
