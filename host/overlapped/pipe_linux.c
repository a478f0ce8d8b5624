/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes on Linux: tried at once, and again when epoll says that they
 * can go on. Traps that are met here:
 *
 *   - recv says 0 for an empty message and for the end (below)
 *   - a short recv throws the rest of a packet away: there is room for any
 *   - a peer that closed with unread input resets us, and on a packet socket
 *     that is told before its last words: read on (take)
 *   - a closer must not do that to its peer: its input is taken out first
 *   - EPOLLOUT comes back late, when three quarters of the buffer are free:
 *     only who has failed to write asks for it
 *   - a write to a stream whose peer has gone raises SIGPIPE: MSG_NOSIGNAL
 */
#include <assert.h>
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "system_linux.h"

#define DRAIN_ROUNDS 100000 /* far more packets than a socket queues */

struct ph_pipe *ph_backend_pipe_alloc(void)
{
    struct linux_pipe *pipe = calloc(1, sizeof *pipe);
    if (!pipe)
        return NULL;
    pipe->watch.fd = -1;
    return &pipe->base;
}

void ph_backend_pipe_free(struct ph_pipe *pipe)
{
    assert(!pipe->attached);
    free(linux_pipe_of(pipe));
}

static enum ph_status arm(struct linux_pipe *pipe, uint32_t events)
{
    return ph_watch_arm(pipe->base.port, &pipe->watch, events);
}

/* ---- Reading -------------------------------------------------------- */

/*
 * A message may be empty, and then recv says 0, as it does at the end. Three
 * things tell them apart. A socket that was readable while its peer had not
 * left (EPOLLIN without EPOLLRDHUP) has a packet, so 0 is a message. Otherwise
 * SO_PASSCRED: a packet has its sender's credentials, the end has none. It is
 * asked for only then, for it makes each message on that socket dearer, in both
 * directions. And a stream has no messages.
 */
#define READABLE  ((uint32_t)EPOLLIN | EPOLLRDHUP)
#define PEER_LEFT ((uint32_t)EPOLLRDHUP | EPOLLHUP | EPOLLERR)

static void ask_credentials(struct linux_pipe *pipe)
{
    int on = 1;
    if (pipe->credentials)
        return;
    pipe->credentials = true;
    setsockopt(pipe->watch.fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

/* One packet. There is room for its credentials alone, so that descriptors that
 * the peer sends along are dropped by the kernel. */
static ssize_t receive(struct linux_pipe *pipe, void *buffer, size_t size,
                       int flags, bool *empty_message)
{
    union {
        char room[CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    ask_credentials(pipe);
    ssize_t got = recvmsg(pipe->watch.fd, &message,
                          MSG_DONTWAIT | MSG_CMSG_CLOEXEC | flags);
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    *empty_message = got == 0 && first && first->cmsg_type == SCM_CREDENTIALS;
    return got;
}

/* `sure`: there is a packet. */
static ssize_t receive_mode(struct linux_pipe *pipe, size_t want, bool sure,
                            bool *empty_message)
{
    unsigned char *scratch = linux_port_of(pipe->base.port)->scratch;
    bool message = pipe->base.mode == PH_MODE_MESSAGE;
    if (message && !sure)
        return receive(pipe, scratch, PH_SCRATCH_SIZE, 0, empty_message);
    if (message || want > PH_SCRATCH_SIZE)
        want = PH_SCRATCH_SIZE;
    ssize_t got = pipe->base.child
                      ? read(pipe->watch.fd, scratch, want)
                      : recv(pipe->watch.fd, scratch, want, MSG_DONTWAIT);
    *empty_message = message && got == 0;
    return got;
}

/* PH_BUSY: nothing is there now. */
static enum ph_status take(struct linux_pipe *pipe, bool sure,
                           struct ph_chunk *chunk)
{
    bool empty_message;
    ssize_t got = receive_mode(pipe, pipe->want, sure, &empty_message);
    int error = errno;
    pipe->turn = linux_port_of(pipe->base.port)->turn;
    /* A reset comes once, on a packet socket before the last packets. */
    while (got < 0 && (error == ECONNRESET || error == EINTR)) {
        pipe->reset |= error == ECONNRESET;
        got = receive_mode(pipe, pipe->want, false, &empty_message);
        error = errno;
    }
    if (got > 0 || empty_message) {
        chunk->data = linux_port_of(pipe->base.port)->scratch;
        chunk->len = (size_t)got;
        chunk->ends = true;
        return PH_OK;
    }
    if (got < 0 && error == EAGAIN)
        return PH_BUSY;
    chunk->os = got < 0 ? error : 0;
    return got < 0 ? ph_status_of_errno(error) : PH_CLOSED;
}

/* Without a notice of the socket. */
static enum ph_status take_unasked(struct linux_pipe *pipe,
                                   struct ph_chunk *chunk)
{
    struct pollfd state = {.fd = pipe->watch.fd, .events = POLLIN | POLLRDHUP};
    if (pipe->base.mode != PH_MODE_MESSAGE)
        return take(pipe, true, chunk);
    if (poll(&state, 1, 0) == 0)
        return PH_BUSY;
    return take(pipe, state.revents == POLLIN, chunk);
}

enum ph_status ph_backend_read(struct ph_pipe *base, size_t want, enum ph_try when,
                               struct ph_chunk *chunk)
{
    struct linux_pipe *pipe = linux_pipe_of(base);
    bool armed = pipe->watch.armed & EPOLLIN;
    enum ph_status status = PH_BUSY;
    assert(!base->reading && base->attached);
    pipe->want = want < UINT32_MAX ? (uint32_t)want : UINT32_MAX;
    if (when == PH_TRY_NOW || (when == PH_TRY_FIRST && !armed))
        status = take_unasked(pipe, chunk);
    if (status != PH_BUSY)
        return status;
    if (!armed && arm(pipe, pipe->watch.armed | READABLE) != PH_OK) {
        chunk->os = errno;
        return PH_SYSTEM;
    }
    return PH_PENDING;
}

enum ph_status ph_backend_cancel_read(struct ph_pipe *pipe)
{
    (void)pipe; /* nothing is in the system; the notice may stay armed */
    return PH_OK;
}

/* ---- Writing -------------------------------------------------------- */

static enum ph_status send_failed(struct linux_pipe *pipe, int error, long *os)
{
    *os = error;
    if (error == EPIPE || error == ECONNRESET) {
        pipe->reset |= error == ECONNRESET;
        return PH_CLOSED;
    }
    /* The kernel's wall for one packet, whatever the buffer. */
    return error == ENOBUFS ? PH_TOOBIG : ph_status_of_errno(error);
}

/* A child's stdin is no socket: there SIGPIPE has a handler (process_linux.c).
 */
static ssize_t send_some(struct linux_pipe *pipe, const unsigned char *bytes,
                         size_t len)
{
    if (pipe->base.child)
        return write(pipe->watch.fd, bytes, len);
    return send(pipe->watch.fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* PH_BUSY: the socket's buffer is full. */
static enum ph_status put(struct linux_pipe *pipe, struct ph_op *op, long *os)
{
    bool message = pipe->base.mode == PH_MODE_MESSAGE;
    assert(op->out && op->out_done <= op->out_len);
    while (op->out_done < op->out_len || (message && !op->out_len)) {
        ssize_t sent =
            send_some(pipe, op->out + op->out_done, op->out_len - op->out_done);
        int error = errno;
        if (sent >= 0)
            op->out_done += (size_t)sent;
        else if (error == EAGAIN)
            return PH_BUSY;
        else if (error != EINTR)
            return send_failed(pipe, error, os);
        if (sent >= 0 && message)
            break;
    }
    return PH_OK;
}

enum ph_status ph_backend_write(struct ph_pipe *base, struct ph_op *op,
                                long *os)
{
    struct linux_pipe *pipe = linux_pipe_of(base);
    enum ph_status status = put(pipe, op, os);
    if (status != PH_BUSY)
        return status;
    if (ph_op_own_output(op) != PH_OK)
        return PH_NOMEM;
    if (arm(pipe, pipe->watch.armed | EPOLLOUT) != PH_OK) {
        *os = errno;
        return PH_SYSTEM;
    }
    return PH_PENDING;
}

int64_t ph_backend_send_now(struct ph_pipe *base, const void *data, size_t len)
{
    assert(base->attached && !base->writing);
    return send_some(linux_pipe_of(base), data, len);
}

enum ph_status ph_backend_cancel_write(struct ph_pipe *pipe)
{
    (void)pipe;
    return PH_OK;
}

/* ---- Notices -------------------------------------------------------- */

#define READ_NOTICE (READABLE | EPOLLHUP | EPOLLERR)

static void fetch(struct linux_pipe *pipe, uint32_t events,
                  struct ph_fetched *fetched)
{
    /* Unless somebody has taken something since the poll, a time-out say. */
    bool sure = !(events & PEER_LEFT) &&
                pipe->turn != linux_port_of(pipe->base.port)->turn;
    fetched->chunk = (struct ph_chunk){0};
    fetched->status = take(pipe, sure, &fetched->chunk);
}

static void on_writable(struct linux_pipe *pipe)
{
    long os = 0;
    enum ph_status status = put(pipe, pipe->base.writes.head, &os);
    if (status != PH_BUSY)
        ph_pipe_write_done(&pipe->base, status, os);
}

/* What nobody waits for is not asked for any more, or the same notice would
 * come again at once; the next read asks again. */
static void disarm_unused(struct linux_pipe *pipe, uint32_t events)
{
    uint32_t wanted = pipe->watch.armed;
    if (!pipe->base.attached)
        return;
    if (pipe->base.reading != PH_IN_SYSTEM && events & READ_NOTICE)
        wanted &= ~READABLE;
    if (pipe->base.writing != PH_IN_SYSTEM)
        wanted &= ~(uint32_t)EPOLLOUT;
    arm(pipe, wanted);
}

void ph_pipe_deliver(struct watch *watch, uint32_t events,
                     struct ph_fetched *fetched)
{
    struct linux_pipe *pipe = ph_container_of(watch, struct linux_pipe, watch);
    bool used = pipe->base.reading == PH_IN_SYSTEM;
    /* Else it has another socket by now. */
    if (pipe->fetched && fetched->status != PH_BUSY) {
        assert(pipe->base.reading == PH_IN_SYSTEM);
        pipe->fetched = false;
        ph_pipe_read_done(&pipe->base, fetched->status, &fetched->chunk);
    }
    pipe->fetched = false;
    if (pipe->base.writing == PH_IN_SYSTEM &&
        events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) {
        on_writable(pipe);
        used = false;
    }
    /* After a served read the notice stays: the next read usually follows. */
    if (!used || events & PEER_LEFT)
        disarm_unused(pipe, events);
}

static void ready(struct watch *watch, uint32_t events)
{
    struct linux_pipe *pipe = ph_container_of(watch, struct linux_pipe, watch);
    struct ph_fetched fetched;
    pipe->fetched = pipe->base.reading == PH_IN_SYSTEM && events & READ_NOTICE;
    if (pipe->fetched)
        fetch(pipe, events, &fetched);
    ph_pipe_deliver(watch, events, &fetched);
}

bool ph_pipe_fetch(struct watch *watch, uint32_t events,
                   struct ph_fetched *fetched)
{
    struct linux_pipe *pipe = ph_container_of(watch, struct linux_pipe, watch);
    if (watch->ready != ready || pipe->base.reading != PH_IN_SYSTEM ||
        !(events & READ_NOTICE))
        return false;
    fetch(pipe, events, fetched);
    pipe->fetched = true;
    return true;
}

void ph_pipe_attach(struct ph_pipe *base, int fd)
{
    struct linux_pipe *pipe = linux_pipe_of(base);
    assert(!base->attached);
    pipe->watch = (struct watch){.fd = fd, .ready = ready};
    pipe->reset = pipe->credentials = pipe->fetched = false;
    /* A notice that comes in this turn is about an earlier socket. */
    pipe->turn = linux_port_of(base->port)->turn;
    base->attached = true;
}

/* ---- The rest ------------------------------------------------------- */

enum ph_status ph_backend_flush(struct ph_pipe *base, struct ph_op *op,
                                long *os)
{
    struct linux_pipe *pipe = linux_pipe_of(base);
    struct pollfd state = {.fd = pipe->watch.fd};
    int unread = 0;
    (void)op;
    if (ioctl(pipe->watch.fd, base->child ? FIONREAD : SIOCOUTQ, &unread)) {
        *os = errno;
        return PH_SYSTEM;
    }
    if (unread)
        return PH_BUSY;
    /* Zero also when the peer has closed with something unread: a reset. */
    poll(&state, 1, 0);
    return pipe->reset || state.revents & POLLERR ? PH_CLOSED : PH_OK;
}

void ph_backend_cancel_system(struct ph_op *op)
{
    (void)op;
    assert(!"no operation of this back end runs in the system");
}

static enum ph_status peek_stream(struct linux_pipe *pipe, struct ph_peek *out,
                                  long *os)
{
    struct pollfd state = {.fd = pipe->watch.fd, .events = POLLIN};
    int all = 0;
    if (ioctl(pipe->watch.fd, FIONREAD, &all) != 0) {
        *os = errno;
        return PH_SYSTEM;
    }
    out->available = (size_t)all;
    poll(&state, 1, 0);
    return !all && state.revents & POLLHUP ? PH_CLOSED : PH_OK;
}

enum ph_status ph_backend_peek(struct ph_pipe *base, struct ph_peek *out,
                               long *os)
{
    struct linux_pipe *pipe = linux_pipe_of(base);
    int all = 0;
    bool empty_message;
    char byte;
    ssize_t got;
    if (base->child)
        return peek_stream(pipe, out, os);
    got = receive(pipe, &byte, 1, MSG_PEEK | MSG_TRUNC, &empty_message);
    if (got < 0 && errno == ECONNRESET) {
        pipe->reset = true;
        got = receive(pipe, &byte, 1, MSG_PEEK | MSG_TRUNC, &empty_message);
    }
    if (got < 0) {
        *os = errno;
        return *os == EAGAIN ? PH_OK : ph_status_of_errno((int)*os);
    }
    if (got == 0)
        return empty_message ? PH_OK : PH_CLOSED;
    ioctl(pipe->watch.fd, FIONREAD, &all);
    out->available = (size_t)all;
    out->left = (size_t)got;
    return PH_OK;
}

bool ph_socket_peer_uid(int fd, uint32_t *uid)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return false;
    *uid = peer.uid;
    return true;
}

enum ph_status ph_backend_peer(struct ph_pipe *pipe, struct ph_peer *out,
                               long *os)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    memset(out, 0, sizeof *out);
    if (getsockopt(linux_pipe_of(pipe)->watch.fd, SOL_SOCKET, SO_PEERCRED,
                   &peer, &size) != 0) {
        *os = errno;
        return PH_SYSTEM;
    }
    out->pid = (uint32_t)peer.pid;
    out->has_uid = true;
    out->uid = peer.uid;
    return PH_OK;
}

void ph_backend_disconnect(struct ph_pipe *pipe)
{
    shutdown(linux_pipe_of(pipe)->watch.fd, SHUT_RDWR);
}

intptr_t ph_backend_give(struct ph_pipe *base)
{
    struct linux_pipe *pipe = linux_pipe_of(base);
    intptr_t fd = pipe->watch.fd;
    assert(base->attached && !pipe->watch.armed);
    pipe->watch.fd = -1;
    base->attached = false;
    return fd;
}

enum ph_status ph_backend_take(struct ph_pipe *pipe, intptr_t handle)
{
    ph_pipe_attach(pipe, (int)handle);
    return PH_OK;
}

void ph_backend_drop(intptr_t handle)
{
    close((int)handle);
}

/* A socket that is closed with unread input resets its peer, which may then
 * miss our last words; so the input is taken out first. */
static void drain_input(struct linux_pipe *pipe)
{
    unsigned char *scratch = linux_port_of(pipe->base.port)->scratch;
    bool message = pipe->base.mode == PH_MODE_MESSAGE, empty_message = false;
    shutdown(pipe->watch.fd, SHUT_RDWR);
    for (int round = 0; round < DRAIN_ROUNDS; round++) {
        ssize_t got = message ? receive(pipe, scratch, 1, 0, &empty_message)
                              : recv(pipe->watch.fd, scratch, PH_SCRATCH_SIZE,
                                     MSG_DONTWAIT);
        if (got < 0 && errno != ECONNRESET && errno != EINTR)
            break;
        if (got == 0 && !empty_message)
            break;
    }
}

void ph_backend_close(struct ph_pipe *base)
{
    struct linux_pipe *pipe = linux_pipe_of(base);
    assert(base->attached && !base->reading && !base->writing);
    if (!base->child && !base->read_stops)
        drain_input(pipe);
    arm(pipe, 0);
    close(pipe->watch.fd);
    pipe->watch.fd = -1;
    base->attached = false;
}
