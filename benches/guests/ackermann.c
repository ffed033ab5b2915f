// ackermann.c: deep recursion. The Ackermann function of 3 and 6, n times: 172,233 calls each, up to 510 of them on the
// stack at once. (fib is the shallow kind.) The calls would be jumps where a compiler sees that they come last: it is kept from that.

#include "kernel.h"

static __attribute__((noinline)) uint32_t ackermann(uint32_t m, uint32_t n, uint32_t *calls)
{
    *calls += 1;
    uint32_t result = m == 0 ? n + 1 : ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1, calls), calls);
    *calls ^= result; // something to do behind the call
    return result;
}

static uint64_t kernel(uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t calls = i;
        sum = fold(sum, ackermann(3, 6 - (i & 1), &calls));
        sum = fold(sum, calls);
    }
    return sum;
}
