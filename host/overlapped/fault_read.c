/* SPDX-License-Identifier: MIT */
/*
 * Faults of what comes in. Units are taken from the back end one at a time, as
 * somebody reads: what waits here is in nobody's way, the sender's least of
 * all. The portable half makes every read of the back end, so that the usual
 * pipe has one short way.
 */
#include <assert.h>

#include "faulty.h"

static size_t unread(const struct ph_faulty_in *in)
{
    return in->unit.end - in->unit.start;
}

static bool is_cut(const struct ph_faulty_in *in)
{
    return in->judged && ph_lane_has(&in->lane, PH_FAULT_CUT);
}

static bool is_ready(const struct ph_faulty *faulty)
{
    const struct ph_faulty_in *in = &faulty->in;
    return in->judged && !in->lane.stalled &&
           in->lane.due <= faulty->pipe->port->now;
}

/* ---- A unit ----------------------------------------------------------- */

static void clear(struct ph_faulty_in *in)
{
    in->lane.passed += in->unit.end;
    in->unit.start = in->unit.end = 0;
    in->judged = in->joins = false;
}

static void delay(struct ph_faulty_in *in, int64_t now)
{
    struct ph_faulty_lane *lane = &in->lane;
    lane->due = now;
    in->joins = ph_lane_has(lane, PH_FAULT_JOIN);
    if (in->joins) {
        lane->due += lane->verdict.join;
        ph_lane_note(lane, PH_FAULT_JOIN, 0);
    }
    if (ph_lane_has(lane, PH_FAULT_DELAY)) {
        lane->due += lane->verdict.delay;
        ph_lane_note(lane, PH_FAULT_DELAY, lane->verdict.delay);
    }
}

static void change(struct ph_faulty_in *in)
{
    struct ph_faulty_lane *lane = &in->lane;
    if (ph_lane_has(lane, PH_FAULT_CORRUPT))
        ph_lane_corrupt(lane, in->unit.bytes, in->unit.end);
    in->again = ph_lane_has(lane, PH_FAULT_DUPLICATE);
    if (in->again)
        ph_lane_note(lane, PH_FAULT_DUPLICATE, 0);
    if (ph_lane_has(lane, PH_FAULT_SPLIT))
        ph_lane_note(lane, PH_FAULT_SPLIT, 0);
}

static void decide(struct ph_faulty_in *in, int64_t now)
{
    struct ph_faulty_lane *lane = &in->lane;
    assert(!in->judged && !in->joins && !lane->stalled);
    in->judged = true;
    lane->verdict = ph_plan_judge(lane->plan, PH_LANE_IN, in->unit.end);
    if (ph_lane_has(lane, PH_FAULT_STALL)) {
        lane->stalled = true;
        ph_lane_note(lane, PH_FAULT_STALL, 0);
        return;
    }
    in->unit.end = ph_lane_cut(lane, in->unit.end);
    if (ph_lane_has(lane, PH_FAULT_CUT))
        ph_lane_note(lane, PH_FAULT_CUT, lane->verdict.cut);
    if (ph_lane_has(lane, PH_FAULT_DROP)) {
        ph_lane_note(lane, PH_FAULT_DROP, 0);
        clear(in);
        return;
    }
    change(in);
    delay(in, now);
}

/* What has come behind a unit that waits for it, or will not come. */
static void join(struct ph_faulty_in *in, int64_t now)
{
    struct ph_faulty_lane *lane = &in->lane;
    in->joins = false;
    lane->due = now;
    if (ph_lane_has(lane, PH_FAULT_DELAY))
        lane->due += lane->verdict.delay;
}

static enum ph_status absorb(struct ph_pipe *pipe, const struct ph_chunk *chunk)
{
    struct ph_faulty_in *in = &pipe->faulty->in;
    bool whole = pipe->mode == PH_MODE_BYTE || chunk->ends ||
                 in->unit.end + chunk->len > pipe->max_message;
    if (!ph_buffer_add(&in->unit, chunk->data, chunk->len))
        return PH_NOMEM;
    in->ends = chunk->ends;
    if (in->joins) {
        ph_plan_judge(in->lane.plan, PH_LANE_IN, chunk->len);
        join(in, pipe->port->now);
    } else if (whole) {
        decide(in, pipe->port->now);
    }
    return PH_OK;
}

/* Takes what a read of the back end came to; its end is told when there is no
 * unit before it. */
static void arrived(struct ph_pipe *pipe, enum ph_status status,
                    const struct ph_chunk *chunk)
{
    struct ph_faulty_in *in = &pipe->faulty->in;
    ph_timer_stop(pipe->port, &in->lane.timer);
    if (status == PH_OK)
        status = absorb(pipe, chunk);
    else if (in->joins)
        join(in, pipe->port->now);
    if (status == PH_OK || status == PH_CANCELLED)
        return;
    in->end = status;
    in->os = chunk ? chunk->os : 0;
}

static void serve(struct ph_faulty *faulty, struct ph_chunk *chunk)
{
    struct ph_faulty_in *in = &faulty->in;
    bool split = ph_lane_has(&in->lane, PH_FAULT_SPLIT) && unread(in) > 1;
    assert(in->unit.start <= in->unit.end && !in->lane.stalled);
    chunk->data = in->unit.bytes + in->unit.start;
    chunk->len = split ? 1 : unread(in);
    chunk->ends = in->ends || split;
    in->unit.start += chunk->len;
    if (unread(in)) {
        if (split && ph_lane_has(&in->lane, PH_FAULT_DELAY))
            in->lane.due = faulty->pipe->port->now + in->lane.verdict.delay;
        return;
    }
    faulty->broken |= is_cut(in) && !in->again;
    if (!in->again)
        clear(in); /* the bytes stay where they are until the next call */
    in->again = false;
    in->unit.start = 0;
}

/* ---- The reader's side --------------------------------------------------- */

/* PH_OK: *chunk; PH_PENDING: the back end is to be asked; PH_BUSY: it waits;
 * else how the read ends. */
static enum ph_status next(struct ph_faulty *faulty, struct ph_op *op,
                           struct ph_chunk *chunk)
{
    struct ph_faulty_in *in = &faulty->in;
    enum ph_status status = ph_lane_judge(faulty, &in->lane, op, PH_COUNTED_IN);
    if (status != PH_OK)
        return status;
    if (is_cut(in) && !in->unit.end) {
        in->judged = false;
        faulty->broken = true;
    }
    if (!in->judged && faulty->broken)
        return PH_CLOSED;
    if (!in->judged)
        return in->end == PH_OK ? PH_PENDING : in->end;
    if (is_ready(faulty)) {
        ph_timer_stop(op->port, &in->lane.timer);
        serve(faulty, chunk);
        return PH_OK;
    }
    if (!in->lane.stalled)
        ph_timer_start(op->port, &in->lane.timer, in->lane.due);
    return in->joins ? PH_PENDING : PH_BUSY;
}

/* Asks the back end. */
static enum ph_status ask(struct ph_op *op, bool try_now,
                          struct ph_chunk *chunk)
{
    struct ph_pipe *pipe = op->pipe;
    enum ph_status status =
        ph_backend_read(pipe, ph_read_ask(op),
                        try_now ? PH_TRY_NOW : PH_TRY_FIRST, chunk);
    if (status == PH_PENDING)
        return status;
    arrived(pipe, status, chunk);
    return PH_CANCELLED;
}

bool ph_fault_read(struct ph_op *op, bool try_now)
{
    struct ph_pipe *pipe = op->pipe;
    while (!ph_read_served(op)) {
        struct ph_chunk chunk = {0};
        enum ph_status status = next(pipe->faulty, op, &chunk);
        if (status == PH_PENDING)
            status =
                pipe->faulty->in.asked ? PH_BUSY : ask(op, try_now, &chunk);
        pipe->faulty->in.asked = false;
        if (status == PH_PENDING || status == PH_BUSY) {
            pipe->reading = status == PH_PENDING ? PH_IN_SYSTEM : PH_HELD;
            return false;
        }
        if (status == PH_CANCELLED)
            continue;
        op->os = pipe->faulty->in.os;
        if (status != PH_OK)
            ph_read_end(op, status);
        else if (!ph_read_took(op, &chunk))
            continue;
        return true;
    }
    return true;
}

/* What the head waits for has come: it is tried again. */
static void go_on(struct ph_pipe *pipe)
{
    assert(pipe->reading && pipe->reads.head);
    pipe->reading = PH_NO_FLIGHT;
    ph_op_poke(pipe->reads.head);
}

enum ph_status ph_fault_cancel_read(struct ph_pipe *pipe)
{
    struct ph_faulty *faulty = pipe->faulty;
    if (faulty->in.lane.ending)
        return PH_PENDING;
    if (pipe->reading == PH_IN_SYSTEM &&
        ph_backend_cancel_read(pipe) == PH_PENDING)
        return PH_PENDING;
    ph_timer_stop(pipe->port, &faulty->in.lane.timer);
    return ph_lane_ends_late(&faulty->in.lane) ? PH_PENDING : PH_OK;
}

void ph_fault_read_done(struct ph_pipe *pipe, enum ph_status status,
                        const struct ph_chunk *chunk)
{
    struct ph_faulty_in *in = &pipe->faulty->in;
    bool ended = status == PH_CANCELLED && pipe->reads.head->ending != PH_OK;
    if (ended && ph_lane_ends_late(&in->lane))
        return;
    in->asked = ended;
    arrived(pipe, status, chunk);
    go_on(pipe);
}

static void timer_fired(struct ph_timer *timer)
{
    struct ph_faulty *faulty =
        ph_container_of(timer, struct ph_faulty, in.lane.timer);
    struct ph_pipe *pipe = faulty->pipe;
    faulty->in.lane.ending = false;
    if (!pipe->reading) {
        assert(faulty->broken); /* the read has ended without this */
        return;
    }
    /* In the system: it was broken meanwhile, or looks behind a unit. */
    if (pipe->reading == PH_IN_SYSTEM &&
        ph_backend_cancel_read(pipe) == PH_PENDING)
        return;
    go_on(pipe);
}

enum ph_status ph_fault_peek(struct ph_pipe *pipe, struct ph_peek *out,
                             long *os)
{
    const struct ph_faulty *faulty = pipe->faulty;
    const struct ph_faulty_in *in = &faulty->in;
    if (!in->judged && (faulty->broken || in->end == PH_CLOSED))
        return PH_CLOSED;
    if (!in->judged)
        return ph_backend_peek(pipe, out, os);
    if (is_ready(faulty)) {
        out->available = unread(in);
        out->left = pipe->mode == PH_MODE_MESSAGE ? unread(in) : 0;
    }
    return PH_OK;
}

void ph_fault_begin_in(struct ph_faulty *faulty)
{
    struct ph_faulty_lane *lane = &faulty->in.lane;
    lane->lane = PH_LANE_IN;
    lane->flight = &faulty->pipe->reading;
    lane->timer.fire = timer_fired;
}
