// floyd-warshall.c: the lengths of the shortest paths between any two of 160 places, n times, in 32-bit integers: an
// addition, a comparison and a minimum for each of them.

#include "kernel.h"

enum { PLACES = 160 };

static uint64_t kernel(uint32_t n)
{
    static int32_t path[PLACES][PLACES];
    uint64_t state = 1962, sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < PLACES; i++) {
            for (int j = 0; j < PLACES; j++) {
                uint64_t x = arbitrary(&state);
                path[i][j] = x % 8 == 0 ? (int32_t)(x >> 54) + 1 : 100000; // one road in eight is there
            }
            path[i][i] = 0;
        }
        for (int k = 0; k < PLACES; k++)
            for (int i = 0; i < PLACES; i++)
                for (int j = 0; j < PLACES; j++) {
                    int32_t detour = path[i][k] + path[k][j];
                    path[i][j] = detour < path[i][j] ? detour : path[i][j];
                }
        for (int i = 0; i < PLACES; i++)
            for (int j = 0; j < PLACES; j++) sum = fold(sum, (uint64_t)path[i][j]);
    }
    return sum;
}
