//! Why a module that has to be refused was refused. An engine that does not know SIMD refuses every module with
//! an instruction of it, also those that are wrong in another way: that is no proof that it sees what is wrong.

use wasmparser::Validator;
use wasmrun_runtime::features::{Features, PROPOSALS};

/// Words of the validator for what it would allow with a proposal. Without them, it sees something wrong that
/// it would merely see later, or call by another name, with one.
const BLIND: &[&str] = &["enabled", "support", "require", "proposal", "feature"];

/// What a validator says of a module: nothing, or what is wrong and where.
type Refusal = Option<(String, u64)>;

/// The proposal that the engine does not execute and that hides what is wrong with `bytes`: with it, they are
/// still invalid, but for another reason. `None` also where the bytes are valid with it: scripts of earlier
/// editions ask for such modules to be refused.
pub(crate) fn blinded_by(bytes: &[u8]) -> Option<&'static str> {
    let blind = refusal(bytes, Features::executed())?;
    if !BLIND.iter().any(|word| blind.0.contains(word)) || refusal(bytes, Features::all())? == blind {
        return None;
    }
    let differs = |features| refusal(bytes, features).is_some_and(|other| other != blind);
    let unexecuted = || PROPOSALS.iter().filter(|p| !p.executed);
    let alone = unexecuted().find(|p| differs(Features::executed().with(p, true)));
    // Some proposals build on others: then it is the newest without which all the others do not help.
    let together =
        || unexecuted().rev().find(|p| refusal(bytes, Features::all().with(p, false)) == Some(blind.clone()));
    alone.or_else(together).map(|p| p.name)
}

fn refusal(bytes: &[u8], features: Features) -> Refusal {
    let error = Validator::new_with_features(features.to_validator()).validate_all(bytes).err()?;
    Some((error.message().to_string(), error.offset()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(wat: &str) -> Vec<u8> {
        let buffer = wast::parser::ParseBuffer::new(wat).unwrap();
        wast::parser::parse::<wast::Wat<'_>>(&buffer).unwrap().encode().unwrap()
    }

    #[test]
    fn a_refusal_counts_only_if_it_is_for_what_is_wrong() {
        // The operand is of the wrong type, and the instruction unknown to the engine.
        let discard = "(memory.discard (i32.const 0) (i32.const 0))";
        let discard = format!("(module (memory 1) (func {discard} (drop (i32.eqz (i64.const 0)))))");
        assert_eq!(blinded_by(&binary(&discard)), Some("memory-control"));
        assert_eq!(blinded_by(&binary("(module (func (drop (i32.eqz (i64.const 0)))))")), None);
        // Too large in any case, by another limit with 64-bit memories.
        assert_eq!(blinded_by(&binary("(module (table 0x1_0000_0000 funcref))")), None);
        // Valid with the proposal, invalid in the edition of the script.
        assert_eq!(blinded_by(&binary("(module (memory i64 1))")), None);
    }
}
