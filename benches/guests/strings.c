// strings.c: bytes. Builds a text of numbered words, finds and replaces in it, reverses its words, copies it about, with
// memcpy, memmove, memchr and memcmp (which are wasi-libc's own code, compiled with the kernel), n times.

#include "kernel.h"

enum { CAPACITY = 1 << 16 };

static char text[CAPACITY], other[CAPACITY];

static size_t build(uint64_t *state)
{
    static const char *const words[] = {"memory", "table", "global", "call_indirect", "br_table", "i32.add", "end", "loop"};
    size_t n = 0;
    for (int i = 0; i < 3000; i++) {
        const char *word = words[arbitrary(state) >> 20 & 7];
        size_t length = strlen(word);
        memcpy(text + n, word, length), n += length;
        for (uint32_t k = (uint32_t)(*state >> 40) % 1000; k; k /= 10) text[n++] = (char)('0' + k % 10);
        text[n++] = i % 11 == 10 ? '\n' : ' ';
    }
    return n;
}

static size_t replace(const char *from, const char *to, size_t n)
{
    size_t f = strlen(from), t = strlen(to), out = 0, at = 0;
    while (at < n) {
        const char *hit = memchr(text + at, from[0], n - at);
        size_t until = hit ? (size_t)(hit - text) : n;
        memcpy(other + out, text + at, until - at), out += until - at, at = until;
        if (at == n) break;
        if (n - at >= f && !memcmp(text + at, from, f)) memcpy(other + out, to, t), out += t, at += f;
        else other[out++] = text[at++];
    }
    memcpy(text, other, out);
    return out;
}

static void reverse_words(size_t n)
{
    for (size_t start = 0, i = 0; i <= n; i++)
        if (i == n || text[i] == ' ' || text[i] == '\n') {
            for (size_t a = start, b = i; a + 1 < b; a++) {
                char c = text[--b];
                text[b] = text[a], text[a] = c;
            }
            start = i + 1;
        }
}

static uint64_t kernel(uint32_t n)
{
    uint64_t state = 88172645463325252u, sum = 0;
    for (uint32_t round = 0; round < n; round++) {
        size_t length = build(&state);
        length = replace("table", "tbl", length);
        length = replace("call_indirect", "call", length);
        reverse_words(length);
        memmove(text + 7, text, length - 7);
        uint32_t h = 0;
        for (size_t i = 0; i < length; i++) h = h * 31 + (uint8_t)text[i];
        sum = fold(sum, (uint64_t)length << 32 | h);
    }
    return sum;
}
