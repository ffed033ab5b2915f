//! A writer of modules that trusts its caller: counts and lengths can be made to lie, encodings to be too
//! long. The cases in `cases.rs` are made with it, and only with it.

pub const I32: u8 = 0x7f;
pub const I64: u8 = 0x7e;
pub const FUNCREF: u8 = 0x70;

pub const END: u8 = 0x0b;

/// `value` as unsigned LEB128.
pub fn leb(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// `value` as signed LEB128.
pub fn sleb(mut value: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if (value == 0 && low & 0x40 == 0) || (value == -1 && low & 0x40 != 0) {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A vector of `count` items, as the format writes one; nothing checks that `items` holds so many.
pub fn vector(count: u64, items: impl AsRef<[u8]>) -> Vec<u8> {
    [&leb(count), items.as_ref()].concat()
}

/// A name.
pub fn name(text: &str) -> Vec<u8> {
    vector(text.len() as u64, text)
}

/// A function type.
pub fn func_type(params: &[u8], results: &[u8]) -> Vec<u8> {
    [vec![0x60], vector(params.len() as u64, params), vector(results.len() as u64, results)].concat()
}

/// A body with its size in front. `locals` are groups of (count, type).
pub fn body(locals: &[(u64, u8)], code: &[u8]) -> Vec<u8> {
    let groups: Vec<u8> = locals.iter().flat_map(|(count, ty)| [leb(*count), vec![*ty]].concat()).collect();
    let inner = [vector(locals.len() as u64, groups), code.to_vec(), vec![END]].concat();
    vector(inner.len() as u64, inner)
}

/// `i32.const value`.
pub fn i32_const(value: i64) -> Vec<u8> {
    [vec![0x41], sleb(value)].concat()
}

/// `opcode index`.
pub fn indexed(opcode: u8, index: u64) -> Vec<u8> {
    [vec![opcode], leb(index)].concat()
}

/// A module in the making.
pub struct Module {
    bytes: Vec<u8>,
}

impl Module {
    pub fn new() -> Module {
        Module { bytes: b"\0asm\x01\0\0\0".to_vec() }
    }

    /// Appends a section with the true length of `content`.
    pub fn section(mut self, id: u8, content: impl AsRef<[u8]>) -> Module {
        self.bytes.push(id);
        self.bytes.extend(vector(content.as_ref().len() as u64, content));
        self
    }

    /// Appends a section whose content is a vector of `count` items.
    pub fn items(self, id: u8, count: u64, items: impl AsRef<[u8]>) -> Module {
        self.section(id, vector(count, items))
    }

    pub fn types(self, types: &[Vec<u8>]) -> Module {
        self.items(1, types.len() as u64, types.concat())
    }

    /// Functions without imports, each of the type with the index given.
    pub fn functions(self, types: &[u64]) -> Module {
        self.items(3, types.len() as u64, types.iter().flat_map(|ty| leb(*ty)).collect::<Vec<u8>>())
    }

    /// One export, `run`, of function `index`.
    pub fn export_run(self, index: u64) -> Module {
        self.items(7, 1, [name("run"), vec![0], leb(index)].concat())
    }

    pub fn code(self, bodies: &[Vec<u8>]) -> Module {
        self.items(10, bodies.len() as u64, bodies.concat())
    }

    /// Appends bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Module {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// A module of one function `run` of the type given.
    pub fn of_one(params: &[u8], results: &[u8], locals: &[(u64, u8)], code: &[u8]) -> Vec<u8> {
        Module::new()
            .types(&[func_type(params, results)])
            .functions(&[0])
            .export_run(0)
            .code(&[body(locals, code)])
            .finish()
    }
}
