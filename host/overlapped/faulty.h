/* SPDX-License-Identifier: MIT */
/*
 * The seam: what the portable half calls instead of the back end, which it
 * reaches at once where there is no plan. And what fault*.c share.
 *
 * A read or write that waits here, and not in the back end, is PH_HELD.
 */
#ifndef PH_FAULTY_H
#define PH_FAULTY_H

#include "fault.h"
#include "operation.h"

/* Bits of op->phase of reads, writes, transacts and opens. */
enum { PH_COUNTED_IN = 1, PH_COUNTED_OUT = 2, PH_COUNTED_TRY = 4 };

/* ---- Called by the portable half -------------------------------------- */

/* Serves the head of a pipe with faults as far as that goes without waiting.
 * True: it has ended and may be gone; false: it is in flight. */
bool ph_fault_read(struct ph_op *op, bool try_now);

/* The back end's read for it has ended. */
void ph_fault_read_done(struct ph_pipe *pipe, enum ph_status status,
                        const struct ph_chunk *chunk);

/* As that of the back end; PH_BUSY: it waits here (PH_HELD). */
enum ph_status ph_fault_write(struct ph_pipe *pipe, struct ph_op *op, long *os);

/* The back end's write has ended. PH_BUSY: it goes on; else how the portable
 * half is to take it. */
enum ph_status ph_fault_write_done(struct ph_pipe *pipe, enum ph_status status,
                                   long *os);

/* As those of the back end. */
enum ph_status ph_fault_cancel_read(struct ph_pipe *pipe);
enum ph_status ph_fault_cancel_write(struct ph_pipe *pipe);
enum ph_status ph_fault_peek(struct ph_pipe *pipe, struct ph_peek *out,
                             long *os);
enum ph_status ph_fault_open(struct ph_op *op);
enum ph_status ph_fault_accept(struct ph_listener *listener, struct ph_op *op);

/* What is held back to be joined is written now, as a write of its own. */
void ph_fault_release(struct ph_pipe *pipe);

/* Closes the pipe's handle, and ends its faults if it has any: nothing is in
 * flight. */
void ph_seam_close(struct ph_pipe *pipe);

static inline enum ph_status ph_seam_write(struct ph_pipe *pipe,
                                           struct ph_op *op, long *os)
{
    return pipe->faulty ? ph_fault_write(pipe, op, os)
                        : ph_backend_write(pipe, op, os);
}

static inline enum ph_status ph_seam_cancel_read(struct ph_pipe *pipe)
{
    return pipe->faulty ? ph_fault_cancel_read(pipe)
                        : ph_backend_cancel_read(pipe);
}

static inline enum ph_status ph_seam_cancel_write(struct ph_pipe *pipe)
{
    return pipe->faulty ? ph_fault_cancel_write(pipe)
                        : ph_backend_cancel_write(pipe);
}

static inline enum ph_status ph_seam_peek(struct ph_pipe *pipe,
                                          struct ph_peek *out, long *os)
{
    if (pipe->faulty)
        return ph_fault_peek(pipe, out, os);
    return pipe->read_stops ? PH_CLOSED : ph_backend_peek(pipe, out, os);
}

/* ---- Implemented by read.c ---------------------------------------------- */

/* True: what is held was enough, and the read has ended. */
bool ph_read_served(struct ph_op *op);

/* The same with a chunk. False: it is held, and not enough. */
bool ph_read_took(struct ph_op *op, const struct ph_chunk *chunk);

/* Ends the read; as PH_CLOSED with a last line without its end. */
void ph_read_end(struct ph_op *op, enum ph_status status);

/* How many bytes the back end is to be asked for. */
size_t ph_read_ask(const struct ph_op *op);

/* ---- Among fault*.c --------------------------------------------------- */

/* What is to be done with one unit, or one operation. */
struct ph_verdict {
    uint64_t number;
    unsigned kinds; /* bits 1 << kind */
    enum ph_status status;
    int64_t delay, join, late, cut; /* cut: bytes of the lane; -1: none */
};

/* Counts the next unit (operation) of the lane, `len` bytes, and decides. Of
 * FAIL and LATE only what operations decides, of others only what units. */
struct ph_verdict ph_plan_judge(struct ph_plan *plan, enum ph_lane lane,
                                size_t len);
struct ph_verdict ph_plan_judge_operation(struct ph_plan *plan,
                                          enum ph_lane lane);

static inline bool ph_verdict_has(const struct ph_verdict *verdict,
                                  enum ph_fault_kind kind)
{
    return verdict->kinds >> kind & 1;
}

/* Notes that a fault was done. */
void ph_plan_note(struct ph_plan *plan, enum ph_lane lane,
                  enum ph_fault_kind kind, uint64_t number, int64_t value);

/* A number of the unit's own, the same for the same seed; `salt` tells one use
 * from another. */
uint64_t ph_plan_draw(const struct ph_plan *plan, enum ph_lane lane,
                      uint64_t number, uint64_t salt);

/* One direction of a connection. */
struct ph_faulty_lane {
    enum ph_lane lane;
    struct ph_plan *plan;
    struct ph_faulty_lane *next, **link; /* of the plan */
    uint8_t *flight;                     /* pipe->reading or ->writing */
    struct ph_timer timer;
    struct ph_verdict verdict;   /* of the unit on its way */
    struct ph_verdict operation; /* of the read or write at the head */
    uint64_t passed;             /* bytes before the unit */
    int64_t due;
    bool stalled;
    bool ending; /* a cancel that takes its time */
};

struct ph_faulty_in {
    struct ph_faulty_lane lane;
    struct ph_buffer unit;
    bool ends;          /* the message ends with the unit */
    bool judged;        /* the unit is whole */
    bool again;         /* it is served a second time */
    bool joins;         /* it waits for another one */
    bool asked;         /* the cancel of a read has had its answer */
    enum ph_status end; /* what the back end's reads came to, or PH_OK */
    long os;
};

struct ph_faulty_out {
    struct ph_faulty_lane lane;
    struct ph_timer join_timer;
    struct ph_buffer held; /* waits to be joined */
    struct ph_op *own;     /* writes what was held */
    size_t total, limit;   /* bytes of the write; that are let through */
    unsigned rest;         /* how often it is still to be written */
};

struct ph_faulty {
    struct ph_pipe *pipe;
    struct ph_faulty_in in;
    struct ph_faulty_out out;
    bool broken; /* both ways */
};

static inline bool ph_lane_has(const struct ph_faulty_lane *lane,
                               enum ph_fault_kind kind)
{
    return ph_verdict_has(&lane->verdict, kind);
}

/* Notes that a fault was done to the unit on its way. */
void ph_lane_note(struct ph_faulty_lane *lane, enum ph_fault_kind kind,
                  int64_t value);

/* How many of `len` bytes of the unit come before the place of its CUT; more
 * than that: it is taken out of the verdict. */
size_t ph_lane_cut(struct ph_faulty_lane *lane, size_t len);

/* Judges an operation that was not yet: bit `counted` of its phase. PH_OK: it
 * is really tried; else it has failed. */
enum ph_status ph_lane_judge(struct ph_faulty *faulty,
                             struct ph_faulty_lane *lane, struct ph_op *op,
                             int counted);

/* True: the cancel takes its time, from now on and once. */
bool ph_lane_ends_late(struct ph_faulty_lane *lane);

/* Changes one byte of the unit. */
void ph_lane_corrupt(struct ph_faulty_lane *lane, unsigned char *bytes,
                     size_t len);

/* The lane, whose name, flight and timer are set, has this plan from now on,
 * until it leaves it. */
void ph_lane_join(struct ph_faulty_lane *lane, struct ph_plan *plan);
void ph_lane_leave(struct ph_faulty_lane *lane);

/* The newest plan for these; *out is NULL where there is none. PH_OK or
 * PH_NOMEM. */
enum ph_status ph_plan_find(const struct ph_port *port, const char *name,
                            enum ph_fault_side side, struct ph_plan **out);

/* The port of a plan. */
struct ph_port *ph_plan_port(const struct ph_plan *plan);

/* Sets what a direction starts with; its lane has joined no plan yet. */
void ph_fault_begin_in(struct ph_faulty *faulty);
/* The same. */
void ph_fault_begin_out(struct ph_faulty *faulty);
/* What was held to be joined is waited for no more; nothing is in flight. */
void ph_fault_end_out(struct ph_faulty *faulty);

/* The connection is broken in the middle: a read that waits ends soon. */
void ph_fault_break(struct ph_faulty *faulty);

/* Appends to a buffer. False: no memory. */
bool ph_buffer_add(struct ph_buffer *buffer, const unsigned char *bytes,
                   size_t len);

#endif
