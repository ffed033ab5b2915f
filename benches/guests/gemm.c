// gemm.c: C = alpha A B + beta C for matrices of 160 x 160, n times. The loops are ordered i, k, j: the innermost one runs
// along rows of B and C, a load, a multiplication, an addition and a store for each element. (matmul is the other order.)

#include "kernel.h"

enum { SIDE = 160 };

static uint64_t kernel(uint32_t n)
{
    static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
    uint64_t state = 160, sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) a[i][j] = arbitrary_double(&state), b[i][j] = arbitrary_double(&state);
    const double alpha = 0.125, beta = 0.5;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < SIDE; i++) {
            for (int j = 0; j < SIDE; j++) c[i][j] *= beta;
            for (int k = 0; k < SIDE; k++) {
                double factor = alpha * a[i][k];
                for (int j = 0; j < SIDE; j++) c[i][j] += factor * b[k][j];
            }
        }
        sum = fold_doubles(sum, c[round % SIDE], SIDE);
    }
    return sum;
}
