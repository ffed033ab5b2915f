// fdtd-2d.c: Maxwell's equations in two dimensions by finite differences in the time domain (Yee's scheme), on a grid of
// 160 x 160, n time steps: three fields, each updated from differences of the others.

#include "kernel.h"

enum { SIDE = 160 };

static uint64_t kernel(uint32_t n)
{
    static double ex[SIDE][SIDE], ey[SIDE][SIDE], hz[SIDE][SIDE];
    uint64_t state = 1966, sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) hz[i][j] = arbitrary_double(&state);
    for (uint32_t step = 0; step < n; step++) {
        for (int j = 0; j < SIDE; j++) ey[0][j] = (double)(step % 64) / 64.0; // the source: a plane wave
        for (int i = 1; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) ey[i][j] -= 0.5 * (hz[i][j] - hz[i - 1][j]);
        for (int i = 0; i < SIDE; i++)
            for (int j = 1; j < SIDE; j++) ex[i][j] -= 0.5 * (hz[i][j] - hz[i][j - 1]);
        for (int i = 0; i < SIDE - 1; i++)
            for (int j = 0; j < SIDE - 1; j++)
                hz[i][j] -= 0.7 * (ex[i][j + 1] - ex[i][j] + ey[i + 1][j] - ey[i][j]);
        sum = fold_doubles(sum, hz[step % SIDE], SIDE);
    }
    return sum;
}
