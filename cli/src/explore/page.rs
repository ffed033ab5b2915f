//! The page: one file of HTML with its style, its script and its data inside.
//!
//! The module has a say in most of the data, and must not get a say in the page. All data is JSON in an element that
//! browsers do not execute, without any `<`, so that nothing in it can end that element; the script puts it on the
//! page as text and never as HTML; and the page forbids itself to load or to execute anything else.

use std::path::Path;

use serde::Serialize;
use wasmrun::{CodeLine, Explored, OptLevel};
use wasmrun_runtime::printable;

use crate::wording::shown;

use super::wat::Text;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// A page to which functions are added.
pub struct Page {
    head: Head,
    /// The functions as JSON, separated by commas.
    functions: String,
    count: usize,
}

/// What the page says of the whole.
#[derive(Serialize)]
struct Head {
    file: String,
    version: &'static str,
    machine: &'static str,
    columns: [&'static str; 5],
    left_out: usize,
}

/// A function: a text for each column.
#[derive(Serialize)]
struct Function {
    index: u32,
    name: Option<String>,
    start: u32,
    size: u32,
    /// Whether the compiler took little time for it.
    quick: bool,
    not_compiled: Option<String>,
    columns: [Column; 5],
}

/// The lines of a column. Numbers are one for each line; there -1 stands for none.
#[derive(Default, Serialize)]
struct Column {
    /// Lines, separated by line feeds.
    text: String,
    /// Offsets in the code; nothing if the code has none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    at: Vec<i64>,
    /// Offsets in the module.
    wasm: Vec<i64>,
    /// Why there is nothing, or no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

impl Page {
    /// A page about a file.
    pub fn new(file: &Path) -> Page {
        let head = Head {
            file: shown(file.display()),
            version: env!("CARGO_PKG_VERSION"),
            machine: std::env::consts::ARCH,
            columns: ["WebAssembly", "Bytecode", "CLIF", "Optimised CLIF", "Machine code"],
            left_out: 0,
        };
        Page { head, functions: String::new(), count: 0 }
    }

    /// Adds a function.
    pub fn add(&mut self, text: Text, explored: Explored) {
        let not_compiled = explored.not_compiled;
        let compiled = |lines: Vec<CodeLine>| {
            let missing = not_compiled.clone().filter(|_| lines.is_empty());
            Column { missing, ..code(lines) }
        };
        let function = Function {
            index: explored.function,
            name: explored.name.map(shown),
            start: explored.body.start,
            size: explored.body.end - explored.body.start,
            quick: explored.opt_level == OptLevel::None,
            columns: [
                wat(text),
                Column { missing: explored.not_interpreted, ..code(explored.bytecode) },
                compiled(explored.lowered),
                compiled(explored.optimised),
                compiled(explored.machine),
            ],
            not_compiled,
        };
        if self.count > 0 {
            self.functions.push_str(",\n");
        }
        self.functions.push_str(&json(&function));
        self.count += 1;
    }

    /// Says how many functions there was no room for.
    pub fn leave_out(&mut self, functions: usize) {
        self.head.left_out = functions;
    }

    /// Number of functions.
    pub fn functions(&self) -> usize {
        self.count
    }

    /// Bytes of the functions.
    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// The page as HTML.
    pub fn finish(self) -> String {
        let data = format!("{{\"head\":{},\n\"functions\":[\n{}\n]}}", json(&self.head), self.functions);
        fill(
            TEMPLATE,
            &[("title", &escaped(&self.head.file)), ("style", STYLE), ("data", &data), ("script", SCRIPT)],
        )
    }
}

/// The column of the text format. The text of a whole module has two spaces in front of a function.
fn wat(text: Text) -> Column {
    let mut column = Column { missing: text.cut, ..Column::default() };
    for (i, (wasm, line)) in text.lines.iter().enumerate() {
        if i > 0 {
            column.text.push('\n');
        }
        column.text.push_str(line.strip_prefix("  ").unwrap_or(line));
        column.wasm.push((*wasm).into());
    }
    column
}

fn code(lines: Vec<CodeLine>) -> Column {
    let number = |number: Option<u32>| number.map_or(-1, i64::from);
    let mut column = Column::default();
    if lines.iter().any(|line| line.offset.is_some()) {
        column.at = lines.iter().map(|line| number(line.offset)).collect();
    }
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            column.text.push('\n');
        }
        column.text.push_str(&printable(&line.text));
        column.wasm.push(number(line.wasm));
    }
    column
}

/// A value as JSON without any `<`, which HTML could take for the end of the data.
fn json(value: &impl Serialize) -> String {
    // Strings and numbers can always be written.
    serde_json::to_string(value).unwrap_or_default().replace('<', "\\u003c")
}

/// A text as HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The template with `{{name}}` replaced. What is filled in is not looked at again.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        let (name, behind) = behind.split_once("}}").expect("the template closes its braces");
        let (_, value) = values.iter().find(|(known, _)| *known == name).expect("the template is ours");
        out.push_str(before);
        out.push_str(value);
        rest = behind;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_not_filled_again() {
        assert_eq!(fill("a{{x}}b{{y}}c", &[("x", "{{y}}"), ("y", "<{{x}}>")]), "a{{y}}b<{{x}}>c");
    }

    #[test]
    fn json_has_nothing_that_html_knows() {
        let text = "</script><!--\u{2028}&lt;\"\\";
        let json = json(&text);
        assert!(!json.contains('<'), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        assert_eq!(escaped("<a b=\"c\">&"), "&lt;a b=&quot;c&quot;&gt;&amp;");
    }

    /// What browsers look for to end the element or to begin another one.
    #[test]
    fn style_and_script_do_not_end_their_elements() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"));
        }
    }

    #[test]
    fn the_script_writes_text_and_never_html() {
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
            assert!(!SCRIPT.contains(word), "{word}");
        }
    }
}
