/* SPDX-License-Identifier: MIT */
/*
 * Writes and transacts. Writes of a pipe are sent one after the other, in the
 * order of their starts; the head of the queue is in flight, or goes next.
 *
 * Cancelling one that only waits in the queue harms nothing. The head may be
 * with the system in part, or wholly, and the system does not always say: the
 * stream is torn, and the pipe takes no more writes (write_torn), those that
 * were queued behind it included. The peer would else read the second half of
 * nothing.
 *
 * A transact is a write that goes on as a read. From its start to its end it
 * has the pipe to itself. When it is ended early, its reply may come later and
 * would be taken for the next one's: only close is left (transact_torn).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "faulty.h"
#include "frame.h"

/* In op->bytes: the system did not say how much of a cancelled write it took.
 */
#define UNKNOWN INT64_MIN

static void finish(struct ph_op *op, enum ph_status status)
{
    struct ph_pipe *pipe = op->pipe;
    ph_queue_remove(&pipe->writes, op);
    op->bytes =
        op->bytes == UNKNOWN ? -1 : (int64_t)(op->out_base + op->out_done);
    op->out = NULL;
    if (pipe->transacting == op)
        pipe->transacting = NULL;
    ph_op_end(op, status);
}

/* The write that was asked to end was (or may have been) in the system. */
static void finish_torn(struct ph_op *op)
{
    assert(op->ending != PH_OK && !op->pipe->writing);
    bool torn = op->ending != PH_CLOSED; /* else it is disconnected */
    op->pipe->write_torn |= torn;
    op->pipe->transact_torn |= torn && op->kind == PH_OP_TRANSACT;
    finish(op, op->ending);
}

/* A transact whose request is with the system goes on as a read. */
static void written(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    assert(op->out_done == op->out_len);
    if (op->kind != PH_OP_TRANSACT) {
        finish(op, PH_OK);
        return;
    }
    ph_queue_remove(&pipe->writes, op);
    op->out = NULL;
    op->goal = PH_READ_MESSAGE;
    ph_queue_push(&pipe->reads, op);
    if (op->ending != PH_OK)
        ph_op_poke(op);
    else if (!op->starting)
        ph_reads_run(pipe);
}

/* After any failure but these two nobody knows what the peer has got. */
static void failed(struct ph_op *op, enum ph_status status)
{
    struct ph_pipe *pipe = op->pipe;
    if (status == PH_CLOSED)
        pipe->write_ended = true;
    else if (status != PH_TOOBIG)
        pipe->write_torn = true;
    finish(op, status);
}

/* One try; true: it has ended and may be gone; false: it is in flight. */
static bool drive(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    assert(pipe->writes.head == op && !pipe->writing && pipe->attached);
    enum ph_status status = ph_seam_write(pipe, op, &op->os);
    if (status == PH_OK) {
        written(op);
    } else if (status == PH_PENDING) {
        pipe->writing = PH_IN_SYSTEM;
        return false;
    } else if (status == PH_BUSY) {
        pipe->writing = PH_HELD;
        return false;
    } else {
        failed(op, status);
    }
    return true;
}

static const char too_long[] = "longer than the pipe's max_message";

/* The outcome that is known without asking the system, or PH_OK. */
static enum ph_status known(struct ph_op *op, size_t len)
{
    struct ph_pipe *pipe = op->pipe;
    if (pipe->mode == PH_MODE_MESSAGE && len > pipe->max_message) {
        op->why = too_long;
        return PH_TOOBIG;
    }
    if (pipe->write_torn)
        op->why = "an earlier write was ended midway; close the pipe";
    return pipe->write_torn || pipe->write_ended ? PH_CLOSED : PH_OK;
}

/* What was queued behind a write that tore the stream is not sent either. */
void ph_writes_run(struct ph_pipe *pipe)
{
    struct ph_op *op;
    pipe->live++;
    while ((op = pipe->writes.head) && !pipe->writing && pipe->attached &&
           op->ending == PH_OK) {
        enum ph_status status = known(op, op->out_len);
        if (status != PH_OK)
            finish(op, status);
        else
            drive(op);
    }
    pipe->live--;
    ph_pipe_settle(pipe);
}

void ph_pipe_write_done(struct ph_pipe *pipe, enum ph_status status, long os)
{
    struct ph_op *op = pipe->writes.head;
    assert(pipe->writing && op);
    if (pipe->faulty) {
        status = ph_fault_write_done(pipe, status, &os);
        if (status == PH_BUSY)
            return; /* it goes on */
    }
    pipe->writing = PH_NO_FLIGHT;
    pipe->live++;
    op->os = os;
    if (status == PH_CANCELLED)
        op->bytes = UNKNOWN;
    if (status == PH_OK && op->out_done == op->out_len)
        written(op);
    else if (op->ending != PH_OK)
        finish_torn(op);
    else if (status != PH_OK && status != PH_CANCELLED)
        failed(op, status);
    pipe->live--;
    ph_writes_run(pipe);
}

static void end_head(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    if (pipe->writing && ph_seam_cancel_write(pipe) == PH_PENDING)
        return;
    pipe->writing = PH_NO_FLIGHT;
    if (op->ending != PH_CLOSED && pipe->attached) {
        if (drive(op) || ph_seam_cancel_write(pipe) == PH_PENDING)
            return;
        pipe->writing = PH_NO_FLIGHT;
    }
    finish_torn(op);
}

void ph_write_step(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    pipe->live++;
    if (op->ending != PH_OK && pipe->writes.head == op)
        end_head(op);
    else if (op->ending != PH_OK)
        finish(op, op->ending); /* still queued: nothing of it was sent */
    pipe->live--;
    ph_writes_run(pipe);
}

void ph_transact_step(struct ph_op *op)
{
    if (op->out)
        ph_write_step(op);
    else
        ph_read_step(op);
}

static void begin(struct ph_op *op, enum ph_op_kind kind, struct ph_pipe *pipe,
                  int64_t deadline)
{
    ph_op_begin(op, kind, pipe->port, pipe, deadline);
    ph_queue_push(&pipe->writes, op);
}

/* An empty message is written too: `out` is never NULL while it is. */
static void set_output(struct ph_op *op, const void *data, size_t len)
{
    op->out = len ? data : (const void *)"";
    op->out_len = len;
}

/* Starts the write; what is not with the system at return is copied. */
static void launch(struct ph_op *op, enum ph_status outcome)
{
    struct ph_pipe *pipe = op->pipe;
    if (outcome == PH_OK)
        outcome = known(op, op->out_len);
    if (outcome != PH_OK)
        finish(op, outcome);
    else if (pipe->writes.head == op && !pipe->writing)
        drive(op);
    if (op->state == PH_OP_PENDING && op->out &&
        ph_op_own_output(op) != PH_OK) {
        assert(!pipe->writing || pipe->writes.head != op);
        finish(op, PH_NOMEM);
    }
}

enum ph_status ph_write_start(struct ph_op *op, struct ph_pipe *pipe,
                              const void *data, size_t len, int64_t deadline)
{
    enum ph_status status = PH_OK;
    const char *why = ph_pipe_refuses(pipe, true, &status);
    if (why && status == PH_OK)
        return ph_op_misuse(op, why);
    begin(op, PH_OP_WRITE, pipe, deadline);
    op->why = why;
    set_output(op, data, len);
    launch(op, status);
    ph_op_started(op);
    return PH_OK;
}

/* The message as it goes into the stream, in memory of the operation. */
static enum ph_status set_framed(struct ph_op *op, const void *data, size_t len,
                                 size_t total)
{
    op->buf = malloc(total);
    if (!op->buf)
        return PH_NOMEM;
    op->cap = total;
    ph_frame_put(op->pipe->frame, data, len, op->buf);
    set_output(op, op->buf, total);
    return PH_OK;
}

static const char no_send[] =
    "only a message pipe, or a byte pipe with a frame, sends messages; use "
    "write";

enum ph_status ph_send_start(struct ph_op *op, struct ph_pipe *pipe,
                             const void *data, size_t len, int64_t deadline)
{
    enum ph_status status = PH_OK, fits;
    const char *why = ph_pipe_refuses(pipe, true, &status), *misfit;
    size_t total = 0;
    if (pipe->mode != PH_MODE_BYTE || (why && status == PH_OK))
        return ph_write_start(op, pipe, data, len, deadline);
    if (!pipe->frame)
        return ph_op_misuse(op, no_send);
    fits =
        ph_frame_measure(pipe->frame, len, pipe->max_message, &total, &misfit);
    if (fits == PH_MISUSE)
        return ph_op_misuse(op, misfit);
    begin(op, PH_OP_WRITE, pipe, deadline);
    op->why = why ? why : misfit;
    if (status == PH_OK)
        status = fits == PH_OK ? set_framed(op, data, len, total) : fits;
    launch(op, status);
    ph_op_started(op);
    return PH_OK;
}

/* Would the message, of `total` bytes on the pipe, be the next that the system
 * takes? */
static bool goes_next(const struct ph_pipe *pipe, size_t len, size_t *total)
{
    enum ph_status status = PH_OK;
    const char *why;
    if (pipe->faulty || pipe->writes.head || pipe->write_torn ||
        pipe->write_ended || ph_pipe_refuses(pipe, true, &status))
        return false;
    *total = len;
    if (pipe->mode == PH_MODE_MESSAGE)
        return len <= pipe->max_message;
    return pipe->frame && ph_frame_measure(pipe->frame, len, pipe->max_message,
                                           total, &why) == PH_OK;
}

/* ---- Parked replies -------------------------------------------------- */

#define PARKED_SIZE ((size_t)65536)
#define PARKED_US   500 /* then the first one has waited long enough */
#define SENT        8   /* op->phase; the others are the seam's */

/* Room for so many bytes until ph_parked_run. NULL: they are to be sent now. */
static unsigned char *room_for(struct ph_port *port, size_t len)
{
    unsigned char *room;
    if (!port->crowd || len >= PARKED_SIZE - port->parked_used)
        return NULL;
    if (!port->parked_bytes)
        port->parked_bytes = malloc(PARKED_SIZE);
    if (!port->parked_bytes)
        return NULL;
    room = port->parked_bytes + port->parked_used;
    port->parked_used += len + 1; /* an empty message has a place too */
    assert(port->parked_used <= PARKED_SIZE);
    return room;
}

/*
 * A reply in a crowd: the system is told of it when all of this poll's events
 * have been handled. Receiving, computing and sending each stay in the
 * processor's caches then, and a client that gets several replies is woken
 * once: a fifth less time for each message.
 */
static void park(struct ph_op *op, unsigned char *room, const void *data,
                 size_t len)
{
    struct ph_pipe *pipe = op->pipe;
    op->out = room;
    if (pipe->mode != PH_MODE_MESSAGE)
        ph_frame_put(pipe->frame, data, len, room);
    else if (len)
        memcpy(room, data, len);
    ph_op_park(op);
}

static void send_parked(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    int64_t sent = -1;
    if (op->ending == PH_OK && pipe->writes.head == op && pipe->attached &&
        !pipe->writing)
        sent = ph_backend_send_now(pipe, op->out, op->out_len);
    if (sent < 0)
        return;
    op->out_done = (size_t)sent;
    if (op->out_done == op->out_len)
        op->phase = SENT;
}

static void tell_parked(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    /* It is the head: what does not go now gets its own copy of the bytes. */
    if (op->phase != SENT) {
        ph_write_step(op);
        return;
    }
    pipe->live++;
    finish(op, PH_OK);
    pipe->live--;
    ph_writes_run(pipe);
}

void ph_parked_run(struct ph_port *port)
{
    for (struct ph_op *op = port->parked; op; op = op->ready_next)
        send_parked(op);
    while (port->parked) {
        struct ph_op *op = port->parked;
        ph_op_unpoke(op);
        tell_parked(op);
    }
    port->parked_used = 0;
}

void ph_port_breathe(struct ph_port *port)
{
    if (port->parked && ph_backend_clock() - port->now > PARKED_US)
        ph_parked_run(port);
}

enum ph_status ph_reply_start(struct ph_op *op, struct ph_pipe *pipe,
                              const void *data, size_t len, int64_t deadline)
{
    unsigned char *room;
    size_t total;
    if (!goes_next(pipe, len, &total))
        return ph_send_start(op, pipe, data, len, deadline);
    assert(pipe->attached && !pipe->writing);
    room = room_for(pipe->port, total);
    if (!room) {
        if (pipe->mode == PH_MODE_MESSAGE &&
            ph_backend_send_now(pipe, data, len) >= 0)
            return PH_OK;
        return ph_send_start(op, pipe, data, len, deadline);
    }
    begin(op, PH_OP_WRITE, pipe, deadline);
    op->out_len = total;
    park(op, room, data, len);
    ph_op_started(op);
    return PH_OK;
}

/* What is unread would be taken for the reply. */
static enum ph_status unread(struct ph_pipe *pipe, struct ph_op *op)
{
    struct ph_peek peek = {0};
    enum ph_status status = PH_OK;
    if (pipe->reads.head || pipe->rest || pipe->transacting)
        op->why = "a read or transact is pending on this pipe";
    else if (ph_pipe_held(pipe))
        op->why = "part of a message is unread";
    else if (ph_seam_peek(pipe, &peek, &op->os) == PH_OK && peek.available)
        op->why = "a message is unread";
    if (op->why)
        status = PH_BUSY;
    return status;
}

static const char no_transact[] =
    "transact needs a duplex pipe in message mode (230)";

enum ph_status ph_transact_start(struct ph_op *op, struct ph_pipe *pipe,
                                 const void *data, size_t len, int64_t deadline)
{
    enum ph_status status = PH_OK;
    const char *why = ph_pipe_refuses(pipe, true, &status);
    if (why && status == PH_OK)
        return ph_op_misuse(op, why);
    if (pipe->mode != PH_MODE_MESSAGE || pipe->direction != PH_DUPLEX)
        return ph_op_misuse(op, no_transact);
    begin(op, PH_OP_TRANSACT, pipe, deadline);
    op->why = why;
    if (status == PH_OK)
        status = unread(pipe, op);
    if (status == PH_OK)
        pipe->transacting = op;
    set_output(op, data, len);
    launch(op, status);
    if (op->state == PH_OP_PENDING && !op->out)
        ph_reads_run(pipe);
    ph_op_started(op);
    return PH_OK;
}
