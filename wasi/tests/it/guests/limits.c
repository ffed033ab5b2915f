/* Numbers without measure: each ends in an error, and none makes the host allocate, wait or write without end.
 *
 * The harness grants few descriptors and a small memory file system or a directory of the host. */
#include "guest.h"

static const __wasi_rights_t READ = __WASI_RIGHTS_FD_READ, WRITE = __WASI_RIGHTS_FD_WRITE;
static char path[1 << 17];
static uint8_t buf[1 << 17];
static __wasi_iovec_t in[1025];
static __wasi_ciovec_t out[1025];
static __wasi_subscription_t subscriptions[5000];
static __wasi_event_t events[5000];

/* A path of that many bytes, in components of `step - 1`. */
static const char *long_path(int len, int step) {
    memset(path, 'p', sizeof path);
    for (int i = step - 1; i < len; i += step) path[i] = '/';
    path[len] = 0;
    return path;
}

int main(void) {
    __wasi_fd_t fd, last = 0;
    __wasi_size_t count;
    int opened = 0, error;
    RAW(__wasi_path_open(3, 0, "f", 0, READ | WRITE, 0, 0, &fd));

    while (!(error = __wasi_path_open(3, 0, "f", 0, READ, 0, 0, &last))) opened++;
    RAW(error);
    NUM(opened);
    /* A full table is found out before anything is made or cut. */
    RAW(__wasi_path_open(3, 0, "new", __WASI_OFLAGS_CREAT, READ | WRITE, 0, 0, &last));
    RAW(__wasi_path_open(3, 0, "d/in", __WASI_OFLAGS_TRUNC, READ | WRITE, 0, 0, &last));
    for (int i = 0; i < opened; i++) close(fd + 1 + i);
    RAW(__wasi_path_open(3, 0, "f", 0, READ, 0, 0, &last));
    NUM(last - fd);
    close(last);

    for (int i = 0; i < 1025; i++) in[i] = (__wasi_iovec_t){buf, sizeof buf}, out[i] = (__wasi_ciovec_t){buf, 1};
    RAW(__wasi_fd_read(fd, in, 1025, &count));
    RAW(__wasi_fd_pread(fd, in, 1025, 0, &count));
    RAW(__wasi_fd_write(fd, out, 1025, &count));
    RAW(__wasi_fd_write(fd, out, 0xffffffff, &count));
    RAW(__wasi_fd_read(fd, in, 0x80000000, &count));
    RAW(__wasi_fd_read(fd, in, 1024, &count));
    NUM(count);
    RAW(__wasi_fd_write(1, out, 0, &count));
    NUM(count);

    __wasi_filesize_t place;
    RAW(__wasi_fd_filestat_set_size(fd, ~0ull));
    RAW(__wasi_fd_filestat_set_size(fd, 1ull << 63));
    RAW(__wasi_fd_allocate(fd, ~0ull, ~0ull));
    RAW(__wasi_fd_allocate(fd, 1, ~0ull >> 1));
    RAW(__wasi_fd_advise(fd, ~0ull, ~0ull, 0));
    RAW(__wasi_fd_seek(fd, (1ull << 63) - 1, 0, &place));
    RAW(__wasi_fd_seek(fd, 1, 1, &place));
    RAW(__wasi_fd_read(fd, in, 1, &count));
    *buf = 'x';
    NUM(__wasi_fd_write(fd, out, 1, &count) != 0);
    NUM(__wasi_fd_pwrite(fd, out, 1, ~0ull, &count) != 0);
    RAW(__wasi_fd_seek(fd, 0, 0, &place));

    say_errno("create 4095 bytes", __wasi_path_create_directory(3, long_path(4095, 100)));
    say_errno("create 4096 bytes", __wasi_path_create_directory(3, long_path(4096, 100)));
    say_errno("create 100000 bytes", __wasi_path_create_directory(3, long_path(100000, 100)));
    say_errno("create a name of 255 bytes", __wasi_path_create_directory(3, long_path(255, 1000)));
    say_errno("remove it", __wasi_path_remove_directory(3, path));
    say_errno("create a name of 256 bytes", __wasi_path_create_directory(3, long_path(256, 1000)));
    say_errno("link to 4096 bytes", __wasi_path_symlink(long_path(4096, 100), 3, "l"));
    say_errno("link to 100000 bytes", __wasi_path_symlink(long_path(100000, 100), 3, "l"));
    RAW(__wasi_path_readlink(3, "to_file", buf, sizeof buf, &count));
    NUM(count);

    memset(subscriptions, 0, sizeof subscriptions);
    for (int i = 0; i < 5000; i++) subscriptions[i].u.tag = __WASI_EVENTTYPE_FD_WRITE, subscriptions[i].u.u.fd_write.file_descriptor = 1;
    RAW(__wasi_poll_oneoff(subscriptions, events, 4096, &count));
    NUM(count);
    RAW(__wasi_poll_oneoff(subscriptions, events, 4097, &count));
    RAW(__wasi_random_get(buf, sizeof buf));
    RAW(__wasi_fd_readdir(3, buf, sizeof buf, 1ull << 63, &count));
    NUM(count);
    RAW(__wasi_fd_prestat_dir_name(3, buf, 0));
    RAW(__wasi_fd_prestat_dir_name(3, buf, sizeof buf));

    /* Until the disk is full, where the harness gives a small one. */
    long long total = 0;
    if (getenv("FILL")) {
        for (int i = 0; i < 1025; i++) out[i].buf_len = sizeof buf;
        while (!(error = __wasi_fd_write(fd, out, 8, &count)) && count) total += count;
        say_errno("writing ended", error);
        NUM(total > 0 && total < 1 << 20);
        RAW(__wasi_fd_filestat_set_size(fd, 0));
    }
    return 0;
}
