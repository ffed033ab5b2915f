//! Heaps of random objects, compared with a model of them, and the sizes that heaps come to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::shape::ARRAY_LENGTH;
use super::*;
use crate::types::object::ObjectLayout;
use crate::types::{
    ArrayType, CompositeType, FieldType, Mutability, StorageType, StructType, TypeId, ValType,
};

/// Arrays of bytes.
const BYTES: Kind = Kind::of_type(TypeId(0));
/// Structs of two references with a number between them.
const PAIR: Kind = Kind::of_type(TypeId(1));
/// Arrays of references.
const LIST: Kind = Kind::of_type(TypeId(2));

/// The types above, in this order.
fn types() -> Arc<TypeRegistry> {
    let types = TypeRegistry::default();
    let field = |element| FieldType::new(Mutability::Var, element);
    let (reference, number) = (StorageType::Val(ValType::EXTERNREF), StorageType::Val(ValType::I32));
    for ty in [
        CompositeType::Array(ArrayType { element: field(StorageType::I8) }),
        CompositeType::Struct(StructType::new([reference, number, reference].map(field))),
        CompositeType::Array(ArrayType { element: field(reference) }),
    ] {
        types.intern_object(ty);
    }
    Arc::new(types)
}

/// A heap with roots of its own.
struct World {
    heap: Heap,
    words: GcWords,
    roots: Vec<u32>,
    limit: usize,
}

impl World {
    fn new(stress: bool, most: usize) -> World {
        World::with_pages(stress, most, region::page::size())
    }

    fn with_pages(stress: bool, most: usize, page: usize) -> World {
        World::with_collector(Collector::Generational, stress, most, page)
    }

    fn with_collector(collector: Collector, stress: bool, most: usize, page: usize) -> World {
        let mut words = GcWords::NONE;
        let heap = Heap::with_addresses(&mut words, collector, stress, &types(), most, page).unwrap();
        World { heap, words, roots: Vec::new(), limit: usize::MAX }
    }

    /// Makes an object and a root of it.
    fn make(&mut self, kind: Kind, elements: u32) -> Result<u32, Pending> {
        let World { heap, words, roots, limit } = self;
        // SAFETY: the heap keeps the types.
        let (bytes, is_array) = match unsafe { heap.layouts.of(kind) } {
            ObjectLayout::Struct(layout) => (layout.bytes as usize, false),
            ObjectLayout::Array(layout) => (layout.bytes(elements), true),
        };
        let mut trace = |tracer: &mut Tracer<'_>| {
            // SAFETY: the roots lead to objects.
            roots.iter_mut().for_each(|root| unsafe { tracer.visit(root) });
        };
        // SAFETY: these are all roots.
        let made =
            unsafe { heap.allocate(words, kind, bytes, &mut trace, &mut |_, wanted| Ok(wanted <= *limit)) }?;
        if is_array {
            self.set(made, ARRAY_LENGTH as u32, elements);
        }
        self.roots.push(made);
        Ok(made)
    }

    fn make_extern(&mut self, value: HostValue) -> Result<u32, Pending> {
        let World { heap, words, roots, limit } = self;
        let mut trace = |tracer: &mut Tracer<'_>| {
            // SAFETY: the roots lead to objects.
            roots.iter_mut().for_each(|root| unsafe { tracer.visit(root) });
        };
        // SAFETY: these are all roots.
        let made =
            unsafe { heap.allocate_extern(words, value, &mut trace, &mut |_, wanted| Ok(wanted <= *limit)) }?;
        self.roots.push(made);
        Ok(made)
    }

    fn collect(&mut self) {
        let World { heap, words, roots, .. } = self;
        // SAFETY: these are all roots.
        unsafe {
            heap.collect(words, &mut |tracer| roots.iter_mut().for_each(|root| tracer.visit(root)));
        }
    }

    fn collect_young(&mut self) {
        let World { heap, words, roots, .. } = self;
        // SAFETY: these are all roots.
        unsafe {
            heap.collect_young(words, &mut |tracer| roots.iter_mut().for_each(|root| tracer.visit(root)));
        }
    }

    fn get(&self, object: u32, offset: u32) -> u32 {
        // SAFETY: the offset is in the object.
        unsafe { self.heap.at((object + offset) as usize).read() }
    }

    fn set(&mut self, object: u32, offset: u32, word: u32) {
        // SAFETY: the offset is in the object.
        unsafe { self.heap.at((object + offset) as usize).write(word) };
    }

    /// Stores a reference, or a number in place of one, as code does.
    fn link(&mut self, object: u32, offset: u32, word: u32) {
        self.set(object, offset, word);
        // SAFETY: the offset is in the object.
        unsafe { cards::mark_card(self.words.base, (object + offset) as usize) };
    }

    fn used(&self) -> usize {
        self.heap.used(&self.words)
    }

    fn stats(&self) -> GcStats {
        self.heap.stats(&self.words)
    }
}

/// What a test does to a heap.
#[derive(Clone, Debug)]
enum Step {
    Pair(u32),
    List(u32),
    Bytes(u32),
    Extern,
    /// Lets a reference of one root lead to another.
    Link(usize, usize, usize),
    /// The same, to a number.
    Number(usize, usize, u32),
    Drop(usize),
    CollectYoung,
    /// Makes what a reference of a root leads to a root.
    Follow(usize, usize),
    Collect,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = 0..1000_usize;
    let step = prop_oneof![
        4 => any::<u32>().prop_map(Step::Pair),
        2 => (0..20_u32).prop_map(Step::List),
        1 => (0..12_000_u32).prop_map(Step::List),
        1 => (0..90_000_u32).prop_map(Step::Bytes),
        2 => Just(Step::Extern),
        8 => (at.clone(), at.clone(), at.clone()).prop_map(|(a, b, c)| Step::Link(a, b, c)),
        1 => (at.clone(), at.clone(), any::<u32>()).prop_map(|(a, b, c)| Step::Number(a, b, c)),
        4 => at.clone().prop_map(Step::Drop),
        2 => (at.clone(), at).prop_map(|(a, b)| Step::Follow(a, b)),
        1 => Just(Step::Collect),
        4 => Just(Step::CollectYoung),
    ];
    proptest::collection::vec(step, 0..120)
}

/// An object of the model.
#[derive(Debug)]
struct Object {
    kind: Kind,
    number: u32,
    len: u32,
    references: Vec<Word>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    Null,
    Number(u32),
    Object(usize),
}

/// Offsets of the references of an object.
fn offset(kind: Kind, index: usize) -> u32 {
    if kind == PAIR { [8, 16][index] } else { 12 + 4 * index as u32 }
}

/// Compares everything that can be reached.
fn compare(world: &World, model: &[Object], roots: &[usize]) -> Result<(), TestCaseError> {
    let mut seen = vec![None; model.len()];
    let mut queue: Vec<(u32, usize)> = world.roots.iter().copied().zip(roots.iter().copied()).collect();
    while let Some((reference, id)) = queue.pop() {
        if let Some(other) = seen[id].replace(reference) {
            prop_assert_eq!(other, reference, "one object is one object");
            continue;
        }
        let object = &model[id];
        prop_assert_eq!(reference % 8, 0);
        prop_assert_eq!(world.get(reference, 0), object.kind.0);
        prop_assert_eq!(world.get(reference, 4), 0);
        match object.kind {
            PAIR => prop_assert_eq!(world.get(reference, 12), object.number),
            Kind::EXTERN => {
                // SAFETY: the reference leads to an object.
                let value = unsafe { world.heap.host_value(reference) }.unwrap();
                prop_assert_eq!(&value.downcast_ref::<Counted>().unwrap().0, &object.number);
            }
            _ => prop_assert_eq!(world.get(reference, ARRAY_LENGTH as u32), object.len),
        }
        for (index, word) in object.references.iter().enumerate() {
            let found = world.get(reference, offset(object.kind, index));
            match word {
                Word::Null => prop_assert_eq!(found, 0),
                Word::Number(number) => prop_assert_eq!(found, *number),
                Word::Object(id) => queue.push((found, *id)),
            }
        }
    }
    // No two objects are in one place.
    let mut places: Vec<u32> = seen.into_iter().flatten().collect();
    let count = places.len();
    places.sort_unstable();
    places.dedup();
    prop_assert_eq!(places.len(), count);
    Ok(())
}

/// A value of the host that is counted while it is there.
struct Counted(u32, Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

fn run(stress: bool, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::new(stress, 64 << 20);
    let (mut model, mut roots): (Vec<Object>, Vec<usize>) = (Vec::new(), Vec::new());
    let values = Arc::new(AtomicUsize::new(0));
    for step in steps {
        let make = |model: &mut Vec<Object>, roots: &mut Vec<usize>, kind, number, len, references| {
            roots.push(model.len());
            model.push(Object { kind, number, len, references: vec![Word::Null; references] });
        };
        let count = roots.len();
        let pick = |at: usize| (count > 0).then(|| at % count.max(1));
        let reference = |model: &[Object], at: usize, index: usize| {
            let root = pick(at)?;
            let len = model[roots[root]].references.len();
            (len > 0).then(|| (root, index % len.max(1)))
        };
        match step {
            Step::Pair(number) => {
                let made = world.make(PAIR, 0).unwrap();
                world.set(made, 12, number);
                make(&mut model, &mut roots, PAIR, number, 0, 2);
            }
            Step::List(len) => {
                world.make(LIST, len).unwrap();
                make(&mut model, &mut roots, LIST, 0, len, len as usize);
            }
            Step::Bytes(len) => {
                world.make(BYTES, len).unwrap();
                make(&mut model, &mut roots, BYTES, 0, len, 0);
            }
            Step::Extern => {
                values.fetch_add(1, Ordering::Relaxed);
                let number = model.len() as u32;
                world.make_extern(Box::new(Counted(number, values.clone()))).unwrap();
                make(&mut model, &mut roots, Kind::EXTERN, number, 0, 0);
            }
            Step::Link(from, index, to) => {
                if let (Some((root, index)), Some(to)) = (reference(&model, from, index), pick(to)) {
                    let object = world.roots[root];
                    let kind = model[roots[root]].kind;
                    world.link(object, offset(kind, index), world.roots[to]);
                    model[roots[root]].references[index] = Word::Object(roots[to]);
                }
            }
            Step::Number(from, index, number) => {
                if let Some((root, index)) = reference(&model, from, index) {
                    let kind = model[roots[root]].kind;
                    world.link(world.roots[root], offset(kind, index), number | 1);
                    model[roots[root]].references[index] = Word::Number(number | 1);
                }
            }
            Step::Drop(at) => {
                if let Some(root) = pick(at) {
                    world.roots.swap_remove(root);
                    roots.swap_remove(root);
                }
            }
            Step::Follow(at, index) => {
                if let Some((root, index)) = reference(&model, at, index)
                    && let Word::Object(id) = model[roots[root]].references[index]
                {
                    let found = world.get(world.roots[root], offset(model[roots[root]].kind, index));
                    world.roots.push(found);
                    roots.push(id);
                }
            }
            Step::Collect => world.collect(),
            Step::CollectYoung => world.collect_young(),
        }
        world.heap.take_dead();
        compare(&world, &model, &roots)?;
    }
    world.roots.clear();
    world.collect();
    prop_assert_eq!(world.used(), 0);
    drop(world.heap.take_dead());
    prop_assert_eq!(values.load(Ordering::Relaxed), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn objects_are_what_they_were_when_every_allocation_collects(steps in steps()) {
        run(true, steps)?;
    }

    #[test]
    fn objects_are_what_they_were_when_collections_are_few(steps in steps()) {
        run(false, steps)?;
    }
}

#[test]
fn pages_of_the_system_may_be_larger_than_the_smallest() {
    for stress in [true, false] {
        let mut world = World::with_pages(stress, 64 << 20, 64 << 10);
        let list = world.make(LIST, 20_000).unwrap();
        assert_eq!(list % (64 << 10), 0);
        for at in 0..1000 {
            let pair = world.make(PAIR, 0).unwrap();
            world.set(pair, 12, at);
            world.link(list, 12 + 4 * at, pair);
            world.roots.truncate(1);
        }
        world.make(BYTES, 1 << 20).unwrap();
        world.collect();
        assert!((0..1000).all(|at| world.get(world.get(list, 12 + 4 * at), 12) == at));
        world.roots.clear();
        world.collect();
        assert_eq!(world.used(), 0);
    }
}

#[test]
fn a_heap_that_is_nearly_full_and_may_not_grow_collects_seldom_or_traps() {
    const LIMIT: usize = 8 << 20;
    for live in (0..=16).map(|part| LIMIT / 16 * part) {
        let mut world = World::new(false, MOST);
        world.limit = LIMIT;
        let mut filled = true;
        while filled && world.used() + 24 < live {
            filled = world.make(PAIR, 0).is_ok();
        }
        let (kept, before) = (world.roots.len(), world.heap.stats(&world.words));
        let mut made = 0;
        while made < 1_000_000 && world.make(PAIR, 0).is_ok() {
            world.roots.truncate(kept);
            made += 1;
        }
        let stats = world.heap.stats(&world.words);
        let (collections, allocated) =
            (stats.full.count - before.full.count, stats.allocated - before.allocated);
        assert!(collections <= 40 * allocated / LIMIT as u64 + 2, "{live}: {collections} for {allocated}");
        // It goes on as long as that much is free, and else not for long.
        let part = 16 * live / LIMIT;
        assert!(part == 15 || (made == 1_000_000) == (part < 15), "{live}: {made}");
    }
}

#[test]
fn a_sweep_after_a_peak_looks_at_what_lives() {
    let mut world = World::new(false, MOST);
    let counter = Arc::new(AtomicUsize::new(0));
    for number in 0..100_000 {
        counter.fetch_add(1, Ordering::Relaxed);
        world.make_extern(Box::new(Counted(number, counter.clone()))).unwrap();
    }
    let kept = [3, 50_000, 99_999].map(|at| world.roots[at]);
    let peak = world.heap.values.capacity();
    world.roots = kept.to_vec();
    world.collect();
    drop(world.heap.take_dead());
    assert_eq!(counter.load(Ordering::Relaxed), 3);
    let left = world.heap.values.capacity();
    assert!(peak >= 200_000 && left < 5000, "{peak}, {left}");
    for (root, number) in world.roots.iter().zip([3, 50_000, 99_999]) {
        // SAFETY: the roots lead to objects.
        let value = unsafe { world.heap.host_value(*root) }.unwrap();
        assert_eq!(value.downcast_ref::<Counted>().unwrap().0, number);
    }
}

#[test]
fn a_large_object_that_fits_no_gap_is_made_when_garbage_has_gone() {
    let mut world = World::new(false, 64 << 20);
    // The area of large objects has 24 MiB.
    let large = (10 << 20) - 64;
    world.make(BYTES, large).unwrap();
    world.make(BYTES, large).unwrap();
    world.collect_young();
    world.roots.clear();
    // The heap may hold more; only the place for it is taken.
    world.heap.granted = 64 << 20;
    world.heap.threshold = 64 << 20;
    let collections = world.stats().full.count;
    world.make(BYTES, large).unwrap();
    assert_eq!(world.stats().full.count, collections + 1);
    assert_eq!(world.used(), (large as usize).next_multiple_of(4096));
}

#[test]
fn garbage_of_any_amount_takes_no_more_than_a_few_times_what_lives() {
    const LIVE: usize = 8 << 20;
    let mut world = World::new(false, MOST);
    while world.used() < LIVE {
        world.make(PAIR, 0).unwrap();
    }
    let kept = world.roots.len();
    let mut made = 0;
    while made < 40 * LIVE {
        for (kind, bytes) in [(PAIR, 24), (LIST, 32)] {
            world.make(kind, 5).unwrap();
            made += bytes;
        }
        world.roots.truncate(kept);
    }
    let stats = world.heap.stats(&world.words);
    assert!(stats.allocated >= 40 * LIVE as u64 && stats.collections() > 20, "{stats:?}");
    // And as much as lives while a collection copies it.
    assert!(stats.peak < LIVE * 26 / 10, "{stats:?}");
    world.roots.clear();
    world.collect();
    assert_eq!(world.used(), 0);
}

#[test]
fn large_objects_are_not_moved_and_their_pages_are_zeroes_again() {
    let mut world = World::new(false, MOST);
    let list = world.make(LIST, 20_000).unwrap();
    let pair = world.make(PAIR, 0).unwrap();
    world.set(list, 12 + 4 * 19_999, pair);
    world.set(pair, 8, list);
    world.roots.truncate(1);
    world.collect();
    assert_eq!(world.roots, [list]);
    let moved = world.get(list, 12 + 4 * 19_999);
    assert_ne!(moved, pair);
    assert_eq!(world.get(moved, 8), list);
    world.roots.clear();
    world.collect();
    assert_eq!(world.used(), 0);
    for _ in 0..1000 {
        let bytes = world.make(BYTES, 1 << 20).unwrap();
        assert!((0..1 << 20).step_by(4096).all(|at| world.get(bytes, 12 + at) == 0));
        world.set(bytes, 12, 7);
        world.roots.clear();
    }
    assert!(world.heap.stats(&world.words).peak < 8 << 20);
}

#[test]
fn what_a_heap_may_hold_is_asked_for_and_a_refusal_is_a_trap_when_all_of_it_lives() {
    let mut world = World::new(false, MOST);
    world.limit = 3 << 20;
    let error = loop {
        match world.make(PAIR, 0) {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Pending::Trap(Trap::GcHeapOutOfMemory)));
    let most = 3 << 20;
    assert!((most / 16 * 15 - 64..=most).contains(&world.used()), "{}", world.used());
    world.roots.truncate(1000);
    for _ in 0..1_000_000 {
        world.make(PAIR, 0).unwrap();
        world.roots.pop();
    }
    assert!(matches!(world.make(BYTES, 4 << 20), Err(Pending::Trap(Trap::GcHeapOutOfMemory))));
    assert!(world.make(BYTES, 2 << 20).is_ok());
    // Beyond everything.
    world.limit = usize::MAX;
    assert!(matches!(world.make(BYTES, u32::MAX), Err(Pending::Trap(Trap::GcHeapOutOfMemory))));
}

#[test]
fn nobody_is_asked_for_more_than_there_are_addresses_and_how_far_a_heap_may_grow_is_found_out() {
    for limit in [1000, 100 << 10, usize::MAX] {
        let mut world = World::new(false, 4 << 20);
        let World { heap, words, .. } = &mut world;
        let mut asked = Vec::new();
        let mut most = 0;
        loop {
            // SAFETY: there are no roots.
            let made = unsafe {
                heap.allocate(words, PAIR, 24, &mut |_| {}, &mut |_, wanted| {
                    asked.push(wanted);
                    Ok(wanted <= limit)
                })
            };
            assert!(made.is_ok(), "all is garbage");
            let before = most;
            most = most.max(heap.used(words));
            if heap.used(words) < before {
                break;
            }
        }
        assert!(asked.iter().all(|wanted| *wanted <= 4 << 20), "{asked:?}");
        assert!(asked.len() < 64 && most > limit.min(200 << 10) - 100, "{limit}: {most}, {asked:?}");
    }
}

#[test]
fn an_error_of_who_is_asked_is_the_answer() {
    let mut world = World::new(false, MOST);
    let World { heap, words, .. } = &mut world;
    // SAFETY: there are no roots.
    let made = unsafe { heap.allocate(words, PAIR, 24, &mut |_| {}, &mut |_, _| Err("no".into())) };
    assert!(matches!(made, Err(Pending::Host(error)) if error.to_string() == "no"));
}

#[test]
fn values_of_the_host_count_as_far_as_they_can_be_seen() {
    let mut world = World::new(false, MOST);
    world.limit = 4 << 20;
    let mut made = 0;
    let error = loop {
        match world.make_extern(Box::new([0_u8; 1000])) {
            Ok(_) => made += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Pending::Trap(Trap::GcHeapOutOfMemory)));
    assert!((3500..4200).contains(&made), "{made}");
}

/// So many pairs that are kept.
fn keep(world: &mut World, pairs: usize) {
    (0..pairs).for_each(|_| {
        world.make(PAIR, 0).unwrap();
    });
}

#[test]
fn a_minor_collection_finds_what_was_stored_into_old_objects_of_any_size() {
    let mut world = World::new(false, 64 << 20);
    // A small array over many cards, one over more than a page of them, and one between other objects.
    let lists = [2_000, 100_000, 40];
    for len in lists {
        world.make(LIST, len).unwrap();
        keep(&mut world, 3);
    }
    world.collect();
    for round in 0..40 {
        let places = lists.map(|len| round * 977 % len);
        for (list, place) in [0, 4, 8].into_iter().zip(places) {
            let pair = world.make(PAIR, 0).unwrap();
            world.set(pair, 12, round);
            world.roots.pop();
            world.link(world.roots[list], 12 + 4 * place, pair);
        }
        world.collect_young();
        for (list, place) in [0, 4, 8].into_iter().zip(places) {
            let pair = world.get(world.roots[list], 12 + 4 * place);
            assert_eq!(world.get(pair, 12), round);
        }
    }
    let stats = world.stats();
    assert_eq!((stats.minor.count, stats.full.count), (40, 1));
    // What old objects do not lead to any more goes with the next full one.
    world.roots.clear();
    world.collect();
    assert_eq!(world.used(), 0);
}

#[test]
#[should_panic = "no card was marked"]
fn a_store_that_no_collector_heard_of_is_found_before_it_does_harm() {
    let mut world = World::new(true, 64 << 20);
    world.make(LIST, 200).unwrap();
    world.collect();
    let pair = world.make(PAIR, 0).unwrap();
    // Neither a root nor marked.
    world.set(world.roots[0], 12 + 4 * 150, pair);
    world.collect_young();
}

#[test]
fn roots_are_looked_at_in_proportion_to_what_is_allocated_however_many_there_are() {
    for count in [0, 1_000, 400_000, 2_000_000] {
        let mut world = World::new(false, MOST);
        let pair = world.make(PAIR, 0).unwrap();
        world.roots.resize(count, pair);
        let kept = world.roots.len();
        for _ in 0..40 << 20 >> 4 {
            world.make(LIST, 16).unwrap();
            world.roots.truncate(kept);
        }
        let stats = world.stats();
        // The first one could not know.
        assert!(stats.roots <= stats.allocated / 8 + 2 * count as u64, "{count}: {stats:?}");
        assert!(stats.collections() > 2 && stats.full.count < 3, "{count}: {stats:?}");
    }
}

#[test]
fn without_a_collector_objects_stay_where_they_are_until_there_is_no_room() {
    let mut world = World::with_collector(Collector::Null, true, 8 << 20, region::page::size());
    let first = world.make(PAIR, 0).unwrap();
    world.set(first, 12, 7);
    let mut asked = 0;
    let error = loop {
        let World { heap, words, .. } = &mut world;
        // SAFETY: nothing is collected.
        let made = unsafe {
            heap.allocate(words, PAIR, 24, &mut |_| {}, &mut |_, _| {
                asked += 1;
                Ok(true)
            })
        };
        if let Err(error) = made {
            break error;
        }
    };
    world.collect();
    assert!(asked < 20, "{asked}");
    assert!(matches!(error, Pending::Trap(Trap::GcHeapOutOfMemory)));
    assert_eq!((world.get(first, 12), world.stats().collections()), (7, 0));
    // All but the large objects' part.
    assert!(world.used() > 4 << 20, "{}", world.used());
}

#[test]
fn large_objects_that_were_old_are_freed_before_the_heap_grows() {
    let mut world = World::new(false, MOST);
    for _ in 0..100 {
        world.make(BYTES, 20 << 20).unwrap();
        if world.roots.len() > 3 {
            world.roots.remove(0);
        }
    }
    let stats = world.stats();
    assert!(stats.peak < 220 << 20 && stats.full.count < 60, "{stats:?}");
}

#[test]
fn young_objects_that_live_for_long_are_not_copied_again_and_again() {
    // Each object lives until a million others have been made: longer than any nursery.
    let mut world = World::new(false, MOST);
    for at in 0..6_000_000 {
        let pair = world.make(PAIR, 0).unwrap();
        if world.roots.len() > 1_000_000 {
            world.roots.pop();
            world.roots[at % 1_000_000] = pair;
        }
    }
    let stats = world.stats();
    // Once for each minor collection, and 24 MB for a full one.
    let copied = stats.promoted + stats.full.count * 24_000_000;
    assert!(copied < 2 * stats.allocated, "{stats:?}");
}
