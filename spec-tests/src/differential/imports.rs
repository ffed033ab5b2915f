//! What a module under test gets from the host on wasmrun: functions that answer, call back, throw and catch.

use ::wasmrun::{
    AsContextMut, Caller, Error, Exception, ExnRef, Extern, ExternType, Func, FuncType, Global, ImportType,
    Memory, Module, Ref, Store, Table, Tag, TagType, Val, ValType,
};

use super::host::{digest_of, initial_value, of_digest};
use super::wasmrun::{reference_type, seen, type_of, val};
use super::{Type, Value, calls};

/// Shown to whoever watches, with what a function has been called with, or has caught.
pub(super) type Notice<T> = fn(&mut Caller<'_, T>, &[Value]);

/// What satisfies the imports of a module. Functions show `notice` with what they are called.
pub(super) fn provide<T: 'static>(
    store: &mut Store<T>,
    module: &Module,
    notice: Notice<T>,
) -> Result<Vec<Extern>, Error> {
    let mut tag = None;
    module
        .imports()
        .map(|import| match import.ty() {
            // One for all of them.
            ExternType::Tag(ty) if (import.module(), import.name()) == (calls::HOST, "tag") => {
                let made = tag.take().map_or_else(|| Tag::new(&mut *store, ty), Ok)?;
                tag = Some(made);
                Ok(made.into())
            }
            ty => provide_one(store, &import, ty, notice),
        })
        .collect()
}

fn provide_one<T: 'static>(
    store: &mut Store<T>,
    import: &ImportType<'_>,
    ty: ExternType,
    notice: Notice<T>,
) -> Result<Extern, Error> {
    Ok(match ty {
        ExternType::Func(ty) => function(store, import, ty, notice)?.into(),
        ExternType::Global(ty) => {
            let value = val(&mut *store, initial_value(type_of(ty.content)))?;
            Global::new(&mut *store, ty, value)?.into()
        }
        ExternType::Memory(ty) => Memory::new(&mut *store, ty)?.into(),
        ExternType::Table(ty) => {
            let value = val(&mut *store, initial_value(reference_type(ty.element)))?;
            Table::new(&mut *store, ty, value.ref_().expect("tables hold references"))?.into()
        }
        ExternType::Tag(ty) => Tag::new(&mut *store, ty)?.into(),
    })
}

fn function<T: 'static>(
    store: &mut Store<T>,
    import: &ImportType<'_>,
    ty: FuncType,
    notice: Notice<T>,
) -> Result<Func, Error> {
    let results: Vec<Type> = ty.results().iter().map(|ty| type_of(*ty)).collect();
    let (module, name) = (import.module().to_string(), import.name().to_string());
    let throws = module == calls::THROW;
    if throws && ty.params() == [ValType::I32] && ty.results() == [ValType::I32] {
        // Called by compiled code without slots.
        return Ok(Func::wrap(store, move |mut caller: Caller<'_, T>, arg: i32| -> Result<i32, Error> {
            notice(&mut caller, &[Value::I32(arg)]);
            may_throw(&mut caller, digest_of(&[Value::I32(arg)]))?;
            Ok(arg.rotate_left(5))
        }));
    }
    Ok(Func::new(store, ty, move |mut caller, args, out| {
        let values: Vec<Value> = args.iter().map(|arg| seen(&mut caller, arg, 0)).collect();
        notice(&mut caller, &values);
        let digest = if module == calls::BACK || module == calls::CATCH {
            let called = caller.get_export(&name).and_then(Extern::into_func);
            let called = called.expect("what calls back names an export").call(&mut caller, args, out);
            match called {
                Err(error) if module == calls::CATCH => caught(&mut caller, error, notice)?,
                called => return called,
            }
        } else {
            digest_of(&values)
        };
        if throws {
            may_throw(&mut caller, digest)?;
        }
        for (slot, value) in out.iter_mut().zip(of_digest(digest, &results)) {
            *slot = val(&mut caller, value)?;
        }
        Ok(())
    }))
}

/// The tag that the guest exports by a number.
fn exported_tag<T: 'static>(caller: &mut Caller<'_, T>, number: u64) -> Option<Tag> {
    caller.get_export(&format!("x{number}")).and_then(Extern::into_tag)
}

/// Throws, for one digest of four, what has one of the tags of the guest, or one that no guest knows.
fn may_throw<T: 'static>(caller: &mut Caller<'_, T>, digest: u64) -> Result<(), Error> {
    if digest & 0x30 == 0 { Err(thrown(caller, digest)?) } else { Ok(()) }
}

fn thrown<T: 'static>(caller: &mut Caller<'_, T>, digest: u64) -> Result<Error, Error> {
    let tag = match exported_tag(caller, digest % 8) {
        Some(tag) => tag,
        None => Tag::new(&mut *caller, TagType::new([ValType::I64, ValType::EXTERNREF]))?,
    };
    let types: Vec<Type> = tag.ty(&*caller).params().iter().map(|ty| type_of(*ty)).collect();
    let values: Result<Vec<Val>, Error> =
        of_digest(digest, &types).into_iter().map(|value| val(&mut *caller, value)).collect();
    let exception = ExnRef::new(&mut *caller, &tag, &values?)?;
    Ok(Exception::new(&mut *caller, &exception)?.into())
}

/// What can be seen of an exception: which of the guest's tags it has, and what it carries.
pub(super) fn seen_exception<T: 'static>(
    store: &mut impl AsContextMut<Data = T>,
    exception: &Exception,
    tags: &[Tag],
) -> Result<(Option<usize>, Vec<Value>), Error> {
    let number = tags.iter().position(|tag| *tag == exception.tag());
    let carried: Vec<Val> = exception.exception().fields(&mut *store)?.collect();
    Ok((number, carried.iter().map(|value| seen(store, value, 0)).collect()))
}

/// What becomes of an exception that a function of the host has got from the guest: the function returns what follows from
/// it, throws it again, or another one, and may leave it where the guest finds it.
fn caught<T: 'static>(caller: &mut Caller<'_, T>, error: Error, notice: Notice<T>) -> Result<u64, Error> {
    let Some(exception) = error.downcast_ref::<Exception>().cloned() else { return Err(error) };
    let tags: Vec<Tag> = (0..8).map_while(|number| exported_tag(caller, number)).collect();
    let (tag, mut carried) = seen_exception(caller, &exception, &tags)?;
    carried.push(Value::I64(tag.map_or(-1, |tag| tag as i64)));
    notice(caller, &carried);
    let digest = digest_of(&carried);
    if digest & 0x100 == 0
        && let Some(kept) = caller.get_export("kept").and_then(Extern::into_table)
    {
        let reference = exception.exception().to_rooted(&mut *caller)?;
        kept.set(&mut *caller, digest >> 9 & 3, Ref::Exn(Some(reference)))?;
    }
    match digest & 3 {
        0 => Err(error),
        1 => Err(error.context("thrown again by the host")),
        2 => Err(thrown(caller, digest)?),
        _ => Ok(digest),
    }
}
