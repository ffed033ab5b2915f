;; Threads that share a memory: `wasmrun run -S threads threads.wat`. Eight of them add up an array, count under a lock and then hand a
;; token round; one makes the memory larger. The first thread checks all of that when they have ended and prints it.
(module
  (import "env" "memory" (memory 17 18 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (export "memory" (memory 0))

  ;; Bytes 0 to 127 are for printing. What threads share has 64 bytes each: a line of the cache.
  (global $lock i32 (i32.const 128))
  (global $next_chunk i32 (i32.const 192))
  (global $sum i32 (i32.const 256))
  (global $chunks i32 (i32.const 320))
  (global $count i32 (i32.const 384))
  (global $trace i32 (i32.const 448))
  (global $ended i32 (i32.const 512))
  (global $here i32 (i32.const 576))
  (global $never i32 (i32.const 640))
  (global $turns i32 (i32.const 1024))
  (global $numbers i32 (i32.const 65536))

  ;; Prints a number on a line of its own.
  (func $print (param $number i64)
    (local $at i32)
    (local.set $at (i32.const 63))
    (i32.store8 (local.get $at) (i32.const 10))
    (loop $digit
      (local.set $at (i32.sub (local.get $at) (i32.const 1)))
      (i32.store8 (local.get $at)
        (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
      (br_if $digit (i32.eqz (i64.eqz (local.tee $number (i64.div_u (local.get $number) (i64.const 10)))))))
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (i32.sub (i32.const 64) (local.get $at)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))

  ;; The second mutex of Drepper, "Futexes Are Tricky": 0 is free, 1 is held, 2 is held and perhaps waited for.
  (func $acquire
    (local $was i32)
    (if (i32.eqz (local.tee $was (i32.atomic.rmw.cmpxchg (global.get $lock) (i32.const 0) (i32.const 1))))
      (then (return)))
    (loop $again
      (block $try
        (if (i32.ne (local.get $was) (i32.const 2))
          (then (br_if $try (i32.eqz (i32.atomic.rmw.cmpxchg (global.get $lock) (i32.const 1) (i32.const 2))))))
        (drop (memory.atomic.wait32 (global.get $lock) (i32.const 2) (i64.const -1))))
      (br_if $again (local.tee $was (i32.atomic.rmw.cmpxchg (global.get $lock) (i32.const 0) (i32.const 2))))))

  (func $release
    (if (i32.ne (i32.atomic.rmw.sub (global.get $lock) (i32.const 1)) (i32.const 1))
      (then
        (i32.atomic.store (global.get $lock) (i32.const 0))
        (drop (memory.atomic.notify (global.get $lock) (i32.const 1))))))

  ;; The sum of 4096 numbers.
  (func $add_up (param $at i32) (result i64)
    (local $end i32) (local $sum i64)
    (local.set $end (i32.add (local.get $at) (i32.const 16384)))
    (loop $next
      (local.set $sum (i64.add (local.get $sum) (i64.load32_u (local.get $at))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4))) (local.get $end))))
    (local.get $sum))

  ;; Takes chunks of the array as long as there are any. The sum is no atomic access: the lock is what keeps it whole.
  (func $add_chunks
    (local $chunk i32) (local $sum i64)
    (loop $next
      (local.set $chunk (i32.atomic.rmw.add (global.get $next_chunk) (i32.const 1)))
      (if (i32.lt_u (local.get $chunk) (i32.const 64))
        (then
          (local.set $sum (call $add_up
            (i32.add (global.get $numbers) (i32.mul (local.get $chunk) (i32.const 16384)))))
          (call $acquire)
          (i64.store (global.get $sum) (i64.add (i64.load (global.get $sum)) (local.get $sum)))
          (i32.store (global.get $chunks) (i32.add (i32.load (global.get $chunks)) (i32.const 1)))
          (call $release)
          (br $next)))))

  ;; Waits until all eight are here.
  (func $meet
    (local $here i32)
    (if (i32.eq (i32.atomic.rmw.add (global.get $here) (i32.const 1)) (i32.const 7))
      (then (drop (memory.atomic.notify (global.get $here) (i32.const -1)))))
    (block $all
      (loop $wait
        (br_if $all (i32.eq (local.tee $here (i32.atomic.load (global.get $here))) (i32.const 8)))
        (drop (memory.atomic.wait32 (global.get $here) (local.get $here) (i64.const -1)))
        (br $wait))))

  ;; Every now and then it sleeps for 50 µs with the lock, between the load and the store: the others have to wait.
  (func $count_up
    (local $times i32) (local $count i32)
    (local.set $times (i32.const 5000))
    (loop $again
      (call $acquire)
      (local.set $count (i32.load (global.get $count)))
      (if (i32.eqz (i32.and (local.get $times) (i32.const 0xff)))
        (then (drop (memory.atomic.wait32 (global.get $never) (i32.const 0) (i64.const 50000)))))
      (i32.store (global.get $count) (i32.add (local.get $count) (i32.const 1)))
      (call $release)
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))

  (func $turn_of (param $thread i32) (result i32)
    (i32.add (global.get $turns) (i32.shl (i32.and (local.get $thread) (i32.const 7)) (i32.const 6))))

  ;; Two hundred times: waits for the token, leaves a trace that tells in which order all had it, and hands it on.
  (func $pass_token (param $thread i32)
    (local $times i32) (local $own i32) (local $next i32)
    (local.set $times (i32.const 200))
    (local.set $own (call $turn_of (local.get $thread)))
    (local.set $next (call $turn_of (i32.add (local.get $thread) (i32.const 1))))
    (loop $again
      (block $mine
        (loop $wait
          (br_if $mine (i32.atomic.load (local.get $own)))
          (drop (memory.atomic.wait32 (local.get $own) (i32.const 0) (i64.const -1)))
          (br $wait)))
      (i32.store (local.get $own) (i32.const 0))
      (i32.store (global.get $trace)
        (i32.add (i32.mul (i32.load (global.get $trace)) (i32.const 31)) (local.get $thread)))
      (i32.atomic.store (local.get $next) (i32.const 1))
      (drop (memory.atomic.notify (local.get $next) (i32.const 1)))
      (br_if $again (local.tee $times (i32.sub (local.get $times) (i32.const 1))))))

  (func (export "wasi_thread_start") (param $number i32) (param $thread i32)
    (call $add_chunks)
    (call $meet)
    (call $count_up)
    (if (i32.eq (local.get $thread) (i32.const 3)) (then (drop (memory.grow (i32.const 1)))))
    (call $pass_token (local.get $thread))
    (drop (i32.atomic.rmw.add (global.get $ended) (i32.const 1)))
    (drop (memory.atomic.notify (global.get $ended) (i32.const 1))))

  (func (export "_start")
    (local $at i32) (local $number i32) (local $sum i64) (local $ended i32)
    (local.set $at (global.get $numbers))
    (loop $next
      (local.set $number (i32.add (i32.mul (local.get $number) (i32.const 1103515245)) (i32.const 12345)))
      (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (local.get $number))))
      (i32.store (local.get $at) (local.get $number))
      (br_if $next (i32.lt_u
        (local.tee $at (i32.add (local.get $at) (i32.const 4)))
        (i32.add (global.get $numbers) (i32.const 1048576)))))

    (i32.store (global.get $turns) (i32.const 1))
    (local.set $number (i32.const 0))
    (loop $spawn
      (if (i32.le_s (call $spawn (local.get $number)) (i32.const 0)) (then (call $exit (i32.const 1))))
      (br_if $spawn (i32.lt_u (local.tee $number (i32.add (local.get $number) (i32.const 1))) (i32.const 8))))
    (loop $wait
      (local.set $ended (i32.atomic.load (global.get $ended)))
      (if (i32.lt_u (local.get $ended) (i32.const 8))
        (then
          (drop (memory.atomic.wait32 (global.get $ended) (local.get $ended) (i64.const -1)))
          (br $wait))))

    ;; The sum, twice; chunks and counts, none of them lost; the order of the token; the new size; that the lock is free and
    ;; that nobody waits for it; a wait for another value than is there; one that takes too long.
    (call $print (local.get $sum))
    (call $print (i64.load (global.get $sum)))
    (call $print (i64.extend_i32_u (i32.load (global.get $chunks))))
    (call $print (i64.extend_i32_u (i32.load (global.get $count))))
    (call $print (i64.extend_i32_u (i32.load (global.get $trace))))
    (call $print (i64.extend_i32_u (memory.size)))
    (call $print (i64.extend_i32_u (i32.atomic.load (global.get $lock))))
    (call $print (i64.extend_i32_u (memory.atomic.notify (global.get $lock) (i32.const -1))))
    (call $print (i64.extend_i32_u (memory.atomic.wait32 (global.get $lock) (i32.const 1) (i64.const -1))))
    (call $print (i64.extend_i32_u (memory.atomic.wait32 (global.get $lock) (i32.const 0) (i64.const 1000000)))))
)
