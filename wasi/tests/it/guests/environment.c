/* Arguments and environment, byte for byte. */
#include "guest.h"

extern char **environ;

/* Bytes that cannot be printed as numbers, so that the line is text whatever they are. */
static void show(const char *what, const char *text) {
    put(what), put(" <");
    for (; *text; text++) {
        if (*text >= ' ' && *text <= '~') put((char[]){*text, 0});
        else put("\\"), put_number((unsigned char)*text);
    }
    put(">"), end_line();
}

int main(int argc, char **argv) {
    NUM(argc);
    for (int i = 0; i < argc; i++) show("argument", argv[i]);
    NUM(argv[argc] == NULL);
    int count = 0;
    for (char **variable = environ; *variable; variable++, count++) show("variable", *variable);
    NUM(count);
    show("NAME is", getenv("NAME") ? getenv("NAME") : "unset");
    show("EMPTY is", getenv("EMPTY") ? getenv("EMPTY") : "unset");
    show("EMPT is", getenv("EMPT") ? getenv("EMPT") : "unset");
    TRY(setenv("NAME", "changed", 1));
    TRY(unsetenv("EMPTY"));
    show("NAME is", getenv("NAME"));
    show("EMPTY is", getenv("EMPTY") ? getenv("EMPTY") : "unset");

    /* The calls themselves: sizes with NULs, the host's values and not those that libc changed, one after the other. */
    __wasi_size_t strings, bytes;
    RAW(__wasi_environ_sizes_get(&strings, &bytes));
    NUM(strings), NUM(bytes);
    uint8_t *list[16], buf[4096];
    RAW(__wasi_environ_get(list, buf));
    __wasi_size_t total = 0;
    for (__wasi_size_t i = 0; i < strings; i++) {
        if (list[i] != buf + total) say_number("not where it should be", i);
        total += strlen((char *)list[i]) + 1;
    }
    NUM(total == bytes);
    RAW(__wasi_args_sizes_get(&strings, &bytes));
    NUM(strings), NUM(bytes);
    RAW(__wasi_args_get(list, buf));
    show("last", strings ? (char *)list[strings - 1] : "none");
    return 0;
}
