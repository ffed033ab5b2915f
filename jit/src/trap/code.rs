//! Which trap a trap code of compiled code stands for.
//!
//! Cranelift has codes of its own for what its instructions do: those are used where one exists, so that a
//! trap has exactly one code. All others are numbered as [`Trap`] numbers them.

use cranelift_codegen::ir::TrapCode;
use wasmrun_runtime::trap::Trap;

/// Every trap, by its number; the first has number 1.
const TRAPS: [Trap; 20] = [
    Trap::UnreachableCodeReached,
    Trap::MemoryOutOfBounds,
    Trap::TableOutOfBounds,
    Trap::IndirectCallToNull,
    Trap::BadSignature,
    Trap::IntegerDivisionByZero,
    Trap::IntegerOverflow,
    Trap::BadConversionToInteger,
    Trap::StackOverflow,
    Trap::OutOfFuel,
    Trap::Interrupt,
    Trap::Deadline,
    Trap::InstanceDropped,
    Trap::FunctionTooLarge,
    Trap::NullReference,
    Trap::GcHeapOutOfMemory,
    Trap::CastFailure,
    Trap::ArrayOutOfBounds,
    Trap::UnalignedAtomic,
    Trap::ExpectedSharedMemory,
];

/// The code that compiled code traps with for a reason.
pub const fn code_of(trap: Trap) -> TrapCode {
    match trap {
        Trap::MemoryOutOfBounds => TrapCode::HEAP_OUT_OF_BOUNDS,
        Trap::IntegerDivisionByZero => TrapCode::INTEGER_DIVISION_BY_ZERO,
        Trap::IntegerOverflow => TrapCode::INTEGER_OVERFLOW,
        Trap::BadConversionToInteger => TrapCode::BAD_CONVERSION_TO_INTEGER,
        Trap::StackOverflow => TrapCode::STACK_OVERFLOW,
        other => TrapCode::unwrap_user(other as u8),
    }
}

/// The reason that a trap code stands for; `None` for a code that [`code_of`] does not make.
pub fn trap_of(code: TrapCode) -> Option<Trap> {
    let number = code.as_raw().get() as usize;
    match TRAPS.get(number - 1) {
        Some(trap) if code_of(*trap) == code => Some(*trap),
        Some(_) => None,
        None => TRAPS.into_iter().find(|trap| code_of(*trap) == code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trap_has_one_code_and_comes_back_from_it() {
        for (i, trap) in TRAPS.into_iter().enumerate() {
            assert_eq!(trap as usize, i + 1);
            assert_eq!(trap_of(code_of(trap)), Some(trap));
        }
        let codes = (1..=u8::MAX).map(|raw| TrapCode::from_raw(raw.try_into().unwrap()));
        assert_eq!(codes.filter_map(trap_of).count(), TRAPS.len());
    }
}
