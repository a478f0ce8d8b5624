/* SPDX-License-Identifier: MIT */
/* Time-outs, cancels, disconnect and close: how operations end otherwise. */
#include "check.h"

#include <stdlib.h>
#include <string.h>

#define LONG_WRITE (4u << 20) /* more than any system holds */

/* A write that pends until somebody reads. */
static struct ph_op *pending_write(struct bed *bed, struct ph_pipe *pipe)
{
    struct ph_op *op = bed_op(bed);
    void *bytes = calloc(1, LONG_WRITE);
    expect_status(ph_write_start(op, pipe, bytes, LONG_WRITE, PH_FOREVER), OK);
    expect(op->state == PH_OP_PENDING);
    free(bytes);
    return op;
}

static void timeout_then_late_data(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    int64_t begin = ph_port_clock(bed->port);
    ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, begin + 30000);
    expect_status(await(bed, op), TIMEOUT);
    expect(ph_port_clock(bed->port) >= begin + 30000);
    expect(bed_calls(op) == 1);
    expect_status(write_text(bed, pair.client, "late"), OK);
    run_ms(bed, 5);
    expect(op->status == PH_TIMEOUT && op->len == 0);
    expect(reads_text(bed, pair.server, "late"));
}

static void timeout_keeps_what_came(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *op = bed_op(bed);
    expect_status(write_text(bed, pair.client, "abc"), OK);
    ph_read_start(op, pair.server, PH_READ_EXACT, 6, after_ms(bed, 20));
    expect_status(await(bed, op), TIMEOUT);
    expect_status(write_text(bed, pair.client, "def"), OK);
    ph_read_start(op, pair.server, PH_READ_EXACT, 6, after_ms(bed, 2000));
    expect_status(await(bed, op), OK);
    expect(is_text(op, "abcdef"));
}

static void read_now(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    for (int i = 0; i < 20; i++) {
        ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, PH_NOW);
        expect_status(await(bed, op), TIMEOUT);
        expect_status(write_text(bed, pair.client, "x"), OK);
        ph_read_start(op, pair.server, PH_READ_MESSAGE, 0, PH_NOW);
        expect_status(await(bed, op), OK);
        expect(is_text(op, "x"));
    }
}

struct writer {
    struct ph_post post;
    struct ph_pipe *pipe;
    struct bed *bed;
    struct ph_op *op;
};

/* A message against a cancel, in every order: it is either the result or still
 * there, never both and never neither. */
static void cancel_against_data(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *in = bed_op(bed), *out = bed_op(bed);
    uint32_t seed = 7;
    int data = 0, cancelled = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t order = next_random(&seed) % 4;
        ph_read_start(in, pair.server, PH_READ_MESSAGE, 0, PH_FOREVER);
        if (order == 0)
            ph_op_cancel(in);
        if (order == 2)
            run_ms(bed, 0);
        ph_write_start(out, pair.client, &i, sizeof i, PH_FOREVER);
        if (order != 0)
            ph_op_cancel(in);
        if (await(bed, in) == PH_OK) {
            data++;
            expect(in->len == sizeof i && memcmp(in->data, &i, sizeof i) == 0);
        } else {
            cancelled++;
            expect_status(in->status, CANCELLED);
            ph_read_start(in, pair.server, PH_READ_MESSAGE, 0,
                          after_ms(bed, 2000));
            expect_status(await(bed, in), OK);
            expect(in->len == sizeof i && memcmp(in->data, &i, sizeof i) == 0);
        }
        expect_status(await(bed, out), OK);
    }
    expect(data + cancelled == 1000);
}

static void write_from_thread(void *user)
{
    struct writer *writer = user;
    ph_port_post(writer->bed->port, &writer->post);
}

static void post_writes(struct ph_post *post)
{
    struct writer *writer = ph_container_of(post, struct writer, post);
    ph_write_start(writer->op, writer->pipe, "t", 1, PH_FOREVER);
}

static void cancel_against_post(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *in = bed_op(bed);
    for (int i = 0; i < 50; i++) {
        struct writer writer = {
            {NULL, post_writes}, pair.client, bed, bed_op(bed)};
        ph_read_start(in, pair.server, PH_READ_MESSAGE, 0,
                      ph_port_clock(bed->port) + i * 20);
        struct thread *thread = thread_start(write_from_thread, &writer);
        if (!expect(thread != NULL))
            return;
        enum ph_status status = await(bed, in);
        thread_join(thread);
        while (writer.op->state == PH_OP_IDLE)
            run_ms(bed, 0);
        expect_status(await(bed, writer.op), OK);
        if (status == PH_OK)
            expect(is_text(in, "t"));
        else if (expect_status(status, TIMEOUT))
            expect(reads_text(bed, pair.server, "t"));
    }
}

static void cancel_connect(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct pair pair = {bed_pipe(bed), bed_pipe(bed)};
    struct ph_op *op = bed_op(bed);
    expect_status(create(bed, pair.server, &options), OK);
    for (int i = 0; i < 20; i++) {
        ph_connect_start(op, pair.server, PH_FOREVER);
        if (i % 2)
            run_ms(bed, 0);
        ph_op_cancel(op);
        expect_status(await(bed, op), CANCELLED);
    }
    ph_connect_start(op, pair.server, after_ms(bed, 20));
    expect_status(await(bed, op), TIMEOUT);
    expect(ph_pipe_state(pair.server) == PH_PIPE_LISTENING);
    /* The instance has gone on listening. */
    expect_status(open_client(bed, pair.client), OK);
    expect_status(write_text(bed, pair.client, "early"), OK);
    expect_status(connect_client(bed, pair.server), OK);
    expect(reads_text(bed, pair.server, "early"));
}

static void cancel_write(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *op = pending_write(bed, pair.client), *queued = bed_op(bed);
    expect_status(ph_write_start(queued, pair.client, "q", 1, PH_FOREVER), OK);
    ph_op_cancel(queued);
    expect_status(await(bed, queued), CANCELLED);
    expect(queued->bytes == 0);
    ph_op_cancel(op);
    expect_status(await(bed, op), CANCELLED);
    expect(op->bytes == -1 || op->bytes < LONG_WRITE);
    /* What was sent of it may be torn: the pipe takes no more. */
    expect_status(write_text(bed, pair.client, "more"), CLOSED);
    expect_status(write_text(bed, pair.server, "fine"), OK);
    expect(reads_text(bed, pair.client, "fine"));
}

static void write_timeout(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *op = bed_op(bed);
    void *bytes = calloc(1, LONG_WRITE);
    ph_write_start(op, pair.server, bytes, LONG_WRITE, after_ms(bed, 30));
    free(bytes);
    expect_status(await(bed, op), TIMEOUT);
    expect_status(write_text(bed, pair.server, "more"), CLOSED);
}

/* ---- Disconnect --------------------------------------------------------- */

static void disconnect_pending(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *in = bed_op(bed), *in2 = bed_op(bed), *theirs = bed_op(bed);
    struct ph_op *out = pending_write(bed, pair.server);
    const char *why;
    ph_read_start(in, pair.server, PH_READ_SOME, 10, PH_FOREVER);
    ph_read_start(in2, pair.server, PH_READ_SOME, 10, PH_FOREVER);
    expect_status(ph_pipe_disconnect(pair.server, &why), OK);
    expect(ph_pipe_state(pair.server) == PH_PIPE_DISCONNECTED);
    expect_status(await(bed, in), CLOSED);
    expect_status(await(bed, in2), CLOSED);
    expect_status(await(bed, out), CLOSED);
    expect_status(write_text(bed, pair.server, "x"), CLOSED);
    expect_status(read_outcome(bed, pair.server), CLOSED);
    expect_status(ph_pipe_disconnect(pair.server, &why), CLOSED);
    ph_read_start(theirs, pair.client, PH_READ_EXACT, LONG_WRITE,
                  after_ms(bed, 2000));
    expect_status(await(bed, theirs), CLOSED);
    expect_status(write_text(bed, pair.client, "x"), CLOSED);
    expect_status(ph_pipe_disconnect(pair.client, &why), MISUSE);
}

/* The same instance serves one client after the other. */
static void connect_again(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *server = bed_pipe(bed);
    const char *why;
    expect_status(create(bed, server, &options), OK);
    for (int i = 0; i < 50; i++) {
        struct ph_pipe *client = bed_pipe(bed);
        struct ph_op *op = bed_op(bed), *pending = bed_op(bed);
        ph_connect_start(op, server, after_ms(bed, 5000));
        expect_status(open_client(bed, client), OK);
        expect_status(await(bed, op), OK);
        expect_status(write_text(bed, client, "question"), OK);
        expect(reads_text(bed, server, "question"));
        expect_status(write_text(bed, server, "answer"), OK);
        expect(reads_text(bed, client, "answer"));
        if (i % 3 == 0)
            expect_status(write_text(bed, client, "unread"), OK);
        if (i % 3 == 1)
            ph_read_start(pending, server, PH_READ_MESSAGE, 0, PH_FOREVER);
        expect_status(ph_pipe_disconnect(server, &why), OK);
        expect_status(read_outcome(bed, client), CLOSED);
        expect_status(close_pipe(bed, client), OK);
    }
}

/* ---- Close -------------------------------------------------------------- */

static void close_with_pending(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *in = bed_op(bed), *in2 = bed_op(bed), *end = bed_op(bed);
    ph_read_start(in, pair.server, PH_READ_MESSAGE, 0, PH_FOREVER);
    ph_read_start(in2, pair.server, PH_READ_MESSAGE, 0, PH_FOREVER);
    expect_status(ph_close_start(end, pair.server, PH_NOW), OK);
    expect_status(await(bed, end), OK);
    expect(in->state == PH_OP_DONE && in->status == PH_CANCELLED);
    expect(in2->state == PH_OP_DONE && in2->status == PH_CANCELLED);
    expect(bed_calls(in) == 1 && bed_calls(in2) == 1);
    expect_status(ph_close_start(bed_op(bed), pair.server, PH_NOW), MISUSE);
    expect_status(read_outcome(bed, pair.client), CLOSED);
    expect_status(write_text(bed, pair.client, "x"), CLOSED);
}

static void close_during_connect(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *server = bed_pipe(bed);
    struct ph_op *op = bed_op(bed);
    expect_status(create(bed, server, &options), OK);
    ph_connect_start(op, server, PH_FOREVER);
    run_ms(bed, 2);
    expect_status(close_pipe(bed, server), OK);
    expect_status(op->status, CANCELLED);
    expect(bed_calls(op) == 1);
}

/* What was accepted stays readable, also when there is unread input. */
static void close_keeps_data(struct bed *bed)
{
    for (int i = 0; i < 20; i++) {
        struct pair pair =
            bed_pair(bed, i % 2 ? PH_MODE_BYTE : PH_MODE_MESSAGE);
        expect_status(write_text(bed, pair.client, "never read"), OK);
        expect_status(write_text(bed, pair.server, "last words"), OK);
        expect_status(close_pipe(bed, pair.server), OK);
        expect(reads_text(bed, pair.client, "last words"));
        expect_status(read_outcome(bed, pair.client), CLOSED);
        expect_status(close_pipe(bed, pair.client), OK);
    }
}

static void close_waits_for_writes(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *out = pending_write(bed, pair.server), *end = bed_op(bed);
    struct ph_op *in = bed_op(bed);
    size_t got = 0;
    expect_status(ph_close_start(end, pair.server, PH_NOW), OK);
    while (got < LONG_WRITE) {
        ph_read_start(in, pair.client, PH_READ_SOME, LONG_WRITE,
                      after_ms(bed, 2000));
        if (!expect_status(await(bed, in), OK))
            break;
        got += in->len;
    }
    expect_status(await(bed, out), OK);
    expect_status(await(bed, end), OK);
    expect_status(read_outcome(bed, pair.client), CLOSED);
}

static void close_gives_up_writes(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *out = pending_write(bed, pair.server), *end = bed_op(bed);
    int64_t begin = ph_port_clock(bed->port);
    expect_status(ph_close_start(end, pair.server, PH_NOW), OK);
    expect_status(await(bed, end), OK);
    expect_status(out->status, CANCELLED);
    expect(ph_port_clock(bed->port) >= begin + PH_CLOSE_DRAIN_US);
}

/* Pipes that are only dropped are closed as well. */
static void release_with_pending(struct bed *bed)
{
    struct ph_pipe *server = ph_pipe_new(bed->port);
    struct ph_pipe *client = bed_pipe(bed);
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    expect_status(create(bed, server, &options), OK);
    expect_status(open_client(bed, client), OK);
    expect_status(connect_client(bed, server), OK);
    ph_read_start(op, server, PH_READ_MESSAGE, 0, PH_FOREVER);
    ph_pipe_release(server);
    expect_status(await(bed, op), CANCELLED);
    expect_status(read_outcome(bed, client), CLOSED);
}

static void peer_goes(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *in = bed_op(bed);
    ph_read_start(in, pair.server, PH_READ_MESSAGE, 0, PH_FOREVER);
    expect_status(close_pipe(bed, pair.client), OK);
    expect_status(await(bed, in), CLOSED);
    expect_status(write_text(bed, pair.server, "x"), CLOSED);
    expect_status(read_outcome(bed, pair.server), CLOSED);
}

static void peer_goes_during_write(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_BYTE);
    struct ph_op *out = pending_write(bed, pair.server);
    expect_status(close_pipe(bed, pair.client), OK);
    expect_status(await(bed, out), CLOSED);
}

/* ---- Flush -------------------------------------------------------------- */

static void flush(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    ph_flush_start(op, pair.server, after_ms(bed, 2000));
    expect_status(await(bed, op), OK);
    expect_status(write_text(bed, pair.server, "a"), OK);
    ph_flush_start(op, pair.server, after_ms(bed, 30));
    expect_status(await(bed, op), TIMEOUT);
    ph_flush_start(op, pair.server, PH_FOREVER);
    run_ms(bed, 20);
    expect(op->state == PH_OP_PENDING);
    expect(reads_text(bed, pair.client, "a"));
    expect_status(await(bed, op), OK);
    expect_status(write_text(bed, pair.server, "b"), OK);
    ph_flush_start(op, pair.server, PH_FOREVER);
    run_ms(bed, 5);
    ph_op_cancel(op);
    expect_status(await(bed, op), CANCELLED);
    ph_flush_start(op, pair.server, PH_FOREVER);
    run_ms(bed, 5);
    expect_status(close_pipe(bed, pair.client), OK);
    /* A socket's closer takes out what is unread: it looks like read. */
    if (await(bed, op) != PH_OK || has_named_pipes)
        expect_status(op->status, CLOSED);
}

static void flush_now(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *op = bed_op(bed);
    for (int i = 0; i < 20; i++) {
        expect_status(write_text(bed, pair.server, "a"), OK);
        ph_flush_start(op, pair.server, PH_NOW);
        expect_status(await(bed, op), TIMEOUT);
        expect(reads_text(bed, pair.client, "a"));
    }
}

/* More than there are helpers for; each ends in its own way. */
static void many_flushes(struct bed *bed)
{
    enum { COUNT = 12 };
    struct pair pairs[COUNT];
    struct ph_op *ops[COUNT];
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    const char *why;
    for (int i = 0; i < COUNT; i++) {
        pairs[i] = bed_pair_with(bed, &options);
        expect_status(write_text(bed, pairs[i].server, "x"), OK);
        ops[i] = bed_op(bed);
        ph_flush_start(ops[i], pairs[i].server, PH_FOREVER);
    }
    run_ms(bed, 20);
    for (int i = 0; i < COUNT; i++) {
        expect(ops[i]->state == PH_OP_PENDING);
        if (i % 3 == 0)
            expect(reads_text(bed, pairs[i].client, "x"));
        else if (i % 3 == 1)
            ph_op_cancel(ops[i]);
        else
            expect_status(ph_pipe_disconnect(pairs[i].server, &why), OK);
    }
    for (int i = 0; i < COUNT; i++) {
        enum ph_status status = await(bed, ops[i]);
        if (i % 3 == 0)
            expect_status(status, OK);
        else if (i % 3 == 1)
            expect_status(status, CANCELLED);
        else
            expect_status(status, CLOSED);
    }
}

static void close_tells_all_read(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *end = bed_op(bed);
    expect_status(write_text(bed, pair.server, "bye"), OK);
    ph_close_start(end, pair.server, after_ms(bed, 5000));
    run_ms(bed, 20);
    expect(end->state == PH_OP_PENDING);
    expect(reads_text(bed, pair.client, "bye"));
    expect_status(await(bed, end), OK);
    expect(end->all_read);
    expect_status(read_outcome(bed, pair.client), CLOSED);
}

static void close_tells_not_read(struct bed *bed)
{
    struct pair pair = bed_pair(bed, PH_MODE_MESSAGE);
    struct ph_op *end = bed_op(bed);
    expect_status(write_text(bed, pair.server, "bye"), OK);
    ph_close_start(end, pair.server, after_ms(bed, 30));
    expect_status(await(bed, end), OK);
    expect(!end->all_read);
    expect(reads_text(bed, pair.client, "bye"));
}

int main(void)
{
    run_test("timeout then late data", timeout_then_late_data);
    run_test("timeout keeps what came", timeout_keeps_what_came);
    run_test("read now", read_now);
    run_test("cancel against data", cancel_against_data);
    run_test("cancel against post", cancel_against_post);
    run_test("cancel connect", cancel_connect);
    run_test("cancel write", cancel_write);
    run_test("write timeout", write_timeout);
    run_test("disconnect pending", disconnect_pending);
    run_test("connect again", connect_again);
    run_test("close with pending", close_with_pending);
    run_test("close during connect", close_during_connect);
    run_test("close keeps data", close_keeps_data);
    run_test("close waits for writes", close_waits_for_writes);
    run_test("close gives up writes", close_gives_up_writes);
    run_test("release with pending", release_with_pending);
    run_test("peer goes", peer_goes);
    run_test("peer goes during write", peer_goes_during_write);
    run_test("flush", flush);
    run_test("flush now", flush_now);
    run_test("many flushes", many_flushes);
    run_test("close tells all read", close_tells_all_read);
    run_test("close tells not read", close_tells_not_read);
    return tests_end();
}
