(module
  (type $t (func (param i32) (result i32)))
  (import "env" "print" (func $print (param i32)))
  (table 1 funcref)
  (func $callee (type $t) (local.get 0))
  (func $caller (param i32) (local i32)
    (call $print (call $callee (local.get 0))))
  (func $indirect (type $t)
    (call_indirect (type $t) (local.get 0) (local.get 0))))
