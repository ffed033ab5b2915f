/* Clocks, sleeping and waiting with a timeout. On clocks of which the harness knows every reading, so are the results. */
#include "guest.h"
#include <poll.h>
#include <sched.h>
#include <sys/time.h>
#include <time.h>

static long long now(clockid_t clock) {
    struct timespec time;
    return clock_gettime(clock, &time) ? -1 : time.tv_sec * 1000000000ll + time.tv_nsec;
}

int main(int argc, char **argv) {
    int known = argc > 1 && !strcmp(argv[1], "fixed");
    struct timespec resolution, left = {7, 7};
    TRY(clock_getres(CLOCK_REALTIME, &resolution));
    NUM(resolution.tv_sec == 0 && resolution.tv_nsec > 0);
    TRY(clock_getres(CLOCK_MONOTONIC, &resolution));
    NUM(resolution.tv_sec == 0 && resolution.tv_nsec > 0);
    __wasi_timestamp_t time;
    for (int id = 2; id < 6; id++) {
        RAW(__wasi_clock_time_get(id, 0, &time));
        RAW(__wasi_clock_res_get(id, &time));
    }
    NUM(now(CLOCK_REALTIME) > 1500000000000000000);
    long long start = now(CLOCK_MONOTONIC);
    /* It does not tell for how long the host is up. */
    NUM(start > 0 && start < 60000000000);
    for (int i = 0; i < 1000; i++) {
        long long next = now(CLOCK_MONOTONIC);
        if (next < start) say_text("the monotonic clock", "went back");
        start = next;
    }

    struct { const char *what; struct timespec time; } naps[] = {
        {"3 ms", {0, 3000000}}, {"nothing", {0, 0}}, {"one nanosecond", {0, 1}}, {"2 s", {2, 0}}};
    for (int i = 0; i < (known ? 4 : 3); i++) {
        long long before = now(CLOCK_MONOTONIC);
        int result = nanosleep(&naps[i].time, &left);
        long long took = now(CLOCK_MONOTONIC) - before;
        put("slept "), put(naps[i].what), put(": ");
        put_errno(result ? errno : 0);
        put(took >= naps[i].time.tv_sec * 1000000000ll + naps[i].time.tv_nsec ? ", long enough" : ", too short");
        if (known) put(", "), put_number(took);
        end_line();
    }
    long long before = now(CLOCK_MONOTONIC);
    struct timespec until = {before / 1000000000, before % 1000000000 + 2000000};
    RAW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    NUM(now(CLOCK_MONOTONIC) - before >= 2000000);
    RAW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL));
    RAW(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &(struct timespec){1, 0}, NULL));
    RAW(clock_nanosleep(CLOCK_MONOTONIC, 0, &(struct timespec){0, 1000000000}, NULL));
    TRY(usleep(1000));
    before = now(CLOCK_MONOTONIC);
    NUM(poll(NULL, 0, 2));
    NUM(now(CLOCK_MONOTONIC) - before >= 2000000);
    TRY(sched_yield());
    return 0;
}
