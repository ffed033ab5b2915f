;; What the clauses of a folded `try` catch, with what operands, and what goes past them.

(module $thrower
  (tag $pair (export "pair") (param i32 i64))
  (func (export "throw") (param i32 i64)
    (throw $pair (local.get 0) (local.get 1))))
(register "thrower")

(module
  (tag $pair (import "thrower" "pair") (param i32 i64))
  (func $throw (import "thrower" "throw") (param i32 i64))
  (tag $none)
  (tag $float (param f64))
  (tag $vector (param v128))
  (global $trail (mut i32) (i32.const 0))

  ;; Appends a digit to the trail.
  (func $step (param i32)
    (global.set $trail (i32.add (i32.mul (global.get $trail) (i32.const 10)) (local.get 0))))
  (func (export "trail") (result i32)
    (global.get $trail)
    (global.set $trail (i32.const 0)))

  (func $pick (param i32)
    (if (i32.eq (local.get 0) (i32.const 1)) (then (throw $none)))
    (if (i32.eq (local.get 0) (i32.const 2)) (then (throw $pair (i32.const 20) (i64.const 22))))
    (if (i32.eq (local.get 0) (i32.const 3)) (then (throw $float (f64.const 2.5))))
    (if (i32.eq (local.get 0) (i32.const 4)) (then (unreachable))))

  ;; The first clause that fits, and no other.
  (func (export "first") (param i32) (result i32)
    (try $t (result i32)
      (do
        (call $step (i32.const 1))
        (call $pick (local.get 0))
        (call $step (i32.const 2))
        (i32.const 100))
      (catch $pair
        i32.wrap_i64
        i32.add)
      (catch $none (i32.const 7))
      (catch $none (i32.const 8))
      (catch_all
        (call $step (i32.const 9))
        (br $t (i32.const 9)))))

  ;; What no clause fits goes on to the caller.
  (func (export "past") (param i32) (result i32)
    (try (result i32)
      (do (call $pick (local.get 0)) (i32.const 0))
      (catch $float (i32.trunc_f64_s))))

  ;; A clause is not within its own try.
  (func (export "again") (param i32) (result i32)
    (try (result i32)
      (do
        (try (result i32)
          (do (throw $none))
          (catch_all (call $pick (local.get 0)) (i32.const 1))))
      (catch_all (i32.const 2))))

  ;; A try that has none is a block.
  (func (export "no clause") (param i32) (result i32)
    (try (result i32)
      (do (try (result i32) (do (call $pick (local.get 0)) (i32.const 3))))
      (catch $none (i32.const 4))))

  ;; Operands below, and parameters of the block.
  (func (export "operands") (param i32 i64) (result i64)
    (local.get 1)
    (i32.const 5)
    (try (param i32) (result i64)
      (do (call $throw (i32.add (local.get 0))  (i64.const 1000)) (i64.const 0))
      (catch $pair
        (call $step (i32.const 3))
        (local.set 1)
        (i64.add (i64.extend_i32_u) (local.get 1))))
    (i64.sub))

  (func (export "vector") (result i32)
    (i32x4.extract_lane 2
      (try (result v128)
        (do (throw $vector (v128.const i32x4 1 2 3 4)))
        (catch $vector))))

  ;; Locals are as they were when it was thrown.
  (func (export "locals") (param $n i32) (result i32)
    (local $i i32)
    (try
      (do
        (loop $l
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (if (i32.eq (local.get $i) (local.get $n))
            (then (throw $none)))
          (br $l)))
      (catch $none))
    (local.get $i)))

(assert_return (invoke "first" (i32.const 0)) (i32.const 100))
(assert_return (invoke "trail") (i32.const 12))
(assert_return (invoke "first" (i32.const 1)) (i32.const 7))
(assert_return (invoke "trail") (i32.const 1))
(assert_return (invoke "first" (i32.const 2)) (i32.const 42))
(assert_return (invoke "trail") (i32.const 1))
(assert_return (invoke "first" (i32.const 3)) (i32.const 9))
(assert_return (invoke "trail") (i32.const 19))
(assert_trap (invoke "first" (i32.const 4)) "unreachable")
(assert_return (invoke "trail") (i32.const 1))

(assert_return (invoke "past" (i32.const 0)) (i32.const 0))
(assert_exception (invoke "past" (i32.const 1)))
(assert_exception (invoke "past" (i32.const 2)))
(assert_return (invoke "past" (i32.const 3)) (i32.const 2))

(assert_return (invoke "again" (i32.const 0)) (i32.const 1))
(assert_return (invoke "again" (i32.const 3)) (i32.const 2))
(assert_trap (invoke "again" (i32.const 4)) "unreachable")

(assert_return (invoke "no clause" (i32.const 0)) (i32.const 3))
(assert_return (invoke "no clause" (i32.const 1)) (i32.const 4))
(assert_exception (invoke "no clause" (i32.const 2)))

(assert_return (invoke "operands" (i32.const 30) (i64.const 2000)) (i64.const 965))
(assert_return (invoke "trail") (i32.const 3))
(assert_return (invoke "vector") (i32.const 3))
(assert_return (invoke "locals" (i32.const 300)) (i32.const 300))

(assert_invalid
  (module (tag $e (param i32)) (func (result i64) (try (result i64) (do (i64.const 0)) (catch $e))))
  "type mismatch")
(assert_invalid (module (func (try (result i32) (do)) drop)) "type mismatch")
(assert_invalid (module (func (try (do) (catch 0)))) "unknown tag")
(assert_invalid
  (module (tag $e (result i32)) (func (throw $e)))
  "non-empty tag result type")
