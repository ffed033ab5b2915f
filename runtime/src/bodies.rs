//! Validation of function bodies, on all cores, within the engine's limits on what one body may need.
//!
//! [`crate::parse`] hands over the bodies once all sections have been read. Besides the rules of the
//! specification two limits hold here, because nothing later could enforce them: a body's operands must fit
//! the slots that tier 0 can address, and the types that its instructions name must not cost a validator or
//! a translator minutes. The second is counted only in modules that could come near it.

use std::sync::atomic::{AtomicUsize, Ordering};

use wasmparser::{
    BinaryReader, BinaryReaderError, Catch, CompositeInnerType, FrameKind, FuncToValidate, FuncValidator,
    FuncValidatorAllocations, FunctionBody, ModuleArity, Operator, SubType, ValidatorResources,
};

use crate::declarations;
use crate::error::{ParseError, Refusal};
use crate::features::Features;
use crate::parallel::on_all_cores;

/// Bytes of function bodies below which one thread validates them all: starting a second one costs more.
const PARALLEL_THRESHOLD: usize = 256 << 10;

/// Value slots that a function of tier 0 can address.
pub const MAX_SLOTS: u32 = 64_000;

/// Values that an instruction may take and return together before [`Traffic`] is counted. Below it, traffic is in
/// proportion to the size of the body.
const WIDE: usize = 32;

/// Values that the instructions of a body may take and give altogether: a fixed part, and so many for each
/// byte. Two million blocks of a thousand values each fit a body of six megabytes; they would keep the
/// validator busy for ten seconds and a translator for a minute. This is half a second and three.
const TRAFFIC: u64 = 256 << 20;
const TRAFFIC_PER_BYTE: u64 = WIDE as u64;

/// Validates all bodies, in parallel when there is enough to do; `wide` says whether the module has a type that
/// [is](is_wide). The error is that of the lowest function.
pub(crate) fn validate(
    bytes: &[u8],
    bodies: &[declarations::Body],
    features: Features,
    to_validate: &[FuncToValidate<ValidatorResources>],
    wide: bool,
) -> Result<(), Refusal> {
    let total: usize = bodies.iter().map(|b| b.len as usize).sum();
    let next = AtomicUsize::new(0);
    // Taken in small runs, in order: when a worker finds an error, all lower bodies have been taken.
    let worker = || -> Option<(usize, Refusal)> {
        const RUN: usize = 16;
        let mut allocations = FuncValidatorAllocations::default();
        loop {
            let start = next.fetch_add(RUN, Ordering::Relaxed);
            if start >= to_validate.len() {
                return None;
            }
            for index in start..(start + RUN).min(to_validate.len()) {
                let function = to_validate[index].index;
                let body = Body { bytes, body: bodies[index], features, function, wide };
                match body.validate(&to_validate[index], allocations) {
                    Ok(reusable) => allocations = reusable,
                    Err(refusal) => {
                        next.store(to_validate.len(), Ordering::Relaxed);
                        return Some((index, refusal));
                    }
                }
            }
        }
    };
    let found = on_all_cores(total >= PARALLEL_THRESHOLD, worker);
    let first = found.into_iter().flatten().min_by_key(|(index, _)| *index);
    first.map_or(Ok(()), |(_, refusal)| Err(refusal))
}

/// Whether the traffic of bodies in a module with this type has to be counted.
pub(crate) fn is_wide(ty: &SubType) -> bool {
    WIDE < match &ty.composite_type.inner {
        CompositeInnerType::Func(ty) => ty.params().len() + ty.results().len(),
        CompositeInnerType::Struct(ty) => ty.fields.len(),
        CompositeInnerType::Array(_) | CompositeInnerType::Cont(_) => 0,
    }
}

/// One body of a module.
struct Body<'m> {
    bytes: &'m [u8],
    body: declarations::Body,
    features: Features,
    /// Whose it is.
    function: u32,
    /// Whether a type of the module is wide enough for traffic to be counted.
    wide: bool,
}

impl Body<'_> {
    fn validate(
        &self,
        to_validate: &FuncToValidate<ValidatorResources>,
        allocations: FuncValidatorAllocations,
    ) -> Result<FuncValidatorAllocations, Refusal> {
        let fail = |error: BinaryReaderError| Refusal::Invalid {
            message: error.message().to_owned(),
            offset: error.offset() as usize,
            function: Some(self.function),
        };
        let to_validate = FuncToValidate {
            resources: to_validate.resources.clone(),
            index: to_validate.index,
            ty: to_validate.ty,
            features: to_validate.features,
        };
        let mut validator = to_validate.into_validator(allocations);
        let (start, len) = (self.body.start as usize, self.body.len as usize);
        let body = FunctionBody::new(BinaryReader::new_features(
            &self.bytes[start..start + len],
            start as u64,
            self.features.to_validator(),
        ));
        let mut reader = body.get_binary_reader_for_operators().map_err(fail)?;
        validator.read_locals(&mut body.get_binary_reader()).map_err(fail)?;
        let mut traffic = self.wide.then(|| Traffic::new(len));
        while !reader.eof() {
            let offset = reader.original_position();
            if let Some(traffic) = &mut traffic {
                let operator = reader.peek_operator(&validator.visitor(offset)).map_err(fail)?;
                if !traffic.allows(&operator, &validator) {
                    return Err(self.too_large(offset, traffic.excess()));
                }
            }
            reader.visit_operator(&mut validator.visitor(offset)).map_err(fail)?.map_err(fail)?;
            // A call can push a thousand values with two bytes: no body is too short for this. Tier 0 has
            // one slot for each value, and a call frame needs a few more.
            let height = validator.operand_stack_height();
            if height.saturating_add(validator.len_locals()) > MAX_SLOTS {
                let what = format!(
                    "the function needs {height} operands and {} locals at once; the engine's limit is \
                     {MAX_SLOTS} for both",
                    validator.len_locals()
                );
                return Err(self.too_large(offset, what));
            }
        }
        reader.finish_expression(&validator.visitor(reader.original_position())).map_err(fail)?;
        Ok(validator.into_allocations())
    }

    fn too_large(&self, offset: u64, what: String) -> Refusal {
        let (offset, function) = (offset as usize, Some(self.function));
        Refusal::TooLarge(ParseError::TooLarge { what, offset, function })
    }
}

/// How many values the instructions of a body take and give. Two bytes open a block of a thousand values, and one byte is a
/// target of a `br_table` that carries as many, three are a clause of a `try_table`: whoever follows types pays for each.
struct Traffic {
    left: u64,
    limit: u64,
}

impl Traffic {
    fn new(body_len: usize) -> Traffic {
        let limit = TRAFFIC + TRAFFIC_PER_BYTE * body_len as u64;
        Traffic { left: limit, limit }
    }

    /// Counts an operator. Returns whether the limit still holds.
    fn allows(&mut self, operator: &Operator<'_>, validator: &FuncValidator<ValidatorResources>) -> bool {
        // Without an arity the operator is invalid, which the validator says better.
        let (takes, gives) = operator.operator_arity(validator).unwrap_or((0, 0));
        let times = match operator {
            Operator::BrTable { targets } => u64::from(targets.len()) + 1,
            _ => 1,
        };
        // What a clause carries is what its label takes.
        let carried = |catch: &Catch| {
            let (Catch::One { label, .. }
            | Catch::OneRef { label, .. }
            | Catch::All { label }
            | Catch::AllRef { label }) = *catch;
            let (ty, kind) = validator.label_block(label)?;
            let (params, results) = validator.block_type_arity(ty)?;
            Some(u64::from(if kind == FrameKind::Loop { params } else { results }))
        };
        let clauses: u64 = match operator {
            Operator::TryTable { try_table } => try_table.catches.iter().filter_map(carried).sum(),
            _ => 0,
        };
        let cost = (u64::from(takes) + u64::from(gives)) * times + clauses;
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or(0);
        left.is_some()
    }

    fn excess(&self) -> String {
        format!(
            "the instructions of the function take and give more than {} values in all, which is the engine's \
             limit for its size",
            self.limit
        )
    }
}
