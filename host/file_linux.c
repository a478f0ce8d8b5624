/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum ph_status status_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
        return PH_ABSENT;
    case EACCES:
    case EPERM:
        return PH_DENIED;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return PH_NOMEM;
    default:
        return PH_SYSTEM;
    }
}

/* One byte more than the file had, so that its growth is seen. */
static ssize_t read_all(int fd, char *bytes, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, bytes + len, size - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_ino == b->st_ino &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static enum ph_status read_stable(int fd, const struct stat *before,
                                  struct ph_file *out, long *os)
{
    size_t size = (size_t)before->st_size + 1;
    struct stat after;
    ssize_t len;
    out->bytes = malloc(size);
    if (!out->bytes)
        return PH_NOMEM;
    len = read_all(fd, out->bytes, size);
    if (len >= 0 && fstat(fd, &after) == 0) {
        out->len = (size_t)len;
        return len == before->st_size && same(before, &after) ? PH_OK : PH_BUSY;
    }
    *os = errno;
    return status_of((int)*os);
}

static enum ph_status read_open(int fd, size_t most, struct ph_file *out,
                                long *os)
{
    struct stat is;
    enum ph_status status;
    if (fstat(fd, &is) != 0) {
        *os = errno;
        return status_of((int)*os);
    }
    if (!S_ISREG(is.st_mode))
        return PH_ABSENT;
    if ((uintmax_t)is.st_size > most)
        return PH_TOOBIG;
    status = read_stable(fd, &is, out, os);
    if (status != PH_OK) {
        free(out->bytes);
        out->bytes = NULL;
    }
    return status;
}

enum ph_status ph_file_read(const char *path, size_t most, struct ph_file *out,
                            long *os)
{
    enum ph_status status;
    /* Not to wait for a FIFO's other end. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        *os = errno;
        return status_of((int)*os);
    }
    status = read_open(fd, most, out, os);
    close(fd);
    return status;
}
