// xorshift.c: 64-bit shifts and exclusive-ors in one dependent chain; no memory, no calls. Two million steps, n times.

#include "kernel.h"

static uint64_t kernel(uint32_t n)
{
    uint64_t state = 0x9E3779B97F4A7C15u, sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < 2000000; i++) arbitrary(&state);
        sum = fold(sum, state);
    }
    return sum;
}
