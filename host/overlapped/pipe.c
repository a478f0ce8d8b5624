/* SPDX-License-Identifier: MIT */
/*
 * The life of a pipe object. Two counts hold it:
 *
 *   owners  references from outside (Lua's userdata, a connection). The last
 *           one that goes closes the pipe, as a close would.
 *   live    its PENDING operations, and callers that are in the midst of it
 *
 * When both are 0 and it is closed, it goes to the port's list of dead ones and
 * is freed at the end of the turn. Whatever may end operations therefore holds
 * it by `live` meanwhile and calls ph_pipe_settle at the end, which is also
 * where a close learns that it is the last one, and a disconnected instance
 * that nothing of its old client is in flight any more.
 *
 * The handle (`attached`) is closed only when the system holds no buffer of
 * ours for it: never with a read or write in flight.
 */
#include <assert.h>
#include <stdlib.h>

#include "faulty.h"

struct ph_pipe *ph_pipe_new(struct ph_port *port)
{
    struct ph_pipe *pipe = ph_backend_pipe_alloc();
    if (!pipe)
        return NULL;
    pipe->port = port;
    pipe->owners = 1;
    port->counts.pipes++;
    return pipe;
}

void ph_pipe_retain(struct ph_pipe *pipe)
{
    assert(pipe->owners); /* without one it may be on its way out */
    pipe->owners++;
}

/* Without memory for an operation that waits, own writes are cancelled. */
void ph_pipe_close(struct ph_pipe *pipe)
{
    struct ph_op *op;
    if (pipe->state == PH_PIPE_CLOSED)
        return;
    op = ph_op_take(pipe->port);
    if (op) {
        op->done = ph_op_give;
        if (ph_close_start(op, pipe, PH_NOW) != PH_OK ||
            op->state == PH_OP_DONE)
            ph_op_give(op);
        return;
    }
    pipe->state = PH_PIPE_CLOSED;
    ph_read_forget(pipe);
    if (pipe->connecting)
        ph_op_cancel(pipe->connecting);
    ph_ops_end(pipe->reads.head, PH_CANCELLED);
    ph_ops_end(pipe->writes.head, PH_CANCELLED);
    ph_ops_end(pipe->flushes, PH_CANCELLED);
    ph_pipe_settle(pipe);
}

void ph_pipe_release(struct ph_pipe *pipe)
{
    assert(pipe->owners);
    if (--pipe->owners)
        return;
    if (pipe->state != PH_PIPE_CLOSED)
        ph_pipe_close(pipe);
    else
        ph_pipe_settle(pipe);
}

static void clear_client(struct ph_pipe *pipe)
{
    ph_pipe_drop_held(pipe);
    pipe->read_stops = pipe->write_ended = false;
    pipe->write_torn = pipe->transact_torn = false;
}

/* After disconnect the old handle stays until nothing of it is in flight. */
static void drop_old_client(struct ph_pipe *pipe)
{
    if (!pipe->attached || pipe->reading || pipe->writing || pipe->flushes)
        return;
    ph_seam_close(pipe);
    clear_client(pipe);
    if (pipe->connecting)
        ph_op_poke(pipe->connecting);
}

void ph_pipe_detach(struct ph_pipe *pipe)
{
    assert(!pipe->reading && !pipe->writing);
    /* The place is given back first: a successor listens before the handle is
     * closed, so that the name never vanishes in between. */
    ph_listener_untake(pipe);
    if (pipe->attached)
        ph_seam_close(pipe);
    ph_listener_leave(pipe);
}

void ph_pipe_settle(struct ph_pipe *pipe)
{
    if (pipe->state == PH_PIPE_DISCONNECTED)
        drop_old_client(pipe);
    if (pipe->closing && pipe->live == 1 && !pipe->closing->starting)
        ph_op_poke(pipe->closing);
    if (pipe->live || pipe->owners || pipe->state != PH_PIPE_CLOSED)
        return;
    ph_pipe_detach(pipe);
    free(pipe->name); /* one of its own; a listener's it has left */
    free(pipe->path);
    ph_pipe_drop_held(pipe);
    ph_frame_release(pipe->frame);
    pipe->state = PH_PIPE_NEW; /* settled: on the list once */
    pipe->live = 1;
    pipe->next_dead = pipe->port->dead;
    pipe->port->dead = pipe;
}

void ph_pipe_set_frame(struct ph_pipe *pipe, struct ph_frame *frame)
{
    assert(frame || !pipe->frame || !pipe->reads.head);
    if (frame)
        ph_frame_retain(frame);
    ph_frame_release(pipe->frame);
    pipe->frame = frame;
    if (pipe->in)
        pipe->in->scanned = 0; /* it may be lines from now on */
}

enum ph_pipe_state ph_pipe_state(const struct ph_pipe *pipe)
{
    return pipe->state;
}

struct ph_port *ph_pipe_port(const struct ph_pipe *pipe)
{
    return pipe->port;
}

void ph_pipe_info(const struct ph_pipe *pipe, struct ph_info *out)
{
    const struct ph_listener *listener = pipe->listener;
    const char *path = pipe->path || !listener ? pipe->path : listener->path;
    struct ph_info info = {
        .name = pipe->name ? pipe->name : "",
        .path = path ? path : "",
        .server = pipe->server,
        .framed = pipe->frame != NULL,
        .mode = pipe->mode,
        .direction = pipe->direction,
        .state = pipe->state,
        .instances = listener ? listener->instances : 0,
        .max_instances = listener ? listener->options.max_instances : 0,
        .max_message = pipe->max_message,
    };
    *out = info;
}

enum ph_status ph_pipe_peer(struct ph_pipe *pipe, struct ph_peer *out, long *os)
{
    if (pipe->state != PH_PIPE_CONNECTED)
        return PH_MISUSE;
    if (pipe->child) {
        *out = (struct ph_peer){.pid = pipe->child};
        return PH_OK;
    }
    return ph_backend_peer(pipe, out, os);
}

enum ph_status ph_pipe_peek(struct ph_pipe *pipe, struct ph_peek *out, long *os)
{
    size_t held = ph_pipe_held(pipe);
    enum ph_status status;
    if (pipe->state == PH_PIPE_DISCONNECTED)
        return PH_CLOSED;
    if (pipe->state != PH_PIPE_CONNECTED)
        return PH_MISUSE;
    out->available = out->left = 0;
    *os = 0;
    status = ph_seam_peek(pipe, out, os);
    if (held && status == PH_CLOSED)
        status = PH_OK;
    if (status != PH_OK)
        return status;
    if (held && pipe->mode == PH_MODE_MESSAGE)
        out->left = held + (pipe->in_ends ? 0 : out->left);
    out->available += held;
    if (pipe->mode == PH_MODE_BYTE)
        out->left = 0;
    return PH_OK;
}

enum ph_status ph_pipe_disconnect(struct ph_pipe *pipe, const char **why)
{
    *why = "only a server end disconnects (1)";
    if (pipe->state == PH_PIPE_DISCONNECTED)
        return PH_CLOSED;
    if (pipe->server && pipe->state != PH_PIPE_CONNECTED)
        *why = "nobody is connected (536)";
    if (!pipe->server || pipe->state != PH_PIPE_CONNECTED)
        return PH_MISUSE;
    assert(pipe->attached);
    pipe->state = PH_PIPE_DISCONNECTED;
    ph_backend_disconnect(pipe);
    ph_read_wake(pipe);
    ph_ops_end(pipe->reads.head, PH_CLOSED);
    ph_ops_end(pipe->writes.head, PH_CLOSED);
    ph_ops_end(pipe->flushes, PH_CLOSED);
    ph_listener_untake(pipe);
    drop_old_client(pipe);
    return PH_OK;
}

const char *ph_pipe_refuses(const struct ph_pipe *pipe, bool write,
                            enum ph_status *status)
{
    enum ph_direction closed_way =
        pipe->server == write ? PH_INBOUND : PH_OUTBOUND;
    *status = PH_OK;
    switch (pipe->state) {
    case PH_PIPE_NEW:
        return "the pipe is not open";
    case PH_PIPE_LISTENING:
        return "nobody is connected yet; connect first (536)";
    case PH_PIPE_CLOSED:
        return "the pipe is closed";
    case PH_PIPE_DISCONNECTED:
        *status = PH_CLOSED;
        return "the client was disconnected (233)";
    case PH_PIPE_CONNECTED:
    default:
        break;
    }
    if (pipe->direction == closed_way) {
        *status = PH_DENIED;
        return write ? "the pipe's direction lets this end only read"
                     : "the pipe's direction lets this end only write";
    }
    if (pipe->transact_torn) {
        *status = PH_CLOSED;
        return "a transact was ended before its reply came; close the pipe";
    }
    if (pipe->transacting) {
        *status = PH_BUSY;
        return "a transact is pending on this pipe";
    }
    return NULL;
}
