//! Vectors on the command line: all 128 bits as one number, or lanes behind their shape, such as `i32x4:1,2,-3,0xff`.
//!
//! Lane 0 is the lowest bits of the number, and the first of those that are listed.

use super::float::{self, F32, F64};
use super::{integer, unsigned};

/// How lanes of a shape are read.
type Lane = fn(&str) -> Option<u64>;

/// The shapes, as the text format names them, with the number of their lanes.
const SHAPES: [(&str, usize, Lane); 6] = [
    ("i8x16", 16, |text| integer(text, 8)),
    ("i16x8", 8, |text| integer(text, 16)),
    ("i32x4", 4, |text| integer(text, 32)),
    ("i64x2", 2, |text| integer(text, 64)),
    ("f32x4", 4, |text| float::parse(text, &F32)),
    ("f64x2", 2, |text| float::parse(text, &F64)),
];

/// The bits of a vector.
pub fn parse(text: &str) -> Option<u128> {
    match text.split_once(':') {
        Some((shape, lanes)) => parse_lanes(shape, lanes),
        None => match text.strip_prefix("0x") {
            Some(digits) => unsigned(digits, 16),
            None => unsigned(text, 10),
        },
    }
}

fn parse_lanes(shape: &str, text: &str) -> Option<u128> {
    let (_, count, lane) = SHAPES.iter().find(|(name, ..)| *name == shape)?;
    let lanes: Vec<u64> = text.split(',').map(lane).collect::<Option<_>>()?;
    let bits = 128 / count;
    let all = || lanes.iter().rev().fold(0, |vector, lane| vector << bits | u128::from(*lane));
    (lanes.len() == *count).then(all)
}

/// All bits of a vector.
pub fn print(bits: u128) -> String {
    format!("{bits:#034x}")
}
