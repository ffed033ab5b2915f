// covariance.c: the covariances of 120 variables over 160 samples, n times. It walks down columns: each load is in another
// line of the cache.

#include "kernel.h"

enum { SAMPLES = 160, VARIABLES = 120 };

static uint64_t kernel(uint32_t n)
{
    static double data[SAMPLES][VARIABLES], mean[VARIABLES], covariance[VARIABLES][VARIABLES];
    uint64_t state = 1894, sum = 0;
    for (int i = 0; i < SAMPLES; i++)
        for (int j = 0; j < VARIABLES; j++) data[i][j] = arbitrary_double(&state);
    for (uint32_t round = 0; round < n; round++) {
        data[round % SAMPLES][round % VARIABLES] = arbitrary_double(&state);
        for (int j = 0; j < VARIABLES; j++) {
            double x = 0;
            for (int i = 0; i < SAMPLES; i++) x += data[i][j];
            mean[j] = x / SAMPLES;
        }
        for (int i = 0; i < SAMPLES; i++)
            for (int j = 0; j < VARIABLES; j++) data[i][j] -= mean[j];
        for (int j = 0; j < VARIABLES; j++)
            for (int k = j; k < VARIABLES; k++) {
                double x = 0;
                for (int i = 0; i < SAMPLES; i++) x += data[i][j] * data[i][k];
                covariance[j][k] = covariance[k][j] = x / (SAMPLES - 1);
            }
        sum = fold_doubles(sum, covariance[round % VARIABLES], VARIABLES);
    }
    return sum;
}
