//! The rows of instructions on objects.

use crate::entry::{Entry, entry};
use crate::ops::object::{
    ArrayGet, ArraySet, BrCast, Function, Get, GetDouble, GetI8S, GetI8U, GetI16S, GetI16U, GetWord, Object,
    Reference, Set, SetDouble, SetI8, SetI16, SetWord, StructGet, StructSet, Tested, Vector,
};

/// An access to a field, and to an element.
pub(crate) const FIELD_ROW: usize = 2;

/// Where the access to an element is.
pub(crate) const FIELD_OF_ARRAY: usize = 1;

const fn get_row<E: Get>() -> [Entry; FIELD_ROW] {
    [entry::<StructGet<E>>(), entry::<ArrayGet<E>>()]
}

const fn set_row<E: Set>() -> [Entry; FIELD_ROW] {
    [entry::<StructSet<E>>(), entry::<ArraySet<E>>()]
}

/// What reads fields and elements, by how they are stored and extended.
pub(crate) const FIELD_GETS: [[Entry; FIELD_ROW]; 8] = [
    get_row::<GetI8S>(),
    get_row::<GetI8U>(),
    get_row::<GetI16S>(),
    get_row::<GetI16U>(),
    get_row::<GetWord>(),
    get_row::<GetDouble>(),
    get_row::<Vector>(),
    get_row::<Reference>(),
];

/// What writes them.
pub(crate) const FIELD_SETS: [[Entry; FIELD_ROW]; 6] = [
    set_row::<SetI8>(),
    set_row::<SetI16>(),
    set_row::<SetWord>(),
    set_row::<SetDouble>(),
    set_row::<Vector>(),
    set_row::<Reference>(),
];

/// Combinations of a branch on a type.
pub(crate) const CAST_ROW: usize = 4;

/// Added to the column for branches when the reference is not of the type.
pub(crate) const CAST_UNLESS: usize = 1;

/// Added for branches backwards.
pub(crate) const CAST_BACK: usize = 2;

const fn cast_row<T: Tested>() -> [Entry; CAST_ROW] {
    [
        entry::<BrCast<T, true, false>>(),
        entry::<BrCast<T, false, false>>(),
        entry::<BrCast<T, true, true>>(),
        entry::<BrCast<T, false, true>>(),
    ]
}

/// Branches on the type of a reference: to an object, to a function.
pub(crate) const CAST_BRANCHES: [[Entry; CAST_ROW]; 2] = [cast_row::<Object>(), cast_row::<Function>()];
