//! What is run: our own programs, and those that a list names.
//!
//! A list is a table of tab-separated columns; its first line, behind a `#`, names them, so that columns may be
//! missing or stand in any order. Relative paths in it count from the list's directory.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::glob;

/// A program and how it is started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Its name in the table, for the patterns of the command line.
    pub name: String,
    /// The module.
    pub wasm: PathBuf,
    /// What it is told, without its own name.
    pub args: Vec<String>,
    /// The one directory that it may see.
    pub mount: Option<Mount>,
    /// Its environment.
    pub env: Vec<(String, String)>,
    /// Whether it imports `bench.start` and `bench.end`.
    pub marks: bool,
    /// Whether its output holds timings, and cannot be compared.
    pub output_varies: bool,
    /// The same program in C, of which a native one can be made.
    pub source: Option<PathBuf>,
}

/// A directory and the guest's name for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mount {
    /// Where it is.
    pub host: PathBuf,
    /// What the guest calls it.
    pub guest: String,
}

impl Program {
    /// Whether it is there to measure starting: then waiting time and memory count as well.
    pub fn measures_start(&self) -> bool {
        self.name == "hello" || self.name.ends_with("-hello")
    }
}

/// Our own programs, in the repository at `root`.
pub fn ours(root: &Path) -> Result<Vec<Program>> {
    let (examples, kernels) = (root.join("examples/guests"), root.join("benches/guests"));
    let mut programs = vec![
        Program { name: "hello".to_owned(), wasm: examples.join("hello.wasm"), ..Program::default() },
        Program {
            name: "torus".to_owned(),
            wasm: examples.join("torus.wasm"),
            args: ["--fps", "0", "--frames", "60"].map(str::to_owned).into(),
            source: Some(examples.join("torus.c")),
            ..Program::default()
        },
    ];
    let mut vectors = Vec::new();
    let list = kernels.join("kernels.tsv");
    for row in rows(&list, &read(&list)?)? {
        let kernel = row.needs("kernel")?;
        let program = |name: &str, wasm: PathBuf| -> Result<Program> {
            Ok(Program {
                name: format!("{name}-{kernel}"),
                wasm: wasm.join(format!("{kernel}.wasm")),
                args: vec![row.needs("many")?.to_owned()],
                source: Some(kernels.join(format!("{kernel}.c"))),
                ..Program::default()
            })
        };
        programs.push(program("kernel", kernels.clone())?);
        vectors.push(program("simd", kernels.join("simd"))?);
    }
    programs.append(&mut vectors);
    let list = kernels.join("wat.tsv");
    for row in rows(&list, &read(&list)?)? {
        programs.push(Program {
            name: row.needs("name")?.to_owned(),
            wasm: kernels.join(format!("{}.wasm", row.needs("module")?)),
            args: vec![row.needs("many")?.to_owned()],
            ..Program::default()
        });
    }
    Ok(programs)
}

/// The program for start-up curves, in the repository at `root`. It goes on for longer than anyone waits.
pub fn curve(root: &Path) -> Program {
    let guests = root.join("benches/guests");
    Program {
        name: "curve".to_owned(),
        wasm: guests.join("curve.wasm"),
        args: vec!["1000000000".to_owned()],
        source: Some(guests.join("curve.c")),
        ..Program::default()
    }
}

/// The programs of `LIST.tsv` in `dir`.
pub fn suite(dir: &Path) -> Result<Vec<Program>> {
    let list = dir.join("LIST.tsv");
    rows(&list, &read(&list)?)?.iter().map(|row| row.program(dir)).collect()
}

/// Those that some pattern describes, in the order of the programs; all of them where there is no pattern. A
/// pattern that describes none is an error, for it is a slip of the pen.
pub fn select(programs: Vec<Program>, patterns: &[String]) -> Result<Vec<Program>> {
    if let Some(idle) = patterns.iter().find(|p| !programs.iter().any(|q| glob::matches(p, &q.name))) {
        let names: Vec<&str> = programs.iter().map(|program| program.name.as_str()).collect();
        return Err(Error::Usage(format!("no program is called `{idle}`; there are: {}", names.join(", "))));
    }
    let chosen = |p: &Program| patterns.is_empty() || patterns.iter().any(|q| glob::matches(q, &p.name));
    Ok(programs.into_iter().filter(chosen).collect())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(Error::io("read", path))
}

/// One line of a list, with the names of its columns.
struct Row<'a> {
    list: &'a Path,
    line: usize,
    cells: Vec<(&'a str, &'a str)>,
}

fn rows<'a>(list: &'a Path, text: &'a str) -> Result<Vec<Row<'a>>> {
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let columns: Vec<&str> = match lines.next() {
        Some((_, head)) if head.starts_with('#') => head[1..].split('\t').map(str::trim).collect(),
        _ => {
            let reason =
                "the first line must be `#` and the names of the columns, separated by tabs".to_owned();
            return Err(Error::List { path: list.to_owned(), line: 1, reason });
        }
    };
    let mut rows = Vec::new();
    for (line, text) in lines.filter(|(_, text)| !text.trim().is_empty() && !text.starts_with('#')) {
        let values: Vec<&str> = text.split('\t').map(str::trim).collect();
        if values.len() > columns.len() {
            let reason = format!("{} columns, but the first line names {}", values.len(), columns.len());
            return Err(Error::List { path: list.to_owned(), line, reason });
        }
        rows.push(Row { list, line, cells: columns.iter().copied().zip(values).collect() });
    }
    Ok(rows)
}

impl<'a> Row<'a> {
    /// The value in a column; empty if there is none.
    fn get(&self, column: &str) -> &'a str {
        self.cells.iter().find(|(name, _)| *name == column).map_or("", |(_, value)| value)
    }

    fn needs(&self, column: &str) -> Result<&'a str> {
        match self.get(column) {
            "" => Err(self.wrong(format!("the column `{column}` is empty or missing"))),
            value => Ok(value),
        }
    }

    fn wrong(&self, reason: String) -> Error {
        Error::List { path: self.list.to_owned(), line: self.line, reason }
    }

    /// The value of a column that holds one of two words; empty is the first.
    fn either(&self, column: &str, [no, yes]: [&str; 2]) -> Result<bool> {
        match self.get(column) {
            "" => Ok(false),
            value if value == no => Ok(false),
            value if value == yes => Ok(true),
            value => {
                Err(self.wrong(format!("`{value}` in the column `{column}`, which holds `{no}` or `{yes}`")))
            }
        }
    }

    fn program(&self, dir: &Path) -> Result<Program> {
        let mount = match self.get("dir") {
            "" => None,
            both => {
                let (host, guest) = both
                    .split_once("::")
                    .ok_or_else(|| self.wrong(format!("`{both}` in the column `dir` is not HOST::GUEST")))?;
                Some(Mount { host: dir.join(host), guest: guest.to_owned() })
            }
        };
        let env = self
            .get("env")
            .split_whitespace()
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
                None => Err(self.wrong(format!("`{pair}` in the column `env` is not NAME=VALUE"))),
            })
            .collect::<Result<_>>()?;
        Ok(Program {
            name: self.needs("name")?.to_owned(),
            wasm: dir.join(self.needs("wasm")?),
            args: self.get("args").split_whitespace().map(str::to_owned).collect(),
            mount,
            env,
            marks: self.either("bench", ["no", "yes"])?,
            output_varies: self.either("stdout", ["same", "varies"])?,
            source: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Program>> {
        rows(Path::new("/l/LIST.tsv"), text)?.iter().map(|row| row.program(Path::new("/l"))).collect()
    }

    #[test]
    fn a_row_becomes_a_program_with_paths_from_the_lists_directory() {
        let text = "#name\twasm\targs\tdir\tenv\tbench\tstdout\n\
            py\t/abs/py.wasm\t/s/a.py 12\tscripts::/s\tA=1 B=x=y\tno\tvaries\n\
            bz2\tbz2/b.wasm\t\t/abs/bz2::.\t\tyes\n";
        let [py, bz2] = parse(text).unwrap().try_into().unwrap();
        assert_eq!(
            py,
            Program {
                name: "py".to_owned(),
                wasm: "/abs/py.wasm".into(),
                args: vec!["/s/a.py".to_owned(), "12".to_owned()],
                mount: Some(Mount { host: "/l/scripts".into(), guest: "/s".to_owned() }),
                env: vec![("A".to_owned(), "1".to_owned()), ("B".to_owned(), "x=y".to_owned())],
                marks: false,
                output_varies: true,
                source: None,
            }
        );
        assert_eq!(bz2.wasm, Path::new("/l/bz2/b.wasm"));
        assert_eq!(bz2.mount, Some(Mount { host: "/abs/bz2".into(), guest: ".".to_owned() }));
        assert!(bz2.marks && !bz2.output_varies && bz2.args.is_empty() && bz2.env.is_empty());
    }

    #[test]
    fn columns_may_be_missing_and_stand_in_any_order() {
        let [program] = parse("#wasm\tname\n\n# a remark\na.wasm\ta\n").unwrap().try_into().unwrap();
        assert_eq!(program.name, "a");
        assert_eq!(program.wasm, Path::new("/l/a.wasm"));
    }

    #[test]
    fn a_bad_line_is_named_with_its_number_and_its_fault() {
        for (text, message) in [
            ("name\twasm\n", "/l/LIST.tsv:1: the first line must be `#`"),
            ("#name\twasm\na\n", "/l/LIST.tsv:2: the column `wasm` is empty or missing"),
            ("#name\twasm\na\tb\tc\n", "/l/LIST.tsv:2: 3 columns, but the first line names 2"),
            ("#name\twasm\tdir\n\na\tb\tc\n", "/l/LIST.tsv:3: `c` in the column `dir` is not HOST::GUEST"),
            ("#name\twasm\tbench\na\tb\tmaybe\n", "/l/LIST.tsv:2: `maybe` in the column `bench`"),
            ("#name\twasm\tenv\na\tb\tX\n", "/l/LIST.tsv:2: `X` in the column `env` is not NAME=VALUE"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn patterns_choose_programs_and_one_that_chooses_none_is_an_error() {
        let programs = || parse("#name\twasm\na\tx\nb\tx\nab\tx\n").unwrap();
        let names = |patterns: &[&str]| {
            let patterns: Vec<String> = patterns.iter().map(|&p| p.to_owned()).collect();
            select(programs(), &patterns).map(|chosen| chosen.into_iter().map(|p| p.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["a", "b", "ab"]);
        assert_eq!(names(&["ab", "a*"]).unwrap(), ["a", "ab"]);
        assert!(names(&["a", "c"]).unwrap_err().to_string().contains("no program is called `c`"));
    }

    #[test]
    fn all_our_programs_are_there_with_their_sources() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let programs = ours(root).unwrap();
        assert!(programs.len() > 2);
        for program in programs.into_iter().chain([curve(root)]) {
            assert!(program.wasm.is_file(), "{}", program.wasm.display());
            assert!(program.source.is_none_or(|source| source.is_file()), "{}", program.name);
        }
    }

    /// `WASMRUN_BLESS=1` makes the modules instead.
    #[test]
    fn kernels_written_as_text_are_there_in_binary_form() {
        let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests");
        let list = kernels.join("wat.tsv");
        for row in rows(&list, &read(&list).unwrap()).unwrap() {
            let module = kernels.join(row.needs("module").unwrap());
            let (text, binary) = (module.with_extension("wat"), module.with_extension("wasm"));
            let made = wat::parse_file(&text).unwrap();
            if std::env::var_os("WASMRUN_BLESS").is_some() {
                fs::write(&binary, &made).unwrap();
            }
            let there = fs::read(&binary).unwrap_or_default();
            assert!(there == made, "{} is not what its text says; WASMRUN_BLESS=1", binary.display());
        }
    }

    #[test]
    fn programs_called_hello_measure_starting() {
        let named = |name: &str| Program { name: name.to_owned(), ..Program::default() }.measures_start();
        assert!(named("hello") && named("python-hello"));
        assert!(!named("othello") && !named("hello-world"));
    }
}
