/* Looks through a name that the host makes a directory and a link to the outside in turn, until it has looked often. */
#include "guest.h"

static int opened, refused, absent, found;

static void note(int error) {
    if (!error) opened++;
    else if (error == __WASI_ERRNO_PERM) refused++;
    else absent++;
}

int main(void) {
    for (int i = 0; i < 4000; i++) {
        char buf[16] = {0};
        __wasi_fd_t fd;
        __wasi_size_t count;
        __wasi_iovec_t in = {(uint8_t *)buf, sizeof buf - 1};
        __wasi_filestat_t stat;
        int error = __wasi_path_open(3, i & 1, "flip/secret", 0, __WASI_RIGHTS_FD_READ, 0, 0, &fd);
        note(error);
        if (!error) {
            found += !__wasi_fd_read(fd, &in, 1, &count) && !strncmp(buf, "canary", 6);
            (void)!__wasi_fd_close(fd);
        }
        /* The canary is longer than what is inside. */
        error = __wasi_path_filestat_get(3, i & 1, "flip/secret", &stat);
        note(error);
        found += !error && stat.size > 10;
        note(__wasi_path_rename(3, "flip/secret", 3, "flip/moved"));
        note(__wasi_path_rename(3, "flip/moved", 3, "flip/secret"));
        error = __wasi_path_open(3, 1, "flip/", __WASI_OFLAGS_DIRECTORY, 0, 0, 0, &fd);
        note(error);
        if (!error) {
            found += !__wasi_path_filestat_get(fd, 0, "sub", &stat);
            (void)!__wasi_fd_close(fd);
        }
        error = __wasi_path_open(3, 1, "flip/made", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_WRITE, 0, 0, &fd);
        note(error);
        if (!error) (void)!__wasi_fd_close(fd);
    }
    NUM(opened + refused + absent);
    NUM(found);
    return 0;
}
