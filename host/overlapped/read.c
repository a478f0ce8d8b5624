/* SPDX-License-Identifier: MIT */
/*
 * Reads. `in` holds what was received and not yet served: the rest of a
 * message that was read in part, or bytes before the end of a line. Usually it
 * is empty and a chunk goes from the back end to its reader without a copy.
 */
#include "faulty.h"
#include "frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define READ_AHEAD 65536 /* bytes asked for when a line's end is not known */

void ph_pipe_drop_held(struct ph_pipe *pipe)
{
    if (pipe->in)
        free(pipe->in->bytes);
    free(pipe->in);
    pipe->in = NULL;
}

/* Appends to what is held. What was served before it makes room first: a
 * stream of lines would else walk through memory. */
static enum ph_status hold(struct ph_pipe *pipe, const unsigned char *bytes,
                           size_t len)
{
    struct ph_buffer *in = pipe->in;
    if (!in)
        in = pipe->in = calloc(1, sizeof *in);
    if (!in)
        return PH_NOMEM;
    assert(in->start <= in->end && in->end <= in->cap);
    if (in->start && in->start + len > in->cap - in->end + in->start) {
        memmove(in->bytes, in->bytes + in->start, ph_pipe_held(pipe));
        in->end -= in->start;
        in->start = 0;
    }
    if (in->end + len > in->cap) {
        size_t cap = in->cap * 2 > in->end + len ? in->cap * 2 : in->end + len;
        unsigned char *more = realloc(in->bytes, cap ? cap : 1);
        if (!more)
            return PH_NOMEM;
        in->bytes = more;
        in->cap = cap;
    }
    if (len)
        memcpy(in->bytes + in->end, bytes, len);
    in->end += len;
    return PH_OK;
}

/* Serves `len` held bytes; `skip` more are dropped after them. The buffer goes
 * to the operation when nothing is left in it. */
static void serve_held(struct ph_op *op, size_t len, size_t skip)
{
    struct ph_buffer *in = op->pipe->in;
    assert(len + skip <= ph_pipe_held(op->pipe));
    if (!in) { /* an exact read of nothing */
        op->data = NULL;
        op->len = 0;
        return;
    }
    op->data = in->bytes + in->start;
    op->len = len;
    in->start += len + skip;
    in->scanned = 0;
    if (in->start < in->end)
        return;
    free(op->buf);
    op->buf = in->bytes;
    op->cap = in->cap;
    memset(in, 0, sizeof *in);
}

static bool reads_lines(const struct ph_op *op)
{
    return op->goal == PH_READ_LINE ||
           (op->goal == PH_READ_FRAME && ph_frame_is_lines(op->pipe->frame));
}

static bool serve_line(struct ph_op *op, enum ph_status *status)
{
    struct ph_pipe *pipe = op->pipe;
    const unsigned char *from = pipe->in->bytes + pipe->in->start;
    size_t have = ph_pipe_held(pipe);
    const unsigned char *end =
        have > pipe->in->scanned
            ? memchr(from + pipe->in->scanned, '\n', have - pipe->in->scanned)
            : NULL;
    size_t len = end ? (size_t)(end - from) : have;
    /* A CR that is the last byte so far may be the line's end, no part of it.
     */
    bool cr = len && from[len - 1] == '\r';
    if (len - cr > pipe->max_message) {
        *status = PH_TOOBIG;
        return true;
    }
    pipe->in->scanned = have;
    if (!end)
        return false;
    serve_held(op, len - cr, 1u + cr);
    return true;
}

static bool serve_frame(struct ph_op *op, enum ph_status *status)
{
    struct ph_pipe *pipe = op->pipe;
    struct ph_framed at;
    if (reads_lines(op))
        return serve_line(op, status);
    *status = ph_frame_find(pipe->frame, pipe->in->bytes + pipe->in->start,
                            ph_pipe_held(pipe), pipe->max_message, &at);
    op->why = at.why;
    if (*status == PH_OK) {
        pipe->in->start += at.skip;
        serve_held(op, at.len, 0);
    }
    return *status != PH_PENDING;
}

static bool serve_message(struct ph_op *op, enum ph_status *status)
{
    struct ph_pipe *pipe = op->pipe;
    size_t have = ph_pipe_held(pipe);
    if (have > pipe->max_message)
        *status = PH_TOOBIG;
    else if (pipe->in_ends)
        serve_held(op, have, 0);
    else
        return false;
    return true;
}

/* Can what is held satisfy the read? */
static bool serve(struct ph_op *op, enum ph_status *status)
{
    struct ph_pipe *pipe = op->pipe;
    size_t have = ph_pipe_held(pipe);
    *status = PH_OK;
    switch (op->goal) {
    case PH_READ_EXACT:
        if (have < op->want)
            return false;
        serve_held(op, op->want, 0);
        return true;
    case PH_READ_LINE:
        return have && serve_line(op, status);
    case PH_READ_FRAME:
        return have && serve_frame(op, status);
    case PH_READ_MESSAGE:
        return have && serve_message(op, status);
    case PH_READ_SOME:
    default:
        if (!have)
            return false;
        op->more = pipe->mode == PH_MODE_MESSAGE &&
                   (have > op->want || !pipe->in_ends);
        serve_held(op, have < op->want ? have : op->want, 0);
        return true;
    }
}

static bool is_framed(const struct ph_pipe *pipe, const struct ph_chunk *chunk,
                      struct ph_framed *at)
{
    return !ph_frame_is_lines(pipe->frame) &&
           ph_frame_find(pipe->frame, chunk->data, chunk->len,
                         pipe->max_message, at) == PH_OK &&
           chunk->len == at->skip + at->len;
}

/* The usual case: a chunk that is just what the reader wants. */
static bool serve_chunk(struct ph_op *op, const struct ph_chunk *chunk)
{
    struct ph_pipe *pipe = op->pipe;
    bool message = pipe->mode == PH_MODE_MESSAGE;
    struct ph_framed at = {.len = chunk->len};
    if (ph_pipe_held(pipe))
        return false;
    switch (op->goal) {
    case PH_READ_SOME:
        if (chunk->len > op->want)
            return false;
        op->more = message && !chunk->ends;
        break;
    case PH_READ_EXACT:
        if (chunk->len != op->want)
            return false;
        break;
    case PH_READ_MESSAGE:
        if (!chunk->ends || chunk->len > pipe->max_message)
            return false;
        break;
    case PH_READ_FRAME:
        if (!is_framed(pipe, chunk, &at))
            return false;
        break;
    case PH_READ_LINE:
    default:
        return false;
    }
    op->data = chunk->data + at.skip;
    op->len = at.len;
    return true;
}

/* The operation may be gone afterwards; its pipe only if nobody holds it by
 * `live`. */
static void finish(struct ph_op *op, enum ph_status status)
{
    ph_queue_remove(&op->pipe->reads, op);
    if (op->kind == PH_OP_TRANSACT) {
        if (op->pipe->transacting == op)
            op->pipe->transacting = NULL;
        if (status == PH_TIMEOUT || status == PH_CANCELLED)
            op->pipe->transact_torn = true;
    }
    ph_op_end(op, status);
}

/* Takes in a chunk for the head; false: it was not enough. */
static bool take(struct ph_op *op, const struct ph_chunk *chunk)
{
    struct ph_pipe *pipe = op->pipe;
    enum ph_status status = PH_OK;
    if (!serve_chunk(op, chunk)) {
        pipe->in_ends = chunk->ends;
        status = hold(pipe, chunk->data, chunk->len);
        if (status == PH_OK && !serve(op, &status))
            return false;
    }
    finish(op, status);
    return true;
}

/* Nothing comes any more: a last line without its end still counts, a message
 * without its end does not. */
static void at_end(struct ph_op *op)
{
    size_t have = ph_pipe_held(op->pipe);
    bool line = have && reads_lines(op);
    if (line)
        serve_held(op, have, 0);
    finish(op, line ? PH_OK : PH_CLOSED);
}

/* The way of a pipe with faults, and of one that brings nothing any more. */
static bool stop(struct ph_op *op, bool try_now)
{
    if (op->pipe->faulty)
        return ph_fault_read(op, try_now);
    at_end(op);
    return true;
}

size_t ph_read_most(const struct ph_pipe *pipe)
{
    return pipe->mode == PH_MODE_MESSAGE ? pipe->max_message + 1 - ph_pipe_held(pipe)
                                         : READ_AHEAD;
}

static size_t ask(const struct ph_op *op)
{
    switch (op->goal) {
    case PH_READ_EXACT:
        return op->want - ph_pipe_held(op->pipe);
    case PH_READ_LINE:
    case PH_READ_FRAME:
    case PH_READ_MESSAGE:
        return ph_read_most(op->pipe);
    case PH_READ_SOME:
    default:
        return op->want;
    }
}

/* Serves the head as far as that goes without waiting. True: it has ended and
 * may be gone; false: it is in flight. */
static bool drive(struct ph_op *op, enum ph_try when)
{
    struct ph_pipe *pipe = op->pipe;
    for (;;) {
        struct ph_chunk chunk = {0};
        enum ph_status status;
        if (serve(op, &status)) {
            finish(op, status);
            return true;
        }
        if (pipe->read_stops)
            return stop(op, when == PH_TRY_NOW);
        status = ph_backend_read(pipe, ask(op), when, &chunk);
        op->os = chunk.os;
        if (status == PH_PENDING) {
            pipe->reading = PH_IN_SYSTEM;
            return false;
        }
        if (status == PH_CLOSED) {
            pipe->read_stops = true;
        } else if (status != PH_OK) {
            finish(op, status);
            return true;
        } else if (take(op, &chunk)) {
            return true;
        }
    }
}

/* For faulty.h. */
bool ph_read_served(struct ph_op *op)
{
    enum ph_status status;
    if (!serve(op, &status))
        return false;
    finish(op, status);
    return true;
}

bool ph_read_took(struct ph_op *op, const struct ph_chunk *chunk)
{
    return take(op, chunk);
}

void ph_read_end(struct ph_op *op, enum ph_status status)
{
    if (status == PH_CLOSED)
        at_end(op);
    else
        finish(op, status);
}

size_t ph_read_ask(const struct ph_op *op)
{
    return ask(op);
}

/* The end of a step that holds the pipe: a callback may have dropped everything
 * else that held it. */
static void go_on(struct ph_pipe *pipe)
{
    while (pipe->reads.head && !pipe->reading && pipe->attached &&
           pipe->reads.head->ending == PH_OK)
        drive(pipe->reads.head, PH_TRY_FIRST);
    pipe->live--;
    ph_pipe_settle(pipe);
}

void ph_reads_run(struct ph_pipe *pipe)
{
    pipe->live++;
    go_on(pipe);
}

/* After a cancel the operation is as it was. */
static void failed(struct ph_op *op, enum ph_status status,
                   const struct ph_chunk *chunk)
{
    if (chunk)
        op->os = chunk->os;
    /* Remembered, not told at once: what is held is served before the end. */
    if (status == PH_CLOSED)
        op->pipe->read_stops = true;
    else if (status != PH_CANCELLED)
        finish(op, status);
}

void ph_pipe_read_done(struct ph_pipe *pipe, enum ph_status status,
                       const struct ph_chunk *chunk)
{
    struct ph_op *op;
    assert(pipe->reading == PH_IN_SYSTEM);
    if (pipe->rest && !ph_read_awake(pipe)) {
        pipe->reading = PH_NO_FLIGHT;
        return;
    }
    if (pipe->faulty) {
        ph_fault_read_done(pipe, status, chunk);
        return;
    }
    pipe->reading = PH_NO_FLIGHT;
    op = pipe->reads.head;
    pipe->live += !pipe->orphaned;
    pipe->orphaned = false;
    if (op && status == PH_OK)
        take(op, chunk);
    else if (op)
        failed(op, status, chunk);
    /* Asked to end, and what has come was not enough for it: that is held now,
     * and the next read's. */
    op = pipe->reads.head;
    if (op && op->ending != PH_OK && !pipe->reading)
        finish(op, op->ending);
    go_on(pipe);
}

/* Data that is there already wins: where nothing of ours is in the system, it
 * is asked once more. */
static void end_head(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    enum ph_status ending = op->ending;
    if (pipe->reading && ph_seam_cancel_read(pipe) == PH_PENDING)
        return;
    pipe->reading = PH_NO_FLIGHT;
    if (ending != PH_CLOSED && pipe->attached) {
        if (drive(op, PH_TRY_NOW) || ph_seam_cancel_read(pipe) == PH_PENDING)
            return;
        pipe->reading = PH_NO_FLIGHT;
    }
    finish(op, ending);
}

void ph_read_step(struct ph_op *op)
{
    struct ph_pipe *pipe = op->pipe;
    pipe->live++;
    if (op->ending != PH_OK && pipe->reads.head == op)
        end_head(op);
    else if (op->ending != PH_OK)
        finish(op, op->ending);
    go_on(pipe);
}

void ph_read_found(struct ph_pipe *pipe, struct ph_rest *rest,
                   enum ph_status status, const struct ph_chunk *chunk)
{
    struct ph_op *op;
    assert(!pipe->reads.head && status != PH_PENDING);
    pipe->rest = rest;
    if (!ph_read_awake(pipe))
        return;
    op = pipe->reads.head;
    op->starting = true;
    pipe->read_stops |= status == PH_CLOSED;
    op->os = chunk->os;
    if (status != PH_OK && status != PH_CLOSED)
        finish(op, status);
    else if (status == PH_CLOSED || !take(op, chunk))
        drive(op, PH_TRY_FIRST);
    op->starting = false;
}

static const char no_exact[] = "only a byte pipe reads lines or exact counts";
static const char no_message[] = "only a message pipe receives messages, or a "
                                 "byte pipe with a frame";

enum ph_status ph_read_start(struct ph_op *op, struct ph_pipe *pipe,
                             enum ph_goal goal, size_t want, int64_t deadline)
{
    enum ph_status status = PH_OK;
    const char *why = ph_pipe_refuses(pipe, false, &status);
    bool message = pipe->mode == PH_MODE_MESSAGE;
    if (why && status == PH_OK)
        return ph_op_misuse(op, why);
    if (!why && message && (goal == PH_READ_EXACT || goal == PH_READ_LINE))
        return ph_op_misuse(op, no_exact);
    if (!why && !message && goal == PH_READ_MESSAGE) {
        if (!pipe->frame)
            return ph_op_misuse(op, no_message);
        goal = PH_READ_FRAME;
    }
    if (goal == PH_READ_SOME && !want)
        return ph_op_misuse(op, "a read takes at least one byte");
    ph_op_begin(op, PH_OP_READ, pipe->port, pipe, deadline);
    op->goal = goal;
    op->want = want;
    ph_read_wake(pipe); /* the first in line */
    ph_queue_push(&pipe->reads, op);
    if (why) {
        op->why = why;
        finish(op, status);
    } else if (pipe->reads.head == op && !pipe->reading) {
        drive(op, deadline == PH_NOW ? PH_TRY_NOW : PH_TRY_FIRST);
    }
    ph_op_started(op);
    return PH_OK;
}
