//! What functions without compiled code have done in earlier runs, as it is kept beside the code of the others.
//!
//! It is advice: what does not make sense is passed over, and a wrong number costs time.

use wasmrun_runtime::module::Module;

/// Bytes that a function has executed in the interpreter.
pub(crate) type Done = (u32, u64);

/// Bytes of one record: the function's index, and what it has done.
const RECORD: usize = 4 + 8;

pub(super) fn encode(work: impl IntoIterator<Item = Done>) -> Vec<u8> {
    let record = |(function, done): Done| [&function.to_le_bytes()[..], &done.to_le_bytes()].concat();
    work.into_iter().flat_map(record).collect()
}

/// Of functions that `module` defines.
pub(super) fn decode(bytes: &[u8], module: &Module) -> Vec<Done> {
    let records = bytes.as_chunks::<RECORD>().0.iter().map(|record| {
        let (function, done) = record.split_at(4);
        let function = u32::from_le_bytes(function.try_into().expect("four bytes"));
        (function, u64::from_le_bytes(done.try_into().expect("eight bytes")))
    });
    records.filter(|(function, _)| module.body(*function).is_some()).collect()
}

#[cfg(test)]
mod tests {

    use wasmrun_runtime::features::Features;

    use super::*;

    #[test]
    fn work_comes_back_and_what_makes_no_sense_is_passed_over() {
        let bytes = wat::parse_str(r#"(module (import "" "" (func)) (func) (func))"#).unwrap();
        let module = wasmrun_runtime::parse(bytes, Features::default(), &Default::default()).unwrap();
        let bytes = encode([(0, 1), (1, u64::MAX), (2, 70), (3, 4), (u32::MAX, 5)]);
        assert_eq!(decode(&bytes, &module), [(1, u64::MAX), (2, 70)]);
        assert_eq!(decode(&bytes[..2 * RECORD + 5], &module), [(1, u64::MAX)]);
        assert_eq!(decode(&[], &module), []);
    }
}
