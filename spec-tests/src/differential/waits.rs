//! Waits that end: what `wasm-smith` makes may wait for ever, for a value that there is.

use wasm_encoder::reencode::{Error, Reencode};
use wasm_encoder::{CodeSection, Instruction, Module};
use wasmparser::{FunctionBody, Operator, Parser};

/// Nanoseconds that a wait may take.
const SHORT: i64 = 700;

struct Short;

impl Reencode for Short {
    type Error = std::convert::Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Self::Error>> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let operator = operators.read()?;
            if matches!(operator, Operator::MemoryAtomicWait32 { .. } | Operator::MemoryAtomicWait64 { .. }) {
                function.instruction(&Instruction::Drop);
                function.instruction(&Instruction::I64Const(SHORT));
            }
            function.instruction(&self.instruction(operator)?);
        }
        code.function(&function);
        Ok(())
    }
}

/// `module` with a short time for each wait in it.
///
/// # Panics
/// It is no valid module.
pub(super) fn with_short_waits(module: &[u8]) -> Vec<u8> {
    let mut short = Module::new();
    Short.parse_core_module(&mut short, Parser::new(0), module).expect("the module is valid");
    short.finish()
}
