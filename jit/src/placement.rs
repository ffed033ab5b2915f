//! Where in a cache line the code of a function starts best.
//!
//! A processor fetches decoded instructions line by line: a loop of a few instructions that lies across the end of a
//! line takes longer than one that does not. Cranelift does not align loops, and code memory places whole
//! functions. So a function is placed such that its short loops, the innermost before all, cross as few lines as can be: in code
//! memory, and in artefacts, which are installed in one piece.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::Range;

use crate::arena::Arena;

/// Bytes of a line.
pub(crate) const LINE: u32 = 64;

/// Bytes of the longest loop that is looked at: a longer one hardly notices one line more.
const MAX_LOOP: u32 = 4 * LINE;

/// So many times as often as the loop around it does a loop turn.
const NESTING: u64 = 4;

/// The most loops of a function that is placed. Beside so many, one loop decides little; and constants of the guest can look like branches.
const MAX_LOOPS: usize = 1 << 10;

/// The deepest nesting that counts.
const MAX_DEPTH: usize = 8;

/// The offset in the code where a line had best begin, below the length of a line; `None` if it does not matter. It is found by the
/// look of the machine's branches.
pub(crate) fn line_at(code: &[u8]) -> Option<u32> {
    let branches: Vec<Range<u32>> = branches(code).collect();
    let loops = short_loops(code, &branches);
    let cost = |start| {
        let weighed = loops.iter().map(|(range, weight)| {
            let inside = branches.partition_point(|branch| branch.start < range.start);
            let inside = branches[inside..].iter().take_while(|branch| branch.start < range.end);
            weight
                * (u64::from(excess(range, start))
                    + inside.filter(|branch| crosses(branch, start)).count() as u64)
        });
        weighed.sum::<u64>()
    };
    let costs = (0..LINE).step_by(Arena::ALIGNMENT).map(|start| (cost(start), start));
    let (best, start) = costs.clone().min()?;
    costs.clone().any(|(cost, _)| cost > best).then_some((LINE - start) % LINE)
}

/// The first multiple of `step` from `from` on where code can start for a line to begin at its offset `line`, if that can be.
pub(crate) fn start_from(from: usize, step: usize, line: Option<u32>) -> usize {
    let first = from.next_multiple_of(step);
    let mut starts = (first..).step_by(step).take(LINE as usize / Arena::ALIGNMENT);
    let begins =
        |start: &usize| line.is_none_or(|line| (start + line as usize).is_multiple_of(LINE as usize));
    starts.find(begins).unwrap_or(first)
}

/// Lines that a range touches beyond those that it must, if the code starts at `start` in a line.
fn excess(range: &Range<u32>, start: u32) -> u32 {
    let touched = (start + range.end).div_ceil(LINE) - (start + range.start) / LINE;
    touched - (range.end - range.start).div_ceil(LINE)
}

/// Whether an instruction lies across the end of a line, if the code starts at `start` in a line.
fn crosses(instruction: &Range<u32>, start: u32) -> bool {
    (start + instruction.start) / LINE != (start + instruction.end - 1) / LINE
}

/// Short loops, with their weights, of code with these branches.
fn short_loops(code: &[u8], branches: &[Range<u32>]) -> Vec<(Range<u32>, u64)> {
    // Of all branches back to a header the nearest counts: polls branch back, too, from where the code is that hardly
    // ever runs.
    let mut ends = BTreeMap::new();
    for (header, end) in branches_back(code, branches) {
        ends.entry(header).or_insert(end);
        if ends.len() > MAX_LOOPS {
            return Vec::new();
        }
    }
    let mut open: Vec<u32> = Vec::new();
    let mut short = Vec::new();
    // In the order of their headers: those that are open at one are around it.
    for (header, end) in ends {
        open.retain(|other| *other >= end);
        let length = end - header;
        if length <= MAX_LOOP {
            // A line more is the worse, the fewer there are.
            let weight = NESTING.pow(open.len().min(MAX_DEPTH) as u32) * u64::from(MAX_LOOP / length);
            short.push((header..end, weight));
        }
        open.push(end);
    }
    short
}

/// Where those branches lead that go back, and where they end, in the order in which they begin.
fn branches_back(code: &[u8], branches: &[Range<u32>]) -> impl Iterator<Item = (u32, u32)> {
    branches.iter().filter_map(|branch| {
        let (_, distance) = code[..branch.end as usize].split_last_chunk()?;
        let distance = i32::from_le_bytes(*distance);
        let is_back = matches!(code[branch.start as usize], 0x0F | 0xE9) && distance < 0;
        let header = branch.end.checked_add_signed(distance).filter(|_| is_back)?;
        Some((header, branch.end))
    })
}

/// Branches and calls, in their order. Bytes that merely look like one do no harm.
fn branches(code: &[u8]) -> impl Iterator<Item = Range<u32>> {
    (0u32..).zip(0..code.len()).filter_map(|(start, at)| {
        let length = match code[at..] {
            // `jcc rel32`, and `jmp` and `call` of the same.
            [0x0F, 0x80..=0x8F, _, _, _, _, ..] => 6,
            [0xE9 | 0xE8, _, _, _, _, ..] => 5,
            // `call` of what is in a register.
            [0x41, 0xFF, 0xD0..=0xD7, ..] => 3,
            [0xFF, 0xD0..=0xD7, ..] if !code[..at].ends_with(&[0x41]) => 2,
            _ => return None,
        };
        Some(start..start + length)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code of which all is padding but for branches: conditional ones or not, the address behind them, the target.
    fn code(len: usize, branches: &[(bool, u32, u32)]) -> Vec<u8> {
        let mut code = vec![0x90; len];
        for &(conditional, behind, to) in branches {
            let end = behind as usize;
            let opcode: &[u8] = if conditional { &[0x0F, 0x82] } else { &[0xE9] };
            code[end - 4 - opcode.len()..end - 4].copy_from_slice(opcode);
            code[end - 4..end].copy_from_slice(&to.wrapping_sub(behind).to_le_bytes());
        }
        code
    }

    fn loops(code: &[u8]) -> Vec<(Range<u32>, u64)> {
        short_loops(code, &branches(code).collect::<Vec<_>>())
    }

    #[test]
    fn code_without_short_loops_may_be_anywhere() {
        assert_eq!(line_at(&code(30, &[(true, 10, 20), (false, 20, 25)])), None);
        assert_eq!(line_at(&code(1000, &[(false, 900, 10)])), None);
        // Of the length of a line, it is nowhere better off than elsewhere.
        assert_eq!(line_at(&code(72, &[(true, 72, 8)])), None);
        assert_eq!(line_at(&[]), None);
        assert_eq!(line_at(&[0xE9, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]), None);
    }

    #[test]
    fn a_short_loop_lies_within_one_line() {
        for conditional in [false, true] {
            for header in 0..200 {
                let end = header + 40;
                let line = line_at(&code(300, &[(conditional, end, header)]));
                let start = start_from(1000, Arena::ALIGNMENT, line);
                assert!(start.is_multiple_of(Arena::ALIGNMENT) && (1000..1064).contains(&start));
                let line = |at: u32| (start as u32 + at) / LINE;
                assert_eq!(line(header), line(end - 1), "{header}");
            }
        }
    }

    #[test]
    fn a_place_that_is_asked_for_in_vain_is_the_first_one() {
        assert_eq!(start_from(100, 64, Some(16)), 128);
        assert_eq!(start_from(100, 16, None), 112);
    }

    #[test]
    fn the_loop_inside_of_another_counts_more_than_one_beside_it() {
        // The outer loop ends in two branches.
        let code = code(340, &[(true, 70, 50), (true, 145, 125), (true, 320, 300), (false, 325, 100)]);
        assert_eq!(loops(&code), [(50..70, 12), (100..325, 1), (125..145, 48), (300..320, 48)]);
        let start = (LINE - line_at(&code).unwrap()) % LINE;
        assert_eq!((excess(&(125..145), start), excess(&(300..320), start)), (0, 0));
    }

    #[test]
    fn a_call_in_a_loop_does_not_lie_across_the_end_of_a_line() {
        // The loop needs two lines and is within them at two of the four starts; at the first of those its call is not.
        for call in [[0x41, 0xFF, 0xD2].as_slice(), &[0xFF, 0xD2]] {
            let mut code = code(330, &[(false, 277, 188)]);
            code[239..][..call.len()].copy_from_slice(call);
            let start = (LINE - line_at(&code).unwrap()) % LINE;
            assert_eq!((excess(&(188..277), start), crosses(&(239..242), start)), (0, false));
        }
    }

    #[test]
    fn the_branch_back_from_a_poll_is_not_the_loop() {
        assert_eq!(loops(&code(70, &[(true, 40, 16), (false, 70, 16)])), [(16..40, 10)]);
    }
}
