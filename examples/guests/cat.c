// cat.c: copies the named files, or standard input, to standard output. `-n` numbers the lines.
//
// It sees only what it was given: `wasmrun --dir . cat.wasm notes.txt`. A file that cannot be read is named on stderr
// with the reason, the others are still copied, and the exit code is 1, as with the cat that everyone knows.

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static int number_lines;
static unsigned line_number;
static int at_line_start = 1;

static int put(int fd, const char *data, size_t n)
{
    for (ssize_t sent; n; data += sent, n -= (size_t)sent)
        if ((sent = write(fd, data, n)) <= 0) return -1;
    return 0;
}

static int put_numbered(const char *data, size_t n)
{
    while (n) {
        if (at_line_start) {
            char prefix[8] = "      \t";
            unsigned value = ++line_number;
            for (int i = 5; i >= 0 && value; i--, value /= 10) prefix[i] = (char)('0' + value % 10);
            if (put(1, prefix, 7)) return -1;
        }
        const char *newline = memchr(data, '\n', n);
        size_t length = newline ? (size_t)(newline - data) + 1 : n;
        if (put(1, data, length)) return -1;
        at_line_start = newline != NULL;
        data += length, n -= length;
    }
    return 0;
}

static void complain(const char *name)
{
    const char *reason = strerror(errno);
    put(2, "cat: ", 5), put(2, name, strlen(name)), put(2, ": ", 2), put(2, reason, strlen(reason)), put(2, "\n", 1);
}

static int copy(int fd)
{
    static char buffer[65536];
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof buffer);
        if (n <= 0) return (int)n;
        if (number_lines ? put_numbered(buffer, (size_t)n) : put(1, buffer, (size_t)n)) return -1;
    }
}

int main(int argc, char **argv)
{
    int failed = 0, first = 1;
    if (first < argc && !strcmp(argv[first], "-n")) number_lines = 1, first++;
    if (first == argc && copy(0)) complain("stdin"), failed = 1;
    for (int i = first; i < argc; i++) {
        int fd = open(argv[i], O_RDONLY);
        if (fd < 0 || copy(fd)) complain(argv[i]), failed = 1;
        if (fd >= 0) close(fd);
    }
    return failed;
}
