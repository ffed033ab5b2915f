//! What ends waits and long work, and what is taken up again after that.

use super::*;
use std::ops::Range;

#[test]
fn cancelling_ends_a_wait_that_would_last_for_ever_and_every_later_one() {
    let mut waiter = Waiter::default();
    let canceller = waiter.canceller();
    let other = canceller.clone();
    let thread = std::thread::spawn(move || other.cancel());
    assert_eq!(waiter.wait(&[], None), Err(Fault::Interrupted));
    thread.join().unwrap();
    assert_eq!(waiter.wait(&[], Some(Duration::ZERO)), Err(Fault::Interrupted));
    assert_eq!(waiter.check(), Err(Fault::Interrupted));
    canceller.reset();
    assert_eq!(waiter.wait(&[], Some(Duration::ZERO)), Ok(vec![]));
    // What is left of a signal that was taken back makes no wait shorter.
    canceller.cancel();
    canceller.reset();
    let before = Instant::now();
    assert_eq!(waiter.wait(&[], Some(Duration::from_millis(2))), Ok(vec![]));
    assert!(before.elapsed() >= Duration::from_millis(2));
}

#[test]
fn a_ready_descriptor_ends_a_wait_and_an_idle_one_does_not() {
    let waiter = Waiter::default();
    let (mut a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    assert_eq!(waiter.require_ready(b.as_fd(), PollFlags::IN), Err(Errno::Again.into()));
    io::Write::write_all(&mut a, b"x").unwrap();
    assert_eq!(waiter.require_ready(b.as_fd(), PollFlags::IN), Ok(()));
    assert_eq!(waiter.wait_for(b.as_fd(), PollFlags::IN), Ok(()));
}

#[test]
fn an_engine_is_told_before_a_wait_and_its_poke_ends_one_wait() {
    let mut waiter = Waiter::default();
    waiter.attach(Attached::Wanted);
    assert_eq!(waiter.wait(&[], None), Err(Fault::Interrupted));
    assert_eq!(waiter.wait(&[], Some(Duration::ZERO)), Ok(vec![]), "looking is no wait");
    let waker = waiter.waker();
    waiter.attach(Attached::Yes);
    let thread = std::thread::spawn(move || waker());
    assert_eq!(waiter.wait(&[], None), Err(Fault::Interrupted));
    thread.join().unwrap();
    assert_eq!(waiter.check(), Ok(()), "a poke counts once");
    assert_eq!(waiter.wait(&[], Some(Duration::from_nanos(1))), Ok(vec![]));
}

/// Work on three pieces and a bit, which pokes in the second.
fn work(waiter: &Waiter, poke: &dyn Fn(), ranges: &mut Vec<Range<u64>>) -> Outcome<u64> {
    waiter.in_pieces(3 * PIECE + 5, |range| {
        if range.start == PIECE {
            poke();
        }
        ranges.push(range.clone());
        Ok(range.end - range.start)
    })
}

#[test]
fn long_work_ends_after_the_piece_in_which_it_is_poked_and_goes_on_behind_it() {
    let mut waiter = Waiter::default();
    waiter.attach(Attached::Wanted);
    let mut ranges = Vec::new();
    assert_eq!(work(&waiter, &|| {}, &mut ranges), Err(Fault::Interrupted));
    assert_eq!(ranges, [], "the engine is told before anything is done");
    let waker = waiter.waker();
    waiter.attach(Attached::Yes);
    assert_eq!(work(&waiter, &*waker, &mut ranges), Err(Fault::Interrupted));
    assert_eq!(ranges, [0..PIECE, PIECE..2 * PIECE]);
    assert_eq!(work(&waiter, &*waker, &mut ranges), Ok(3 * PIECE + 5));
    assert_eq!(ranges[2..], [2 * PIECE..3 * PIECE, 3 * PIECE..3 * PIECE + 5]);
    ranges.clear();
    assert_eq!(work(&waiter, &|| {}, &mut ranges), Ok(3 * PIECE + 5));
    assert_eq!(ranges.len(), 4, "the next call begins at the beginning");
}

#[test]
fn long_work_ends_when_it_is_cancelled_and_with_what_is_short() {
    let mut waiter = Waiter::default();
    let canceller = waiter.canceller();
    assert_eq!(work(&waiter, &|| canceller.cancel(), &mut Vec::new()), Err(Fault::Interrupted));
    canceller.reset();
    assert_eq!(work(&waiter, &|| {}, &mut Vec::new()), Ok(3 * PIECE + 5));
    let mut left = [Ok(PIECE), Ok(7)].into_iter();
    assert_eq!(waiter.in_pieces(u64::MAX, |_| left.next().unwrap()), Ok(PIECE + 7));
    let mut left = [Ok(PIECE), Err(Errno::Nospc.into())].into_iter();
    assert_eq!(waiter.in_pieces(u64::MAX, |_| left.next().unwrap()), Ok(PIECE));
    assert_eq!(waiter.in_pieces(u64::MAX, |_| Err(Errno::Nospc.into())), Err(Errno::Nospc.into()));
}

#[test]
fn steps_end_after_the_one_in_which_they_are_poked_or_cancelled_and_go_on_behind_it() {
    let mut waiter = Waiter::default();
    let mut steps = Vec::new();
    let mut run = |waiter: &Waiter, poke: &dyn Fn()| {
        waiter.in_steps(30, |done| {
            if done == 10 {
                poke();
            }
            steps.push(done);
            Ok(done + 10)
        })
    };
    waiter.attach(Attached::Wanted);
    assert_eq!(run(&waiter, &|| {}), Err(Fault::Interrupted), "the engine is told after one step");
    let waker = waiter.waker();
    waiter.attach(Attached::Yes);
    assert_eq!(run(&waiter, &*waker), Err(Fault::Interrupted));
    assert_eq!(run(&waiter, &*waker), Ok(()));
    waiter.attach(Attached::No);
    let canceller = waiter.canceller();
    assert_eq!(run(&waiter, &|| canceller.cancel()), Err(Fault::Interrupted));
    canceller.reset();
    assert_eq!(run(&waiter, &|| {}), Ok(()), "the next call begins at the beginning");
    assert_eq!(steps, [0, 10, 20, 0, 10, 0, 10, 20]);
    waiter.attach(Attached::Wanted);
    assert_eq!(waiter.in_steps(3, |_| Ok(3)), Ok(()));
    assert_eq!(waiter.in_steps(0, |_| Err(Errno::Inval.into())), Err(Errno::Inval.into()));
}

#[test]
fn what_a_call_wanted_to_wait_for_that_was_given_up_is_not_waited_for_by_the_next_one() {
    let mut waiter = Waiter::of_thread(&Waiter::default().canceller());
    waiter.attach(Attached::Wanted);
    assert_eq!(waiter.wait(&[], Some(Duration::from_secs(1 << 30))), Err(Fault::Interrupted));
    waiter.forget();
    waiter.attach(Attached::Wanted);
    assert_eq!(waiter.prepare(), Err(Fault::Interrupted));
    assert!(!waiter.wait_elsewhere());
}

#[test]
fn a_wait_that_is_taken_up_again_keeps_its_deadline() {
    let mut waiter = Waiter::default();
    waiter.attach(Attached::Wanted);
    assert_eq!(waiter.wait(&[], Some(Duration::from_nanos(1))), Err(Fault::Interrupted));
    waiter.attach(Attached::Yes);
    // Would last for as long as the test may, were it not the old deadline that counts.
    assert_eq!(waiter.wait(&[], Some(Duration::from_secs(1 << 30))), Ok(vec![]));
    assert_eq!(waiter.wait(&[], Some(Duration::from_nanos(1))), Ok(vec![]));
}

#[test]
fn a_poke_during_the_look_before_a_wait_leaves_the_deadline_that_it_has() {
    const HOUR: Duration = Duration::from_secs(3600);
    let (_theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
    let fds = [(ours.as_fd(), PollFlags::IN)];
    let mut waiter = Waiter::of_thread(&Waiter::default().canceller());
    waiter.attach(Attached::Wanted);
    assert_eq!(waiter.wait(&fds, Some(HOUR)), Err(Fault::Interrupted));
    let deadline = waiter.resume.get();
    assert!(deadline.is_some());
    let poke = waiter.waker();
    waiter.attach(Attached::Yes);
    let mut waits = 0;
    hook::set(move |_| {
        waits += 1;
        if waits == 2 {
            poke();
        }
    });
    assert_eq!(waiter.wait(&fds, Some(2 * HOUR)), Err(Fault::Interrupted));
    assert_eq!(hook::take_count(), 2, "the look was interrupted");
    assert_eq!(waiter.resume.get(), deadline);
}

#[test]
fn a_descriptor_that_is_waited_for_often_is_duplicated_once() {
    let (mut theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
    let (_idle, other) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut fds = vec![(ours.as_fd(), PollFlags::IN); 4096];
    fds.extend([(other.as_fd(), PollFlags::IN), (ours.as_fd(), PollFlags::PRI)]);
    let mut waiter = Waiter::of_thread(&Waiter::default().canceller());
    waiter.attach(Attached::Wanted);
    assert_eq!(waiter.wait(&fds, None), Err(Fault::Interrupted));
    let mut flags: Vec<_> = waiter.wish.borrow().iter().flat_map(|wish| &wish.fds).map(|fd| fd.1).collect();
    flags.sort_by_key(PollFlags::bits);
    assert_eq!(flags, [PollFlags::IN, PollFlags::IN | PollFlags::PRI]);
    io::Write::write_all(&mut theirs, b"x").unwrap();
    assert!(waiter.wait_elsewhere());
    waiter.attach(Attached::Yes);
    let ready = waiter.wait(&fds, None).unwrap();
    assert_eq!(ready.iter().filter(|flags| !flags.is_empty()).count(), 4096);
}
