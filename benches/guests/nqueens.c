// nqueens.c: recursion with bit sets. All ways to place nine queens (352), n times.

#include "kernel.h"

static __attribute__((noinline)) uint32_t place(uint32_t all, uint32_t columns, uint32_t left, uint32_t right)
{
    if (columns == all) return 1;
    uint32_t ways = 0;
    for (uint32_t free = all & ~(columns | left | right); free; free &= free - 1) {
        uint32_t queen = free & -free;
        ways += place(all, columns | queen, (left | queen) << 1, (right | queen) >> 1);
    }
    return ways;
}

static uint64_t kernel(uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) sum = fold(sum, place((1u << (9 - i % 2)) - 1, 0, 0, 0));
    return sum;
}
