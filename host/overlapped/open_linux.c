/* SPDX-License-Identifier: MIT */
/*
 * Opening a client end. A connect to a socket of this kind is done at once or
 * not at all: with a full backlog it fails with EAGAIN, and no notice ever says
 * that there is room again (the socket polls as hung up). So the portable half
 * tries again by its timer. The kind of a server is learned by trying: a socket
 * of the wrong type fails with EPROTOTYPE and is not seen by the server.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "operation.h"
#include "system_linux.h"

/* Where a client looks: one path, or one in each usable folder. Calls visit
 * until it gives anything but PH_ABSENT. */
struct visitor {
    enum ph_status (*visit)(struct visitor *visitor,
                            const struct sockaddr_un *address, bool ours);
    struct ph_pipe *pipe;
    const struct ph_open_options *options;
    long os;
    const char *why;
};

static enum ph_status visit_all(struct visitor *visitor, const char *name)
{
    enum ph_status status = PH_ABSENT;
    struct sockaddr_un address;
    const char *explicit = getenv("PIPEHOST_DIR");
    bool usable = !explicit || !*explicit;
    if (name[0] == '/') {
        status = ph_socket_address("", name, &address, &visitor->why);
        return status == PH_OK ? visitor->visit(visitor, &address, false)
                               : status;
    }
    for (int i = 0; status == PH_ABSENT; i++) {
        char folder[PATH_MAX];
        int found = ph_folder(i, false, folder, &visitor->why);
        if (!found)
            break;
        if (found < 0)
            continue;
        usable = true;
        visitor->why = NULL;
        if (ph_socket_address(folder, name, &address, &visitor->why) == PH_OK)
            status = visitor->visit(visitor, &address, true);
    }
    return usable ? status : PH_DENIED;
}

/* ---- Open ----------------------------------------------------------- */

static enum ph_status dial(int fd, const struct sockaddr_un *address, long *os)
{
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return PH_OK;
    *os = errno;
    return ph_status_of_errno((int)*os);
}

static bool trusted(int fd, bool ours, const struct ph_open_options *options)
{
    uint32_t uid;
    if (options->any_peer || (!ours && !options->own_peer))
        return true;
    return ph_socket_peer_uid(fd, &uid) &&
           (uid == 0 || uid == (uint32_t)geteuid());
}

static enum ph_status connected(struct visitor *visitor, int fd,
                                const struct sockaddr_un *address, bool ours)
{
    struct ph_pipe *pipe = visitor->pipe;
    enum ph_status status =
        ph_socket_prepare(fd, visitor->options->max_message, &visitor->why);
    if (status == PH_OK && !trusted(fd, ours, visitor->options)) {
        visitor->why = "its server runs as another user";
        status = PH_DENIED;
    }
    if (status != PH_OK)
        return status;
    if (!pipe->path)
        pipe->path = ph_strdup(address->sun_path);
    ph_pipe_attach(pipe, fd);
    return PH_OK;
}

static enum ph_status try_mode(struct visitor *visitor, enum ph_mode mode,
                               const struct sockaddr_un *address, bool ours)
{
    int type = mode == PH_MODE_MESSAGE ? SOCK_SEQPACKET : SOCK_STREAM;
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    enum ph_status status;
    if (fd < 0) {
        visitor->os = errno;
        visitor->why = ph_why_of_errno((int)visitor->os);
        return ph_status_of_errno((int)visitor->os);
    }
    status = dial(fd, address, &visitor->os);
    if (status == PH_OK)
        status = connected(visitor, fd, address, ours);
    if (status != PH_OK)
        close(fd);
    else
        visitor->pipe->mode = mode;
    return status;
}

static enum ph_status visit_open(struct visitor *visitor,
                                 const struct sockaddr_un *address, bool ours)
{
    enum ph_mode mode = visitor->options->mode;
    enum ph_status status = try_mode(
        visitor, mode == PH_MODE_BYTE ? mode : PH_MODE_MESSAGE, address, ours);
    if (status == PH_MODE && mode == PH_MODE_ANY)
        status = try_mode(visitor, PH_MODE_BYTE, address, ours);
    return status;
}

enum ph_status ph_backend_open(struct ph_pipe *pipe, const char *name,
                               const struct ph_open_options *options, long *os,
                               const char **why)
{
    struct visitor visitor = {
        .visit = visit_open, .pipe = pipe, .options = options};
    enum ph_status status = visit_all(&visitor, name);
    assert(pipe->attached == (status == PH_OK));
    *os = status == PH_OK ? 0 : visitor.os;
    *why = status == PH_OK || status == PH_ABSENT ? NULL : visitor.why;
    return status;
}

/* ---- Available ------------------------------------------------------ */

static enum ph_status visit_available(struct visitor *visitor,
                                      const struct sockaddr_un *address,
                                      bool ours)
{
    (void)ours;
    return ph_socket_listening(address->sun_path, &visitor->os);
}

enum ph_status ph_backend_available(struct ph_op *op, const char *name,
                                    long *os)
{
    struct visitor visitor = {.visit = visit_available};
    enum ph_status status = visit_all(&visitor, name);
    *os = visitor.os;
    op->why = status == PH_ABSENT ? NULL : visitor.why;
    return status;
}
