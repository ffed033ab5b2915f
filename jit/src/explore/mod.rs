//! What becomes of one function on its way to machine code, as text: for people who want to see it.
//!
//! The function is compiled anew by what compiles it to be run ([`crate::compile`]), and what is between the stages
//! is written down. Each line knows which instruction of the module it belongs to. All texts have a bound
//! ([`MAX_TEXT`]), whatever a hostile function makes of its bytes. The embedding crate is the caller.

mod clif;
mod machine;

use std::fmt;

use cranelift_codegen::Context;
use cranelift_frontend::FunctionBuilderContext;
use wasmrun_runtime::module::Module;

use crate::compile::{self, CompileError, Job};
use crate::lower;

/// Bytes of text that a stage may have. What does not fit is left out, and a last line says so.
pub const MAX_TEXT: usize = 8 << 20;

/// A line of text about a piece of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Offset in the code, where the code has offsets.
    pub offset: Option<u32>,
    /// Offset in the module of the instruction that this belongs to.
    pub wasm: Option<u32>,
    /// What stands there.
    pub text: String,
}

/// What becomes of a function: the stages that it reached.
#[derive(Debug, Default)]
pub struct Explored {
    /// The intermediate code that it is lowered to.
    pub lowered: Vec<Line>,
    /// The intermediate code as machine code is made of it.
    pub optimised: Vec<Line>,
    /// The machine code.
    pub machine: Vec<Line>,
    /// Why there is no further stage.
    pub error: Option<CompileError>,
}

/// Compiles a function that `module` defines, to show what becomes of it.
pub fn explore(module: &Module, job: &Job<'_>) -> Explored {
    let mut explored = Explored::default();
    explored.error = explored.fill(module, job).err();
    explored
}

impl Explored {
    fn fill(&mut self, module: &Module, job: &Job<'_>) -> Result<(), CompileError> {
        let isa = compile::native(job.mode, true)?;
        let (clif, places) = lower::function(&*isa, module, job, &mut FunctionBuilderContext::new())?;
        self.lowered = clif::lines(&clif, &places);
        let mut context = Context::for_function(clif);
        // An error of Cranelift itself can come before anything is optimised.
        let emitted = compile::emit(&*isa, &mut context)?;
        self.optimised = clif::lines(&context.func, &places);
        let blocks = emitted.bb_starts.clone();
        let compiled = compile::finish(emitted, &context.func, &places, job.function)?;
        self.machine = machine::lines(&compiled, &blocks);
        Ok(())
    }
}

/// Lines, up to [`MAX_TEXT`].
#[derive(Debug, Default)]
pub struct Listing {
    lines: Vec<Line>,
    bytes: usize,
}

impl Listing {
    /// Adds a line. After an error no other fits.
    pub fn push(&mut self, offset: Option<u32>, wasm: Option<u32>, text: String) -> fmt::Result {
        // The line itself takes space as well.
        self.bytes += size_of::<Line>() + text.len();
        let fits = self.bytes <= MAX_TEXT;
        let text = if fits { text } else { "… the rest is left out: it is too long".to_owned() };
        self.lines.push(Line { offset, wasm, text });
        if fits { Ok(()) } else { Err(fmt::Error) }
    }

    /// The lines, the last of which says so if there were more.
    pub fn into_lines(self) -> Vec<Line> {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use wasmrun_runtime::features::Features;

    use super::*;
    use crate::compile::Mode;

    fn explored(text: &str, mode: Mode) -> Explored {
        let bytes = wat::parse_str(text).unwrap();
        let module = wasmrun_runtime::parse(bytes, Features::default(), &Default::default()).unwrap();
        let explored = explore(&module, &Job { mode, ..Job::new(0) });
        assert!(explored.error.is_none(), "{:?}", explored.error);
        explored
    }

    /// The lines of a stage that belong to the same instructions of the module as those of another that say `what`.
    fn same<'a>(from: &[Line], what: &str, to: &'a [Line]) -> Vec<&'a str> {
        let offsets: Vec<u32> =
            from.iter().filter(|line| line.text.contains(what)).filter_map(|line| line.wasm).collect();
        assert!(!offsets.is_empty(), "{what}: {from:#?}");
        let lines = to.iter().filter(|line| line.wasm.is_some_and(|wasm| offsets.contains(&wasm)));
        lines.map(|line| line.text.as_str()).collect()
    }

    const DIVIDES: &str = "(module (func (param i32 i32) (result i32)
        (i32.mul (i32.div_u (local.get 0) (local.get 1)) (i32.add (local.get 0) (local.get 1)))))";

    #[test]
    fn the_lines_of_one_instruction_name_its_offset_in_every_stage() {
        for mode in [Mode::Speed, Mode::Quick] {
            let explored = explored(DIVIDES, mode);
            assert!(explored.lowered[0].text.starts_with("function u0:0("), "{:?}", explored.lowered[0]);
            assert_eq!(explored.lowered.last().unwrap().text, "}");
            for (what, others) in [("udiv", ["imul", "iadd"]), ("imul", ["udiv", "iadd"])] {
                let optimised = same(&explored.lowered, what, &explored.optimised);
                assert!(optimised.iter().any(|line| line.contains(what)), "{optimised:?}");
                assert!(!others.iter().any(|other| optimised.concat().contains(other)), "{optimised:?}");
            }
            let offsets: Vec<u32> = explored.machine.iter().filter_map(|line| line.offset).collect();
            assert!(offsets[0] == 0 && offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");
            let machine = same(&explored.lowered, "udiv", &explored.machine).concat();
            assert!(machine.contains("div ") && machine.contains("traps: "), "{machine}");
            assert!(!machine.contains("mul"), "{machine}");
        }
    }

    #[test]
    fn no_line_of_intermediate_code_holds_a_position_twice() {
        let explored = explored(DIVIDES, Mode::Speed);
        for line in explored.lowered.iter().chain(&explored.optimised) {
            assert!(!line.text.contains('@') && !line.text.contains('\n'), "{line:?}");
        }
    }

    #[test]
    fn tables_and_constants_are_not_taken_for_instructions() {
        let text = "(module (func (param i32) (result f64)
            (block (block (block (br_table 0 1 2 (local.get 0)))
                (return (f64.const 0x1.23456789abcdep+1)))
                (return (f64.neg (f64.convert_i32_s (local.get 0)))))
            (f64.copysign (f64.const 1.5) (f64.convert_i32_u (local.get 0)))))";
        let explored = explored(text, Mode::Speed);
        let all = explored.machine.iter().map(|line| line.text.as_str()).collect::<Vec<_>>().join("\n");
        let entries = all.matches("table entry ->").count();
        assert_eq!(entries, 3, "{all}");
        assert!(!all.contains("(bad)"), "{all}");
        // What the table leads to are instructions that were found where they begin.
        let starts: Vec<u32> = explored.machine.iter().filter_map(|line| line.offset).collect();
        for entry in explored.machine.iter().filter_map(|line| line.text.strip_prefix("table entry -> 0x")) {
            let target = u32::from_str_radix(entry, 16).unwrap();
            assert!(starts.contains(&target), "{target:#x} in {all}");
        }
    }

    #[test]
    fn constants_of_vectors_are_not_taken_for_instructions() {
        // A shift of bytes takes the address of a table of masks; the other two load constants.
        let text = "(module (func (param v128 i32) (result v128)
            (i8x16.shl (i8x16.swizzle (local.get 0) (v128.const i32x4 0x06060606 0x0e0e0e0e 0x27272727 0x1f1f1f1f))
                (local.get 1))))";
        for mode in [Mode::Speed, Mode::Quick] {
            let explored = explored(text, mode);
            let texts: Vec<&str> = explored.machine.iter().map(|line| line.text.as_str()).collect();
            let code = texts.iter().position(|text| text.starts_with("data ")).expect("constants");
            assert!(texts[code..].iter().all(|text| text.starts_with("data ")), "{texts:#?}");
            assert!(texts[..code].iter().all(|text| !text.contains("(bad)")), "{texts:#?}");
            assert!(texts.concat().contains("06 06 06 06 0e 0e 0e 0e 27 27 27 27 1f 1f 1f 1f"), "{texts:#?}");
            let shift = same(&explored.lowered, " ishl ", &explored.machine).concat();
            assert!(shift.contains("psllw "), "{shift}");
        }
    }

    #[test]
    fn a_stage_that_fails_has_a_reason_and_the_stages_before_it_are_there() {
        // Each value is in use until the end, and none can be computed again: the frame becomes too large.
        let count = 20_000;
        let loads = "(i32.load (local.get 0))".repeat(count);
        let adds = "i32.xor ".repeat(count - 1);
        let text = format!("(module (memory 1) (func (param i32) (result i32) {loads} {adds}))");
        let bytes = wat::parse_str(text).unwrap();
        let module = wasmrun_runtime::parse(bytes, Features::default(), &Default::default()).unwrap();
        let explored = explore(&module, &Job { mode: Mode::Quick, ..Job::new(0) });
        assert!(matches!(explored.error, Some(CompileError::FrameTooLarge(_))), "{:?}", explored.error);
        assert!(
            !explored.lowered.is_empty() && !explored.optimised.is_empty() && explored.machine.is_empty()
        );
    }

    #[test]
    fn a_text_has_a_bound_and_says_where_it_was_cut() {
        let mut listing = Listing::default();
        let line = "x".repeat(1 << 20);
        while listing.push(None, None, line.clone()).is_ok() {}
        let (last, rest) = listing.lines.split_last().unwrap();
        assert!(last.text.contains("left out") && rest.iter().all(|l| l.text == line));
        assert!(rest.len() <= MAX_TEXT >> 20);
    }
}
