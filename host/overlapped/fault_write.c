/* SPDX-License-Identifier: MIT */
/*
 * Faults of what goes out. The back end sees the operation with its output
 * narrowed to a part of it: out_len is what is to be written just now.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "faulty.h"

#define PARTS_AT_ONCE 256

/* ---- Joining ----------------------------------------------------------- */

static void own_done(struct ph_op *op)
{
    struct ph_faulty_out *out = op->user;
    if (out)
        out->own = NULL;
    ph_op_give(op);
}

void ph_fault_release(struct ph_pipe *pipe)
{
    struct ph_faulty_out *out = &pipe->faulty->out;
    struct ph_buffer *held = &out->held;
    struct ph_op *op;
    ph_timer_stop(pipe->port, &out->join_timer);
    if (!held->end || out->own)
        return;
    op = ph_op_take(pipe->port);
    if (!op)
        return; /* lost, as it is allowed to be */
    op->done = own_done;
    op->user = out;
    out->own = op;
    if (ph_write_start(op, pipe, held->bytes, held->end, PH_FOREVER) != PH_OK ||
        op->state == PH_OP_DONE)
        own_done(op);
    held->end = 0;
}

static void join_fired(struct ph_timer *timer)
{
    ph_fault_release(
        ph_container_of(timer, struct ph_faulty, out.join_timer)->pipe);
}

/* The write is taken for done, and waits for the next one. */
static enum ph_status hold(struct ph_faulty *faulty, struct ph_op *op)
{
    struct ph_faulty_out *out = &faulty->out;
    struct ph_port *port = faulty->pipe->port;
    if (!ph_buffer_add(&out->held, op->out + op->out_done,
                       op->out_len - op->out_done))
        return PH_NOMEM;
    ph_lane_note(&out->lane, PH_FAULT_JOIN, 0);
    op->out_done = op->out_len;
    ph_timer_start(port, &out->join_timer, port->now + out->lane.verdict.join);
    return PH_OK;
}

/* What is held goes out before the write, as one with it. */
static enum ph_status prepend(struct ph_faulty *faulty, struct ph_op *op)
{
    struct ph_buffer *held = &faulty->out.held;
    size_t len = op->out_len - op->out_done, total = held->end + len;
    unsigned char *both = malloc(total);
    if (!both)
        return PH_NOMEM;
    memcpy(both, held->bytes, held->end);
    memcpy(both + held->end, op->out + op->out_done, len);
    free(op->buf);
    op->buf = both;
    op->cap = total;
    op->out = both;
    op->out_base += op->out_done - held->end; /* its own bytes are counted */
    op->out_done = 0;
    op->out_len = total;
    held->end = 0;
    ph_timer_stop(faulty->pipe->port, &faulty->out.join_timer);
    return PH_OK;
}

/* ---- Writing ----------------------------------------------------------- */

static enum ph_status break_off(struct ph_faulty *faulty, struct ph_op *op)
{
    struct ph_faulty_lane *lane = &faulty->out.lane;
    op->out_len = faulty->out.total;
    ph_lane_note(lane, PH_FAULT_CUT, lane->verdict.cut);
    ph_fault_break(faulty);
    return PH_CLOSED;
}

/* A part was written. True: another one follows; else *status is the end. */
static bool next_part(struct ph_faulty *faulty, struct ph_op *op,
                      enum ph_status *status)
{
    struct ph_faulty_out *out = &faulty->out;
    *status = PH_OK;
    assert(out->rest && op->out_done <= out->limit && out->limit <= out->total);
    if (op->out_done < out->limit)
        return true;
    out->lane.passed += out->limit;
    if (ph_lane_has(&out->lane, PH_FAULT_CUT)) {
        *status = break_off(faulty, op);
        return false;
    }
    if (--out->rest) {
        op->out_done = 0;
        return true;
    }
    op->out_len = out->total;
    return false;
}

/* Bytes that come alone are read alone only where there is time between them.
 */
static bool pauses(struct ph_faulty *faulty)
{
    struct ph_faulty_lane *lane = &faulty->out.lane;
    struct ph_port *port = faulty->pipe->port;
    if (!ph_lane_has(lane, PH_FAULT_SPLIT) ||
        !ph_lane_has(lane, PH_FAULT_DELAY))
        return false;
    lane->due = port->now + lane->verdict.delay;
    ph_timer_start(port, &lane->timer, lane->due);
    return true;
}

/* Writes part after part, as often as it is to be. */
static enum ph_status write_parts(struct ph_faulty *faulty, struct ph_op *op,
                                  long *os)
{
    struct ph_faulty_out *out = &faulty->out;
    bool split = ph_lane_has(&out->lane, PH_FAULT_SPLIT);
    enum ph_status status;
    assert(!out->lane.stalled && !out->lane.timer.link);
    if (ph_lane_has(&out->lane, PH_FAULT_CUT) && !out->limit)
        return break_off(faulty, op);
    for (unsigned i = 0; i < PARTS_AT_ONCE; i++) {
        size_t left = out->limit - op->out_done;
        op->out_len = op->out_done + (split && left ? 1 : left);
        status = ph_backend_write(faulty->pipe, op, os);
        if (status == PH_PENDING)
            return status;
        if (status != PH_OK) {
            op->out_len = out->total;
            return status;
        }
        if (!next_part(faulty, op, &status))
            return status;
        if (pauses(faulty))
            return PH_BUSY;
    }
    /* Others want to go on too. */
    ph_timer_start(faulty->pipe->port, &out->lane.timer, 0);
    return PH_BUSY;
}

static enum ph_status begin_parts(struct ph_faulty *faulty, struct ph_op *op)
{
    struct ph_faulty_out *out = &faulty->out;
    struct ph_faulty_lane *lane = &out->lane;
    if (ph_op_own_output(op) != PH_OK)
        return PH_NOMEM;
    assert(op->out == op->buf && !op->out_done);
    out->total = op->out_len;
    out->limit = ph_lane_cut(lane, op->out_len);
    out->rest = ph_lane_has(lane, PH_FAULT_DUPLICATE) ? 2 : 1;
    if (ph_lane_has(lane, PH_FAULT_CORRUPT))
        ph_lane_corrupt(lane, op->buf, op->out_len);
    if (out->rest == 2)
        ph_lane_note(lane, PH_FAULT_DUPLICATE, 0);
    if (ph_lane_has(lane, PH_FAULT_SPLIT))
        ph_lane_note(lane, PH_FAULT_SPLIT, 0);
    lane->due = faulty->pipe->port->now;
    if (ph_lane_has(lane, PH_FAULT_DELAY)) {
        ph_lane_note(lane, PH_FAULT_DELAY, lane->verdict.delay);
        lane->due += lane->verdict.delay;
    }
    return PH_OK;
}

/* PH_PENDING: it is to be written; else what the write ends as at once. */
static enum ph_status decide(struct ph_faulty *faulty, struct ph_op *op)
{
    struct ph_faulty_out *out = &faulty->out;
    struct ph_faulty_lane *lane = &out->lane;
    enum ph_status status = PH_OK;
    lane->verdict = ph_plan_judge(lane->plan, PH_LANE_OUT, op->out_len);
    if (!lane->stalled && ph_lane_has(lane, PH_FAULT_STALL)) {
        ph_lane_note(lane, PH_FAULT_STALL, 0);
        lane->stalled = true;
    }
    if (!lane->stalled && ph_lane_has(lane, PH_FAULT_DROP)) {
        ph_lane_note(lane, PH_FAULT_DROP, 0);
        op->out_done = op->out_len;
        return PH_OK;
    }
    if (out->held.end)
        status = prepend(faulty, op);
    else if (!lane->stalled && ph_lane_has(lane, PH_FAULT_JOIN) &&
             op->kind == PH_OP_WRITE)
        return hold(faulty, op);
    if (status == PH_OK)
        status = begin_parts(faulty, op);
    return status == PH_OK ? PH_PENDING : status;
}

static bool is_ours(const struct ph_faulty *faulty, const struct ph_op *op)
{
    return op != faulty->out.own;
}

enum ph_status ph_fault_write(struct ph_pipe *pipe, struct ph_op *op, long *os)
{
    struct ph_faulty *faulty = pipe->faulty;
    struct ph_faulty_lane *lane = &faulty->out.lane;
    bool first = !(op->phase & PH_COUNTED_OUT);
    enum ph_status status = PH_PENDING;
    if (faulty->broken)
        return PH_CLOSED;
    if (!is_ours(faulty, op))
        return ph_backend_write(pipe, op, os);
    if (first)
        status = ph_lane_judge(faulty, lane, op, PH_COUNTED_OUT);
    if (first && status == PH_OK)
        status = decide(faulty, op);
    if (status != PH_PENDING)
        return status;
    if (lane->stalled)
        return PH_BUSY;
    if (lane->due > pipe->port->now) {
        ph_timer_start(pipe->port, &lane->timer, lane->due);
        return PH_BUSY;
    }
    return write_parts(faulty, op, os);
}

/* ---- The back end, time and cancel ------------------------------------- */

enum ph_status ph_fault_cancel_write(struct ph_pipe *pipe)
{
    struct ph_faulty *faulty = pipe->faulty;
    if (faulty->out.lane.ending)
        return PH_PENDING;
    if (pipe->writing == PH_IN_SYSTEM &&
        ph_backend_cancel_write(pipe) == PH_PENDING)
        return PH_PENDING;
    ph_timer_stop(pipe->port, &faulty->out.lane.timer);
    return is_ours(faulty, pipe->writes.head) &&
                   ph_lane_ends_late(&faulty->out.lane)
               ? PH_PENDING
               : PH_OK;
}

enum ph_status ph_fault_write_done(struct ph_pipe *pipe, enum ph_status status,
                                   long *os)
{
    struct ph_faulty *faulty = pipe->faulty;
    struct ph_op *op = pipe->writes.head;
    if (!is_ours(faulty, op))
        return status;
    if (status == PH_CANCELLED && ph_lane_ends_late(&faulty->out.lane))
        return PH_BUSY;
    if (status != PH_OK ||
        (op->out_done == op->out_len && !next_part(faulty, op, &status)))
        return status;
    pipe->writing = PH_NO_FLIGHT;
    status = write_parts(faulty, op, os);
    if (status != PH_PENDING && status != PH_BUSY)
        return status;
    pipe->writing = status == PH_PENDING ? PH_IN_SYSTEM : PH_HELD;
    return PH_BUSY;
}

/* Due, or a cancel has had its time: the head is tried again. */
static void timer_fired(struct ph_timer *timer)
{
    struct ph_faulty *faulty =
        ph_container_of(timer, struct ph_faulty, out.lane.timer);
    struct ph_pipe *pipe = faulty->pipe;
    assert(pipe->writing == PH_HELD);
    faulty->out.lane.ending = false;
    pipe->writing = PH_NO_FLIGHT;
    ph_op_poke(pipe->writes.head);
}

void ph_fault_begin_out(struct ph_faulty *faulty)
{
    struct ph_faulty_lane *lane = &faulty->out.lane;
    lane->lane = PH_LANE_OUT;
    lane->flight = &faulty->pipe->writing;
    lane->timer.fire = timer_fired;
    faulty->out.join_timer.fire = join_fired;
}

void ph_fault_end_out(struct ph_faulty *faulty)
{
    ph_timer_stop(faulty->pipe->port, &faulty->out.join_timer);
    if (faulty->out.own)
        faulty->out.own->user = NULL;
}
