// vm.c: an interpreter under the interpreter. A register machine with a switch per instruction runs Collatz sequences and
// a table lookup: br_table, unpredictable to the engine, and short dependent loads and stores.

#include "kernel.h"

enum op { CONST, MOVE, ADD, SUB, MUL, SHIFT_RIGHT, AND, LOAD, STORE, JUMP, JUMP_ZERO, JUMP_LESS, HALT };

struct instruction { uint8_t op, a, b, c; int32_t k; };

// r0 = start, r1 = steps, r2 = scratch, r3 = 1, r4 = 3, r5 = limit, r6 = total, r7 = 255, r8 = table value, r9 = the sequence
static const struct instruction program[] = {
    {CONST, 3, 0, 0, 1},
    {CONST, 4, 0, 0, 3},
    {CONST, 7, 0, 0, 255},
    {CONST, 6, 0, 0, 0},
    /* 4: next start */
    {MOVE, 9, 0, 0, 0},
    {CONST, 1, 0, 0, 0},
    /* 6: one step */
    {SUB, 2, 9, 3, 0},
    {JUMP_ZERO, 2, 0, 0, 15},
    {ADD, 1, 1, 3, 0},
    {AND, 2, 9, 3, 0},
    {JUMP_ZERO, 2, 0, 0, 14},
    {MUL, 9, 9, 4, 0},
    {ADD, 9, 9, 3, 0},
    {JUMP, 0, 0, 0, 6},
    /* 14: even */
    {SHIFT_RIGHT, 9, 9, 3, 6 /* then on with 6 */},
    /* 15: sequence done: table[steps & 255] += start, total += that */
    {AND, 2, 1, 7, 0},
    {LOAD, 8, 2, 0, 0},
    {ADD, 8, 8, 0, 0},
    {STORE, 2, 8, 0, 0},
    {ADD, 6, 6, 8, 0},
    {ADD, 0, 0, 3, 0},
    {JUMP_LESS, 0, 5, 0, 4},
    {HALT, 6, 0, 0, 0},
};

static __attribute__((noinline)) uint64_t run(uint64_t start, uint64_t limit)
{
    static uint64_t table[256];
    uint64_t r[16] = {start, [5] = limit};
    const struct instruction *next = program;
    for (;;) {
        struct instruction i = *next++;
        switch ((enum op)i.op) {
        case CONST: r[i.a] = (uint64_t)i.k; break;
        case MOVE: r[i.a] = r[i.b]; break;
        case ADD: r[i.a] = r[i.b] + r[i.c]; break;
        case SUB: r[i.a] = r[i.b] - r[i.c]; break;
        case MUL: r[i.a] = r[i.b] * r[i.c]; break;
        case SHIFT_RIGHT: r[i.a] = r[i.b] >> r[i.c]; next = i.k ? program + i.k : next; break;
        case AND: r[i.a] = r[i.b] & r[i.c]; break;
        case LOAD: r[i.a] = table[r[i.b]]; break;
        case STORE: table[r[i.a]] = r[i.b]; break;
        case JUMP: next = program + i.k; break;
        case JUMP_ZERO: if (r[i.a] == 0) next = program + i.k; break;
        case JUMP_LESS: if (r[i.a] < r[i.b]) next = program + i.k; break;
        case HALT: return r[i.a];
        }
    }
}

static uint64_t kernel(uint32_t n)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) sum = fold(sum, run(1 + i, 1000 + i));
    return sum;
}
