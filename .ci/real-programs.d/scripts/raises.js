// An uncaught exception: the stack goes to stderr, what was printed before it to stdout, and the exit code is 1.
console.log("before");
function inner(x) { return x.missing.property; }
function outer(x) { return inner(x); }
outer({});
