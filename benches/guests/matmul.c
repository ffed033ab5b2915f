// matmul.c: f64 multiply-add over two-dimensional arrays. The product of two 64 x 64 matrices, n times, each product fed
// back into the next. No fast-math: the order of additions, and so every bit, is the same on every engine.

#include "kernel.h"

enum { SIDE = 64 };

static uint64_t kernel(uint32_t n)
{
    static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = (i * 7 + j * 3) % 11 - 5;
            b[i][j] = ((i * 5 + j * 13) % 17 - 8) / 64.0;
        }
    uint64_t sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                double x = 0;
                for (int k = 0; k < SIDE; k++) x += a[i][k] * b[k][j];
                c[i][j] = x;
            }
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) {
                double x = c[i][j];
                a[i][j] = x > 4 ? x - 8 : x < -4 ? x + 8 : x + 0.125; // stays bounded
            }
        uint64_t bits;
        memcpy(&bits, &c[round % SIDE][round * 7 % SIDE], sizeof bits);
        sum = fold(sum, bits);
    }
    return sum;
}
