//! An [`Explanation`] as people read it.

use std::fmt::{self, Write as _};

use crate::output::plural;

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
    writeln!(out, "{}: {}", file.display(), plural(imports.len() as u64, "import"))?;
    if !imports.is_empty() {
        let names: Vec<_> = imports.iter().map(|i| format!("{}::{}", i.module, i.name)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        out.push('\n');
        for (import, name) in imports.iter().zip(&names) {
            let capability = import.capability.map_or(import.kind, |class| class.text());
            writeln!(out, "  {name:width$}  {capability:44}  {}", verdict(import))?;
        }
    }
    writeln!(out, "\nThe guest would be given:\n")?;
    for line in grants.to_string().lines() {
        writeln!(out, "  {line}")?;
    }
    for option in unused {
        writeln!(out, "\nunused: no import could use what `{option}` grants")?;
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
            let by: Vec<_> = import.by.iter().map(|by| format!("`{by}`")).collect();
            format!("granted by {}", by.join(", "))
        }
        Status::Denied => "denied".to_owned(),
        Status::Missing => "missing".to_owned(),
    };
    if let Some(option) = &import.option {
        let verb = if import.status == Status::Missing { "provide" } else { "grant" };
        let _ = write!(text, ": `{option}` would {verb} it");
    }
    if let Some(hint) = &import.hint {
        let _ = write!(text, ": {hint}");
    }
    text
}
