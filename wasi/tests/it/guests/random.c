/* Random numbers: of every length, not the same twice, and nothing beside the buffer is touched. */
#include "guest.h"

static uint8_t a[1 << 20], b[1 << 20];

int main(void) {
    TRY(getentropy(a, 256));
    TRY(getentropy(b, 256));
    NUM(memcmp(a, b, 256) != 0);
    TRY(getentropy(a, 257));
    RAW(__wasi_random_get(a, sizeof a));
    RAW(__wasi_random_get(b, sizeof b));
    int equal = 0, counts[256] = {0}, missing = 0;
    for (size_t i = 0; i < sizeof a; i++) equal += a[i] == b[i], counts[a[i]]++;
    for (int i = 0; i < 256; i++) missing += counts[i] < (int)sizeof a / 512 || counts[i] > (int)sizeof a / 128;
    /* One in 256 by chance: never half as many again in a million. */
    NUM(equal < (int)sizeof a / 170);
    NUM(missing);
    memset(a, 0, 64);
    RAW(__wasi_random_get(a + 16, 0));
    RAW(__wasi_random_get(a + 16, 31));
    int outside = 0, inside = 0;
    for (int i = 0; i < 64; i++) *(i < 16 || i >= 47 ? &outside : &inside) += a[i] != 0;
    NUM(outside);
    NUM(inside > 16);
    RAW(__wasi_random_get((uint8_t *)(__builtin_wasm_memory_size(0) * 65536 - 1), 1));
    say_text("first bytes", getenv("SEEDED") ? "known" : "unknown");
    if (getenv("SEEDED")) for (int i = 16; i < 24; i++) put_number(a[i]), put(i < 23 ? " " : "");
    if (getenv("SEEDED")) end_line();
    return 0;
}
