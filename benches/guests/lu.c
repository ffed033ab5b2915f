// lu.c: the LU decomposition (Doolittle's, without pivoting) of a 160 x 160 matrix whose diagonal dominates, n times.
// Triangular loops: their lengths change all the time.

#include "kernel.h"

enum { SIDE = 160 };

static uint64_t kernel(uint32_t n)
{
    static double a[SIDE][SIDE];
    uint64_t state = 1948, sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < SIDE; i++) {
            for (int j = 0; j < SIDE; j++) a[i][j] = arbitrary_double(&state);
            a[i][i] += SIDE;
        }
        for (int i = 0; i < SIDE; i++) {
            for (int j = 0; j < i; j++) {
                double x = a[i][j];
                for (int k = 0; k < j; k++) x -= a[i][k] * a[k][j];
                a[i][j] = x / a[j][j];
            }
            for (int j = i; j < SIDE; j++) {
                double x = a[i][j];
                for (int k = 0; k < i; k++) x -= a[i][k] * a[k][j];
                a[i][j] = x;
            }
        }
        sum = fold_doubles(sum, a[SIDE - 1], SIDE);
    }
    return sum;
}
