/* Symbolic links that stay inside: made, read, followed or not, removed; loops, and links to nothing. */
#include "guest.h"
#include <stdio.h>
#include <time.h>

static char buf[64];

static void show_link(const char *name, size_t len) {
    memset(buf, 0, sizeof buf);
    ssize_t count = readlink(name, buf, len);
    put("readlink "), put(name), put(": ");
    if (count < 0) put_errno(errno);
    else put_number(count), put(" "), put(buf);
    end_line();
}

static void show(const char *name) {
    for (int follow = 0; follow < 2; follow++) {
        struct stat at;
        put(follow ? "stat " : "lstat "), put(name), put(": ");
        if (follow ? stat(name, &at) : lstat(name, &at)) put_errno(errno);
        else if (S_ISDIR(at.st_mode)) put("directory");
        else put(S_ISLNK(at.st_mode) ? "link " : "file "), put_number(at.st_size);
        end_line();
    }
}

static void show_content(const char *name, int flags) {
    memset(buf, 0, sizeof buf);
    int fd = open(name, flags);
    put("content of "), put(name), put(flags & O_NOFOLLOW ? " itself: " : ": ");
    if (fd < 0) put_errno(errno);
    else if (read(fd, buf, sizeof buf - 1) < 0) put_errno(errno);
    else put(buf);
    end_line();
    close(fd);
}

int main(void) {
    TRY(symlink("f", "to_file"));
    TRY(symlink("d", "to_dir"));
    TRY(symlink("d/", "to_dir_slash"));
    TRY(symlink("fresh", "to_nothing"));
    TRY(symlink("loop_b", "loop_a"));
    TRY(symlink("loop_a", "loop_b"));
    TRY(symlink("self", "self"));
    TRY(symlink("../f", "d/up_and_in"));
    TRY(symlink("d/../d/up_and_in", "chain"));
    TRY(symlink("f", "to_file"));
    TRY(symlink("x", "to_dir"));
    TRY(symlink("x", "new/"));
    TRY(symlink("x", "d/"));
    TRY(symlink("", "empty"));
    TRY(symlink("/f", "absolute"));
    TRY(symlink("/", "absolute"));

    show_link("to_file", sizeof buf), show_link("to_file", 0);
    show_link("d/up_and_in", 3);
    show_link("f", 64), show_link("d", 64), show_link("none", 64), show_link("to_dir/", 64);
    const char *links[] = {"to_file", "to_dir", "to_dir/", "to_dir_slash", "to_nothing", "loop_a", "self",
                           "d/up_and_in", "chain", "to_file/", "to_dir/in", "to_dir_slash/in", "to_dir/..",
                           "to_dir/up_and_in"};
    for (int i = 0; i < sizeof links / sizeof *links; i++) {
        show(links[i]);
        show_content(links[i], O_RDONLY);
        show_content(links[i], O_RDONLY | O_NOFOLLOW);
    }

    TRY(open("to_nothing", O_RDWR | O_CREAT | O_EXCL, 0666));
    TRY(open("to_nothing", O_RDWR | O_CREAT | O_NOFOLLOW, 0666));
    TRY(open("to_nothing/", O_RDWR | O_CREAT, 0666));
    TRY(mkdir("to_nothing", 0777));
    TRY(mkdir("to_nothing/", 0777));
    TRY(rmdir("to_dir"));
    TRY(rmdir("to_dir/"));
    TRY(unlink("to_dir/"));
    TRY(unlink("to_file/"));
    int fd;
    NUM(fd = open("to_nothing", O_RDWR | O_CREAT, 0666));
    NUM(write(fd, "made", 4));
    TRY(close(fd));
    show_content("fresh", O_RDONLY);

    TRY(link("to_file", "hard"));
    show_link("hard", 64);
    TRY(linkat(AT_FDCWD, "to_file", AT_FDCWD, "hard2", AT_SYMLINK_FOLLOW));
    TRY(link("loop_a", "hard_loop"));
    TRY(rename("to_dir", "moved"));
    show("moved");
    TRY(rename("moved/", "again"));
    TRY(rename("f", "to_file"));
    show("to_file");
    TRY(rename("to_file", "f"));

    struct timespec times[] = {{1, 0}, {2, 0}};
    struct stat at;
    TRY(utimensat(AT_FDCWD, "chain", times, AT_SYMLINK_NOFOLLOW));
    NUM(lstat("chain", &at) ? -1 : at.st_mtim.tv_sec == 2);
    NUM(stat("f", &at) ? -1 : at.st_mtim.tv_sec == 2);
    TRY(utimensat(AT_FDCWD, "chain", times, 0));
    NUM(stat("f", &at) ? -1 : at.st_mtim.tv_sec == 2);
    TRY(utimensat(AT_FDCWD, "loop_b", times, 0));

    TRY(unlink("to_nothing"));
    TRY(remove("loop_a"));
    show("loop_b");
    show_content("fresh", O_RDONLY);
    return 0;
}
