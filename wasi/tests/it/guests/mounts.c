/* Several directories: /ro is read-only, /rw and /rw2 are writable, /r is a name that begins like theirs.
 *
 * What is read-only is changed neither by flags nor by links nor by names nor by renumbering descriptors. */
#include "guest.h"

enum { RO = 3, RW = 4, RW2 = 5, R = 6 };
static const __wasi_rights_t READ = __WASI_RIGHTS_FD_READ, WRITE = __WASI_RIGHTS_FD_WRITE;
static const __wasi_rights_t ALL = (1ull << 29) - 1;

/* Every harm that can be done through a descriptor; how many of them worked. */
static int harm(__wasi_fd_t fd) {
    __wasi_ciovec_t out = {(const uint8_t *)"harm", 4};
    __wasi_size_t count;
    __wasi_filesize_t place;
    int done = 0;
    (void)!__wasi_fd_fdstat_set_flags(fd, __WASI_FDFLAGS_APPEND);
    done += !__wasi_fd_write(fd, &out, 1, &count);
    (void)!__wasi_fd_fdstat_set_flags(fd, 0);
    (void)!__wasi_fd_seek(fd, 0, 0, &place);
    done += !__wasi_fd_write(fd, &out, 1, &count);
    done += !__wasi_fd_pwrite(fd, &out, 1, 0, &count);
    done += !__wasi_fd_filestat_set_size(fd, 0);
    done += !__wasi_fd_filestat_set_size(fd, 1000);
    done += !__wasi_fd_allocate(fd, 0, 1000);
    done += !__wasi_fd_filestat_set_times(fd, 1, 1, 5);
    done += !__wasi_fd_filestat_set_times(fd, 0, 0, 10);
    done += !__wasi_path_create_directory(fd, "harm");
    done += !__wasi_path_unlink_file(fd, "in");
    done += !__wasi_path_symlink("in", fd, "harm2");
    return done;
}

/* Opens with all flags and many rights; prints what succeeds, and how often which error comes instead. */
static void open_in_all_ways(__wasi_fd_t dir, const char *path) {
    const __wasi_rights_t rights[] = {0, READ, WRITE, READ | WRITE, ALL};
    int errors[80] = {0};
    for (int oflags = 0; oflags < 16; oflags++)
        for (int i = 0; i < 5; i++)
            for (int fdflags = 0; fdflags < 32; fdflags++)
                for (int follow = 0; follow < 2; follow++) {
                    __wasi_fd_t fd;
                    int error = __wasi_path_open(dir, follow, path, oflags, rights[i], ALL, fdflags, &fd);
                    errors[error]++;
                    if (error) continue;
                    int harmed = harm(fd);
                    if (harmed) say_number("harm", harmed);
                    (void)!__wasi_fd_close(fd);
                }
    put("opening "), put(path), put(" in all ways:");
    for (int i = 0; i < 80; i++)
        if (errors[i]) put(" "), put_errno(i), put(" "), put_number(errors[i]);
    end_line();
}

int main(void) {
    const char *paths[] = {"f", "f/", "d", "d/in", "to_file", "to_dir/", "dangling", "new", "new/", "."};
    for (int i = 0; i < sizeof paths / sizeof *paths; i++) open_in_all_ways(RO, paths[i]);
    NUM(harm(RO));

    RAW(__wasi_path_create_directory(RO, "new"));
    RAW(__wasi_path_create_directory(RO, "d"));
    RAW(__wasi_path_remove_directory(RO, "d"));
    RAW(__wasi_path_unlink_file(RO, "f"));
    RAW(__wasi_path_unlink_file(RO, "none"));
    RAW(__wasi_path_symlink("f", RO, "new"));
    RAW(__wasi_path_rename(RO, "f", RO, "g"));
    RAW(__wasi_path_link(RO, 0, "f", RO, "g"));
    RAW(__wasi_path_filestat_set_times(RO, 0, "f", 1, 1, 5));
    RAW(__wasi_path_filestat_set_times(RO, 1, "to_file", 0, 0, 10));

    /* Between directories: only if both grant the same. */
    RAW(__wasi_path_link(RO, 0, "f", RW, "linked"));
    RAW(__wasi_path_link(RW, 0, "f", RO, "linked"));
    RAW(__wasi_path_rename(RO, "f", RW, "moved"));
    RAW(__wasi_path_rename(RO, "d", RW, "moved"));
    RAW(__wasi_path_rename(RW, "f", RO, "moved"));
    RAW(__wasi_path_rename(RW, "f", RO, "f"));
    RAW(__wasi_path_rename(RO, "to_file", RW, "moved"));
    __wasi_fd_t below, file;
    RAW(__wasi_path_open(RO, 0, "d", __WASI_OFLAGS_DIRECTORY, READ, ALL, 0, &below));
    RAW(__wasi_path_link(below, 0, "in", RW, "linked"));
    RAW(__wasi_path_rename(below, "in", RW, "moved"));
    NUM(harm(below));
    RAW(__wasi_path_link(RW, 0, "f", RW2, "linked"));
    RAW(__wasi_path_rename(RW, "f", RW2, "moved"));
    RAW(__wasi_path_rename(RW2, "moved", RW, "f"));

    /* Links that lead from one to another, and names that begin alike. */
    RAW(__wasi_path_symlink("../ro/f", RW, "to_ro"));
    RAW(__wasi_path_open(RW, 1, "to_ro", __WASI_OFLAGS_TRUNC, READ | WRITE, 0, 0, &file));
    RAW(__wasi_path_open(RW, 1, "../rw2/f", 0, READ, 0, 0, &file));
    RAW(__wasi_path_open(RW, 1, "2/f", 0, READ, 0, 0, &file));
    TRY(open("/rw2/f", O_RDONLY));
    TRY(open("/rw3/f", O_RDONLY));
    TRY(open("/rwX/f", O_RDONLY));
    TRY(open("/r/only_in_r", O_RDONLY));
    TRY(open("/rX/only_in_r", O_RDONLY));
    TRY(open("/ro/../rw/f", O_RDWR));
    TRY(open("/rw/../ro/f", O_RDONLY));

    /* Descriptors with other numbers keep what they grant, and grant no more. */
    RAW(__wasi_fd_renumber(RW, 1000));
    RAW(__wasi_fd_renumber(1000, RW));
    RAW(__wasi_fd_renumber(~0u, ~0u));
    RAW(__wasi_fd_renumber(RW, ~0u));
    RAW(__wasi_fd_renumber(RW, RW));
    RAW(__wasi_fd_renumber(below, R));
    NUM(harm(R));
    __wasi_prestat_t prestat;
    RAW(__wasi_fd_prestat_get(R, &prestat));
    RAW(__wasi_fd_filestat_set_size(below, 0));
    RAW(__wasi_path_open(RO, 0, "f", 0, READ, 0, 0, &file));
    RAW(__wasi_fd_renumber(file, 2));
    RAW(__wasi_fd_filestat_set_size(2, 0));
    RAW(__wasi_fd_renumber(RW2, RO));
    RAW(__wasi_path_create_directory(RO, "made_in_rw2"));
    RAW(__wasi_path_create_directory(RW2, "new"));
    RAW(__wasi_path_create_directory(R, "new"));
    RAW(__wasi_path_open(RW, 0, "out", __WASI_OFLAGS_CREAT, WRITE, 0, 0, &file));
    RAW(__wasi_fd_renumber(file, 1));
    RAW(__wasi_fd_prestat_get(1, &prestat));
    RAW(__wasi_fd_close(file));
    RAW(__wasi_fd_close(RW));
    RAW(__wasi_path_unlink_file(RW, "f"));
    return 0;
}
