/* The names of files: directories, renaming, hard links, removal, attributes and times. */
#include "guest.h"
#include <stdio.h>
#include <time.h>

static void show(const char *name) {
    struct stat stat;
    put("  "), put(name), put(": ");
    if (lstat(name, &stat)) {
        put_errno(errno), end_line();
        return;
    }
    if (S_ISDIR(stat.st_mode)) put("directory");
    else put_number(stat.st_nlink), put(" names, size "), put_number(stat.st_size);
    end_line();
}

/* Whether an open file and its name are told to be the same object. */
static int same(const char *name) {
    struct stat a, b;
    int fd = open(name, O_RDONLY);
    int same = fd >= 0 && !fstat(fd, &a) && !stat(name, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
    close(fd);
    return same;
}

static void show_times(const char *name) {
    struct stat stat;
    put("  times of "), put(name), put(":");
    if (lstat(name, &stat)) {
        put_errno(errno), end_line();
        return;
    }
    const struct timespec *times[] = {&stat.st_atim, &stat.st_mtim};
    for (int i = 0; i < 2; i++) {
        put(" ");
        /* Anything else than what was set below is now. */
        if (times[i]->tv_sec > 1000000000) put("now");
        else put_number(times[i]->tv_sec), put("."), put_number(times[i]->tv_nsec);
    }
    end_line();
}

int main(void) {
    TRY(mkdir("new", 0777));
    TRY(mkdir("new", 0777));
    TRY(mkdir("f", 0777));
    TRY(mkdir("none/new", 0777));
    TRY(mkdir("f/new", 0777));
    TRY(mkdir("slash/", 0777));
    TRY(mkdir("d/../.", 0777));
    show("new"), show("slash"), show("f");
    TRY(rmdir("slash/"));
    TRY(rmdir("slash"));
    TRY(rmdir("d"));
    TRY(rmdir("f"));
    TRY(rmdir("f/"));
    TRY(rmdir("."));
    TRY(unlink("d"));
    TRY(unlink("d/"));
    TRY(unlink("f/"));
    TRY(unlink("none"));

    TRY(link("f", "g"));
    show("f"), show("g");
    TRY(link("f", "g"));
    TRY(link("f", "d"));
    TRY(link("f", "h/"));
    TRY(link("f/", "h"));
    TRY(link("d", "h"));
    TRY(link("none", "h"));
    TRY(rename("f", "g"));
    show("f"), show("g");
    NUM(same("f"));
    NUM(same("d"));

    TRY(rename("g", "d/g"));
    show("g"), show("d/g");
    TRY(rename("d/g", "d"));
    TRY(rename("d", "f"));
    TRY(rename("d", "d/below"));
    TRY(rename("d", "new"));
    show("d"), show("new/g"), show("new/in");
    TRY(mkdir("d", 0777));
    TRY(rename("d", "new"));
    TRY(rename("new", "d"));
    TRY(rename("d/", "e/"));
    show("new"), show("d"), show("e/in");
    TRY(rename("e", "d"));
    TRY(rename("f/", "h"));
    TRY(rename("f", "h/"));
    TRY(rename("f", "none/h"));
    TRY(rename("none", "h"));
    TRY(rename(".", "h"));
    TRY(rename("f", "renamed"));
    TRY(remove("renamed"));
    TRY(remove("renamed"));
    show("f"), show("d/g");

    TRY(utimensat(AT_FDCWD, "d/in", ((struct timespec[]){{1, 2}, {3, 4}}), 0));
    show_times("d/in");
    TRY(utimensat(AT_FDCWD, "d/in", ((struct timespec[]){{5, 6}, {7, UTIME_OMIT}}), 0));
    show_times("d/in");
    TRY(utimensat(AT_FDCWD, "d/in", ((struct timespec[]){{0, UTIME_NOW}, {0, 0}}), 0));
    show_times("d/in");
    TRY(utimensat(AT_FDCWD, "d", ((struct timespec[]){{10, 0}, {11, 999999999}}), 0));
    show_times("d");
    TRY(utimensat(AT_FDCWD, "d/in/", NULL, 0));
    TRY(utimensat(AT_FDCWD, "none", NULL, 0));
    int fd = open("d/in", O_RDONLY);
    TRY(futimens(fd, ((struct timespec[]){{8, 0}, {9, 0}})));
    show_times("d/in");
    TRY(futimens(fd, NULL));
    show_times("d/in");
    RAW(__wasi_fd_filestat_set_times(fd, 1, 1, 3));
    RAW(__wasi_fd_filestat_set_times(fd, 1, 1, 12));
    RAW(__wasi_fd_filestat_set_times(fd, 1, 1, 16));
    RAW(__wasi_path_filestat_set_times(3, 0, "d/in", 1, 1, 3));
    close(fd);

    TRY(access("d/in", R_OK));
    TRY(access("d/none", F_OK));
    TRY(mkdir("", 0777));
    TRY(unlink(""));
    TRY(mkdirat(3, "/abs", 0777));
    static char name[300];
    memset(name, 'n', 256);
    RAW(__wasi_path_create_directory(3, name));
    RAW(__wasi_path_unlink_file(3, name));
    return 0;
}
