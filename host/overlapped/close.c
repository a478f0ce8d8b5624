/* SPDX-License-Identifier: MIT */
/*
 * Flush, and close with its drain.
 *
 * A close has two phases. It DRAINS: reads, connects and flushes are asked to
 * end, own writes have PH_CLOSE_DRAIN_US to get into the system, then they are
 * asked to end too. When it is the only operation left (live == 1) it FLUSHES,
 * if that was asked for: until the peer has read everything, or the time for
 * that is over. Then the handle goes. Whatever came in between, it ends well:
 * closing is terminal.
 */
#include <assert.h>

#include "faulty.h"

#define RETRY_LONGEST_US 10000

enum close_phase { DRAINS, FLUSHES };

/* ---- Flush ---------------------------------------------------------- */

static void unlink_flush(struct ph_op *op)
{
    struct ph_op **link = &op->pipe->flushes;
    while (*link && *link != op)
        link = &(*link)->next;
    if (*link)
        *link = op->next;
}

static void finish_flush(struct ph_op *op, enum ph_status status)
{
    assert(!op->system); /* the back end holds nothing of it any more */
    unlink_flush(op);
    ph_op_end(op, status);
}

/* Own writes that are under way come first. */
static enum ph_status flush_once(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    if (!pipe->attached)
        return PH_CLOSED;
    if (pipe->writes.head)
        return PH_BUSY;
    return ph_backend_flush(pipe, op, &op->os);
}

/* The system has it now. The timer may still stand for the next try, which
 * there will not be, or that try was the last one. */
static void await_system(struct ph_op *op)
{
    assert(op->system);
    if (op->ending != PH_OK)
        ph_backend_cancel_system(op);
    else if (op->deadline != PH_NOW)
        ph_timer_start(op->port, &op->timer, op->deadline);
}

void ph_flush_step(struct ph_op *op)
{
    enum ph_status status;
    if (op->system) {
        if (op->ending != PH_OK)
            ph_backend_cancel_system(op);
        return;
    }
    status = op->ending == PH_CLOSED ? PH_CLOSED : flush_once(op);
    if (status == PH_PENDING)
        await_system(op);
    else if (status != PH_BUSY)
        finish_flush(op, status);
    else if (op->ending != PH_OK)
        finish_flush(op, op->ending);
    else
        ph_op_retry_later(op, RETRY_LONGEST_US);
}

enum ph_status ph_flush_start(struct ph_op *op, struct ph_pipe *pipe,
                              int64_t deadline)
{
    if (pipe->state == PH_PIPE_CLOSED || pipe->state == PH_PIPE_NEW)
        return ph_op_misuse(op, "the pipe is not open");
    if (pipe->faulty)
        ph_fault_release(pipe);
    ph_op_begin(op, PH_OP_FLUSH, pipe->port, pipe, deadline);
    op->next = pipe->flushes;
    pipe->flushes = op;
    if (pipe->state != PH_PIPE_CONNECTED)
        finish_flush(op, PH_OK); /* nothing can be unread */
    else
        ph_flush_step(op);
    ph_op_started(op);
    return PH_OK;
}

/* ---- Close ---------------------------------------------------------- */

static void finish_close(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    assert(pipe->closing == op && pipe->live == 1);
    assert(!pipe->reads.head && !pipe->writes.head && !pipe->flushes);
    pipe->closing = NULL;
    ph_pipe_detach(pipe);
    op->why = NULL;
    op->os = 0;
    ph_op_end(op, PH_OK);
}

static void told(struct ph_op *op, enum ph_status status)
{
    op->all_read = status == PH_OK;
    op->unread = status;
    finish_close(op);
}

static void flush_closing(struct ph_op *op)
{
    enum ph_status status;
    if (op->system) {
        if (op->ending != PH_OK)
            ph_backend_cancel_system(op);
        return;
    }
    assert(op->pipe->attached);
    if (!op->pipe->write_torn)
        status = ph_backend_flush(op->pipe, op, &op->os);
    else /* what was cut off is never read */
        status = op->ending == PH_OK ? PH_TIMEOUT : op->ending;
    if (status == PH_PENDING) {
        await_system(op);
        return;
    }
    if (status == PH_BUSY && op->ending == PH_OK) {
        ph_op_retry_later(op, RETRY_LONGEST_US);
        return;
    }
    told(op, status == PH_BUSY ? op->ending : status);
}

/* Everything else has ended. */
static void drained(struct ph_op *op)
{
    assert(op->pipe->state == PH_PIPE_CLOSED && !op->pipe->connecting);
    if (op->phase == DRAINS) {
        op->phase = FLUSHES;
        op->deadline = op->flush_deadline;
        ph_timer_start(op->port, &op->timer,
                       op->deadline == PH_NOW ? PH_FOREVER : op->deadline);
    }
    if (op->deadline == PH_NOW)
        finish_close(op);
    else
        flush_closing(op);
}

void ph_close_step(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    if (pipe->live == 1)
        drained(op);
    else if (op->ending != PH_OK && op->phase == DRAINS) {
        ph_ops_end(pipe->writes.head, PH_CANCELLED);
        if (op->ending == PH_TIMEOUT)
            op->ending = PH_OK; /* the flush has a time of its own */
        op->deadline = PH_FOREVER;
    }
}

static void end_others(struct ph_pipe *pipe)
{
    if (pipe->connecting)
        ph_op_cancel(pipe->connecting);
    ph_read_wake(pipe);
    ph_ops_end(pipe->reads.head, PH_CANCELLED);
    ph_ops_end(pipe->flushes, PH_CANCELLED);
}

enum ph_status ph_close_start(struct ph_op *op, struct ph_pipe *pipe,
                              int64_t flush_deadline)
{
    bool connected = pipe->state == PH_PIPE_CONNECTED;
    if (pipe->state == PH_PIPE_CLOSED)
        return ph_op_misuse(op, "the pipe is closed");
    if (pipe->faulty)
        ph_fault_release(pipe);
    pipe->state = PH_PIPE_CLOSED;
    ph_op_begin(op, PH_OP_CLOSE, pipe->port, pipe,
                pipe->port->now + PH_CLOSE_DRAIN_US);
    op->flush_deadline = connected ? flush_deadline : PH_NOW;
    pipe->closing = op;
    end_others(pipe);
    if (pipe->live == 1)
        drained(op);
    op->starting = false;
    return PH_OK;
}

/* ---- Results from the system ---------------------------------------- */

void ph_op_system_done(struct ph_op *op, enum ph_status status, long os)
{
    assert(op->state == PH_OP_PENDING && op->system && status != PH_PENDING);
    op->system = NULL;
    op->os = os;
    if (op->kind == PH_OP_AVAILABLE) {
        ph_available_done(op, status);
    } else if (op->kind == PH_OP_CLOSE) {
        if (status == PH_CANCELLED && op->ending != PH_OK)
            status = op->ending;
        told(op, status);
    } else {
        assert(op->kind == PH_OP_FLUSH);
        /* After a disconnect the system may call it flushed. */
        if (op->ending == PH_CLOSED ||
            (status == PH_CANCELLED && op->ending != PH_OK))
            status = op->ending;
        finish_flush(op, status);
    }
}
