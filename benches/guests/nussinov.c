// nussinov.c: how an RNA of 200 bases folds: Nussinov's dynamic programming for the most pairs, n times. Integers, maxima,
// and a triangle that is filled from its diagonal outwards.

#include "kernel.h"

enum { BASES = 200 };

static int max(int a, int b) { return a > b ? a : b; }

static uint64_t kernel(uint32_t n)
{
    static uint8_t base[BASES];
    static int32_t most[BASES][BASES];
    uint64_t state = 1978, sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < BASES; i++) base[i] = arbitrary(&state) >> 62;
        for (int i = BASES - 1; i >= 0; i--) {
            most[i][i] = 0;
            for (int j = i + 1; j < BASES; j++) {
                int best = max(most[i][j - 1], most[i + 1][j]);
                int inner = i + 1 <= j - 1 ? most[i + 1][j - 1] : 0;
                best = max(best, inner + (base[i] + base[j] == 3)); // 0 pairs with 3, and 1 with 2
                for (int k = i + 1; k < j; k++) best = max(best, most[i][k] + most[k + 1][j]);
                most[i][j] = best;
            }
        }
        for (int i = 0; i < BASES; i++) sum = fold(sum, (uint64_t)most[i][BASES - 1]);
    }
    return sum;
}
