// kernel.h: what the kernels share. Each defines `kernel`, which does the work `n` times over and returns a checksum of
// all that it computed; the command takes n and prints the checksum, so a wrong engine is not mistaken for a fast one.
// No stdio: a kernel's module is the kernel, a call of fd_write, and little else.

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t kernel(uint32_t n);

// One step of a hash that depends on order: FNV-1a's multiplication over 64-bit words.
static inline uint64_t fold(uint64_t sum, uint64_t x) { return (sum ^ x) * 0x100000001B3u; }

// The same with the bits of doubles: an engine that rounds once in another way is found out.
static inline uint64_t fold_doubles(uint64_t sum, const double *x, int count)
{
    for (int i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        sum = fold(sum, bits);
    }
    return sum;
}

// xorshift64: the kernels' source of arbitrary numbers.
static inline uint64_t arbitrary(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return *state = x;
}

// A number in [-1, 1) that is exact in a double.
static inline double arbitrary_double(uint64_t *state) { return (double)(int32_t)(arbitrary(state) >> 32) / 2147483648.0; }

int main(int argc, char **argv)
{
    uint32_t n = argc == 2 ? (uint32_t)strtoul(argv[1], NULL, 10) : 0;
    if (n == 0) {
        static const char usage[] = "usage: KERNEL ITERATIONS\n";
        write(2, usage, sizeof usage - 1);
        return 2;
    }
    uint64_t sum = kernel(n);
    char line[17];
    for (int i = 0; i < 16; i++) line[i] = "0123456789abcdef"[sum >> (60 - 4 * i) & 15];
    line[16] = '\n';
    return write(1, line, sizeof line) != sizeof line;
}
