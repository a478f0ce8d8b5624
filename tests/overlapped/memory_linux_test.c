/* SPDX-License-Identifier: MIT */
/* run.py: systems=linux */
/*
 * One allocation after the other fails: whatever was under way ends as nomem,
 * nothing is leaked, and the port can be closed. The allocator is this file's,
 * in front of the C library's; so there is no such pass with sanitizers.
 */
#include "check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LONG_WRITE (2u << 20) /* more than a socket holds */
#define LONGEST    100000
#define MOST       2000 /* allocations of a life: far fewer are made */

void *__libc_malloc(size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);

static struct {
    long live;
    long until; /* the allocation that fails, counted down; 0: none */
    bool failed;
} heap;

static bool fails(void)
{
    if (!heap.until || --heap.until)
        return false;
    heap.failed = true;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    void *memory = fails() ? NULL : __libc_malloc(size);
    heap.live += memory != NULL;
    return memory;
}

void *calloc(size_t count, size_t size)
{
    void *memory = malloc(count * size);
    return memory ? memset(memory, 0, count * size) : NULL;
}

void *realloc(void *memory, size_t size)
{
    if (!memory)
        return malloc(size);
    return fails() ? NULL : __libc_realloc(memory, size);
}

void free(void *memory)
{
    heap.live -= memory != NULL;
    __libc_free(memory);
}

/* ---- A life with everything in it --------------------------------------- */

enum { OPS = 12 };

struct life {
    struct bed bed; /* for its port and name only */
    struct ph_pipe *server, *client;
    struct ph_op ops[OPS];
    int used;
};

static struct ph_op *next_op(struct life *life)
{
    return &life->ops[life->used++];
}

static void run_until_done(struct life *life, const struct ph_op *op)
{
    int64_t limit = ph_port_clock(life->bed.port) + CHECK_WAIT_US;
    while (op->state == PH_OP_PENDING && ph_port_clock(life->bed.port) < limit)
        ph_port_run(life->bed.port, 100000);
}

/* Done well? Else it was for want of memory. */
static bool went_well(struct life *life, struct ph_op *op,
                      enum ph_status started)
{
    enum ph_status status = started;
    if (started == PH_OK) {
        run_until_done(life, op);
        expect(op->state == PH_OP_DONE);
        status = op->status;
    }
    if (status != PH_OK && expect(heap.failed))
        expect_status(status, NOMEM);
    return status == PH_OK;
}

static bool connects(struct life *life, enum ph_mode mode)
{
    struct ph_create_options options = create_options(mode);
    struct ph_open_options open = open_options();
    struct ph_op *op = next_op(life);
    options.max_message = open.max_message = LONGEST;
    life->server = ph_pipe_new(life->bed.port);
    life->client = ph_pipe_new(life->bed.port);
    if (!life->server || !life->client)
        return false;
    if (!went_well(life, op,
                   ph_create_start(op, life->server, life->bed.name, &options,
                                   PH_NOW)))
        return false;
    op = next_op(life);
    if (!went_well(
            life, op,
            ph_open_start(op, life->client, life->bed.name, &open, PH_NOW)))
        return false;
    op = next_op(life);
    return went_well(
        life, op,
        ph_connect_start(op, life->server, after_ms(&life->bed, 5000)));
}

static bool writes(struct life *life, struct ph_pipe *to, size_t len)
{
    static unsigned char bytes[LONG_WRITE];
    struct ph_op *op = next_op(life);
    return went_well(life, op, ph_write_start(op, to, bytes, len, PH_FOREVER));
}

static bool reads(struct life *life, enum ph_goal goal, size_t want)
{
    struct ph_op *op = next_op(life);
    if (!went_well(life, op,
                   ph_read_start(op, life->server, goal, want,
                                 after_ms(&life->bed, 5000))))
        return false;
    if (ph_op_keep(op) == PH_OK)
        return true;
    expect(heap.failed && !op->data && !op->len);
    return false;
}

static void live_in_messages(struct life *life)
{
    struct ph_op *op;
    if (!connects(life, PH_MODE_MESSAGE) || !writes(life, life->client, 5000) ||
        !reads(life, PH_READ_SOME, 100) || !reads(life, PH_READ_MESSAGE, 0))
        return;
    op = next_op(life);
    if (ph_transact_start(op, life->client, "ask", 3, PH_FOREVER) != PH_OK ||
        !reads(life, PH_READ_MESSAGE, 0) || !writes(life, life->server, 9))
        return;
    if (went_well(life, op, PH_OK))
        expect(op->len == 9);
}

/* A write that pends, reads that gather, and a close that waits for both. */
static void live_in_bytes(struct life *life)
{
    static unsigned char bytes[LONG_WRITE];
    struct ph_op *out, *queued;
    if (!connects(life, PH_MODE_BYTE))
        return;
    out = next_op(life);
    if (ph_write_start(out, life->client, bytes, sizeof bytes, PH_FOREVER) !=
        PH_OK)
        return;
    queued = next_op(life);
    if (out->state == PH_OP_PENDING)
        ph_write_start(queued, life->client, "\n", 1, PH_FOREVER);
    if (out->state == PH_OP_PENDING && queued->state == PH_OP_PENDING &&
        reads(life, PH_READ_EXACT, sizeof bytes - 7) &&
        reads(life, PH_READ_LINE, 0))
        expect(out->state == PH_OP_DONE);
}

static void end_life(struct life *life)
{
    struct ph_port *port = life->bed.port;
    struct ph_counts left;
    int64_t limit = ph_port_clock(port) + CHECK_WAIT_US;
    if (life->server)
        ph_pipe_release(life->server);
    if (life->client)
        ph_pipe_release(life->client);
    do {
        ph_port_run(port, 10000);
        left = ph_port_counts(port);
    } while ((left.pipes || left.operations || left.timers || left.listeners) &&
             ph_port_clock(port) < limit);
    expect(!left.pipes && !left.operations && !left.timers && !left.listeners);
    for (int i = 0; i < life->used; i++)
        if (expect(life->ops[i].state != PH_OP_PENDING))
            ph_op_clear(&life->ops[i]);
    ph_port_destroy(port);
}

/* One life whose n-th allocation fails; false: it had fewer. */
static bool live(struct bed *bed, void (*how)(struct life *life), long n)
{
    struct life life = {0};
    long before = heap.live, os;
    heap.failed = false;
    memcpy(life.bed.name, bed->name, sizeof life.bed.name);
    heap.until = n;
    if (ph_port_create(&life.bed.port, &os) == PH_OK) {
        how(&life);
        end_life(&life);
    } else {
        expect(heap.failed);
    }
    heap.until = 0;
    expect(heap.live == before);
    return heap.failed;
}

static void live_often(struct bed *bed, void (*how)(struct life *life))
{
    long n = 1;
    live(bed, how, 0); /* what the C library keeps for itself is there now */
    while (n < MOST && live(bed, how, n))
        n++;
    expect(n > 15 && n < MOST);
}

static void messages(struct bed *bed)
{
    live_often(bed, live_in_messages);
}

static void bytes(struct bed *bed)
{
    live_often(bed, live_in_bytes);
}

int main(void)
{
    run_test("no memory among messages", messages);
    run_test("no memory among bytes", bytes);
    return tests_end();
}
