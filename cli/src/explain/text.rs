//! An [`Explanation`] as people read it.

use std::fmt::{self, Write as _};

use wasmrun_runtime::printable;

use crate::wording::{plural, shown, width};

use super::{Explanation, ImportRow, Status};

/// The whole page.
pub fn render(explanation: &Explanation) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut out, explanation);
    out
}

fn write_page(out: &mut String, explanation: &Explanation) -> fmt::Result {
    let Explanation { file, imports, unused, grants } = explanation;
    writeln!(out, "{}: {}", shown(file.display()), plural(imports.len() as u64, "import"))?;
    if !imports.is_empty() {
        let names: Vec<_> =
            imports.iter().map(|i| format!("{}::{}", shown(&i.module), shown(&i.name))).collect();
        let column = width(&names);
        out.push('\n');
        for (import, name) in imports.iter().zip(&names) {
            let capability = import.capability.map_or(import.kind, |class| class.text());
            writeln!(out, "  {name:column$}  {capability:44}  {}", verdict(import))?;
        }
    }
    writeln!(out, "\nThe guest would be given:\n")?;
    for line in grants.to_string().lines() {
        writeln!(out, "  {}", printable(line))?;
    }
    for option in unused {
        writeln!(out, "\nunused: no import could use what `{}` grants", shown(option))?;
    }
    let missing = imports.iter().filter(|import| import.status == Status::Missing).count();
    if missing > 0 {
        let are = if missing == 1 { "is" } else { "are" };
        let imports = plural(missing as u64, "import");
        writeln!(out, "\n{imports} {are} missing: the module cannot be run with these options")?;
    }
    Ok(())
}

fn verdict(import: &ImportRow) -> String {
    let mut text = match import.status {
        Status::Granted if import.by.iter().any(|by| by == "always") => "granted: always".to_owned(),
        Status::Granted => {
            let by: Vec<_> = import.by.iter().map(|by| format!("`{}`", shown(by))).collect();
            format!("granted by {}", by.join(", "))
        }
        Status::Denied => "denied".to_owned(),
        Status::Missing => "missing".to_owned(),
    };
    if let Some(option) = &import.option {
        let verb = if import.status == Status::Missing { "provide" } else { "grant" };
        let _ = write!(text, ": `{}` would {verb} it", shown(option));
    }
    if let Some(hint) = &import.hint {
        let _ = write!(text, ": {}", shown(hint));
    }
    text
}
