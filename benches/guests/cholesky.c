// cholesky.c: the Cholesky decomposition of a symmetric positive definite matrix of 200 x 200, n times: dot products of
// rows, divisions and square roots.

#include "kernel.h"

enum { SIDE = 200 };

static uint64_t kernel(uint32_t n)
{
    static double a[SIDE][SIDE];
    uint64_t state = 1910, sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < SIDE; i++) {
            for (int j = 0; j < i; j++) a[i][j] = arbitrary_double(&state);
            a[i][i] = SIDE + arbitrary_double(&state); // it dominates its row
        }
        for (int i = 0; i < SIDE; i++) {
            for (int j = 0; j < i; j++) {
                double x = a[i][j];
                for (int k = 0; k < j; k++) x -= a[i][k] * a[j][k];
                a[i][j] = x / a[j][j];
            }
            double x = a[i][i];
            for (int k = 0; k < i; k++) x -= a[i][k] * a[i][k];
            a[i][i] = __builtin_sqrt(x);
        }
        sum = fold_doubles(sum, a[SIDE - 1], SIDE);
    }
    return sum;
}
