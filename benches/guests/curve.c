// curve.c: work in equal units, and a line after so many of them, for the start-up curve of `compare`. A unit is a little of what
// programs do: it writes numbers as text and reads them back, keeps them in a hash table, sorts them through a pointer to a
// function, multiplies small matrices, runs a bytecode, recurses. Compiled it takes a hundredth of a millisecond or two,
// so that the first lines show the start and the later ones how fast the code has become.
//
// `curve.wasm N` prints `units checksum` after 1, 2, 3, 4, 6, 8, 12, 16, … units, up to N.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORDS = 48, SLOTS = 128, ORDER = 6 };

typedef struct {
    uint32_t key;
    uint32_t value;
} record;

static char text[RECORDS * 24];
static record table[SLOTS], sorted[RECORDS];

static inline uint64_t fold(uint64_t sum, uint64_t x) { return (sum ^ x) * 0x100000001B3u; }

static uint32_t arbitrary(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return (uint32_t)((*state = x) >> 32);
}

static char *format(char *to, uint64_t number)
{
    char digits[20];
    int count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    while (count) *to++ = digits[--count];
    return to;
}

static const char *parse(const char *from, uint32_t *number)
{
    uint32_t value = 0;
    while (*from >= '0' && *from <= '9') value = value * 10 + (uint32_t)(*from++ - '0');
    *number = value;
    return from + 1;
}

// `key=value;key=value;…`
static size_t compose(uint64_t *state)
{
    char *to = text;
    for (int i = 0; i < RECORDS; i++) {
        to = format(to, arbitrary(state) % 997);
        *to++ = '=';
        to = format(to, arbitrary(state));
        *to++ = ';';
    }
    return (size_t)(to - text);
}

// Adds up the values of each key; 0 stands for no key.
static void collect(size_t length)
{
    memset(table, 0, sizeof table);
    for (const char *from = text; from < text + length;) {
        uint32_t key, value;
        from = parse(from, &key);
        from = parse(from, &value);
        uint32_t slot = (key + 1) * 2654435761u % SLOTS;
        while (table[slot].key && table[slot].key != key + 1) slot = (slot + 1) % SLOTS;
        table[slot].key = key + 1;
        table[slot].value += value;
    }
}

static int by_key(const record *a, const record *b) { return a->key < b->key ? -1 : a->key > b->key; }

static int by_value(const record *a, const record *b) { return a->value < b->value ? -1 : a->value > b->value; }

static int order(int (*compare)(const record *, const record *))
{
    int count = 0;
    for (int slot = 0; slot < SLOTS; slot++) {
        if (!table[slot].key) continue;
        int at = count++;
        for (; at && compare(&sorted[at - 1], &table[slot]) > 0; at--) sorted[at] = sorted[at - 1];
        sorted[at] = table[slot];
    }
    return count;
}

static double product(uint64_t *state)
{
    double a[ORDER][ORDER], b[ORDER][ORDER], trace = 0;
    for (int i = 0; i < ORDER; i++)
        for (int j = 0; j < ORDER; j++) a[i][j] = arbitrary(state) % 100, b[i][j] = arbitrary(state) % 100;
    for (int i = 0; i < ORDER; i++)
        for (int j = 0; j < ORDER; j++) {
            double sum = 0;
            for (int k = 0; k < ORDER; k++) sum += a[i][k] * b[k][j];
            trace += i == j ? sum : sum / 1024;
        }
    return trace;
}

// Bytecode for: do x = x * 5 + 3, twice that with its halves exchanged, until the counter is 0.
enum { PUSH_X, PUSH_BYTE, ADD, MULTIPLY, ROTATE, SET_X, COUNT_DOWN, STOP };

static uint32_t execute(uint32_t x, uint32_t count)
{
    static const uint8_t code[] = { PUSH_X, PUSH_BYTE, 5, MULTIPLY, PUSH_BYTE, 3, ADD, ROTATE, SET_X, COUNT_DOWN, STOP };
    uint32_t stack[8];
    int top = 0;
    for (const uint8_t *at = code;;) {
        switch (*at++) {
        case PUSH_X: stack[top++] = x; break;
        case PUSH_BYTE: stack[top++] = *at++; break;
        case ADD: top--, stack[top - 1] += stack[top]; break;
        case MULTIPLY: top--, stack[top - 1] *= stack[top]; break;
        case ROTATE: stack[top - 1] = stack[top - 1] << 16 | stack[top - 1] >> 16; break;
        case SET_X: x = stack[--top]; break;
        case COUNT_DOWN: if (--count) at = code; break;
        case STOP: return x;
        }
    }
}

// How many leaves a tree has whose shape the bits say.
static uint32_t leaves(uint32_t bits, int depth)
{
    if (depth == 0 || bits % 5 == 0) return 1;
    return leaves(bits >> 1, depth - 1) + leaves(bits * 2654435761u >> 3, depth - 1);
}

static uint64_t unit(uint64_t sum)
{
    uint64_t state = sum | 1;
    collect(compose(&state));
    for (int both = 0; both < 2; both++) {
        int count = order(both ? by_value : by_key);
        for (int i = 0; i < count; i++) sum = fold(sum, sorted[i].key ^ (uint64_t)sorted[i].value << 32);
    }
    double trace = product(&state);
    uint64_t bits;
    memcpy(&bits, &trace, sizeof bits);
    sum = fold(sum, bits);
    sum = fold(sum, execute((uint32_t)sum, 100));
    return fold(sum, leaves((uint32_t)sum, 8));
}

static int report(uint64_t units, uint64_t sum)
{
    char line[48], *end = format(line, units);
    *end++ = ' ';
    end = format(end, sum);
    *end++ = '\n';
    return write(1, line, (size_t)(end - line)) == end - line;
}

int main(int argc, char **argv)
{
    uint64_t most = argc == 2 ? strtoull(argv[1], NULL, 10) : 0, done = 0, sum = 1;
    if (most == 0) {
        static const char usage[] = "usage: curve UNITS\n";
        write(2, usage, sizeof usage - 1);
        return 2;
    }
    for (uint64_t power = 1; power <= most; power *= 2)
        for (uint64_t stop = power; stop <= most && stop < power * 2; stop += (power + 1) / 2) {
            while (done < stop) sum = unit(sum), done++;
            if (!report(done, sum)) return 1;
        }
    return 0;
}
