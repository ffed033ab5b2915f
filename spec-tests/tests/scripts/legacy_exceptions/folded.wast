;; A folded `try` among the operands and in the arms of other folded instructions: operands come first, from
;; left to right. Comments, (try (do)) among them, and strings are none.

(module
  (tag $e (param i32))
  (global $trail (mut i32) (i32.const 0))
  (memory 1)
  (table funcref (elem $negate))
  (type $unary (func (param i32) (result i32)))
  (func $negate (type $unary) (i32.sub (i32.const 0) (local.get 0)))

  ;; Notes a number, and returns it, or throws it if it is odd.
  (func $note (param i32) (result i32)
    (global.set $trail (i32.add (i32.mul (global.get $trail) (i32.const 10)) (local.get 0)))
    (if (i32.and (local.get 0) (i32.const 1)) (then (throw $e (local.get 0))))
    (local.get 0))
  (func (export "trail") (result i32)
    (global.get $trail)
    (global.set $trail (i32.const 0)))

  (func (export "operands") (param i32 i32) (result i32)
    (i32.sub ;; (try (do
      (try (result i32) (; (catch_all ;) (do (call $note (local.get 0))) (catch $e (i32.mul (i32.const 10))))
      (try (result i32) (do (call $note (local.get 1))) (catch $e (i32.mul (i32.const 100))))))

  (func (export "condition") (param i32) (result i32)
    (if $l (result i32)
      (i32.eqz
        (try (result i32)
          (do (call $note (local.get 0)))
          (catch_all (i32.const 0))))
      (then (i32.const 1))
      (else
        (br $l (i32.const 2)))))

  (func (export "arms") (param i32 i32) (result i32)
    (if (result i32) (local.get 0)
      (then (try (result i32) (do (call $note (local.get 1))) (catch $e (i32.add (i32.const 50)))))
      (else (i32.add (i32.const 1)
        (try (result i32) (do (call $note (local.get 1))) (catch $e (i32.add (i32.const 70))))))))

  (func (export "blocks") (param i32) (result i32)
    (block $out (result i32)
      (loop $again (result i32)
        (br $out
          (try (result i32)
            (do (call $note (local.get 0)))
            (catch $e
              (local.set 0 (i32.add (i32.const 1)))
              (br $again)))))))

  (func (export "immediates") (param i32) (result i32)
    (i32.store offset=4 align=2
      (i32.const 0)
      (try (result i32) (do (call $note (local.get 0))) (catch $e)))
    (call_indirect (type $unary)
      (i32.load offset=4 (try (result i32) (do (i32.const 0))))
      (try (result i32) (do (throw $e (i32.const 0))) (catch $e))))

  (func (export "table") (param i32) (result i32)
    (block $b (block $a
      (br_table $a $b
        (try (result i32) (do (call $note (local.get 0))) (catch $e))))
      (return (i32.const 10)))
    (i32.const 20))

  (func (export "select") (param i32) (result i32)
    (select (result i32)
      (i32.const 1)
      (try (result i32) (do (i32.const 2)))
      (try (result i32) (do (call $note (local.get 0))) (catch $e (drop) (i32.const 0)))))

  ;; Both kinds of exceptions may stand in one module.
  (func (export "(try (do) (catch_all))") (param i32) (result i32)
    (block $caught (result i32)
      (try_table (result i32) (catch $e $caught)
        (call $note (local.get 0)))
      (return))
    (i32.add (i32.const 1000))))

(assert_return (invoke "operands" (i32.const 4) (i32.const 2)) (i32.const 2))
(assert_return (invoke "operands" (i32.const 3) (i32.const 2)) (i32.const 28))
(assert_return (invoke "operands" (i32.const 4) (i32.const 1)) (i32.const -96))
(assert_return (invoke "operands" (i32.const 3) (i32.const 1)) (i32.const -70))
(assert_return (invoke "trail") (i32.const 42324131))
(assert_return (invoke "condition" (i32.const 0)) (i32.const 1))
(assert_return (invoke "condition" (i32.const 1)) (i32.const 1))
(assert_return (invoke "condition" (i32.const 2)) (i32.const 2))
(assert_return (invoke "arms" (i32.const 1) (i32.const 2)) (i32.const 2))
(assert_return (invoke "arms" (i32.const 1) (i32.const 3)) (i32.const 53))
(assert_return (invoke "arms" (i32.const 0) (i32.const 2)) (i32.const 3))
(assert_return (invoke "arms" (i32.const 0) (i32.const 3)) (i32.const 74))
(assert_return (invoke "blocks" (i32.const 2)) (i32.const 2))
(assert_return (invoke "blocks" (i32.const 3)) (i32.const 4))
(assert_return (invoke "immediates" (i32.const 8)) (i32.const -8))
(assert_return (invoke "immediates" (i32.const 9)) (i32.const -9))
(assert_return (invoke "table" (i32.const 0)) (i32.const 10))
(assert_return (invoke "table" (i32.const 1)) (i32.const 20))
(assert_return (invoke "table" (i32.const 2)) (i32.const 20))
(assert_return (invoke "select" (i32.const 2)) (i32.const 1))
(assert_return (invoke "select" (i32.const 3)) (i32.const 2))
(assert_return (invoke "(try (do) (catch_all))" (i32.const 2)) (i32.const 2))
(assert_return (invoke "(try (do) (catch_all))" (i32.const 3)) (i32.const 1003))

(assert_malformed (module quote "(module (func (try (catch_all))))") "unexpected token")
(assert_malformed (module quote "(module (func (try (do) (catch_all) (do))))") "unexpected token")
