//! The oracle for fuel, and for what monitors count: what a guest pays is the same in every mode, to the last unit, and so is
//! the place where it can pay no more, and how often each instruction has been executed when it has come there.

use std::time::Duration;

use ::wasmrun::probe::{Counts, Monitor, Plan};
use ::wasmrun::{Error, Module};

use super::wasmrun::{Wasmrun, Way, items, load};
use super::{Item, Stop, Subject, Value, generate};

/// More than any guest here can spend.
const PLENTY: u64 = 1 << 40;

/// Memory and table bytes that the guest may have, each.
const MEMORY: usize = 16 << 20;

/// Calls that are made of each kind.
const CALLS: usize = 12;

/// What each of a list of calls came to, what fuel it left, and what state. A call that ended at a limit which is
/// the tier's own (its stack) is `None`, as are those behind it that depend on it.
pub type Accounts = Vec<Option<String>>;

/// Whether guests are watched by a monitor that counts, whose numbers belong to the accounts then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    No,
    Yes,
}

/// Counts the instructions of all modules.
#[derive(Default)]
struct Counting(Vec<Counts>);

impl Monitor for Counting {
    fn attach(&mut self, _: &Module, plan: &mut Plan<'_>) -> Result<(), Error> {
        self.0.push(plan.count());
        Ok(())
    }
}

/// Calls the exports of `wasm` with arguments that follow from `seed`: one after the other on one instance, and
/// each on instances of its own that have as much fuel as it needs, one unit less, and half of it.
///
/// # Panics
/// What sufficed once does not suffice again, or less than that does.
pub fn accounts<W: Way>(wasm: &[u8], seed: u64, watched: Watched) -> Accounts {
    let mut accounts = Vec::new();
    let module = load::<W>(wasm, true).expect("the module is valid");
    let items = items(wasm);
    let mut random = generate::Random::new(seed);
    let calls: Vec<(&str, Vec<Value>)> = items
        .iter()
        .filter_map(|(name, item)| match item {
            Item::Func(params) => Some((&**name, params.iter().map(|ty| random.value(*ty)).collect())),
            _ => None,
        })
        .take(CALLS)
        .collect();
    let Some(mut instance) = Watching::<W>::new(&module, PLENTY, watched) else { return accounts };
    let mut comparable = true;
    for (name, args) in &calls {
        let outcome = instance.guest.call(name, args);
        comparable &= !own_limit(&outcome);
        accounts.push(comparable.then(|| instance.account(&items, name, &outcome)));
    }
    for (name, args) in &calls {
        let run = |fuel: u64| {
            let mut instance = Watching::<W>::new(&module, fuel, watched)?;
            let outcome = instance.guest.call(name, args);
            let line = instance.account(&items, name, &outcome);
            Some((outcome, instance.guest.fuel(), line))
        };
        let (outcome, left, line) = run(PLENTY).expect("it could be instantiated before");
        if own_limit(&outcome) {
            accounts.push(None);
            continue;
        }
        accounts.push(Some(line));
        let needed = PLENTY - left;
        let (again, left, _) = run(needed).expect("it could be instantiated before");
        assert_eq!((&again, left), (&outcome, 0), "{name} with the {needed} units that it takes");
        for less in [needed.saturating_sub(1), needed / 2] {
            let ran = run(less);
            if less < needed {
                let stopped = ran.as_ref().is_none_or(|(outcome, ..)| out_of_fuel(outcome));
                assert!(stopped, "{name} takes {needed} units, but makes do with {less}");
            }
            accounts.push(Some(ran.map_or("not even instantiated".to_string(), |(.., line)| line)));
        }
    }
    accounts
}

type Outcome = Result<Vec<Value>, Stop>;

fn out_of_fuel(outcome: &Outcome) -> bool {
    matches!(outcome, Err(Stop::Limit(limit)) if *limit == ::wasmrun::Trap::OutOfFuel.to_string())
}

fn own_limit(outcome: &Outcome) -> bool {
    matches!(outcome, Err(Stop::Limit(_))) && !out_of_fuel(outcome)
}

/// An instance, and what is counted of it.
struct Watching<W> {
    guest: Wasmrun<W>,
    counts: Vec<Counts>,
}

impl<W: Way> Watching<W> {
    fn new(module: &Module, fuel: u64, watched: Watched) -> Option<Watching<W>> {
        let mut counts = Vec::new();
        let guest = Wasmrun::of(module, MEMORY, Duration::from_secs(60), Some(fuel), |store| {
            if watched == Watched::Yes {
                let attached = store.attach(Counting::default())?;
                return Ok(Some(attached));
            }
            Ok(None)
        });
        let (guest, attached) = guest.ok()?;
        if let Some(attached) = attached {
            counts = guest.store().monitor(&attached).0.clone();
        }
        Some(Watching { guest, counts })
    }

    fn account(&mut self, items: &[(String, Item)], name: &str, outcome: &Outcome) -> String {
        let mut state = 0;
        let mut mix = |part: u64| state = super::mixed(state ^ part);
        let instance = &mut self.guest;
        for (name, item) in items {
            match item {
                Item::Func(_) | Item::Uncallable | Item::Tag => {}
                Item::Global => format!("{:?}", instance.global(name)).bytes().for_each(|b| mix(b.into())),
                Item::Memory => instance.memory(name).iter().for_each(|byte| mix((*byte).into())),
                Item::Table => format!("{:?}", instance.table(name)).bytes().for_each(|b| mix(b.into())),
            }
        }
        let (left, total) = (instance.fuel(), self.counts.iter().map(Counts::total).sum::<u64>());
        let mut counted = 0;
        for instruction in self.counts.iter().flat_map(Counts::instructions) {
            counted = super::mixed(counted ^ instruction.executed);
        }
        format!("{name}: {outcome:?}, {left} units left, state {state:x}, {total} instructions: {counted:x}")
    }
}
