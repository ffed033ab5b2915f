//! Where a function can trap, and which instruction of the module its code belongs to, in few bytes.
//!
//! Both are lists in ascending order of offsets in the code, and there are as many positions as there are machine
//! instructions. Written as differences in LEB128, a position takes two bytes in place of eight, and a trap two in
//! place of five. The lists are read from their beginning, when something has trapped or a backtrace is taken.
//!
//! Reading is total: a list that is damaged ends early. It allocates nothing and takes no lock, so that a signal handler
//! may do it.

use std::num::NonZero;

use cranelift_codegen::ir::TrapCode;

/// Appends a list of traps.
pub(super) fn write_traps(out: &mut Vec<u8>, traps: &[(u32, TrapCode)]) {
    let mut last = 0;
    for (offset, code) in traps {
        write_u32(out, offset.wrapping_sub(last));
        out.push(code.as_raw().get());
        last = *offset;
    }
}

/// Appends a list of positions.
pub(super) fn write_positions(out: &mut Vec<u8>, positions: &[(u32, u32)]) {
    let (mut last_start, mut last_offset) = (0, 0);
    for (start, offset) in positions {
        write_u32(out, start.wrapping_sub(last_start));
        // The difference of offsets has a sign, which goes into its lowest bit.
        let difference = offset.wrapping_sub(last_offset) as i32;
        write_u32(out, ((difference << 1) ^ (difference >> 31)) as u32);
        (last_start, last_offset) = (*start, *offset);
    }
}

/// The traps of a list.
pub(super) fn traps(mut bytes: &[u8]) -> impl Iterator<Item = (u32, TrapCode)> {
    let mut last = 0_u32;
    std::iter::from_fn(move || {
        last = last.wrapping_add(read_u32(&mut bytes)?);
        let (code, rest) = bytes.split_first()?;
        bytes = rest;
        Some((last, TrapCode::from_raw(NonZero::new(*code)?)))
    })
}

/// The positions of a list.
pub(super) fn positions(mut bytes: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    let (mut last_start, mut last_offset) = (0_u32, 0_u32);
    std::iter::from_fn(move || {
        last_start = last_start.wrapping_add(read_u32(&mut bytes)?);
        let word = read_u32(&mut bytes)?;
        last_offset = last_offset.wrapping_add((word >> 1) ^ (word & 1).wrapping_neg());
        Some((last_start, last_offset))
    })
}

fn write_u32(out: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn read_u32(bytes: &mut &[u8]) -> Option<u32> {
    let mut value = 0_u64;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_come_back_whatever_the_numbers_are(
            list in proptest::collection::vec((any::<u32>(), any::<u32>(), 1..=u8::MAX), 0..40),
        ) {
            let traps: Vec<_> = list
                .iter()
                .map(|(offset, _, code)| (*offset, TrapCode::from_raw(NonZero::new(*code).unwrap())))
                .collect();
            let positions: Vec<_> = list.iter().map(|(start, offset, _)| (*start, *offset)).collect();
            let mut bytes = Vec::new();
            write_traps(&mut bytes, &traps);
            prop_assert_eq!(super::traps(&bytes).collect::<Vec<_>>(), traps);
            bytes.clear();
            write_positions(&mut bytes, &positions);
            prop_assert_eq!(super::positions(&bytes).collect::<Vec<_>>(), positions);
        }

        #[test]
        fn any_bytes_are_a_list_that_ends(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(traps(&bytes).count() <= bytes.len());
            prop_assert!(positions(&bytes).count() <= bytes.len());
        }
    }

    #[test]
    fn neighbours_take_two_bytes() {
        let mut bytes = Vec::new();
        write_positions(&mut bytes, &[(0, 40), (4, 42), (9, 41), (12, 50)]);
        assert_eq!(bytes.len(), 8);
    }
}
