// durbin.c: the Levinson-Durbin recursion for the Yule-Walker equations of a Toeplitz matrix of 300 x 300, n times: short
// vectors that grow by one, read forwards and backwards at once.

#include "kernel.h"

enum { SIDE = 300 };

static uint64_t kernel(uint32_t n)
{
    static double r[SIDE], y[SIDE], z[SIDE];
    uint64_t state = 1960, sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < SIDE; i++) r[i] = arbitrary_double(&state) / (2 * SIDE); // the diagonal is 1
        double alpha = -r[0], beta = 1;
        y[0] = alpha;
        for (int k = 1; k < SIDE; k++) {
            beta *= 1 - alpha * alpha;
            double x = r[k];
            for (int i = 0; i < k; i++) x += r[k - 1 - i] * y[i];
            alpha = -x / beta;
            for (int i = 0; i < k; i++) z[i] = y[i] + alpha * y[k - 1 - i];
            for (int i = 0; i < k; i++) y[i] = z[i];
            y[k] = alpha;
        }
        if (round % 64 == 0) sum = fold_doubles(sum, y, SIDE);
    }
    return fold_doubles(sum, y, SIDE);
}
