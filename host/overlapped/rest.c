/* SPDX-License-Identifier: MIT */
/*
 * Reads that rest. The pipe's read stays where it waits (`reading`), which
 * knows nothing of operations; only the operation is missing. Whoever needs one
 * wakes the read first: what has come, another read behind it, a close.
 */
#include <assert.h>

#include "operation.h"

/* Nothing is here, nothing hinders it, and no other read waits. */
static bool may_rest(const struct ph_pipe *pipe)
{
    enum ph_direction one_way = pipe->server ? PH_OUTBOUND : PH_INBOUND;
    return pipe->state == PH_PIPE_CONNECTED && pipe->direction != one_way &&
           !pipe->reads.head && !pipe->reading && !pipe->rest &&
           !pipe->read_stops && !pipe->transacting && !pipe->transact_torn &&
           !ph_pipe_held(pipe) &&
           (pipe->mode == PH_MODE_MESSAGE || pipe->frame);
}

bool ph_read_rest(struct ph_pipe *pipe, struct ph_rest *rest)
{
    struct ph_chunk chunk = {0};
    enum ph_status status;
    if (!may_rest(pipe))
        return false;
    /* Whoever has a read that rests owns the pipe. */
    assert(pipe->owners && pipe->attached && !pipe->faulty);
    status = ph_backend_read(pipe, ph_read_most(pipe), PH_TRY_LATER, &chunk);
    if (status == PH_PENDING) {
        pipe->reading = PH_IN_SYSTEM;
        pipe->rest = rest;
    } else {
        ph_read_found(pipe, rest, status, &chunk);
    }
    return true;
}

bool ph_read_awake(struct ph_pipe *pipe)
{
    struct ph_rest *rest = pipe->rest;
    int64_t deadline;
    struct ph_op *op;
    assert(rest && !pipe->reads.head);
    pipe->rest = NULL;
    op = rest->wake(rest, &deadline);
    if (!op)
        return false;
    ph_op_begin(op, PH_OP_READ, pipe->port, pipe, deadline);
    op->goal = pipe->mode == PH_MODE_MESSAGE ? PH_READ_MESSAGE : PH_READ_FRAME;
    op->starting = false;
    ph_queue_push(&pipe->reads, op);
    return true;
}

/* The system may still have it: until that has ended it holds the pipe. */
static void abandon(struct ph_pipe *pipe)
{
    if (ph_backend_cancel_read(pipe) == PH_OK) {
        pipe->reading = PH_NO_FLIGHT;
    } else {
        pipe->orphaned = true;
        pipe->live++;
    }
}

void ph_read_wake(struct ph_pipe *pipe)
{
    if (pipe->rest && !ph_read_awake(pipe))
        abandon(pipe);
}

void ph_read_forget(struct ph_pipe *pipe)
{
    if (!pipe->rest)
        return;
    pipe->rest = NULL;
    abandon(pipe);
}

bool ph_read_rests(const struct ph_pipe *pipe)
{
    return pipe->rest != NULL;
}
