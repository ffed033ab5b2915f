//! The examples do what they say: each checks itself, and is run here.

macro_rules! examples {
    ($($name:ident $path:literal)*) => {
        $(
            #[path = $path]
            mod $name;

            #[test]
            fn $name() {
                $name::main().unwrap();
            }
        )*
    };
}

examples! {
    hello "../../../examples/hello.rs"
    host_function "../../../examples/host_function.rs"
    memory "../../../examples/memory.rs"
    linking "../../../examples/linking.rs"
    icount "../../../examples/icount.rs"
    limits_and_deadline "../../../examples/limits_and_deadline.rs"
    reentrancy "../../../examples/reentrancy.rs"
}
