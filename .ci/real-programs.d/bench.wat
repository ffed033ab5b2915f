;; A host for guests that mark the part of themselves to be timed: `wasmrun run --preload bench=bench.wat GUEST`.
;; Here the marks do nothing; whoever measures uses the time of the whole process.
(module
  (func (export "start"))
  (func (export "end")))
