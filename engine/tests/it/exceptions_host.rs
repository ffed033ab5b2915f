//! Exceptions at the border: the host throws what the guest catches and catches what the guest throws, and passes on what it
//! does not want, however often the two call one another meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmrun::{
    Caller, Engine, Error, Exception, ExnRef, Extern, ExternRef, Func, Global, GlobalType, HeapType,
    Instance, Linker, Module, Mutability, OwnedRooted, Ref, RefType, Result, RootScope, Rooted, Store, Table,
    TableType, Tag, TagType, Trap, V128, Val, ValType, WasmBacktrace,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    the_guest_catches_what_the_host_throws
    the_host_sees_what_the_guest_throws
    exceptions_pass_through_guest_and_host_alike
    only_exceptions_of_the_store_are_caught
    an_exception_can_be_thrown_again_long_after_it_was_caught
    what_is_thrown_and_caught_is_no_burden
    the_start_function_can_throw
    references_to_exceptions_go_in_and_out
    a_guest_that_is_asked_to_stop_while_it_throws_catches_nothing
}

/// One that collects at every allocation.
fn stressed(mode: Mode) -> Engine {
    Engine::new(mode.config().gc_stress(true)).unwrap()
}

/// The exception that an error is.
fn thrown(error: &Error) -> &Exception {
    error.downcast_ref().unwrap_or_else(|| panic!("no exception: {error:?}"))
}

/// Throws what [`everything`] carries.
fn throw_everything(caller: &mut Caller<'_, ()>, tag: &Tag, number: i32) -> Error {
    let secret = ExternRef::new(&mut *caller, number).unwrap();
    let values = [
        Val::I32(number),
        Val::from(secret),
        Val::I64(-1),
        Val::F32(0x7fa0_0001),
        Val::V128(V128::from(1 << 100)),
        Val::F64(0.5f64.to_bits()),
        Val::FuncRef(None),
    ];
    let exception = ExnRef::new(&mut *caller, tag, &values).unwrap();
    Exception::new(caller, &exception).unwrap().into()
}

fn everything() -> TagType {
    TagType::new([
        ValType::I32,
        ValType::EXTERNREF,
        ValType::I64,
        ValType::F32,
        ValType::V128,
        ValType::F64,
        ValType::FUNCREF,
    ])
}

fn the_guest_catches_what_the_host_throws(mode: Mode) -> Result<()> {
    let engine = stressed(mode);
    let text = r#"(module
        (import "" "tag" (tag $tag (param i32 externref i64 f32 v128 f64 funcref)))
        (import "" "other" (tag $other (param i32 externref i64 f32 v128 f64 funcref)))
        (import "" "throw" (func $throw (param i32)))
        (import "" "throw with reference" (func $throw_with_reference (param i32 externref) (result externref)))
        (func (export "catch") (param i32) (result i32 externref i64 f32 v128 f64 funcref)
            (block $other (result i32 externref i64 f32 v128 f64 funcref)
                (block $caught (result i32 externref i64 f32 v128 f64 funcref)
                    (try_table (catch $other $other) (catch $tag $caught)
                        (call $throw (local.get 0)))
                    (unreachable))
                (return))
            (unreachable))
        (func (export "catch all") (param i32 externref) (result externref)
            (block $caught
                (drop (try_table (result externref) (catch_all $caught)
                    (call $throw_with_reference (local.get 0) (local.get 1))))
                (unreachable))
            (local.get 1))
        (func (export "let go") (param i32) (call $throw (local.get 0))))"#;
    let mut store = Store::new(&engine, ());
    let [tag, other] = [(); 2].map(|()| Tag::new(&mut store, everything()).unwrap());
    let mut linker = Linker::new(&engine);
    linker.define(&store, "", "tag", tag)?.define(&store, "", "other", other)?;
    linker.func_wrap("", "throw", move |mut caller: Caller<'_, ()>, number: i32| -> Result<()> {
        Err(throw_everything(&mut caller, &tag, number))
    })?;
    linker.func_wrap(
        "",
        "throw with reference",
        move |mut caller: Caller<'_, ()>, number: i32, _: Option<Rooted<ExternRef>>| {
            Err::<Option<Rooted<ExternRef>>, _>(throw_everything(&mut caller, &tag, number))
        },
    )?;
    let instance = linker.instantiate(&mut store, &Module::new(&engine, text)?)?;

    let catch = instance.get_func(&mut store, "catch").unwrap();
    for number in 0..10 {
        let mut store = RootScope::new(&mut store);
        let mut caught = vec![Val::I32(0); 7];
        catch.call(&mut store, &[Val::I32(number)], &mut caught)?;
        assert_eq!(caught[0], Val::I32(number));
        let secret = caught[1].unwrap_extern_ref().unwrap().data(&store)?;
        assert_eq!(secret.unwrap().downcast_ref(), Some(&number));
        let rest = [
            Val::I64(-1),
            Val::F32(0x7fa0_0001),
            Val::V128(V128::from(1 << 100)),
            Val::F64(0.5f64.to_bits()),
            Val::FuncRef(None),
        ];
        assert_eq!(caught[2..], rest);
    }

    let secret = ExternRef::new(&mut store, "a secret")?;
    let mut kept = [Val::I32(0)];
    let catch_all = instance.get_func(&mut store, "catch all").unwrap();
    catch_all.call(&mut store, &[Val::I32(1), Val::from(secret)], &mut kept)?;
    assert!(Rooted::ref_eq(&store, kept[0].unwrap_extern_ref().unwrap(), &secret)?);

    let let_go = instance.get_typed_func::<i32, ()>(&mut store, "let go")?;
    let error = let_go.call(&mut store, 3).unwrap_err();
    assert_eq!(
        thrown(&error).to_string(),
        "uncaught exception (i32 3, externref, i64 -1, f32 NaN, v128 0x00000010000000000000000000000000, f64 0.5, funcref null)"
    );
    assert_eq!(error.downcast_ref::<WasmBacktrace>().unwrap().frames().len(), 1);
    Ok(())
}

fn the_host_sees_what_the_guest_throws(mode: Mode) -> Result<()> {
    let engine = stressed(mode);
    let text = r#"(module
        (tag $own (export "own") (param i32 f64))
        (tag $empty (export "empty"))
        (func $inner (param i32) (throw $own (local.get 0) (f64.const 0.5)))
        (func (export "throw") (param i32) (result i32) (call $inner (local.get 0)) (i32.const 0))
        (func (export "throw empty") (throw $empty))
        (func (export "trap") (throw_ref (ref.null exn))))"#;
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, text)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let [own, empty] = ["own", "empty"].map(|name| {
        let tag = instance.get_export(&mut store, name).and_then(Extern::into_tag);
        tag.expect("the tag is exported")
    });
    let throw = instance.get_typed_func::<i32, i32>(&mut store, "throw")?;
    let error = throw.call(&mut store, 7).unwrap_err();
    let exception = thrown(&error);
    assert_eq!(exception.tag(), own);
    assert_ne!(exception.tag(), empty);
    store.gc();
    assert_eq!(exception.exception().tag(&store)?, own);
    let fields: Vec<Val> = exception.exception().fields(&mut store)?.collect();
    assert_eq!(fields, [Val::I32(7), Val::from(0.5)]);
    assert!(exception.exception().field(&mut store, 2).is_err());
    let offsets: Vec<_> =
        error.downcast_ref::<WasmBacktrace>().unwrap().frames().iter().map(|f| f.func_index()).collect();
    assert_eq!(offsets, [0, 1]);

    // Another instance of the module has tags of its own.
    let other = Instance::new(&mut store, &module, &[])?;
    let throw = other.get_typed_func::<i32, i32>(&mut store, "throw")?;
    let error = throw.call(&mut store, 8).unwrap_err();
    assert!(thrown(&error).tag() != own && thrown(&error).tag().ty(&store) == own.ty(&store));

    let throw = instance.get_typed_func::<(), ()>(&mut store, "throw empty")?;
    let error = throw.call(&mut store, ()).unwrap_err();
    assert_eq!((thrown(&error).tag(), error.to_string().as_str()), (empty, "uncaught exception"));
    let trap = instance.get_typed_func::<(), ()>(&mut store, "trap")?;
    assert_eq!(trap.call(&mut store, ()).unwrap_err().downcast_ref(), Some(&Trap::NullReference));
    // The message needs no store.
    drop(store);
    assert_eq!(error.to_string(), "uncaught exception");
    Ok(())
}

/// Calls itself through the host `$depth` times, throws down there, and catches at the level `$catcher`.
const NESTED: &str = r#"(module
    (import "" "tag" (tag $tag (param i32 externref)))
    (import "" "again" (func $again (param i32 i32 externref) (result i32)))
    (func $descend (export "descend") (param $depth i32) (param $catcher i32) (param $value externref) (result i32)
        (if (i32.eqz (local.get $depth)) (then (throw $tag (i32.const 40) (local.get $value))))
        (if (result i32) (i32.eq (local.get $depth) (local.get $catcher))
            (then
                (block $caught (result i32 externref)
                    (return (try_table (result i32) (catch $tag $caught)
                        (call $again (i32.sub (local.get $depth) (i32.const 1)) (local.get $catcher) (local.get $value)))))
                (i32.add (i32.shl (i32.eqz (ref.is_null)) (i32.const 1))))
            (else
                (call $again
                    (i32.sub (local.get $depth) (i32.const 1)) (local.get $catcher) (local.get $value))))))"#;

fn exceptions_pass_through_guest_and_host_alike(mode: Mode) -> Result<()> {
    let engine = stressed(mode);
    let mut store = Store::new(&engine, ());
    let tag = Tag::new(&mut store, TagType::new([ValType::I32, ValType::EXTERNREF]))?;
    let mut linker = Linker::new(&engine);
    linker.define(&store, "", "tag", tag)?;
    type Params = (i32, i32, Option<Rooted<ExternRef>>);
    linker.func_wrap(
        "",
        "again",
        |mut caller: Caller<'_, ()>,
         depth: i32,
         catcher: i32,
         value: Option<Rooted<ExternRef>>|
         -> Result<i32> {
            let descend = caller.get_export("descend").and_then(Extern::into_func).unwrap();
            let called = descend.typed::<Params, i32>(&caller)?.call(&mut caller, (depth, catcher, value));
            // What is put around the exception does not hide it.
            called.map_err(|error| error.context(format!("at depth {depth}")))
        },
    )?;
    let instance = linker.instantiate(&mut store, &Module::new(&engine, NESTED)?)?;
    let descend = instance.get_typed_func::<Params, i32>(&mut store, "descend")?;
    let value = ExternRef::new(&mut store, "a value")?.to_owned_rooted(&mut store)?;
    for catcher in 1..6 {
        let mut store = RootScope::new(&mut store);
        let value = value.to_rooted(&mut store)?;
        assert_eq!(descend.call(&mut store, (6, catcher, Some(value)))?, 42);
    }
    let value = value.to_rooted(&mut store)?;
    let error = descend.call(&mut store, (6, -1, Some(value))).unwrap_err();
    assert_eq!((thrown(&error).tag(), thrown(&error).exception().field(&mut store, 0)?), (tag, Val::I32(40)));
    let Val::ExternRef(Some(carried)) = thrown(&error).exception().field(&mut store, 1)? else {
        panic!("a reference is carried")
    };
    assert!(Rooted::ref_eq(&store, &carried, &value)?);
    Ok(())
}

fn only_exceptions_of_the_store_are_caught(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let text = r#"(module
        (import "" "fail" (func $fail (param i32)))
        (func (export "catch all") (param i32) (result i32)
            (block $caught
                (try_table (catch_all $caught) (call $fail (local.get 0)))
                (return (i32.const 0)))
            (i32.const 1)))"#;
    let mut foreign = Store::new(&engine, ());
    let foreign_tag = Tag::new(&mut foreign, TagType::new([]))?;
    let exception = ExnRef::new(&mut foreign, &foreign_tag, &[])?;
    let foreign_error = Exception::new(&mut foreign, &exception)?;
    let mut store = Store::new(&engine, ());
    let tag = Tag::new(&mut store, TagType::new([]))?;
    let fail = Func::wrap(&mut store, move |mut caller: Caller<'_, ()>, how: i32| -> Result<()> {
        match how {
            0 => Ok(()),
            1 => {
                let exception = ExnRef::new(&mut caller, &tag, &[])?;
                Err(Error::new(Exception::new(&mut caller, &exception)?).context("of this store"))
            }
            2 => Err(foreign_error.clone().into()),
            3 => Err(Trap::UnreachableCodeReached.into()),
            4 => Err(Error::msg("an error")),
            _ => panic!("a panic"),
        }
    });
    let instance = Instance::new(&mut store, &Module::new(&engine, text)?, &[fail.into()])?;
    let catch_all = instance.get_typed_func::<i32, i32>(&mut store, "catch all")?;
    for _ in 0..3 {
        assert_eq!([0, 1].map(|how| catch_all.call(&mut store, how).unwrap()), [0, 1]);
        let error = catch_all.call(&mut store, 2).unwrap_err();
        assert_eq!(thrown(&error).tag(), foreign_tag);
        assert!(thrown(&error).exception().tag(&store).is_err());
        assert_eq!(
            catch_all.call(&mut store, 3).unwrap_err().downcast_ref(),
            Some(&Trap::UnreachableCodeReached)
        );
        assert_eq!(catch_all.call(&mut store, 4).unwrap_err().to_string(), "an error");
        let panicked = catch_unwind(AssertUnwindSafe(|| catch_all.call(&mut store, 5)));
        assert_eq!(panicked.unwrap_err().downcast_ref(), Some(&"a panic"));
    }
    // A function of the host that the host calls throws as well.
    let error = fail.typed::<i32, ()>(&store)?.call(&mut store, 1).unwrap_err();
    assert_eq!(thrown(&error).tag(), tag);
    Ok(())
}

fn an_exception_can_be_thrown_again_long_after_it_was_caught(mode: Mode) -> Result<()> {
    let engine = stressed(mode);
    let text = r#"(module
        (import "" "again" (func $again))
        (tag $tag (param i32))
        (func $throw (export "throw") (param i32) (throw $tag (local.get 0)))
        (func (export "caught") (param i32) (result exnref)
            (block $caught (result exnref)
                (try_table (catch_all_ref $caught) (call $throw (local.get 0)))
                (unreachable)))
        (func (export "again") (result i32 exnref)
            (block $caught (result i32 exnref)
                (try_table (catch_ref $tag $caught) (call $again))
                (unreachable)))
        (func (export "rethrow") (param exnref) (throw_ref (local.get 0))))"#;
    let mut store = Store::new(&engine, None::<Exception>);
    let again =
        Func::wrap(&mut store, |mut caller: Caller<'_, Option<Exception>>| -> Result<(), Exception> {
            Err(caller.data_mut().take().expect("an exception was kept"))
        });
    let instance = Instance::new(&mut store, &Module::new(&engine, text)?, &[again.into()])?;
    let throw = instance.get_typed_func::<i32, ()>(&mut store, "throw")?;
    let error = throw.call(&mut store, 5).unwrap_err();
    let first: OwnedRooted<ExnRef> = thrown(&error).exception().clone();
    *store.data_mut() = Some(error.downcast::<Exception>().unwrap());
    for number in 0..20 {
        throw.call(&mut store, number).unwrap_err();
    }
    let mut caught = [Val::I32(0), Val::I32(0)];
    instance.get_func(&mut store, "again").unwrap().call(&mut store, &[], &mut caught)?;
    assert_eq!(caught[0], Val::I32(5));
    assert!(Rooted::ref_eq(&store, caught[1].unwrap_exn_ref().unwrap(), &first)?);

    let caught = instance.get_typed_func::<i32, Option<Rooted<ExnRef>>>(&mut store, "caught")?;
    let exception = caught.call(&mut store, 6)?.unwrap();
    let rethrow = instance.get_typed_func::<Option<Rooted<ExnRef>>, ()>(&mut store, "rethrow")?;
    let error = rethrow.call(&mut store, Some(exception)).unwrap_err();
    assert!(Rooted::ref_eq(&store, thrown(&error).exception(), &exception)?);
    assert_eq!(rethrow.call(&mut store, None).unwrap_err().downcast_ref(), Some(&Trap::NullReference));
    Ok(())
}

fn what_is_thrown_and_caught_is_no_burden(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let text = r#"(module
        (import "" "tag" (tag $tag (param i64)))
        (import "" "throw" (func $throw (param i64)))
        (func (export "churn") (param $n i64) (result i64) (local $sum i64)
            (loop $l
                (block $caught (result i64)
                    (try_table (catch $tag $caught) (call $throw (local.get $n)))
                    (unreachable))
                (local.set $sum (i64.add (local.get $sum)))
                (br_if $l (i64.ne (local.tee $n (i64.sub (local.get $n) (i64.const 1))) (i64.const 0))))
            (local.get $sum)))"#;
    let mut store = Store::new(&engine, ());
    let tag = Tag::new(&mut store, TagType::new([ValType::I64]))?;
    let throw = Func::wrap(&mut store, move |mut caller: Caller<'_, ()>, number: i64| -> Result<()> {
        let exception = ExnRef::new(&mut caller, &tag, &[Val::I64(number)])?;
        Err(Exception::new(&mut caller, &exception)?.into())
    });
    let instance = Instance::new(&mut store, &Module::new(&engine, text)?, &[tag.into(), throw.into()])?;
    let churn = instance.get_typed_func::<i64, i64>(&mut store, "churn")?;
    assert_eq!(churn.call(&mut store, 20_000)?, 20_000 * 20_001 / 2);
    store.gc();
    let stats = store.gc_stats().unwrap();
    assert!(stats.allocated >= 20_000 * 24 && stats.peak <= 1 << 20, "{stats:?}");
    Ok(())
}

fn the_start_function_can_throw(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let text = r#"(module
        (import "" "tag" (tag $tag (param i32)))
        (func $start (throw $tag (i32.const 9)))
        (start $start))"#;
    let mut store = Store::new(&engine, ());
    let tag = Tag::new(&mut store, TagType::new([ValType::I32]))?;
    let module = Module::new(&engine, text)?;
    let error = Instance::new(&mut store, &module, &[tag.into()]).unwrap_err();
    assert_eq!(
        (thrown(&error).tag(), thrown(&error).to_string().as_str()),
        (tag, "uncaught exception (i32 9)")
    );
    let error =
        Linker::new(&engine).define(&store, "", "tag", tag)?.instantiate(&mut store, &module).unwrap_err();
    assert_eq!(thrown(&error).exception().field(&mut store, 0)?, Val::I32(9));
    Ok(())
}

fn references_to_exceptions_go_in_and_out(mode: Mode) -> Result<()> {
    let engine = stressed(mode);
    let text = r#"(module
        (import "" "global" (global $global (mut exnref)))
        (import "" "table" (table $table 2 exnref))
        (import "" "tag" (tag $tag (param i32)))
        (func (export "move")
            (table.set $table (i32.const 1) (global.get $global))
            (global.set $global (ref.null exn)))
        (func (export "code") (param (ref exn)) (result i32)
            (block $caught (result i32)
                (try_table (catch $tag $caught) (throw_ref (local.get 0)))
                (unreachable))))"#;
    let mut store = Store::new(&engine, ());
    let tag = Tag::new(&mut store, TagType::new([ValType::I32]))?;
    let exception = ExnRef::new(&mut store, &tag, &[Val::I32(11)])?;
    let ty = GlobalType::new(ValType::EXNREF, Mutability::Var);
    let global = Global::new(&mut store, ty, Val::from(exception))?;
    let table = Table::new(&mut store, TableType::new(RefType::EXNREF, 2, None), Ref::null(HeapType::Exn))?;
    let imports = [global.into(), table.into(), tag.into()];
    let instance = Instance::new(&mut store, &Module::new(&engine, text)?, &imports)?;
    instance.get_typed_func::<(), ()>(&mut store, "move")?.call(&mut store, ())?;
    assert_eq!(global.get(&mut store), Val::null_exn_ref());
    let moved = table.get(&mut store, 1).unwrap();
    assert!(Rooted::ref_eq(&store, moved.as_exn().unwrap().unwrap(), &exception)?);
    let code = instance.get_typed_func::<Rooted<ExnRef>, i32>(&mut store, "code")?;
    assert_eq!(code.call(&mut store, exception)?, 11);
    let code = instance.get_func(&mut store, "code").unwrap();
    for wrong in [Val::ExnRef(None), Val::AnyRef(None), Val::I32(0)] {
        assert!(code.call(&mut store, &[wrong], &mut [Val::I32(0)]).is_err(), "{wrong:?}");
    }
    assert!(global.set(&mut store, Val::ExternRef(None)).is_err());
    Ok(())
}

fn a_guest_that_is_asked_to_stop_while_it_throws_catches_nothing(mode: Mode) -> Result<()> {
    // The host throws below as many frames as a search passes between two looks, and more.
    let wat = r#"(module
        (import "host" "throw" (func $throw))
        (global $caught (export "caught") (mut i32) (i32.const 0))
        (func $down (param $depth i32)
            (if (local.get $depth)
                (then (call $down (i32.sub (local.get $depth) (i32.const 1))) (nop))
                (else (call $throw))))
        (func (export "run") (param $depth i32)
            (block $all (try_table (catch_all $all) (call $down (local.get $depth)) (return)))
            (global.set $caught (i32.const 1))))"#;
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(store.engine(), wat)?;
    let mut linker = Linker::new(store.engine());
    let tag = Tag::new(&mut store, TagType::new([]))?;
    let (stops, handle) = (Arc::new(AtomicBool::new(false)), store.interrupt_handle());
    let asked = stops.clone();
    linker.func_wrap("host", "throw", move |mut caller: Caller<'_, ()>| -> Result<()> {
        if asked.load(Ordering::Relaxed) {
            handle.interrupt();
        }
        let exception = ExnRef::new(&mut caller, &tag, &[])?;
        Err(Exception::new(caller, &exception)?.into())
    })?;
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<i32, ()>(&mut store, "run")?;
    let caught = instance.get_global(&mut store, "caught").expect("it is exported");
    for depth in [9000, 20_000] {
        stops.store(true, Ordering::Relaxed);
        let error = run.call(&mut store, depth).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt), "{depth}");
        assert_eq!(caught.get(&mut store).unwrap_i32(), 0, "{depth}");
        stops.store(false, Ordering::Relaxed);
        run.call(&mut store, depth)?;
        assert_eq!(caught.get(&mut store).unwrap_i32(), 1, "{depth}");
        caught.set(&mut store, Val::I32(0))?;
    }
    Ok(())
}

#[test]
fn exceptions_are_made_of_what_their_tag_says() -> Result<()> {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let tag = Tag::new(&mut store, TagType::new([ValType::I32, ValType::EXTERNREF]))?;
    let message = |made: Result<Rooted<ExnRef>>| made.unwrap_err().to_string();
    assert_eq!(message(ExnRef::new(&mut store, &tag, &[Val::I32(0)])), "an exception of 2 values, not 1");
    assert_eq!(
        message(ExnRef::new(&mut store, &tag, &[Val::I32(0), Val::AnyRef(None)])),
        "type mismatch: expected externref, found anyref"
    );
    let made = ExnRef::new(&mut store, &tag, &[Val::I32(0), Val::ExternRef(None)])?;
    assert_eq!(made.field(&mut store, 1)?, Val::ExternRef(None));
    assert_eq!(
        made.field(&mut store, 2).unwrap_err().to_string(),
        "there is no value 2 in an exception of 2"
    );

    let mut other = Store::new(&engine, ());
    let wrong = "this handle belongs to another store";
    let values = [Val::I32(0), Val::ExternRef(None)];
    assert_eq!(message(ExnRef::new(&mut other, &tag, &values)), wrong);
    assert_eq!(made.tag(&other).unwrap_err().to_string(), wrong);
    assert_eq!(Exception::new(&mut other, &made).unwrap_err().to_string(), wrong);
    let module = Module::new(&engine, r#"(module (import "" "tag" (tag (param i32 externref))))"#)?;
    assert!(Instance::new(&mut other, &module, &[tag.into()]).is_err());
    assert!(Instance::new(&mut store, &module, &[tag.into()]).is_ok());
    let wrong = Tag::new(&mut store, TagType::new([ValType::I32]))?;
    let error = Instance::new(&mut store, &module, &[wrong.into()]).unwrap_err().to_string();
    assert!(error.ends_with("expected tag (i32, externref), found tag (i32)"), "{error}");

    let ended = {
        let mut scope = RootScope::new(&mut store);
        ExnRef::new(&mut scope, &tag, &values)?
    };
    assert!(ended.tag(&store).is_err());
    Ok(())
}

#[test]
fn an_error_keeps_its_exception_alive() -> Result<()> {
    let mut store = Store::new(&Engine::new(wasmrun::Config::new().gc_stress(true))?, ());
    let tag = Tag::new(&mut store, TagType::new([ValType::EXTERNREF]))?;
    let error = {
        let mut scope = RootScope::new(&mut store);
        let value = ExternRef::new(&mut scope, "carried")?;
        let exception = ExnRef::new(&mut scope, &tag, &[Val::from(value)])?;
        Error::from(Exception::new(&mut scope, &exception)?)
    };
    store.gc();
    ExternRef::new(&mut store, "something else")?;
    let value = thrown(&error).exception().field(&mut store, 0)?;
    let value = value.unwrap_extern_ref().unwrap().data(&store)?;
    assert_eq!(value.unwrap().downcast_ref(), Some(&"carried"));
    Ok(())
}
