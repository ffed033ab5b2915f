/* What the C guests share: saying what a call did, one line each, as `text of the call: result`.
 *
 * A result is a number, or the name of the errno if it is -1. Lines go out by write(2), without the buffers and the
 * formats of stdio, which keeps the modules small. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>

static char line[8192];
static size_t used;

static inline void put(const char *text) {
    for (; *text && used < sizeof line; text++) line[used++] = *text;
}

static inline void put_number(long long number) {
    char digits[24], *at = digits + sizeof digits;
    unsigned long long rest = number < 0 ? -(unsigned long long)number : (unsigned long long)number;
    *--at = 0;
    do *--at = '0' + rest % 10; while (rest /= 10);
    if (number < 0) *--at = '-';
    put(at);
}

static inline void end_line(void) {
    put("\n");
    for (size_t done = 0; done < used;) {
        ssize_t count = write(1, line + done, used - done);
        if (count < 0) _Exit(99);
        done += count;
    }
    used = 0;
}

/* The numbers are those of WASI, in their order. */
static inline void put_errno(int number) {
    static const char names[] =
        "ok\0E2BIG\0EACCES\0EADDRINUSE\0EADDRNOTAVAIL\0EAFNOSUPPORT\0EAGAIN\0EALREADY\0EBADF\0EBADMSG\0EBUSY\0"
        "ECANCELED\0ECHILD\0ECONNABORTED\0ECONNREFUSED\0ECONNRESET\0EDEADLK\0EDESTADDRREQ\0EDOM\0EDQUOT\0EEXIST\0"
        "EFAULT\0EFBIG\0EHOSTUNREACH\0EIDRM\0EILSEQ\0EINPROGRESS\0EINTR\0EINVAL\0EIO\0EISCONN\0EISDIR\0ELOOP\0"
        "EMFILE\0EMLINK\0EMSGSIZE\0EMULTIHOP\0ENAMETOOLONG\0ENETDOWN\0ENETRESET\0ENETUNREACH\0ENFILE\0ENOBUFS\0"
        "ENODEV\0ENOENT\0ENOEXEC\0ENOLCK\0ENOLINK\0ENOMEM\0ENOMSG\0ENOPROTOOPT\0ENOSPC\0ENOSYS\0ENOTCONN\0"
        "ENOTDIR\0ENOTEMPTY\0ENOTRECOVERABLE\0ENOTSOCK\0ENOTSUP\0ENOTTY\0ENXIO\0EOVERFLOW\0EOWNERDEAD\0EPERM\0"
        "EPIPE\0EPROTO\0EPROTONOSUPPORT\0EPROTOTYPE\0ERANGE\0EROFS\0ESPIPE\0ESRCH\0ESTALE\0ETIMEDOUT\0ETXTBSY\0"
        "EXDEV\0ENOTCAPABLE\0";
    const char *name = names;
    for (int skip = number; skip > 0 && *name; skip--) name += strlen(name) + 1;
    if (*name) put(name);
    else put("errno "), put_number(number);
}

static inline void say_number(const char *what, long long number) {
    int error = errno;
    put(what), put(": ");
    if (number == -1) put_errno(error);
    else put_number(number);
    end_line();
}

static inline void say_errno(const char *what, int error) {
    put(what), put(": "), put_errno(error), end_line();
}

static inline void say_text(const char *what, const char *text) {
    put(what), put(": "), put(text), end_line();
}

/* A call that gives a number, or -1 with errno. */
#define NUM(call) say_number(#call, (call))
/* A call of which only success counts. */
#define TRY(call) say_errno(#call, (call) == -1 ? errno : 0)
/* A call that gives a pointer. */
#define PTR(call) say_errno(#call, (call) == NULL ? errno : 0)
/* A call that gives the errno itself. */
#define RAW(call) say_errno(#call, (call))
