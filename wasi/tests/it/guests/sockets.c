/* A server: the host has granted a listener as descriptor 3, and each of its connections says something. */
#include "guest.h"
#include <poll.h>
#include <sys/socket.h>

static char buf[64];

static void show(const char *what, ssize_t count) {
    int error = errno;
    put(what), put(": ");
    if (count < 0) put_errno(error);
    else buf[count] = 0, put_number(count), put(" "), put(buf);
    end_line();
    memset(buf, 0, sizeof buf);
}
#define SHOW(call) show(#call, (call))

int main(void) {
    struct pollfd waiting = {3, POLLIN, 0};
    NUM(poll(&waiting, 1, -1));
    NUM(waiting.revents & POLLIN ? 1 : 0);
    NUM(recv(3, buf, 1, 0));
    int fd;
    NUM(fd = accept(3, NULL, NULL));
    waiting.fd = fd;
    NUM(poll(&waiting, 1, -1));
    SHOW(recv(fd, buf, 4, MSG_PEEK));
    SHOW(recv(fd, buf, 4, 0));
    SHOW(read(fd, buf, 1));
    SHOW(recv(fd, buf, 6, MSG_WAITALL));
    SHOW(recv(fd, buf, sizeof buf - 1, 0));
    SHOW(recv(fd, buf, sizeof buf - 1, 0));
    NUM(send(fd, "pong", 4, 0));
    NUM(write(fd, "!", 1));
    NUM(lseek(fd, 0, SEEK_CUR));
    TRY(shutdown(fd, SHUT_WR));
    NUM(send(fd, "late", 4, 0));
    TRY(shutdown(fd, 17));
    TRY(close(fd));

    /* Nobody else is there. */
    TRY(fcntl(3, F_SETFL, O_NONBLOCK));
    NUM(accept(3, NULL, NULL));
    TRY(fcntl(3, F_SETFL, 0));
    RAW(__wasi_sock_shutdown(1, 1));
    RAW(__wasi_sock_shutdown(fd, 1));
    NUM(send(1, "x", 1, 0));
    NUM(recv(0, buf, 1, 0));
    NUM(accept(1, NULL, NULL));
    return 0;
}
