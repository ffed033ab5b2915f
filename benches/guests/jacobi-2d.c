// jacobi-2d.c: the heat equation on a square by Jacobi's iteration: each point becomes the mean of itself and its four
// neighbours, from one grid of 200 x 200 into another and back, n times. The border stays as it is.

#include "kernel.h"

enum { SIDE = 200 };

typedef double grid[SIDE][SIDE];

static void sweep(grid from, grid to)
{
    for (int i = 1; i < SIDE - 1; i++)
        for (int j = 1; j < SIDE - 1; j++)
            to[i][j] = 0.2 * (from[i][j] + from[i][j - 1] + from[i][j + 1] + from[i - 1][j] + from[i + 1][j]);
}

static uint64_t kernel(uint32_t n)
{
    static grid a, b;
    uint64_t state = 200, sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) b[i][j] = a[i][j] = arbitrary_double(&state);
    for (uint32_t round = 0; round < n; round++) {
        sweep(a, b);
        sweep(b, a);
        sum = fold_doubles(sum, a[round % SIDE], SIDE);
    }
    return sum;
}
