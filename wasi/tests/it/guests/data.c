/* The data of files: reading, writing, positions, sizes, append mode, and what descriptors refuse. */
#include "guest.h"
#include <sys/uio.h>

static char buf[64];

/* Reads into the buffer and shows what came, zeros as dots. */
static void show(const char *what, ssize_t count) {
    int error = errno;
    put(what), put(": ");
    if (count < 0) put_errno(error);
    else put_number(count), put(" \"");
    for (ssize_t i = 0; i < count; i++) put((char[]){buf[i] ? buf[i] : '.', 0});
    if (count >= 0) put("\"");
    end_line();
    memset(buf, '!', sizeof buf);
}
#define SHOW(call) show(#call, (call))

static long long size(int fd) {
    struct stat stat;
    return fstat(fd, &stat) ? -1 : stat.st_size;
}

int main(void) {
    int fd, two;
    NUM(fd = open("f", O_RDWR));
    SHOW(read(fd, buf, 4));
    NUM(lseek(fd, 0, SEEK_CUR));
    NUM(lseek(fd, -2, SEEK_END));
    SHOW(read(fd, buf, sizeof buf));
    SHOW(read(fd, buf, sizeof buf));
    SHOW(read(fd, buf, 0));
    NUM(lseek(fd, -1, SEEK_SET));
    NUM(lseek(fd, -11, SEEK_CUR));
    NUM(lseek(fd, 0x7fffffffffffffff, SEEK_CUR));
    NUM(lseek(fd, 0, 7));
    NUM(lseek(fd, 14, SEEK_SET));
    SHOW(read(fd, buf, 4));
    NUM(write(fd, "end", 3));
    NUM(size(fd));
    NUM(pwrite(fd, "AB", 2, 0));
    NUM(pwrite(fd, "AB", 2, -1));
    NUM(lseek(fd, 0, SEEK_CUR));
    SHOW(pread(fd, buf, sizeof buf, 0));
    SHOW(pread(fd, buf, sizeof buf, 1000));
    SHOW(pread(fd, buf, sizeof buf, -1));

    NUM(lseek(fd, 1, SEEK_SET));
    struct iovec list[] = {{"one", 3}, {"", 0}, {"two", 3}};
    NUM(writev(fd, list, 3));
    NUM(lseek(fd, 0, SEEK_SET));
    struct iovec parts[] = {{buf, 2}, {buf + 2, 0}, {buf + 4, 6}};
    memset(buf, '-', sizeof buf);
    SHOW(readv(fd, parts, 3) + 2);
    NUM(lseek(fd, 0, SEEK_CUR));

    TRY(ftruncate(fd, 5));
    TRY(ftruncate(fd, 8));
    TRY(ftruncate(fd, -1));
    SHOW(pread(fd, buf, sizeof buf, 0));
    RAW(posix_fallocate(fd, 0, 4));
    NUM(size(fd));
    RAW(posix_fallocate(fd, 6, 4));
    NUM(size(fd));
    RAW(posix_fallocate(fd, 0, 0));
    RAW(posix_fallocate(fd, -1, 4));
    RAW(posix_fallocate(fd, 0x7fffffffffffffff, 4));
    RAW(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    RAW(posix_fadvise(fd, 0, 1 << 30, POSIX_FADV_DONTNEED));
    RAW(posix_fadvise(fd, 0, 0, 17));
    NUM(size(fd));
    TRY(fsync(fd));
    TRY(fdatasync(fd));

    NUM(two = open("f", O_WRONLY | O_APPEND));
    NUM(fcntl(two, F_GETFL) & O_APPEND ? 1 : 0);
    NUM(write(two, "more", 4));
    NUM(lseek(two, 0, SEEK_CUR));
    NUM(pwrite(two, "P", 1, 0));
    NUM(lseek(two, 0, SEEK_CUR));
    TRY(fcntl(two, F_SETFL, 0));
    NUM(lseek(two, 1, SEEK_SET));
    NUM(write(two, "W", 1));
    SHOW(read(two, buf, 1));
    SHOW(pread(two, buf, 1, 0));
    SHOW(pread(fd, buf, sizeof buf, 0));
    TRY(close(two));
    TRY(close(two));

    NUM(two = open("f", O_RDONLY));
    NUM(write(two, "x", 1));
    NUM(pwrite(two, "x", 1, 0));
    TRY(ftruncate(two, 0));
    RAW(posix_fallocate(two, 0, 100));
    TRY(close(two));

    TRY(unlink("f"));
    NUM(write(fd, "gone", 4));
    SHOW(pread(fd, buf, sizeof buf, 0));
    NUM(two = open("f", O_WRONLY | O_CREAT | O_EXCL, 0666));
    NUM(write(two, "another", 7));
    SHOW(pread(fd, buf, 4, 0));
    TRY(close(two));
    TRY(close(fd));
    NUM(fd = open("f", O_RDWR | O_CREAT | O_EXCL, 0666));
    NUM(fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0666));
    NUM(size(fd));
    NUM(write(fd, "last", 4));
    TRY(close(fd));

    NUM(fd = open("d", O_RDONLY | O_DIRECTORY));
    SHOW(read(fd, buf, 1));
    NUM(lseek(fd, 0, SEEK_SET));
    TRY(ftruncate(fd, 0));
    RAW(posix_fallocate(fd, 0, 1));
    RAW(posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL));
    TRY(fsync(fd));
    TRY(close(fd));
    TRY(open("d", O_RDWR));
    TRY(open("d", O_RDONLY | O_CREAT, 0666));
    TRY(open("f", O_RDONLY | O_DIRECTORY));
    TRY(open("f/", O_RDONLY));
    TRY(open("new/", O_RDWR | O_CREAT, 0666));
    TRY(open("d/new/x", O_RDWR | O_CREAT, 0666));
    TRY(open("none", O_RDONLY));
    TRY(open("f/x", O_RDONLY));
    return 0;
}
