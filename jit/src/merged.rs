//! Loads that the compiler has made part of another instruction.
//!
//! Such an instruction of the machine is said to belong to what uses the loaded value. If it traps, that is the load's
//! trap, which stands elsewhere in the module. Which loads these are can be seen from what is left: a load of the intermediate code
//! that may trap, and of whose instruction of the module nothing does.
//!
//! What the optimiser has made up belongs to nothing in the module. Were it to be what a load is merged with, all such loads of a
//! function would look the same: so it is given the load's place before machine code is made ([`give_places`]).
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};

use cranelift_codegen::ir::{Function, Inst, SourceLoc, TrapCode, Value};

/// Uses of a value that are followed from a load to the instruction that it is part of: an extension, a comparison, a branch.
const MOST_USES: usize = 8;

/// Lets instructions that belong to nothing in the module belong to the load whose value they use, if they use one; if several,
/// to the last, as no load is moved over another.
pub(crate) fn give_places(function: &mut Function) {
    // With their numbers, in order.
    let mut loaded: HashMap<Value, (usize, SourceLoc)> = HashMap::new();
    let mut loads = 0;
    let mut next = function.layout.entry_block();
    while let Some(block) = next {
        let mut at = function.layout.first_inst(block);
        while let Some(inst) = at {
            let of_load = if function.srcloc(inst).is_default() {
                let values = function.dfg.inst_values(inst);
                values.filter_map(|value| loaded.get(&value).copied()).max_by_key(|(number, _)| *number)
            } else {
                loads += 1;
                trap_of_load(function, inst).map(|_| (loads, function.srcloc(inst)))
            };
            if let Some((number, place)) = of_load {
                function.set_srcloc(inst, place);
                let values = function.dfg.inst_results(inst).iter();
                loaded.extend(values.map(|value| (*value, (number, place))));
            }
            at = function.layout.next_inst(inst);
        }
        next = function.layout.next_block(block);
    }
}

/// The reason that an instruction traps with, if it is a load that may trap.
fn trap_of_load(function: &Function, inst: Inst) -> Option<TrapCode> {
    let data = &function.dfg.insts[inst];
    data.opcode().can_load().then(|| data.memflags_trap_code(&function.dfg)).flatten()
}

/// The instructions of the machine that may trap, of one place and for one reason.
#[derive(Default)]
struct Traps {
    /// Their offsets, in order.
    offsets: VecDeque<u32>,
    /// How many of them are that place's own. They come last: they use what is loaded.
    own: usize,
}

impl Traps {
    /// The next that is another place's.
    fn take(&mut self) -> Option<u32> {
        (self.offsets.len() > self.own).then(|| self.offsets.pop_front()).flatten()
    }

    /// The next, where none is another place's.
    fn take_own(&mut self) -> Option<u32> {
        self.own = self.own.saturating_sub(1);
        self.offsets.pop_front()
    }
}

/// Of the instructions of the machine that may trap, as `(offset, reason, place)`, in order, those that are loads of another place: their
/// offsets and those places.
pub(crate) fn loads(
    function: &Function,
    traps: impl Iterator<Item = (u32, TrapCode, SourceLoc)>,
) -> Vec<(u32, SourceLoc)> {
    let mut open: HashMap<(SourceLoc, TrapCode), Traps> = HashMap::new();
    for (offset, code, place) in traps {
        open.entry((place, code)).or_default().offsets.push_back(offset);
    }
    let mut missing: VecDeque<(Inst, TrapCode)> = instructions(function)
        .filter_map(|inst| Some((inst, trap_of_load(function, inst)?)))
        .filter(|(inst, code)| !open.contains_key(&(function.srcloc(*inst), *code)))
        .collect();
    if missing.is_empty() {
        return Vec::new();
    }
    for inst in instructions(function) {
        if let Some(code) = function.dfg.insts[inst].memflags_trap_code(&function.dfg)
            && let Some(traps) = open.get_mut(&(function.srcloc(inst), code))
        {
            traps.own += 1;
        }
    }
    let users = users(function);
    let mut merged = Vec::new();
    while let Some((load, code)) = missing.pop_front() {
        let mut inst = load;
        for _ in 0..MOST_USES {
            let [value] = *function.dfg.inst_results(inst) else { break };
            let Some(Some(user)) = users.get(&value) else { break };
            inst = *user;
            let opcode = function.dfg.insts[inst].opcode();
            let accesses = opcode.can_load() || opcode.can_store();
            if let Some(traps) = open.get_mut(&(function.srcloc(inst), code)) {
                if let Some(offset) = traps.take() {
                    merged.push((offset, function.srcloc(load)));
                    break;
                }
                // All that there is at the place of an access that uses what is loaded is the load: the access itself is part of
                // something else, or the two are one instruction, which loads first.
                if accesses && let Some(offset) = traps.take_own() {
                    merged.push((offset, function.srcloc(load)));
                    if trap_of_load(function, inst) == Some(code) {
                        missing.push_back((inst, code));
                    }
                    break;
                }
            }
            if accesses {
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
