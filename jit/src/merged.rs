//! Loads that the compiler has made part of another instruction.
//!
//! Such an instruction of the machine is said to belong to what uses the loaded value. If it traps, that is the load's
//! trap, which stands elsewhere in the module. Which loads these are can be seen from what is left: a load of the intermediate code
//! that may trap, and of whose instruction of the module nothing does.
#![forbid(unsafe_code)]

use std::collections::HashMap;

use cranelift_codegen::ir::{Function, Inst, SourceLoc, TrapCode, Value};

/// Uses of a value that are followed from a load to the instruction that it is part of: an extension, a comparison, a branch.
const MOST_USES: usize = 8;

/// Of the instructions of the machine that may trap, as `(offset, reason, place)`, in order, those that are loads of another place: their
/// offsets and those places.
pub(crate) fn loads(
    function: &Function,
    traps: impl Iterator<Item = (u32, TrapCode, SourceLoc)>,
) -> Vec<(u32, SourceLoc)> {
    let mut open: HashMap<(SourceLoc, TrapCode), Vec<u32>> = HashMap::new();
    for (offset, code, place) in traps {
        open.entry((place, code)).or_default().push(offset);
    }
    let missing: Vec<(Inst, TrapCode)> = instructions(function)
        .filter(|inst| function.dfg.insts[*inst].opcode().can_load())
        .filter_map(|inst| Some((inst, function.dfg.insts[inst].memflags_trap_code(&function.dfg)?)))
        .filter(|(inst, code)| !open.contains_key(&(function.srcloc(*inst), *code)))
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    let users = users(function);
    let mut merged = Vec::new();
    for (load, code) in missing {
        let mut inst = load;
        for _ in 0..MOST_USES {
            let [value] = *function.dfg.inst_results(inst) else { break };
            let Some(Some(user)) = users.get(&value) else { break };
            inst = *user;
            if let Some(offsets) = open.get_mut(&(function.srcloc(inst), code))
                && let Some(offset) = offsets.pop()
            {
                merged.push((offset, function.srcloc(load)));
                break;
            }
        }
    }
    merged.sort_unstable_by_key(|(offset, _)| *offset);
    merged
}

fn instructions(function: &Function) -> impl Iterator<Item = Inst> {
    function.layout.blocks().flat_map(|block| function.layout.block_insts(block))
}

/// The one instruction that uses each value; `None` for values that several do.
fn users(function: &Function) -> HashMap<Value, Option<Inst>> {
    let mut users = HashMap::new();
    for inst in instructions(function) {
        for value in function.dfg.inst_values(inst) {
            let value = function.dfg.resolve_aliases(value);
            users.entry(value).and_modify(|user| *user = None).or_insert(Some(inst));
        }
    }
    users
}
