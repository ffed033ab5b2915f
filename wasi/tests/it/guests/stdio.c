/* The standard streams: what they are, reading to the end, large writes, and input that must not block. */
#include "guest.h"
#include <poll.h>

static char buf[1 << 17];

int main(int argc, char **argv) {
    for (int fd = 0; fd < 3; fd++) {
        struct stat stat;
        put("stream "), put_number(fd), put(isatty(fd) ? ": tty" : ": no tty");
        put(fstat(fd, &stat) ? ", no stat" : S_ISREG(stat.st_mode) ? ", file" : ", other"), end_line();
    }
    NUM(lseek(0, 0, SEEK_CUR));
    NUM(lseek(1, 0, SEEK_CUR));
    NUM(write(0, "x", 1));
    NUM(read(1, buf, 1));
    NUM(read(2, buf, 1));
    NUM(pread(0, buf, 1, 0));

    TRY(fcntl(0, F_SETFL, O_NONBLOCK));
    NUM(fcntl(0, F_GETFL) & O_NONBLOCK ? 1 : 0);
    /* Nothing is there to be read at once, whatever is there. */
    NUM(read(0, buf, 0));
    int waits = argc > 1 && !strcmp(argv[1], "empty");
    if (waits) {
        NUM(read(0, buf, sizeof buf));
        struct pollfd none = {0, POLLIN, 0};
        NUM(poll(&none, 1, 0));
        NUM(poll(&none, 1, 1));
        NUM(write(2, "now", 3));
    }
    TRY(fcntl(0, F_SETFL, 0));
    struct pollfd ready = {0, POLLIN, 0};
    NUM(poll(&ready, 1, -1));
    NUM(ready.revents & POLLIN ? 1 : 0);
    NUM(read(0, buf, 3));
    say_text("first", (buf[3] = 0, buf));
    long long total = 0, sum = 0;
    for (ssize_t count; (count = read(0, buf, sizeof buf)) > 0; total += count)
        for (ssize_t i = 0; i < count; i++) sum += buf[i];
    NUM(total);
    NUM(sum);
    NUM(read(0, buf, sizeof buf));

    memset(buf, 'b', sizeof buf);
    total = 0;
    for (int i = 0; i < 8; i++) {
        for (size_t done = 0; done < sizeof buf;) {
            ssize_t count = write(2, buf + done, sizeof buf - done);
            if (count < 0) return 1;
            done += count, total += count;
        }
    }
    NUM(total);
    NUM(fsync(1));
    TRY(close(0));
    NUM(read(0, buf, 1));
    TRY(close(2));
    NUM(write(2, "x", 1));
    return 0;
}
