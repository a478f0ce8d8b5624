/* SPDX-License-Identifier: MIT */
/*
 * A served name on Linux: one listening socket for all instances.
 *
 * The name belongs to whoever holds the flock on its lock file. The kernel
 * gives that back however the process ends, so a name that was left is taken
 * over at once, and two servers that start together do not take it from each
 * other. A connect to find out whether somebody is there would be seen by the
 * server as a client, and could not be told from one that listens too late.
 *
 * The kernel accepts for us: up to `backlog` clients are in before anybody asks
 * for them, and what they have sent is kept. Interest in the socket is dropped
 * while no connect waits, all instances are taken, or descriptors have run out;
 * it is level-triggered and would spin.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system_linux.h"

#define PAUSE_US        100000 /* without descriptors: until the next accept */
#define REFUSALS        16     /* strangers turned away in one accept */
#define PACKET_OVERHEAD 32

static struct linux_listener *linux_listener_of(struct ph_listener *listener)
{
    return ph_container_of(listener, struct linux_listener, base);
}

struct ph_listener *ph_backend_listener_alloc(void)
{
    struct linux_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return NULL;
    listener->watch.fd = listener->lock = -1;
    return &listener->base;
}

void ph_backend_listener_free(struct ph_listener *listener)
{
    assert(linux_listener_of(listener)->watch.fd < 0);
    free(linux_listener_of(listener));
}

/* A stream has no packets: there max_message limits lines, and is our own. */
static bool carries(int fd, size_t max_message)
{
    int size = 0;
    socklen_t len = sizeof size;
    getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len);
    if (max_message + PACKET_OVERHEAD <= (size_t)size)
        return true;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &size, &len);
    return size == SOCK_STREAM;
}

enum ph_status ph_socket_prepare(int fd, size_t max_message, const char **why)
{
    if (carries(fd, max_message))
        return PH_OK;
    if (max_message <= INT32_MAX / 2) {
        int size = (int)(max_message / 2 + PACKET_OVERHEAD);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    /* One packet has a wall of its own, a little over 4 MiB. */
    if (carries(fd, max_message) && max_message <= (4u << 20))
        return PH_OK;
    *why = "this system does not carry messages that long "
           "(twice net.core.wmem_max, at most 4 MiB)";
    return PH_TOOBIG;
}

/* ---- Taking the name ------------------------------------------------ */

#define LOCK_PATH_SIZE (sizeof(struct sockaddr_un) + 16)
#define LOCK_TRIES     16

static void lock_path(const struct linux_listener *listener, char *out)
{
    const char *path = listener->base.path;
    const char *slash = strrchr(path, '/');
    snprintf(out, LOCK_PATH_SIZE, "%.*s/.%s.lock", (int)(slash - path), path,
             slash + 1);
}

static bool is_at(int fd, const char *path)
{
    struct stat held, there;
    return fstat(fd, &held) == 0 && lstat(path, &there) == 0 &&
           held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

/* The name belongs to whoever holds the lock on the file that is at this path
 * now; the kernel gives it back when the process dies. A holder removes the
 * file when it is done, so a lock got on a removed one is worth nothing: the
 * next try makes a new file. */
static enum ph_status take_lock(struct linux_listener *listener, long *os,
                                const char **why)
{
    char path[LOCK_PATH_SIZE];
    assert(listener->lock < 0);
    lock_path(listener, path);
    for (int i = 0; i < LOCK_TRIES; i++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        *os = errno;
        if (fd < 0 && (*os == ENOENT || *os == ENOTDIR)) {
            *why = "the folder of its path does not exist";
            return PH_DENIED;
        }
        if (fd < 0) {
            *why = ph_why_of_errno((int)*os);
            return ph_status_of_errno((int)*os);
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            *os = errno == EWOULDBLOCK ? 0 : errno;
            close(fd);
            return *os ? PH_SYSTEM : PH_EXISTS;
        }
        *os = 0;
        if (is_at(fd, path)) {
            listener->lock = fd;
            return PH_OK;
        }
        close(fd);
    }
    return PH_EXISTS;
}

/* What a dead server left is removed; a server that does not know the lock, or
 * a file that is no socket, is left alone. Where the kernel does not tell who
 * listens, nobody is known who serves without the lock, which is ours. */
static enum ph_status clear_path(struct linux_listener *listener, long *os,
                                 const char **why)
{
    const char *path = listener->base.path;
    struct stat st;
    if (lstat(path, &st) != 0)
        return PH_OK;
    *why = "a file that is not a socket is in the way";
    if (!S_ISSOCK(st.st_mode))
        return PH_EXISTS;
    *why = NULL;
    switch (ph_socket_listening(path, os)) {
    case PH_OK:
    case PH_BUSY:
        return PH_EXISTS;
    default:
        break;
    }
    if (unlink(path) != 0) {
        *os = errno;
        return ph_status_of_errno((int)*os);
    }
    ph_port_log(listener->base.port, PH_LOG_INFO,
                "%s: taken over from a server that has died", path);
    return PH_OK;
}

static mode_t final_mode(const struct ph_create_options *options)
{
    return options->access == PH_ACCESS_USERS ||
                   options->access == PH_ACCESS_UIDS
               ? 0666
               : 0600;
}

/* Nobody can connect before the socket has its final mode: until listen() a
 * connect is refused, and it is bound with mode 0600. Gives errno. */
static int bind_and_listen(int fd, const struct sockaddr_un *address,
                           const struct ph_create_options *options)
{
    const char *path = address->sun_path;
    int error = 0;
    if (fchmod(fd, 0600) != 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof *address) != 0)
        return errno;
    if ((final_mode(options) != 0600 &&
         chmod(path, final_mode(options)) != 0) ||
        listen(fd, (int)options->backlog) != 0) {
        error = errno;
        unlink(path);
    }
    return error;
}

static enum ph_status make_socket(struct linux_listener *listener, long *os,
                                  const char **why)
{
    const struct ph_create_options *options = &listener->base.options;
    int type = options->mode == PH_MODE_MESSAGE ? SOCK_SEQPACKET : SOCK_STREAM;
    struct sockaddr_un address;
    enum ph_status status;
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    listener->watch.fd = fd;
    if (fd < 0) {
        *os = errno;
        *why = ph_why_of_errno((int)*os);
        return ph_status_of_errno((int)*os);
    }
    listener->long_messages = !carries(fd, options->max_message);
    status = ph_socket_prepare(fd, options->max_message, why);
    if (status == PH_OK)
        status = ph_socket_address("", listener->base.path, &address, why);
    if (status != PH_OK)
        return status;
    *os = bind_and_listen(fd, &address, options);
    return *os ? ph_status_of_errno((int)*os) : PH_OK;
}

static enum ph_status check_access(const struct ph_listener *listener,
                                   const char **why)
{
    const char *folder = getenv("PIPEHOST_DIR");
    bool open_folder = listener->name[0] == '/' || (folder && *folder);
    switch (listener->options.access) {
    case PH_ACCESS_SDDL:
        *why = "access by SDDL is for Windows; here it is \"me\", \"admins\", "
               "\"users\" or a list of uids";
        return PH_MISUSE;
    case PH_ACCESS_USERS:
    case PH_ACCESS_UIDS:
        *why = "a plain name lies in a folder of this user alone: access for "
               "others needs an absolute path or PIPEHOST_DIR";
        return open_folder ? PH_OK : PH_MISUSE;
    default:
        return PH_OK;
    }
}

static void resume(struct ph_timer *timer)
{
    struct linux_listener *listener =
        ph_container_of(timer, struct linux_listener, resume);
    assert(listener->exhausted && listener->watch.fd >= 0);
    listener->exhausted = false;
    ph_listener_ready(&listener->base);
}

static void ready(struct watch *watch, uint32_t events)
{
    struct linux_listener *listener =
        ph_container_of(watch, struct linux_listener, watch);
    uint16_t next = (uint16_t)(listener->turn + 1);
    (void)events;
    listener->crowd = linux_port_of(listener->base.port)->turn == next;
    ph_listener_ready(&listener->base);
}

static void drop(struct linux_listener *listener)
{
    ph_timer_stop(listener->base.port, &listener->resume);
    if (listener->watch.fd >= 0) {
        ph_watch_arm(listener->base.port, &listener->watch, 0);
        close(listener->watch.fd);
    }
    if (listener->lock >= 0) {
        char path[LOCK_PATH_SIZE];
        lock_path(listener, path);
        unlink(path);
        close(listener->lock);
    }
    listener->watch.fd = listener->lock = -1;
}

enum ph_status ph_backend_listen(struct ph_listener *base, long *os,
                                 const char **why)
{
    struct linux_listener *listener = linux_listener_of(base);
    enum ph_status status = check_access(base, why);
    listener->resume.fire = resume;
    listener->watch.ready = ready;
    if (status == PH_OK) {
        *why = NULL;
        status = take_lock(listener, os, why);
    }
    if (status == PH_OK)
        status = clear_path(listener, os, why);
    if (status == PH_OK)
        status = make_socket(listener, os, why);
    if (status != PH_OK)
        drop(listener);
    else
        *os = 0;
    return status;
}

void ph_backend_unlisten(struct ph_listener *base)
{
    unlink(base->path);
    drop(linux_listener_of(base));
    ph_listener_gone(base);
}

/* ---- Accepting ------------------------------------------------------ */

void ph_backend_listener_update(struct ph_listener *base)
{
    struct linux_listener *listener = linux_listener_of(base);
    bool full = base->taken >= base->options.max_instances;
    bool wants = base->waiting.head && !full && !listener->exhausted;
    if (listener->watch.fd < 0)
        return;
    if (full != listener->narrow) {
        listen(listener->watch.fd, full ? 0 : (int)base->options.backlog);
        listener->narrow = full;
    }
    ph_watch_arm(base->port, &listener->watch, wants ? EPOLLIN : 0);
}

enum ph_status ph_backend_adjust(struct ph_listener *base,
                                 const struct ph_create_options *options,
                                 const char **why)
{
    struct linux_listener *listener = linux_listener_of(base);
    int fd = listener->watch.fd;
    if (!carries(fd, options->max_message)) {
        enum ph_status status =
            ph_socket_prepare(fd, options->max_message, why);
        if (status != PH_OK)
            return status; /* a larger buffer does no harm */
        listener->long_messages = true;
    }
    if (options->backlog != base->options.backlog)
        listen(fd, listener->narrow ? 0 : (int)options->backlog);
    return PH_OK;
}

static bool allowed(const struct ph_create_options *options, uint32_t uid)
{
    if (uid == 0 || uid == (uint32_t)geteuid() ||
        options->access == PH_ACCESS_USERS)
        return true;
    for (size_t i = 0; i < options->uid_count; i++)
        if (options->uids[i] == uid)
            return true;
    return false;
}

/* Without descriptors an accept fails at once and the listener stays readable:
 * it must not be asked for a while. */
static enum ph_status pause_accepting(struct linux_listener *listener,
                                      int error)
{
    if (!listener->warned)
        ph_port_log(listener->base.port, PH_LOG_WARN,
                    "%s: no client can be accepted for now: %s",
                    listener->base.path, strerror(error));
    listener->exhausted = listener->warned = true;
    ph_timer_start(listener->base.port, &listener->resume,
                   listener->base.port->now + PAUSE_US);
    return PH_PENDING;
}

static enum ph_status accept_failed(struct linux_listener *listener, int error,
                                    long *os)
{
    switch (error) {
    case EAGAIN:
        return PH_PENDING;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return pause_accepting(listener, error);
    default:
        *os = error;
        return PH_SYSTEM;
    }
}

static void shut_direction(int fd, enum ph_direction direction)
{
    if (direction == PH_INBOUND)
        shutdown(fd, SHUT_WR);
    else if (direction == PH_OUTBOUND)
        shutdown(fd, SHUT_RD);
}

static bool welcome(struct linux_listener *listener, int fd)
{
    const struct ph_create_options *options = &listener->base.options;
    uint32_t uid = UINT32_MAX;
    const char *why;
    if (!ph_socket_peer_uid(fd, &uid) || !allowed(options, uid)) {
        ph_port_log(listener->base.port, PH_LOG_WARN,
                    "%s: a client of uid %lu was refused", listener->base.path,
                    (unsigned long)uid);
        return false;
    }
    /* An accepted socket has the system's SO_SNDBUF, not its listener's. */
    return !listener->long_messages ||
           ph_socket_prepare(fd, options->max_message, &why) == PH_OK;
}

/* Clients come one by one, and asking for a second one at once finds none; only
 * in a crowd there is one in each of two turns that follow each other. */
static bool asks(const struct linux_listener *listener, enum ph_try when)
{
    return when == PH_TRY_NOW || listener->crowd ||
           listener->turn != linux_port_of(listener->base.port)->turn;
}

enum ph_status ph_backend_accept(struct ph_listener *base, struct ph_pipe *pipe,
                                 enum ph_try when, long *os)
{
    struct linux_listener *listener = linux_listener_of(base);
    assert(listener->watch.fd >= 0 && !pipe->attached);
    if (listener->exhausted || !asks(listener, when))
        return PH_PENDING;
    for (int i = 0; i < REFUSALS; i++) {
        int fd = accept4(listener->watch.fd, NULL, NULL,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        int error = errno;
        if (fd < 0 && (error == EINTR || error == ECONNABORTED))
            continue;
        if (fd < 0)
            return accept_failed(listener, error, os);
        listener->warned = false;
        listener->turn = linux_port_of(base->port)->turn;
        if (welcome(listener, fd)) {
            shut_direction(fd, base->options.direction);
            ph_pipe_attach(pipe, fd);
            return PH_OK;
        }
        close(fd);
    }
    return PH_PENDING; /* the listener stays readable: asked again soon */
}
