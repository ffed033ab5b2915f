// With -wasm-enable-sjlj, longjmp throws an exception under this tag and setjmp's caller catches it. Every module has to
// define the tag once, which C cannot say.
__asm__(".globl __c_longjmp\n"
        ".tagtype __c_longjmp i32\n"
        "__c_longjmp:\n");
