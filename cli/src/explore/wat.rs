//! Functions in the text format, with the offset of each instruction.
//!
//! The printer prints whole modules. It is given one that has what the text of the wanted functions needs
//! (declarations, names, their bodies) and empty bodies for all other functions, so that what it costs depends on
//! what is wanted.

use std::io;

use wasmparser::{KnownCustom, Parser, Payload};
use wasmprinter::Print;
use wasmrun_runtime::module::Module;
use wasmrun_runtime::printable;

/// Bytes of text that one function may have. Names can be long, and stand at every use.
const MAX_TEXT: usize = 8 << 20;

/// The text of a function.
#[derive(Debug, Default)]
pub struct Text {
    /// Its lines, with the offsets in the module at which they begin.
    pub lines: Vec<(u32, String)>,
    /// Why there are no more of them.
    pub cut: Option<String>,
}

/// The texts of some functions that `module` defines, which are named in ascending order.
pub fn texts(module: &Module, mut wanted: &[u32]) -> Vec<Text> {
    let mut texts = Vec::new();
    while !wanted.is_empty() {
        let (reduced, places) = reduce(module, wanted);
        let mut lines = Lines { places, texts: Vec::new(), bytes: 0, inside: false };
        let printed = wasmprinter::Config::new().print(&reduced, &mut lines);
        let mut done = lines.texts;
        match printed {
            Ok(()) => done.resize_with(wanted.len(), Text::default),
            Err(error) => {
                let cut = Some(printable(&error.root_cause().to_string()));
                match done.last_mut() {
                    // The rest of this function is lost; those behind it have another go.
                    Some(text) => text.cut = cut,
                    None => done.resize_with(wanted.len(), || Text { lines: Vec::new(), cut: cut.clone() }),
                }
            }
        }
        wanted = &wanted[done.len().min(wanted.len())..];
        texts.append(&mut done);
    }
    texts
}

/// Where a body is in the reduced module, and where it is in the module.
struct Place {
    reduced: u32,
    original: u32,
    len: u32,
}

/// The smaller module, and where the bodies of the wanted functions are in it.
fn reduce(module: &Module, wanted: &[u32]) -> (Vec<u8>, Vec<Place>) {
    /// No locals, no instructions but the end.
    const EMPTY_BODY: &[u8] = &[0, 0x0b];
    const CODE: u8 = 10;
    let bytes = module.bytes();
    let mut out = bytes[..8].to_vec();
    let mut places = Vec::new();
    for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
        let keep = match &payload {
            Payload::TypeSection(_)
            | Payload::ImportSection(_)
            | Payload::FunctionSection(_)
            | Payload::TableSection(_)
            | Payload::MemorySection(_)
            | Payload::TagSection(_)
            | Payload::GlobalSection(_) => true,
            Payload::CustomSection(section) => matches!(section.as_known(), KnownCustom::Name(_)),
            Payload::CodeSectionStart { .. } => {
                let functions = module.imported_function_count()..module.function_count();
                let mut code = Vec::new();
                write_u32(&mut code, functions.len() as u32);
                for function in functions {
                    let body = module.body(function).filter(|_| wanted.binary_search(&function).is_ok());
                    let text =
                        body.map_or(EMPTY_BODY, |body| &bytes[body.start as usize..][..body.len as usize]);
                    write_u32(&mut code, text.len() as u32);
                    let reduced = code.len() as u32;
                    places.extend(body.map(|body| Place { reduced, original: body.start, len: body.len }));
                    code.extend_from_slice(text);
                }
                out.push(CODE);
                write_u32(&mut out, code.len() as u32);
                places.iter_mut().for_each(|place| place.reduced += out.len() as u32);
                out.append(&mut code);
                false
            }
            _ => false,
        };
        if let Some((id, range)) = payload.as_section().filter(|_| keep) {
            out.push(id);
            write_u32(&mut out, (range.end - range.start) as u32);
            out.extend_from_slice(&bytes[range.start as usize..range.end as usize]);
        }
    }
    (out, places)
}

/// Writes a number as LEB128.
fn write_u32(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Keeps the lines of the wanted functions.
struct Lines {
    places: Vec<Place>,
    /// The text of the function that is being printed comes last.
    texts: Vec<Text>,
    /// Bytes of that.
    bytes: usize,
    /// Whether what is printed is part of it.
    inside: bool,
}

impl Print for Lines {
    fn write_str(&mut self, text: &str) -> io::Result<()> {
        if !self.inside {
            return Ok(());
        }
        self.bytes += text.len();
        if self.bytes > MAX_TEXT {
            return Err(io::Error::other("the rest is left out: it is too long"));
        }
        if let Some((_, line)) = self.texts.last_mut().and_then(|text| text.lines.last_mut()) {
            line.push_str(&printable(text));
        }
        Ok(())
    }

    fn newline(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn start_line(&mut self, offset: Option<u64>) {
        let here = offset.and_then(|offset| u32::try_from(offset).ok()).and_then(|offset| {
            let at = self.places.partition_point(|place| place.reduced <= offset).checked_sub(1)?;
            let place = &self.places[at];
            let within = offset - place.reduced;
            (within < place.len).then_some((at, place.original + within))
        });
        self.inside = here.is_some();
        let Some((at, offset)) = here else { return };
        if self.texts.len() <= at {
            self.texts.resize_with(at + 1, Text::default);
            self.bytes = 0;
        }
        self.bytes += size_of::<(u32, String)>();
        if let Some(text) = self.texts.last_mut() {
            text.lines.push((offset, String::new()));
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmrun_runtime::features::Features;
    use wasmrun_runtime::types::TypeRegistry;

    use super::*;

    fn module(text: &str) -> Module {
        let bytes = wat::parse_str(text).unwrap();
        wasmrun_runtime::parse(bytes, Features::executed(), &std::sync::Arc::<TypeRegistry>::default())
            .unwrap()
    }

    #[test]
    fn lines_have_the_offsets_of_the_module_whichever_functions_are_wanted() {
        let module = module(
            r#"(module (import "a" "b" (func $b)) (table 1 funcref) (memory 1) (global $g i32 (i32.const 5))
                (func $one (param $x i32) (result i32) (local f64) (i32.add (local.get $x) (global.get $g)))
                (func $two call $b) (data (i32.const 0) "some data")
                (func $three (result i32) block $out call $two br $out end (call $one (i32.const 7))))"#,
        );
        for wanted in [&[1, 2, 3][..], &[3], &[1, 3], &[2]] {
            let texts = texts(&module, wanted);
            assert_eq!(texts.len(), wanted.len());
            for (function, text) in wanted.iter().zip(&texts) {
                let body = module.body(*function).unwrap();
                assert_eq!(text.cut, None);
                assert_eq!(text.lines[0].0, body.start);
                assert!(text.lines[0].1.trim_start().starts_with("(func $"), "{text:?}");
                for (offset, line) in &text.lines {
                    assert!((body.start..body.start + body.len).contains(offset), "{line}");
                    let opcode = module.bytes()[*offset as usize];
                    match line.trim() {
                        "i32.add" => assert_eq!(opcode, 0x6a),
                        "call $two" | "call $b" | "call $one" => assert_eq!(opcode, 0x10),
                        "global.get $g" => assert_eq!(opcode, 0x23),
                        "i32.const 7" => assert_eq!(opcode, 0x41),
                        _ => {}
                    }
                }
            }
        }
        let three = &texts(&module, &[3])[0];
        let calls = three.lines.iter().filter(|(_, line)| line.trim().starts_with("call $")).count();
        assert_eq!(calls, 2, "{three:?}");
    }

    #[test]
    fn a_text_that_long_names_make_too_long_is_cut_and_takes_no_other_with_it() {
        let (name, calls) = ("n".repeat(50_000), "call 0 ".repeat(1000));
        let module = module(&format!("(module (func ${name}) (func {calls}) (func nop))"));
        let texts = texts(&module, &[1, 2]);
        let bytes: usize = texts[0].lines.iter().map(|(_, line)| line.len()).sum();
        assert!(bytes <= MAX_TEXT && texts[0].cut.as_ref().unwrap().contains("left out"), "{bytes}");
        assert_eq!(texts[1].cut, None);
        assert!(texts[1].lines.iter().any(|(_, line)| line.trim() == "nop"), "{:?}", texts[1]);
    }
}
