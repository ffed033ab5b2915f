// seidel-2d.c: the Gauss-Seidel iteration with nine points, in place on a grid of 200 x 200, n times. Each point needs the
// one computed right before it: a chain of additions and one division, which nothing can break up.

#include "kernel.h"

enum { SIDE = 200 };

static uint64_t kernel(uint32_t n)
{
    static double x[SIDE][SIDE];
    uint64_t state = 900, sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) x[i][j] = arbitrary_double(&state);
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 1; i < SIDE - 1; i++)
            for (int j = 1; j < SIDE - 1; j++) {
                double above = x[i - 1][j - 1] + x[i - 1][j] + x[i - 1][j + 1];
                double beside = x[i][j - 1] + x[i][j] + x[i][j + 1];
                double below = x[i + 1][j - 1] + x[i + 1][j] + x[i + 1][j + 1];
                x[i][j] = (above + beside + below) / 9.0;
            }
        sum = fold_doubles(sum, x[round % SIDE], SIDE);
    }
    return sum;
}
