// fib.c: calls. The doubly recursive Fibonacci of 24, n times: ~150,000 calls each, almost nothing in between.

#include "kernel.h"

static __attribute__((noinline)) uint32_t fib(uint32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static uint64_t kernel(uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) sum = fold(sum, fib(24 - (i & 1)));
    return sum;
}
