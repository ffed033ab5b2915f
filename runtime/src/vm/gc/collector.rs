//! Which collector a store has.

/// What becomes of objects that nothing leads to any more.
///
/// ```
/// use wasmrun_runtime::vm::gc::Collector;
///
/// assert_eq!(Collector::default(), Collector::Generational);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Collector {
    /// They are freed: new objects, most of which are of use for a short time, are looked at often, and all of them seldom.
    #[default]
    Generational,
    /// They stay, and no object ever moves: for guests that end soon, and to compare with. A guest traps when it has made as many
    /// objects as fit into what a store reserves, which is somewhat more than two gibibytes, or as a
    /// limiter allows.
    Null,
}
