/* Reading directories: all entries, from where one was, and while they are removed. */
#include "guest.h"
#include <dirent.h>
#include <stdio.h>

enum { FILES = 300 };

/* A name whose length depends on the number, so that records end everywhere in a buffer. */
static char *name(char *at, const char *dir, int number) {
    char *end = stpcpy(stpcpy(at, dir), "/");
    for (int i = 0; i < 1 + number % 97; i++) *end++ = 'n';
    for (int rest = number, i = 0; i < 3; i++, rest /= 10) *end++ = '0' + rest % 10;
    *end = 0;
    return at;
}

static int count(DIR *dir) {
    int entries = 0;
    while (readdir(dir)) entries++;
    return entries;
}

/* Removes everything, each entry while the listing that it came from goes on. */
static int remove_all(const char *path) {
    int removed = 0;
    DIR *dir = opendir(path);
    if (!dir) return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char below[512];
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        stpcpy(stpcpy(stpcpy(below, path), "/"), entry->d_name);
        if (entry->d_type == DT_DIR) removed += remove_all(below);
        else removed += unlink(below) == 0;
    }
    closedir(dir);
    return removed + (rmdir(path) == 0);
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }
static int all(const struct dirent *entry) { return 1; }

static void show(const char *path) {
    struct dirent **list;
    int entries = scandir(path, &list, all, by_name);
    for (int i = 0; i < entries; i++) {
        struct stat stat;
        int fd = open(path, O_RDONLY | O_DIRECTORY);
        put("  "), put(list[i]->d_name);
        put(list[i]->d_type == DT_DIR ? " directory" : list[i]->d_type == DT_REG ? " file" : " other");
        int is_up = !strcmp(list[i]->d_name, "..");
        if (!is_up && (fstatat(fd, list[i]->d_name, &stat, AT_SYMLINK_NOFOLLOW) || stat.st_ino != list[i]->d_ino))
            put(" but its inode is another");
        end_line();
        close(fd);
    }
}

int main(void) {
    char path[512];
    PTR(opendir("f"));
    PTR(opendir("none"));
    show("d");

    DIR *dir;
    TRY(mkdir("big", 0777));
    int made = 0;
    for (int i = 0; i < FILES; i++) {
        int fd = open(name(path, "big", i), O_WRONLY | O_CREAT | O_EXCL, 0666);
        made += fd >= 0;
        close(fd);
    }
    NUM(made);
    if (made == FILES) {
        dir = opendir("big");
        for (int i = 0; i < 100; i++) readdir(dir);
        long place = telldir(dir);
        char next[512];
        strcpy(next, readdir(dir)->d_name);
        NUM(count(dir));
        PTR(readdir(dir) ? NULL : dir);
        seekdir(dir, place);
        NUM(strcmp(next, readdir(dir)->d_name));
        NUM(count(dir));
        rewinddir(dir);
        NUM(count(dir));
        /* A place that was seen stays valid when what is there has gone. */
        strcpy(stpcpy(path, "big/"), next);
        TRY(unlink(path));
        seekdir(dir, place);
        NUM(count(dir));
        rewinddir(dir);
        NUM(count(dir));
        closedir(dir);
    }
    TRY(mkdir("big/below", 0777));
    TRY(mkdir("big/below/deeper", 0777));
    NUM(remove_all("big"));
    TRY(rmdir("big"));

    /* The call itself: a buffer is filled to its end, and a record may be cut. */
    uint8_t buf[4096];
    __wasi_size_t used = 0;
    __wasi_fd_t fd = open("d", O_RDONLY | O_DIRECTORY);
    RAW(__wasi_fd_readdir(fd, buf, sizeof buf, 0, &used));
    __wasi_size_t whole = used;
    int wrong = 0;
    for (__wasi_size_t len = 0; len < whole; len++) {
        uint8_t part[4096];
        wrong += __wasi_fd_readdir(fd, part, len, 0, &used) != 0 || used != len || memcmp(part, buf, len) != 0;
    }
    NUM(wrong);
    __wasi_dirent_t first;
    memcpy(&first, buf, sizeof first);
    RAW(__wasi_fd_readdir(fd, buf, sizeof buf, first.d_next, &used));
    NUM(whole - used == sizeof first + first.d_namlen);
    RAW(__wasi_fd_readdir(fd, buf, sizeof buf, 1000, &used));
    NUM(used);
    RAW(__wasi_fd_readdir(fd, buf, sizeof buf, ~0ull, &used));
    RAW(__wasi_fd_readdir(1, buf, sizeof buf, 0, &used));
    close(fd);
    RAW(__wasi_fd_readdir(fd, buf, sizeof buf, 0, &used));
    TRY(unlink("d/in"));
    show("d");
    return 0;
}
