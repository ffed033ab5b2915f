;; Where exceptions go that a folded `try` hands on by its label, and those that are thrown again.

(module
  (tag $e)
  (tag $number (param i32))

  (func $throw (param i32)
    (if (local.get 0) (then (throw $number (local.get 0)))))

  ;; Past the handler between.
  (func (export "skips") (param i32) (result i32)
    (try $outer (result i32)
      (do
        (try (result i32)
          (do
            (try (result i32)
              (do (call $throw (local.get 0)) (i32.const 1))
              (delegate $outer)))
          (catch_all (i32.const -1))))
      (catch $number)))

  ;; To a block, which means to what is around the block.
  (func (export "to a block") (param i32) (result i32)
    (try (result i32)
      (do
        (block $b
          (try (do (call $throw (local.get 0))) (delegate $b)))
        (i32.const 0))
      (catch $number (i32.add (i32.const 1)))))

  ;; Out of the function: by the label of its body.
  (func $out (param i32)
    (try
      (do
        (try
          (do (call $throw (local.get 0)))
          (delegate 1)))
      (catch_all)))
  (func (export "out") (param i32) (result i32)
    (try (result i32) (do (call $out (local.get 0)) (i32.const 0)) (catch $number)))

  ;; To a try from inside of its clause: past it.
  (func (export "from a clause") (result i32)
    (try (result i32)
      (do
        (try $t (result i32)
          (do (throw $e))
          (catch $e
            (try (result i32) (do (throw $number (i32.const 6))) (delegate $t))))
        (drop)
        (i32.const 0))
      (catch $number)))

  ;; A chain of them.
  (func (export "chain") (result i32)
    (try $a (result i32)
      (do
        (try $b (result i32)
          (do
            (try $c (result i32)
              (do
                (try (result i32) (do (throw $number (i32.const 8))) (delegate $c)))
              (delegate $a)))
          (catch_all (i32.const -1))))
      (catch $number)))

  ;; Thrown again, with what it carries; the inner or the outer one of two.
  (func (export "rethrow") (param i32) (result i32)
    (try (result i32)
      (do
        (try $outer (result i32)
          (do (throw $number (i32.const 10)))
          (catch $number
            (drop)
            (try $inner (result i32)
              (do (throw $number (i32.const 20)))
              (catch $number
                (drop)
                (if (local.get 0) (then (rethrow $inner)))
                (rethrow $outer))))))
      (catch $number)))

  (func (export "rethrow what catch_all has") (result i32)
    (try (result i32)
      (do
        (try (do (throw $number (i32.const 30))) (catch_all (rethrow 0)))
        (i32.const 0))
      (catch $number)))

  (func (export "rethrow to the host") (try (do (throw $e)) (catch $e (rethrow 0))))

  ;; Each turn catches, throws again and catches.
  (func (export "sum") (param $n i32) (result i32)
    (local $sum i32)
    (loop $l
      (try
        (do
          (try
            (do (call $throw (local.get $n)))
            (catch $number (drop) (rethrow 0))))
        (catch $number
          (local.set $sum (i32.add (local.get $sum)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $l))))
    (local.get $sum))

  ;; Tail calls leave the try before what they call throws.
  (func (export "tail call") (param i32) (result i32)
    (try (result i32)
      (do (call $leaves (local.get 0)) (i32.const 0))
      (catch $number (i32.mul (i32.const 2)))))
  (func $leaves (param i32)
    (try
      (do (return_call $throw (local.get 0)))
      (catch_all))))

(assert_return (invoke "skips" (i32.const 0)) (i32.const 1))
(assert_return (invoke "skips" (i32.const 5)) (i32.const 5))
(assert_return (invoke "to a block" (i32.const 0)) (i32.const 0))
(assert_return (invoke "to a block" (i32.const 5)) (i32.const 6))
(assert_return (invoke "out" (i32.const 0)) (i32.const 0))
(assert_return (invoke "out" (i32.const 5)) (i32.const 5))
(assert_return (invoke "from a clause") (i32.const 6))
(assert_return (invoke "chain") (i32.const 8))
(assert_return (invoke "rethrow" (i32.const 0)) (i32.const 10))
(assert_return (invoke "rethrow" (i32.const 1)) (i32.const 20))
(assert_return (invoke "rethrow what catch_all has") (i32.const 30))
(assert_exception (invoke "rethrow to the host"))
(assert_return (invoke "sum" (i32.const 1000)) (i32.const 500500))
(assert_return (invoke "tail call" (i32.const 0)) (i32.const 0))
(assert_return (invoke "tail call" (i32.const 4)) (i32.const 8))

(assert_invalid (module (func (try (do) (delegate 1)))) "unknown label")
(assert_invalid (module (func (rethrow 0))) "invalid rethrow label")
(assert_invalid (module (func (try (do (rethrow 0)) (catch_all)))) "invalid rethrow label")
(assert_invalid (module (func (try (do) (catch_all (block (rethrow 0)))))) "invalid rethrow label")
