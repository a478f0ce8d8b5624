/* SPDX-License-Identifier: MIT */
/* Reads that rest without an operation, and what wakes them. */
#include "check.h"

#include <stddef.h>
#include <string.h>

struct resting {
    struct ph_rest rest;
    struct bed *bed;
    struct ph_op *op; /* what it is given; NULL: there is no memory */
    int wakes;
};

static struct ph_op *wake(struct ph_rest *rest, int64_t *deadline)
{
    struct resting *self =
        (struct resting *)((char *)rest - offsetof(struct resting, rest));
    self->wakes++;
    *deadline = after_ms(self->bed, 10000);
    return self->op;
}

/* A server's read rests, and has not been woken. */
static struct pair rests(struct bed *bed, struct resting *self)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    *self = (struct resting){.rest.wake = wake, .bed = bed, .op = bed_op(bed)};
    expect(!ph_read_rests(pair.server));
    expect(ph_read_rest(pair.server, &self->rest));
    run_ms(bed, 5);
    expect(ph_read_rests(pair.server) && self->wakes == 0);
    return pair;
}

/* It was woken once. */
static bool woke(struct bed *bed, struct resting *self)
{
    int64_t limit = ph_port_clock(bed->port) + CHECK_WAIT_US;
    while (!self->wakes && ph_port_clock(bed->port) < limit)
        ph_port_run(bed->port, 100000);
    return expect(self->wakes == 1);
}

static void by_a_message(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    expect_status(write_text(bed, pair.client, "hello"), OK);
    woke(bed, &self);
    expect_status(await(bed, self.op), OK);
    expect(is_text(self.op, "hello") && bed_calls(self.op) == 1);
    expect(!ph_read_rests(pair.server));
}

static void by_an_empty_message(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    expect_status(write_bytes(bed, pair.client, "", 0), OK);
    woke(bed, &self);
    expect_status(await(bed, self.op), OK);
    expect(self.op->len == 0);
    expect_status(write_text(bed, pair.client, "next"), OK);
    expect(reads_text(bed, pair.server, "next"));
}

/* What is there already needs no rest, nor a call. */
static void what_is_there(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct resting self = {.rest.wake = wake, .bed = bed, .op = bed_op(bed)};
    expect_status(write_text(bed, pair.client, "there"), OK);
    run_ms(bed, 5);
    expect(ph_read_rest(pair.server, &self.rest) && self.wakes <= 1);
    woke(bed, &self);
    expect_status(await(bed, self.op), OK);
    expect(is_text(self.op, "there"));
}

/* The second read is behind it. */
static void by_a_second_read(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    struct ph_op *second = bed_op(bed);
    ph_read_start(second, pair.server, PH_READ_MESSAGE, 0, PH_FOREVER);
    expect(self.wakes == 1 && self.op->state == PH_OP_PENDING);
    expect_status(write_text(bed, pair.client, "1"), OK);
    expect_status(await(bed, self.op), OK);
    expect(is_text(self.op, "1") && second->state == PH_OP_PENDING);
    expect_status(write_text(bed, pair.client, "2"), OK);
    expect_status(await(bed, second), OK);
    expect(is_text(second, "2"));
}

static void by_its_owner(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    ph_read_wake(pair.server);
    expect(self.wakes == 1 && self.op->state == PH_OP_PENDING);
    ph_op_cancel(self.op);
    expect_status(await(bed, self.op), CANCELLED);
    expect_status(write_text(bed, pair.client, "late"), OK);
    expect(reads_text(bed, pair.server, "late"));
}

static void by_a_close(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    ph_pipe_close(pair.server);
    woke(bed, &self);
    expect_status(await(bed, self.op), CANCELLED);
    expect(!ph_read_rests(pair.server));
}

static void by_the_peers_end(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    expect_status(close_pipe(bed, pair.client), OK);
    woke(bed, &self);
    expect_status(await(bed, self.op), CLOSED);
}

static void by_a_disconnect(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    const char *why;
    expect_status(ph_pipe_disconnect(pair.server, &why), OK);
    woke(bed, &self);
    await(bed, self.op);
    expect(self.op->status != PH_OK && self.op->status != PH_PENDING);
    expect(!ph_read_rests(pair.server));
}

static void forgotten(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    ph_read_forget(pair.server);
    expect(!ph_read_rests(pair.server));
    ph_read_forget(pair.server);
    run_ms(bed, 5);
    ph_pipe_close(pair.server);
    run_ms(bed, 5);
    expect(self.wakes == 0 && self.op->state == PH_OP_IDLE);
}

/* The owner ends the pipe; nothing is left of the read. */
static void no_memory_for_a_message(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    self.op = NULL;
    expect_status(write_text(bed, pair.client, "lost"), OK);
    woke(bed, &self);
    expect(!ph_read_rests(pair.server));
    expect_status(close_pipe(bed, pair.server), OK);
    expect_status(read_outcome(bed, pair.client), CLOSED);
}

static void no_memory_for_a_close(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    self.op = NULL;
    expect_status(close_pipe(bed, pair.server), OK);
    expect(self.wakes == 1 && !ph_read_rests(pair.server));
    expect_status(read_outcome(bed, pair.client), CLOSED);
}

static void no_memory_for_a_second_read(struct bed *bed)
{
    struct resting self;
    struct pair pair = rests(bed, &self);
    self.op = NULL;
    ph_read_wake(pair.server);
    expect(self.wakes == 1 && !ph_read_rests(pair.server));
    expect_status(close_pipe(bed, pair.server), OK);
    expect_status(read_outcome(bed, pair.client), CLOSED);
}

static void spares(struct bed *bed)
{
    struct ph_op *op = ph_op_take(bed->port);
    if (!expect(op && op->state == PH_OP_IDLE))
        return;
    ph_op_give(op);
    expect(ph_op_take(bed->port) == op);
    ph_op_give(op);
}

int main(void)
{
    run_test("a message wakes", by_a_message);
    run_test("an empty message wakes", by_an_empty_message);
    run_test("what is there", what_is_there);
    run_test("a second read wakes", by_a_second_read);
    run_test("its owner wakes it", by_its_owner);
    run_test("a close wakes", by_a_close);
    run_test("the peer's end wakes", by_the_peers_end);
    run_test("a disconnect wakes", by_a_disconnect);
    run_test("forgotten", forgotten);
    run_test("no memory for a message", no_memory_for_a_message);
    run_test("no memory for a close", no_memory_for_a_close);
    run_test("no memory when it is woken", no_memory_for_a_second_read);
    run_test("an operation is given back", spares);
    return tests_end();
}
