/* All ways in which a program ends; the variable WAY says which. */
#include "guest.h"

static int way(const char *name) {
    const char *wanted = getenv("WAY");
    return wanted && !strcmp(wanted, name);
}

static void first(void) { say_text("atexit", "first"); }
static void second(void) {
    say_text("atexit", "second");
    if (way("exit in atexit")) _Exit(21);
}

__attribute__((constructor)) static void construct(void) {
    say_text("constructor", "runs");
    if (way("exit in a constructor")) exit(20);
}

__attribute__((destructor)) static void destruct(void) { say_text("destructor", "runs"); }

__attribute__((noinline)) static int deeper(int depth) {
    if (depth == 0) exit(22);
    return deeper(depth - 1) + 1;
}

int main(void) {
    atexit(first);
    atexit(second);
    say_text("main", "runs");
    if (way("return 3")) return 3;
    if (way("return 256")) return 256;
    if (way("return -1")) return -1;
    if (way("exit")) exit(4);
    if (way("exit deep down")) return deeper(100);
    if (way("_Exit")) _Exit(5);
    if (way("proc_exit")) __wasi_proc_exit(0xdeadbeef);
    if (way("abort")) abort();
    if (way("trap")) __builtin_trap();
    return 0;
}
