// sieve.c: one-byte stores with growing strides. The primes below 64 Ki, n times.

#include "kernel.h"

enum { LIMIT = 1 << 16 };

static uint64_t kernel(uint32_t n)
{
    static uint8_t composite[LIMIT];
    uint64_t sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        memset(composite, 0, sizeof composite);
        for (uint32_t p = 2; p * p < LIMIT; p++)
            if (!composite[p])
                for (uint32_t k = p * p; k < LIMIT; k += p) composite[k] = 1;
        uint32_t count = 0, last = 0;
        for (uint32_t p = 2; p < LIMIT; p++)
            if (!composite[p]) count++, last = p;
        sum = fold(sum, (uint64_t)count << 32 | (last + round));
    }
    return sum;
}
