//! Which functions there are, and the module around them.

use super::super::Type::{self, Any, Exn, Extern, F32, F64, Func, I32, I64, V128};
use super::{
    BACK, CATCH, ENTRIES, Function, GLOBALS, Generator, HOST, KEPT, Kind, PLAIN_GLOBALS, PLAIN_RESULTS,
    RESULTS, SLOTS, TABLE, TABLED, THROW, name as name_of, names, signature,
};

impl Generator {
    fn types(&mut self, len: usize) -> Vec<Type> {
        const TYPES: [Type; 14] = [I32, I32, I32, I64, I64, I64, F64, F64, F32, V128, Extern, Exn, Any, Func];
        let types = if self.keeps { &TYPES[..] } else { &TYPES[..11] };
        (0..len).map(|_| self.one(types)).collect()
    }

    /// What the exceptions of each tag carry. The first two are one tag, imported twice.
    fn declare_tags(&mut self) {
        for _ in 0..3 + self.below(4) {
            let len = self.one(&[0, 0, 1, 1, 2, 3, 5, 9, 17]);
            let carried = self.types(len);
            self.tags.push(carried);
        }
        self.tags[1] = self.tags[0].clone();
    }

    /// Chooses all functions and their types.
    pub(super) fn declare(&mut self) {
        if self.throws() {
            self.declare_tags();
        }
        let tabled: Vec<(Vec<Type>, usize)> = (0..TABLED)
            .map(|_| {
                let len = self.one(&[0, 1, 2, 3, 9, 14]);
                (self.types(len), self.one(&[1, 1, 2, 2, 3, 4, 5, 6]))
            })
            .collect();
        for (kind, prefix, least, more) in
            [(Kind::Host, "h", 1, 3), (Kind::Leaf, "l", 3, 6), (Kind::Worker, "w", 3, 6)]
        {
            for number in 0..least + self.below(more) {
                let len = match kind {
                    Kind::Leaf => self.one(&[0, 1, 1, 2, 2, 3, 5]),
                    _ => self.one(&[0, 1, 2, 3, 4, 5, 7, 9, 12, 18, 25]),
                };
                let results = match kind {
                    Kind::Leaf => self.one(&[0, 1, 1, 1, 2, 2, 3, 4, 6]),
                    _ => self.below(if self.keeps { RESULTS.len() } else { PLAIN_RESULTS }),
                };
                let (params, results) = match self.below(3) {
                    0 => tabled[self.below(TABLED)].clone(),
                    _ => (self.types(len), results),
                };
                let throws = kind == Kind::Host && self.throws() && number % 2 == 0;
                // Of the type that the host has a closure of.
                let closure = throws && self.once_in(2);
                let (params, results) = if closure { (vec![I32], 1) } else { (params, results) };
                let name = format!("${prefix}{number}");
                self.functions.push(Function { name, kind, throws, params, results });
            }
        }
        // Each type of the table has a function, and those that call back are the longer ones once more.
        for (number, (params, results)) in tabled.iter().enumerate() {
            let kind = self.one(&[Kind::Leaf, Kind::Worker]);
            let (name, params) = (format!("$t{number}"), params.clone());
            self.functions.push(Function { name, kind, throws: false, params, results: *results });
        }
        let workers: Vec<usize> = self.of_kind(Kind::Worker);
        for number in 0..1 + self.below(3) {
            let worker = &self.functions[workers[number % workers.len()]];
            let (params, results) = (worker.params.clone(), worker.results);
            let throws = self.throws() && number % 2 == 0;
            let name = format!("$b{number}");
            self.functions.push(Function { name, kind: Kind::Back, throws, params, results });
        }
        for (params, results) in &tabled {
            let fit: Vec<usize> = (0..self.functions.len())
                .filter(|f| self.functions[*f].params == *params && self.functions[*f].results == *results)
                .collect();
            let usual = self.one(&fit);
            for _ in 0..SLOTS {
                let element = if self.once_in(2) { usual } else { self.one(&fit) };
                self.elements.push(Some(element));
            }
        }
        for slot in TABLED * SLOTS..TABLE {
            let any = self.below(self.functions.len());
            self.elements.push((slot % 2 == 0).then_some(any));
        }
    }

    pub(super) fn of_kind(&self, kind: Kind) -> Vec<usize> {
        (0..self.functions.len()).filter(|f| self.functions[*f].kind == kind).collect()
    }

    /// The export that an import calls back: that of the longer function which it was made like.
    fn back_export(&self, number: usize) -> String {
        let workers = self.of_kind(Kind::Worker);
        format!("f{}", number % workers.len())
    }

    pub(super) fn module(&mut self) -> String {
        let mut text = String::from("(module\n");
        let mut backs = 0;
        for function in [Kind::Host, Kind::Back].iter().flat_map(|kind| self.of_kind(*kind)) {
            let Function { name, kind, throws, params, results } = &self.functions[function];
            let back = *kind == Kind::Back;
            let (module, export) = match back {
                true => (if *throws { CATCH } else { BACK }, self.back_export(backs)),
                false => (if *throws { THROW } else { HOST }, name[1..].to_string()),
            };
            backs += usize::from(back);
            let signature = signature(params, RESULTS[*results]);
            text += &format!("(import \"{module}\" \"{export}\" (func {name} {signature}))\n");
        }
        for (number, carried) in self.tags.iter().enumerate() {
            let import = if number < 2 { format!("(import \"{HOST}\" \"tag\")") } else { String::new() };
            let carried = names(carried);
            text += &format!("(tag $x{number} (export \"x{number}\") {import} (param{carried}))\n");
        }
        let shared = if self.shared { " shared" } else { "" };
        text += &format!("(memory (export \"m\") 1 3{shared})\n(global $left (mut i32) (i32.const 0))\n");
        for (name, ty) in self.globals() {
            let value = match ty {
                Extern => "ref.null extern".to_string(),
                Any => "ref.null any".to_string(),
                Exn => "ref.null exn".to_string(),
                Func => "ref.null func".to_string(),
                V128 => "v128.const i64x2 5 6".to_string(),
                _ => format!("{}.const 5", name_of(*ty)),
            };
            text +=
                &format!("(global {name} (export \"{}\") (mut {}) ({value}))\n", &name[1..], name_of(*ty));
        }
        if self.keeps {
            text += &format!("(table $kept (export \"kept\") {KEPT} exnref)\n");
        }
        let elements: String = (self.elements.iter())
            .map(|element| match element {
                Some(function) => format!(" (ref.func {})", self.functions[*function].name),
                None => " (ref.null func)".to_string(),
            })
            .collect();
        text += &format!(
            "(table $t (export \"t\") {TABLE} funcref)\n(elem (table $t) (i32.const 0) funcref{elements})\n"
        );
        text += "(data (i32.const 60) \"all that is called returns, or does not\")\n";
        for (number, function) in self.of_kind(Kind::Worker).into_iter().enumerate() {
            text += &self.entry(number, function);
        }
        if self.throws() && self.once_in(8) {
            text += &self.start();
        }
        for function in self.of_kind(Kind::Leaf).into_iter().chain(self.of_kind(Kind::Worker)) {
            text += &self.function(function);
        }
        text + ")\n"
    }

    /// A function that is called when the module is instantiated.
    fn start(&mut self) -> String {
        let callees = self.of_kind(Kind::Worker);
        let callee = self.one(&callees);
        let Function { name, params, results, .. } = &self.functions[callee];
        let (name, params, results) = (name.clone(), params.clone(), RESULTS[*results].len());
        let [arguments, drops] = [self.constants(&params), " drop".repeat(results)];
        format!(
            "(start $start) (func $start (global.set $left (i32.const {ENTRIES})) (call {name}{arguments}){drops})\n"
        )
    }

    /// The globals that there are.
    pub(super) fn globals(&self) -> &'static [(&'static str, Type)] {
        if self.keeps { &GLOBALS } else { &GLOBALS[..PLAIN_GLOBALS] }
    }

    /// Exports of a function: the one with new units, and the one that is called back.
    fn entry(&mut self, number: usize, function: usize) -> String {
        let tail = self.one(&["call", "return_call"]);
        let Function { name, params, results, .. } = &self.functions[function];
        let arguments: String = (0..params.len()).map(|local| format!(" (local.get {local})")).collect();
        let signature = signature(params, RESULTS[*results]);
        format!(
            "(export \"f{number}\" (func {name}))\n(func (export \"e{number}\") {signature}
              (global.set $left (i32.const {ENTRIES})) ({tail} {name}{arguments}))\n"
        )
    }
}
