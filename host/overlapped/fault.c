/* SPDX-License-Identifier: MIT */
/* Connections with faults; the faults of open and connect. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "faulty.h"

/* ---- Lanes ------------------------------------------------------------ */

static const char injected[] = "a fault of the test";

void ph_lane_note(struct ph_faulty_lane *lane, enum ph_fault_kind kind,
                  int64_t value)
{
    ph_plan_note(lane->plan, lane->lane, kind, lane->verdict.number, value);
}

void ph_lane_corrupt(struct ph_faulty_lane *lane, unsigned char *bytes,
                     size_t len)
{
    uint64_t by = ph_plan_draw(lane->plan, lane->lane, lane->verdict.number,
                               UINT64_C(1) << 41);
    size_t at;
    if (!len)
        return;
    at = (size_t)(by % len);
    bytes[at] ^= (unsigned char)(1 + (by >> 32) % 255);
    ph_lane_note(lane, PH_FAULT_CORRUPT, (int64_t)at);
}

size_t ph_lane_cut(struct ph_faulty_lane *lane, size_t len)
{
    uint64_t at = (uint64_t)lane->verdict.cut;
    uint64_t left = at > lane->passed ? at - lane->passed : 0;
    if (!ph_lane_has(lane, PH_FAULT_CUT))
        return len;
    if (left <= len)
        return (size_t)left;
    lane->verdict.kinds &= ~(1u << PH_FAULT_CUT);
    return len;
}

enum ph_status ph_lane_judge(struct ph_faulty *faulty,
                             struct ph_faulty_lane *lane, struct ph_op *op,
                             int counted)
{
    struct ph_verdict *verdict = &lane->operation;
    if (op->phase & counted)
        return PH_OK;
    op->phase |= counted;
    *verdict = ph_plan_judge_operation(lane->plan, lane->lane);
    if (!ph_verdict_has(verdict, PH_FAULT_FAIL))
        return PH_OK;
    assert(verdict->status != PH_BUSY && verdict->status != PH_PENDING);
    op->why = injected;
    if (verdict->status == PH_CLOSED)
        ph_fault_break(faulty);
    return verdict->status;
}

bool ph_lane_ends_late(struct ph_faulty_lane *lane)
{
    struct ph_verdict *verdict = &lane->operation;
    struct ph_port *port;
    if (!ph_verdict_has(verdict, PH_FAULT_LATE))
        return false;
    port = ph_plan_port(lane->plan);
    verdict->kinds = 0;
    lane->ending = true;
    *lane->flight = PH_HELD;
    ph_timer_start(port, &lane->timer, port->now + verdict->late);
    ph_plan_note(lane->plan, lane->lane, PH_FAULT_LATE, verdict->number,
                 verdict->late);
    return true;
}

/* ---- Connections ------------------------------------------------------- */

bool ph_buffer_add(struct ph_buffer *buffer, const unsigned char *bytes,
                   size_t len)
{
    size_t cap = buffer->cap ? buffer->cap : 64;
    while (cap < buffer->end + len)
        cap *= 2;
    if (cap != buffer->cap) {
        unsigned char *more = realloc(buffer->bytes, cap);
        if (!more)
            return false;
        buffer->bytes = more;
        buffer->cap = cap;
    }
    if (len)
        memcpy(buffer->bytes + buffer->end, bytes, len);
    buffer->end += len;
    return true;
}

/* A pipe that has just been connected takes up the newest plan for it. */
static enum ph_status begin(struct ph_pipe *pipe)
{
    enum ph_fault_side side = pipe->server ? PH_SIDE_SERVER : PH_SIDE_CLIENT;
    struct ph_faulty *faulty;
    struct ph_plan *plan;
    enum ph_status status = ph_plan_find(pipe->port, pipe->name, side, &plan);
    assert(!pipe->faulty);
    if (status != PH_OK || !plan)
        return status;
    faulty = calloc(1, sizeof *faulty);
    if (!faulty)
        return PH_NOMEM;
    faulty->pipe = pipe;
    ph_fault_begin_in(faulty);
    ph_fault_begin_out(faulty);
    ph_lane_join(&faulty->in.lane, plan);
    ph_lane_join(&faulty->out.lane, plan);
    pipe->faulty = faulty;
    pipe->read_stops = true;
    return PH_OK;
}

static void end(struct ph_pipe *pipe)
{
    struct ph_faulty *faulty = pipe->faulty;
    pipe->read_stops = faulty->in.end == PH_CLOSED;
    ph_fault_end_out(faulty);
    ph_lane_leave(&faulty->in.lane);
    ph_lane_leave(&faulty->out.lane);
    free(faulty->in.unit.bytes);
    free(faulty->out.held.bytes);
    free(faulty);
    pipe->faulty = NULL;
}

void ph_seam_close(struct ph_pipe *pipe)
{
    assert(!pipe->reading && !pipe->writing);
    if (pipe->faulty)
        end(pipe);
    ph_backend_close(pipe);
}

void ph_fault_break(struct ph_faulty *faulty)
{
    struct ph_pipe *pipe = faulty->pipe;
    faulty->broken = true;
    if (pipe->reading)
        ph_timer_start(pipe->port, &faulty->in.lane.timer, pipe->port->now);
}

/* ---- Open and connect --------------------------------------------------- */

/* Its outcome, or PH_OK: it is really tried. */
static enum ph_status judge_open(struct ph_plan *plan, struct ph_op *op)
{
    struct ph_verdict verdict;
    if (!(op->phase & PH_COUNTED_TRY)) {
        op->phase |= PH_COUNTED_TRY;
        verdict = ph_plan_judge_operation(plan, PH_LANE_OPEN);
        op->why = injected;
        if (ph_verdict_has(&verdict, PH_FAULT_FAIL))
            return verdict.status;
    }
    op->why = NULL;
    verdict = ph_plan_judge(plan, PH_LANE_OPEN, 0);
    if (ph_verdict_has(&verdict, PH_FAULT_REFUSE)) {
        ph_plan_note(plan, PH_LANE_OPEN, PH_FAULT_REFUSE, verdict.number, 0);
        return PH_ABSENT;
    }
    if (ph_verdict_has(&verdict, PH_FAULT_BUSY)) {
        ph_plan_note(plan, PH_LANE_OPEN, PH_FAULT_BUSY, verdict.number, 0);
        return PH_BUSY;
    }
    return PH_OK;
}

static enum ph_status begin_attached(struct ph_pipe *pipe)
{
    enum ph_status status = begin(pipe);
    if (status != PH_OK)
        ph_backend_close(pipe);
    return status;
}

enum ph_status ph_fault_open(struct ph_op *op)
{
    struct ph_plan *plan;
    enum ph_status status =
        ph_plan_find(op->port, op->name, PH_SIDE_CLIENT, &plan);
    if (status == PH_OK && plan)
        status = judge_open(plan, op);
    if (status == PH_OK)
        status =
            ph_backend_open(op->pipe, op->name, op->options, &op->os, &op->why);
    return status == PH_OK ? begin_attached(op->pipe) : status;
}

/* A client has come. PH_OK: it may; PH_BUSY: it is refused, and the operation
 * waits for another one; else how the operation ends. */
static enum ph_status judge_client(struct ph_plan *plan, struct ph_op *op)
{
    struct ph_verdict verdict = ph_plan_judge(plan, PH_LANE_CONNECT, 0);
    if (ph_verdict_has(&verdict, PH_FAULT_REFUSE)) {
        ph_plan_note(plan, PH_LANE_CONNECT, PH_FAULT_REFUSE, verdict.number, 0);
        return PH_BUSY;
    }
    verdict = ph_plan_judge_operation(plan, PH_LANE_CONNECT);
    if (!ph_verdict_has(&verdict, PH_FAULT_FAIL))
        return PH_OK;
    op->why = injected;
    return verdict.status;
}

/* Each client that is refused was there, so that this ends. */
enum ph_status ph_fault_accept(struct ph_listener *listener, struct ph_op *op)
{
    struct ph_plan *plan;
    enum ph_status status =
        ph_plan_find(op->port, listener->name, PH_SIDE_SERVER, &plan);
    do {
        if (status == PH_OK || status == PH_BUSY)
            status = ph_backend_accept(listener, op->pipe, PH_TRY_NOW, &op->os);
        if (status != PH_OK)
            return status;
        if (plan)
            status = judge_client(plan, op);
        if (status != PH_OK)
            ph_backend_close(op->pipe);
    } while (status == PH_BUSY);
    return status == PH_OK ? begin_attached(op->pipe) : status;
}
