/* Every operation on every way out of the only directory that is granted, which is writable.
 *
 * One line for each path, with the letter of each operation and what it gave; equal results are put together. What a
 * file or directory gives that could be opened is used at once: read, overwritten, cut, and shown. Links that the guest
 * can make are made anew before each operation; those that only the host can make are there already. */
#include "guest.h"

static const char SECRET_NAMES[][16] = {"secret", "outfile", "out"};

/* Does harm through whatever was opened; `!` and what was found if that is outside. */
static void use(__wasi_fd_t fd) {
    char buf[16] = {0};
    __wasi_iovec_t in = {(uint8_t *)buf, sizeof buf - 1};
    __wasi_ciovec_t out = {(const uint8_t *)"harm", 4};
    __wasi_size_t count;
    if (!__wasi_fd_pread(fd, &in, 1, 0, &count) && !strncmp(buf, "canary", 6)) put("!"), put(buf);
    (void)!__wasi_fd_pwrite(fd, &out, 1, 0, &count);
    (void)!__wasi_fd_filestat_set_size(fd, 1);
    (void)!__wasi_fd_filestat_set_times(fd, 1, 1, 5);
    for (int i = 0; i < 3; i++) {
        __wasi_filestat_t stat;
        if (!__wasi_path_filestat_get(fd, 0, SECRET_NAMES[i], &stat)) put("!"), put(SECRET_NAMES[i]);
    }
    (void)!__wasi_path_create_directory(fd, "made");
    (void)!__wasi_fd_close(fd);
}

static int open_and_use(const char *path, int follow, int oflags, __wasi_rights_t rights, int fdflags) {
    __wasi_fd_t fd;
    int error = __wasi_path_open(3, follow, path, oflags, rights, rights, fdflags, &fd);
    if (!error) use(fd);
    return error;
}

enum { OPERATIONS = 'x' - 'a' + 1 };
static const __wasi_rights_t READ = __WASI_RIGHTS_FD_READ, WRITE = __WASI_RIGHTS_FD_WRITE;

static int attempt(int operation, const char *path) {
    __wasi_filestat_t stat;
    __wasi_size_t len;
    uint8_t buf[64];
    switch ('a' + operation) {
    case 'a': return open_and_use(path, 1, 0, READ, 0);
    case 'b': return open_and_use(path, 0, 0, READ, 0);
    case 'c': return open_and_use(path, 1, 0, READ | WRITE, 0);
    case 'd': return open_and_use(path, 0, 0, WRITE, __WASI_FDFLAGS_APPEND);
    case 'e': return open_and_use(path, 1, __WASI_OFLAGS_CREAT, READ | WRITE, 0);
    case 'f': return open_and_use(path, 0, __WASI_OFLAGS_CREAT, READ | WRITE, 0);
    case 'g': return open_and_use(path, 1, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL, READ | WRITE, 0);
    case 'h': return open_and_use(path, 1, __WASI_OFLAGS_TRUNC, READ, 0);
    case 'i': return open_and_use(path, 0, __WASI_OFLAGS_TRUNC, WRITE, 0);
    case 'j': return open_and_use(path, 1, __WASI_OFLAGS_DIRECTORY, READ, 0);
    case 'k': return open_and_use(path, 0, __WASI_OFLAGS_DIRECTORY, 0, 0);
    case 'l': return __wasi_path_filestat_get(3, 0, path, &stat);
    case 'm': return __wasi_path_filestat_get(3, 1, path, &stat);
    case 'n': return __wasi_path_filestat_set_times(3, 0, path, 1, 1, 5);
    case 'o': return __wasi_path_filestat_set_times(3, 1, path, 1, 1, 5);
    case 'p': return __wasi_path_readlink(3, path, buf, sizeof buf, &len);
    case 'q': return __wasi_path_create_directory(3, path);
    case 'r': return __wasi_path_symlink("f", 3, path);
    case 's': return __wasi_path_link(3, 0, path, 3, "d/fresh");
    case 't': return __wasi_path_link(3, 0, "g", 3, path);
    case 'u': return __wasi_path_remove_directory(3, path);
    case 'v': return __wasi_path_rename(3, path, 3, "d/fresh");
    case 'w': return __wasi_path_rename(3, "d/in", 3, path);
    default: return __wasi_path_unlink_file(3, path);
    }
}

/* Back to how the directory was, as far as a guest can. */
static void restore(const char *target) {
    (void)!__wasi_path_unlink_file(3, "d/fresh");
    (void)!__wasi_path_remove_directory(3, "d/fresh");
    close(open("d/in", O_RDWR | O_CREAT, 0666));
    if (!target) return;
    (void)!__wasi_path_unlink_file(3, "l");
    (void)!__wasi_path_remove_directory(3, "l");
    (void)!__wasi_path_symlink(target, 3, "l");
}

static void attack(const char *path, const char *target) {
    int results[OPERATIONS], said[OPERATIONS] = {0};
    put(path);
    if (target) put(" -> "), put(target);
    put(":");
    for (int i = 0; i < OPERATIONS; i++) {
        restore(target);
        results[i] = attempt(i, path);
    }
    for (int i = 0; i < OPERATIONS; i++) {
        if (said[i]) continue;
        put(" ");
        for (int j = i; j < OPERATIONS; j++)
            if (results[j] == results[i]) said[j] = 1, put((char[]){'a' + j, 0});
        put("="), put_errno(results[i]);
    }
    end_line();
}

int main(void) {
    const char *direct[] = {"..", "../", "../.", "../outfile", "../outfile/", "../out", "../out/secret", "../new",
                            "../boxX/secret", "../box/g", "d/../../outfile", "d//..//../outfile", "./../out/",
                            "/", "/outfile", "//outfile", "d/../../box/g"};
    const char *targets[] = {"../outfile", "../outfile/", "../out", "../out/", "../out//", "../out/.", "..", "../",
                             "d/../..", "../missing", "../out/missing", "../boxX", "../boxX/secret", "../box/g",
                             "d/../../out/secret"};
    const char *suffixes[] = {"", "/", "//", "/.", "/..", "/secret", "/missing", "/missing/"};
    const char *hosts[] = {"abs_file", "abs_file/", "abs_dir", "abs_dir/", "abs_dir/secret", "abs_dir/missing",
                           "abs_dir_slash", "abs_dir_slash/", "abs_dir_slash/secret", "abs_inside", "abs_inside/",
                           "abs_root/", "abs_root", "abs_missing", "abs_missing/", "hop", "hop/", "hop/secret",
                           "rel_file", "rel_file/", "rel_dir_slash", "rel_dir_slash/", "rel_dir_slash/secret",
                           "rel_missing", "rel_missing/"};
    for (int i = 0; i < sizeof direct / sizeof *direct; i++) attack(direct[i], NULL);
    for (int i = 0; i < sizeof targets / sizeof *targets; i++) {
        for (int j = 0; j < sizeof suffixes / sizeof *suffixes; j++) {
            char path[32];
            stpcpy(stpcpy(path, "l"), suffixes[j]);
            attack(path, targets[i]);
        }
    }
    /* Removing such a link succeeds, so what removes comes last, and once. */
    for (int i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        put(hosts[i]), put(":");
        for (int j = 0; j < 'u' - 'a'; j++) {
            restore(NULL);
            int error = attempt(j, hosts[i]);
            if (error != __WASI_ERRNO_PERM) put(" "), put((char[]){'a' + j, '=', 0}), put_errno(error);
        }
        end_line();
    }
    return 0;
}
