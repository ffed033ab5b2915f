// trisolv.c: L x = b by forward substitution, for a lower triangular matrix of 300 x 300, n times; each solution is part of
// the next right-hand side. Little arithmetic for each byte that is loaded.

#include "kernel.h"

enum { SIDE = 300 };

static uint64_t kernel(uint32_t n)
{
    static double l[SIDE][SIDE], b[SIDE], x[SIDE];
    uint64_t state = 300, sum = 0;
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < i; j++) l[i][j] = arbitrary_double(&state);
        l[i][i] = SIDE; // it dominates its row: solutions stay small
        b[i] = arbitrary_double(&state);
    }
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < SIDE; i++) {
            double y = b[i] + x[SIDE - 1 - i];
            for (int j = 0; j < i; j++) y -= l[i][j] * x[j];
            x[i] = y / l[i][i];
        }
        if (round % 64 == 0) sum = fold_doubles(sum, x, SIDE);
    }
    return fold_doubles(sum, x, SIDE);
}
