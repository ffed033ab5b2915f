// quicksort.c: unpredictable branches and swaps. 20,000 records sorted by our quicksort with a comparison through a
// function pointer (call_indirect), then 20,000 integers compared in place, n times.

#include "kernel.h"

enum { COUNT = 20000 };

struct record { uint32_t key, value; };

typedef int compare(const struct record *, const struct record *);

static int by_key(const struct record *a, const struct record *b) { return (a->key > b->key) - (a->key < b->key); }
static int by_value(const struct record *a, const struct record *b) { return (a->value < b->value) - (a->value > b->value); }

static void sort_records(struct record *r, int n, compare *order)
{
    while (n > 1) {
        struct record pivot = r[n / 2];
        int i = 0, j = n - 1;
        while (i <= j) {
            while (order(&r[i], &pivot) < 0) i++;
            while (order(&r[j], &pivot) > 0) j--;
            if (i <= j) {
                struct record swap = r[i];
                r[i++] = r[j], r[j--] = swap;
            }
        }
        if (j + 1 < n - i) sort_records(r, j + 1, order), r += i, n -= i; // recurse into the smaller part
        else sort_records(r + i, n - i, order), n = j + 1;
    }
}

static void sort_numbers(uint32_t *r, int n)
{
    while (n > 1) {
        uint32_t pivot = r[n / 2];
        int i = 0, j = n - 1;
        while (i <= j) {
            while (r[i] < pivot) i++;
            while (r[j] > pivot) j--;
            if (i <= j) {
                uint32_t swap = r[i];
                r[i++] = r[j], r[j--] = swap;
            }
        }
        if (j + 1 < n - i) sort_numbers(r, j + 1), r += i, n -= i;
        else sort_numbers(r + i, n - i), n = j + 1;
    }
}

static uint64_t kernel(uint32_t n)
{
    static struct record records[COUNT];
    static uint32_t numbers[COUNT];
    static compare *volatile const orders[] = {by_key, by_value}; // volatile: the call stays indirect
    uint64_t state = 1234567, sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        for (int i = 0; i < COUNT; i++) {
            uint64_t x = arbitrary(&state);
            records[i] = (struct record){(uint32_t)x, (uint32_t)(x >> 32) % 5000};
            numbers[i] = (uint32_t)(x >> 16);
        }
        sort_records(records, COUNT, orders[round & 1]);
        sort_numbers(numbers, COUNT);
        for (int i = 0; i < COUNT; i += 997) sum = fold(sum, (uint64_t)numbers[i] << 32 | (round & 1 ? records[i].value : records[i].key));
    }
    return sum;
}
