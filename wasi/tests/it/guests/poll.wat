;; `poll_oneoff` in every variant.
;;
;; The body of a module: `calls.rs` puts the imports, the memory and `$note` in front of it. Subscriptions are at 0 in
;; steps of 48, events at 1024 in steps of 32, the count at 2000. `now` is the time that `calls.rs` has fixed.

(data (i32.const 3000) "f")
(data (i32.const 3008) "d")

(func $clock (param $index i32) (param $id i32) (param $timeout i64) (param $flags i32) (local $at i32)
  (local.set $at (i32.mul (local.get $index) (i32.const 48)))
  (i64.store (local.get $at) (i64.extend_i32_u (i32.add (local.get $index) (i32.const 100))))
  (i32.store (i32.add (local.get $at) (i32.const 8)) (i32.const 0))
  (i32.store (i32.add (local.get $at) (i32.const 16)) (local.get $id))
  (i64.store (i32.add (local.get $at) (i32.const 24)) (local.get $timeout))
  (i64.store (i32.add (local.get $at) (i32.const 32)) (i64.const 0))
  (i32.store16 (i32.add (local.get $at) (i32.const 40)) (local.get $flags)))

(func $fd (param $index i32) (param $tag i32) (param $fd i32) (local $at i32)
  (local.set $at (i32.mul (local.get $index) (i32.const 48)))
  (i64.store (local.get $at) (i64.extend_i32_u (i32.add (local.get $index) (i32.const 100))))
  (i32.store8 (i32.add (local.get $at) (i32.const 8)) (local.get $tag))
  (i32.store (i32.add (local.get $at) (i32.const 16)) (local.get $fd)))

;; Polls, and notes the errno, the count, and of each event: user data, errno, type, bytes, flags.
(func $poll (param $count i32) (local $at i32)
  (i32.store (i32.const 2000) (i32.const 0))
  (call $note (call $poll_oneoff (i32.const 0) (i32.const 1024) (local.get $count) (i32.const 2000)))
  (call $note (i32.load (i32.const 2000)))
  (call $events))

(func $events (local $at i32) (local $left i32)
  (local.set $at (i32.const 1024))
  (local.set $left (i32.load (i32.const 2000)))
  (block $done (loop $each
    (br_if $done (i32.eqz (local.get $left)))
    (call $note (i32.load (local.get $at)))
    (call $note (i32.load16_u (i32.add (local.get $at) (i32.const 8))))
    (call $note (i32.load8_u (i32.add (local.get $at) (i32.const 10))))
    (call $note (i32.load (i32.add (local.get $at) (i32.const 16))))
    (call $note (i32.load16_u (i32.add (local.get $at) (i32.const 24))))
    (local.set $at (i32.add (local.get $at) (i32.const 32)))
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br $each))))

;; Milliseconds of the monotonic clock.
(func $elapsed (result i32)
  (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 2008)))
  (i32.wrap_i64 (i64.div_u (i64.load (i32.const 2008)) (i64.const 1000000))))

(func (export "_start") (local $f i32) (local $d i32)
  (call $note (call $path_open (i32.const 3) (i32.const 0) (i32.const 3000) (i32.const 1) (i32.const 0)
    (i64.const 0x42) (i64.const 0) (i32.const 0) (i32.const 2016)))
  (local.set $f (i32.load (i32.const 2016)))
  (call $note (call $path_open (i32.const 3) (i32.const 0) (i32.const 3008) (i32.const 1) (i32.const 0)
    (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 2016)))
  (local.set $d (i32.load (i32.const 2016)))

  ;; Nothing at all.
  (call $poll (i32.const 0))
  ;; The earliest of three timers, 5 ms, alone.
  (call $clock (i32.const 0) (i32.const 1) (i64.const 9000000) (i32.const 0))
  (call $clock (i32.const 1) (i32.const 0) (i64.const 5000000) (i32.const 0))
  (call $clock (i32.const 2) (i32.const 1) (i64.const -1) (i32.const 0))
  (call $poll (i32.const 3))
  (call $note (call $elapsed))
  ;; Two at the same time.
  (call $clock (i32.const 0) (i32.const 1) (i64.const 2000000) (i32.const 0))
  (call $clock (i32.const 1) (i32.const 1) (i64.const 2000000) (i32.const 0))
  (call $poll (i32.const 2))
  (call $note (call $elapsed))
  ;; Until a time: in the past, and to come (the clock is at 7 ms).
  (call $clock (i32.const 0) (i32.const 0) (i64.const 1) (i32.const 1))
  (call $poll (i32.const 1))
  (call $note (call $elapsed))
  (call $clock (i32.const 0) (i32.const 1) (i64.const 20000001) (i32.const 1))
  (call $poll (i32.const 1))
  (call $note (call $elapsed))
  ;; Clocks that there are not, flags and types that there are not.
  (call $clock (i32.const 0) (i32.const 2) (i64.const 0) (i32.const 0))
  (call $poll (i32.const 1))
  (call $clock (i32.const 0) (i32.const 9) (i64.const 0) (i32.const 0))
  (call $poll (i32.const 1))
  (call $clock (i32.const 0) (i32.const 1) (i64.const 0) (i32.const 2))
  (call $poll (i32.const 1))
  (call $fd (i32.const 0) (i32.const 3) (i32.const 1))
  (call $poll (i32.const 1))
  (call $fd (i32.const 0) (i32.const 255) (i32.const 1))
  (call $poll (i32.const 1))
  ;; Files are ready, with what is left in them; at their end they say so. A timer to come is not waited for.
  (call $fd (i32.const 0) (i32.const 1) (local.get $f))
  (call $fd (i32.const 1) (i32.const 2) (local.get $f))
  (call $clock (i32.const 2) (i32.const 1) (i64.const 1000000000) (i32.const 0))
  (call $poll (i32.const 3))
  (call $note (call $fd_seek (local.get $f) (i64.const 0) (i32.const 2) (i32.const 2008)))
  (call $poll (i32.const 1))
  (call $note (call $elapsed))
  ;; A timer that is over is reported beside what is ready.
  (call $fd (i32.const 0) (i32.const 2) (i32.const 1))
  (call $clock (i32.const 1) (i32.const 1) (i64.const 0) (i32.const 0))
  (call $poll (i32.const 2))
  ;; What cannot be waited for has an errno of its own; what is not open fails the call.
  (call $fd (i32.const 0) (i32.const 1) (local.get $d))
  (call $fd (i32.const 1) (i32.const 1) (i32.const 1))
  (call $fd (i32.const 2) (i32.const 2) (i32.const 0))
  (call $poll (i32.const 3))
  (call $fd (i32.const 1) (i32.const 1) (i32.const 77))
  (call $poll (i32.const 2))
  ;; Input that has come to its end.
  (call $fd (i32.const 0) (i32.const 1) (i32.const 0))
  (call $poll (i32.const 1))
  ;; Events over the subscriptions that they answer.
  (call $fd (i32.const 0) (i32.const 2) (i32.const 1))
  (call $fd (i32.const 1) (i32.const 2) (i32.const 2))
  (call $note (call $poll_oneoff (i32.const 0) (i32.const 0) (i32.const 2) (i32.const 2000)))
  (call $note (i32.load (i32.const 2000)))
  (call $note (i32.load (i32.const 0)))
  (call $note (i32.load (i32.const 32))))
