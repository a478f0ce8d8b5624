/* SPDX-License-Identifier: MIT */
/*
 * Faults for tests: what a system or a peer may do, done on purpose. They lie
 * between the portable half and the back end, so that queues, deadlines, cancel
 * and close meet them as if the system had made them.
 *
 * A plan belongs to a pipe's name. It is taken up by connections that begin
 * while it is there: of several plans for it, the newest one.
 */
#ifndef PH_FAULT_H
#define PH_FAULT_H

#include "overlapped.h"

/* What is counted, each from 1, over all connections of the plan. A unit is a
 * message, or of a byte pipe what one read of the system brought, or one write;
 * of open and connect one try. */
enum ph_lane {
    PH_LANE_IN,      /* what this end reads */
    PH_LANE_OUT,     /* what it writes */
    PH_LANE_OPEN,    /* tries of a client to open */
    PH_LANE_CONNECT, /* clients that come to a server */
    PH_LANES
};

/* In the order in which they are applied to one unit. FAIL counts operations
 * and not units: a read that waits has its number already. */
#define PH_FAULT_LIST(X)                                                       \
    X(FAIL, "fail")           /* the operation ends as `status` */             \
    X(REFUSE, "refuse")       /* open: absent; connect: dropped at once */     \
    X(BUSY, "busy")           /* open: busy */                                 \
    X(STALL, "stall")         /* neither this unit nor a later one */          \
    X(CUT, "cut")             /* closed after `value` bytes of the lane */     \
    X(DROP, "drop")           /* the unit is lost */                           \
    X(CORRUPT, "corrupt")     /* one of its bytes is another one */            \
    X(JOIN, "join")           /* waits `value` for the next: one unit */       \
    X(DUPLICATE, "duplicate") /* comes twice */                                \
    X(SPLIT, "split")         /* each byte is a unit */                        \
    X(DELAY, "delay")         /* comes `value` ± `spread` later */            \
    X(LATE, "late")           /* a cancel takes `value` to end it */

#define PH_FAULT_ENUM_(name, text) PH_FAULT_##name,
enum ph_fault_kind { PH_FAULT_LIST(PH_FAULT_ENUM_) PH_FAULT_KINDS };

/* One kind of fault, and when: the units from `first` to `last`, of these each
 * `every`-th, and of these each with the chance of `parts` in PH_FAULT_WHOLE.
 */
#define PH_FAULT_WHOLE 1000000u
struct ph_fault {
    enum ph_fault_kind kind;
    unsigned lanes; /* bits 1 << lane */
    uint64_t first, last, every;
    uint32_t parts;
    int64_t value, spread; /* microseconds; of CUT bytes */
    enum ph_status status; /* FAIL */
};

enum ph_fault_side { PH_SIDE_ANY, PH_SIDE_CLIENT, PH_SIDE_SERVER };

struct ph_plan_options {
    const char *name; /* of the pipe, case ignored */
    enum ph_fault_side side;
    uint64_t seed;
    bool together; /* operations are counted over all lanes of its faults */
    const struct ph_fault *faults;
    size_t count;
};

/* What was done, in the order in which it was. */
struct ph_fault_event {
    enum ph_lane lane;
    enum ph_fault_kind kind;
    uint64_t number; /* of the unit, or of the operation */
    int64_t value;   /* delay: microseconds; corrupt, cut: which byte */
};

#define PH_FAULT_EVENTS 4096 /* more are counted but not kept */

/* What has come by in one lane, faulty or not. */
struct ph_lane_counts {
    uint64_t units, bytes, operations;
    uint64_t done[PH_FAULT_KINDS]; /* faults */
};

struct ph_plan;

/* Puts up a plan; options are copied. The caller closes and releases it. PH_OK
 * or PH_NOMEM. */
enum ph_status ph_plan_add(struct ph_port *port,
                           const struct ph_plan_options *options,
                           struct ph_plan **out);

/* Takes it down, once: no more faults, and what they hold back goes on. Counts
 * and events stay. */
void ph_plan_close(struct ph_plan *plan);

/* The caller is done with a closed plan. */
void ph_plan_release(struct ph_plan *plan);

/* Valid until the plan's release. */
const struct ph_lane_counts *ph_plan_counts(const struct ph_plan *plan,
                                            enum ph_lane lane);

/* The first PH_FAULT_EVENTS of what was done; valid until the port runs. */
const struct ph_fault_event *ph_plan_events(const struct ph_plan *plan,
                                            size_t *count);

/* The text of a kind, as Lua sees it; a static string. */
const char *ph_fault_name(enum ph_fault_kind kind);

#endif
