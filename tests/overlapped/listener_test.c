/* SPDX-License-Identifier: MIT */
/* Instances, and clients that come, wait and go. */
#include "check.h"

#include <string.h>

static enum ph_status open_with(struct bed *bed, struct ph_pipe *pipe,
                                const struct ph_open_options *options,
                                int64_t deadline)
{
    struct ph_op *op = bed_op(bed);
    enum ph_status status =
        ph_open_start(op, pipe, bed->name, options, deadline);
    return status == PH_OK ? await(bed, op) : status;
}

static void absent(struct bed *bed)
{
    struct ph_open_options options = open_options();
    struct ph_op *op = bed_op(bed);
    int64_t begin = ph_port_clock(bed->port);
    expect_status(open_client(bed, bed_pipe(bed)), ABSENT);
    expect_status(open_with(bed, bed_pipe(bed), &options, begin + 30000),
                  TIMEOUT);
    expect(ph_port_clock(bed->port) >= begin + 30000);
    options.wait = PH_OPEN_FREE;
    expect_status(open_with(bed, bed_pipe(bed), &options, after_ms(bed, 2000)),
                  ABSENT);
    ph_available_start(op, bed->port, bed->name, PH_FOREVER);
    expect_status(await(bed, op), ABSENT);
}

/* An open with a deadline finds a pipe that appears later. */
static void appears_later(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_open_options open = open_options();
    struct ph_pipe *client = bed_pipe(bed), *server = bed_pipe(bed);
    struct ph_op *op = bed_op(bed);
    ph_open_start(op, client, bed->name, &open, after_ms(bed, 5000));
    run_ms(bed, 30);
    expect(op->state == PH_OP_PENDING);
    expect_status(create(bed, server, &options), OK);
    expect_status(await(bed, op), OK);
    expect_status(connect_client(bed, server), OK);
    expect_status(write_text(bed, client, "hello"), OK);
    expect(reads_text(bed, server, "hello"));
}

/* Clients that are there before the server asks, and their early words. */
static void backlog(struct bed *bed)
{
    enum { CLIENTS = PH_BACKLOG };
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *clients[CLIENTS], *servers[CLIENTS];
    bool seen[CLIENTS] = {false};
    servers[0] = bed_pipe(bed);
    expect_status(create(bed, servers[0], &options), OK);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = bed_pipe(bed);
        expect_status(open_client(bed, clients[i]), OK);
        expect_status(write_bytes(bed, clients[i], &i, sizeof i), OK);
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct ph_op *op = bed_op(bed);
        int number = -1;
        if (i > 0) {
            servers[i] = bed_pipe(bed);
            expect_status(create(bed, servers[i], &options), OK);
        }
        expect_status(connect_client(bed, servers[i]), OK);
        ph_read_start(op, servers[i], PH_READ_MESSAGE, 0, after_ms(bed, 2000));
        expect_status(await(bed, op), OK);
        memcpy(&number, op->data, sizeof number);
        if (expect(number >= 0 && number < CLIENTS))
            expect(!seen[number]);
        seen[number] = true;
        expect_status(write_bytes(bed, servers[i], &number, sizeof number), OK);
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct ph_op *op = bed_op(bed);
        ph_read_start(op, clients[i], PH_READ_MESSAGE, 0, after_ms(bed, 2000));
        expect_status(await(bed, op), OK);
        expect(op->len == sizeof i && memcmp(op->data, &i, sizeof i) == 0);
    }
}

/* No more of them than were asked for come in. */
static void backlog_is_full(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *server = bed_pipe(bed);
    int in = 0;
    options.backlog = 2;
    expect_status(create(bed, server, &options), OK);
    for (int i = 0; i < 10; i++) {
        if (open_client(bed, bed_pipe(bed)) == PH_OK)
            in++;
        run_ms(bed, 1);
    }
    expect(in == 2 || (in == 3 && !has_named_pipes));
}

/* What has come is found without a turn of the loop in between. */
static void connect_now(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    for (int i = 0; i < 20; i++) {
        struct ph_pipe *server = bed_pipe(bed), *client = bed_pipe(bed);
        struct ph_op *op = bed_op(bed);
        expect_status(create(bed, server, &options), OK);
        ph_connect_start(op, server, PH_NOW);
        expect(op->state == PH_OP_DONE);
        expect_status(op->status, TIMEOUT);
        expect_status(open_client(bed, client), OK);
        ph_connect_start(op, server, PH_NOW);
        expect(op->state == PH_OP_DONE);
        expect_status(op->status, OK);
        expect(bed_calls(op) == 0);
        ph_connect_start(op, server, PH_FOREVER); /* 535 */
        expect_status(op->status, OK);
        expect_status(write_text(bed, client, "hello"), OK);
        expect(reads_text(bed, server, "hello"));
        expect_status(close_pipe(bed, client), OK);
        expect_status(close_pipe(bed, server), OK);
        run_ms(bed, 0);
    }
}

static void came_and_went(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    for (int i = 0; i < 10; i++) {
        struct ph_pipe *server = bed_pipe(bed), *client = bed_pipe(bed);
        struct ph_op *op = bed_op(bed);
        expect_status(create(bed, server, &options), OK);
        if (i % 2)
            ph_connect_start(op, server, PH_FOREVER);
        expect_status(open_client(bed, client), OK);
        expect_status(write_text(bed, client, "was here"), OK);
        expect_status(close_pipe(bed, client), OK);
        if (i % 2)
            expect_status(await(bed, op), OK);
        else
            expect_status(connect_client(bed, server), OK);
        expect(reads_text(bed, server, "was here"));
        expect_status(read_outcome(bed, server), CLOSED);
        expect_status(close_pipe(bed, server), OK);
    }
}

/* Two clients of one instance in the same turn: what the system has to say of
 * the first is not meant for the second. */
struct change {
    struct bed *bed;
    struct pair pair; /* served; its client writes */
    struct ph_pipe *next;
    struct ph_op *trigger, *read;
};

static void change_client(struct ph_op *op)
{
    struct change *change = op->user;
    struct ph_op *connect = bed_op(change->bed);
    const char *why;
    expect_status(ph_pipe_disconnect(change->pair.server, &why), OK);
    ph_connect_start(connect, change->pair.server, PH_FOREVER);
    if (connect->state == PH_OP_DONE) /* not where the old one is in flight */
        ph_read_start(change->read, change->pair.server, PH_READ_MESSAGE, 0,
                      PH_FOREVER);
    ph_pipe_close(change->next);
}

static void notice_of_the_last_client(struct bed *bed)
{
    struct change change = {.bed = bed, .next = bed_pipe(bed)};
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct pair other = bed_pair(bed, PH_MODE_MESSAGE);
    bed->name[0] = 'u';
    change.pair = bed_pair_with(bed, &options);
    change.read = bed_op(bed);
    change.trigger = bed_op(bed);
    /* A read that had to wait leaves the notice on. */
    ph_read_start(change.read, change.pair.server, PH_READ_MESSAGE, 0,
                  PH_FOREVER);
    run_ms(bed, 1);
    expect_status(write_text(bed, change.pair.client, "first"), OK);
    expect_status(await(bed, change.read), OK);
    expect_status(open_client(bed, change.next), OK);
    change.trigger->done = change_client;
    change.trigger->user = &change;
    ph_read_start(change.trigger, other.server, PH_READ_MESSAGE, 0, PH_FOREVER);
    run_ms(bed, 1);
    expect_status(write_text(bed, other.client, "go"), OK);
    expect_status(write_text(bed, change.pair.client, "unread"), OK);
    while (change.trigger->state == PH_OP_PENDING)
        ph_port_run(bed->port, 100000);
    expect_status(await(bed, change.read), CLOSED);
    change.trigger->done = NULL;
}

static void max_instances(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_open_options open = open_options();
    struct ph_pipe *servers[2] = {bed_pipe(bed), bed_pipe(bed)};
    struct ph_pipe *clients[2] = {bed_pipe(bed), bed_pipe(bed)};
    struct ph_pipe *waiting = bed_pipe(bed), *more = bed_pipe(bed);
    struct ph_op *op = bed_op(bed);
    const char *why;
    options.max_instances = 2;
    for (int i = 0; i < 2; i++) {
        expect_status(create(bed, servers[i], &options), OK);
        expect_status(open_client(bed, clients[i]), OK);
        expect_status(connect_client(bed, servers[i]), OK);
    }
    run_ms(bed, 1);
    if (!has_named_pipes) /* one waits in the socket's queue */
        expect_status(open_client(bed, bed_pipe(bed)), OK);
    expect_status(open_client(bed, more), BUSY);
    open.wait = PH_OPEN_FREE;
    more = bed_pipe(bed);
    expect_status(open_with(bed, more, &open, after_ms(bed, 30)), TIMEOUT);
    if (!has_named_pipes)
        return;
    ph_open_start(op, waiting, bed->name, &open, after_ms(bed, 5000));
    run_ms(bed, 10);
    expect(op->state == PH_OP_PENDING);
    expect_status(ph_pipe_disconnect(servers[0], &why), OK);
    expect_status(await(bed, op), OK);
    expect_status(connect_client(bed, servers[0]), OK);
    expect_status(write_text(bed, waiting, "in"), OK);
    expect(reads_text(bed, servers[0], "in"));
}

static void available(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *server = bed_pipe(bed), *client = bed_pipe(bed);
    struct ph_op *op = bed_op(bed), *other = bed_op(bed);
    const char *why;
    options.max_instances = 1;
    options.backlog = 1;
    expect_status(create(bed, server, &options), OK);
    for (int i = 0; i < 3; i++) { /* it takes nothing */
        ph_available_start(op, bed->port, bed->name, after_ms(bed, 2000));
        expect_status(await(bed, op), OK);
        ph_available_start(op, bed->port, bed->name, PH_NOW);
        expect_status(await(bed, op), OK);
    }
    expect_status(open_client(bed, client), OK);
    expect_status(connect_client(bed, server), OK);
    if (!has_named_pipes)
        expect_status(open_client(bed, bed_pipe(bed)), OK);
    ph_available_start(op, bed->port, bed->name, after_ms(bed, 30));
    expect_status(await(bed, op), TIMEOUT);
    ph_available_start(op, bed->port, bed->name, PH_FOREVER);
    ph_available_start(other, bed->port, bed->name, PH_FOREVER);
    run_ms(bed, 20);
    ph_op_cancel(other);
    expect_status(await(bed, other), CANCELLED);
    expect(op->state == PH_OP_PENDING);
    expect_status(ph_pipe_disconnect(server, &why), OK);
    if (!has_named_pipes) /* the one that waited is first */
        expect_status(connect_client(bed, server), OK);
    if (has_named_pipes)
        expect_status(await(bed, op), OK);
}

/* The server goes while somebody waits for a free instance. */
static void available_vanishes(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *server = bed_pipe(bed), *client = bed_pipe(bed);
    struct ph_op *op = bed_op(bed);
    options.max_instances = 1;
    options.backlog = 1;
    expect_status(create(bed, server, &options), OK);
    expect_status(open_client(bed, client), OK);
    expect_status(connect_client(bed, server), OK);
    if (!has_named_pipes)
        expect_status(open_client(bed, bed_pipe(bed)), OK);
    ph_available_start(op, bed->port, bed->name, after_ms(bed, 5000));
    run_ms(bed, 20);
    expect(op->state == PH_OP_PENDING);
    expect_status(close_pipe(bed, server), OK);
    expect_status(await(bed, op), ABSENT);
}

static void misuse(struct bed *bed)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_pipe *pipe = bed_pipe(bed);
    struct ph_op *op = bed_op(bed);
    struct ph_peek seen;
    const char *why = NULL;
    long os;
    expect_status(read_outcome(bed, pipe), MISUSE);
    expect_status(write_text(bed, pipe, "x"), MISUSE);
    expect_status(connect_client(bed, pipe), MISUSE);
    expect_status(ph_pipe_peek(pipe, &seen, &os), MISUSE);
    expect_status(create(bed, pipe, &options), OK);
    expect_status(create(bed, pipe, &options), MISUSE);
    expect_status(read_outcome(bed, pipe), MISUSE);
    expect_status(ph_pipe_disconnect(pipe, &why), MISUSE);
    expect(why != NULL);
    expect_status(ph_connect_start(op, pipe, PH_FOREVER), OK);
    expect_status(connect_client(bed, pipe), MISUSE);
}

/* Many instances wait for their clients at the same time. */
static void many_connects(struct bed *bed)
{
    enum { COUNT = 60 };
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_open_options open = open_options();
    struct ph_op *connects[COUNT], *opens[COUNT];
    struct ph_pipe *servers[COUNT], *clients[COUNT];
    for (int i = 0; i < COUNT; i++) {
        servers[i] = bed_pipe(bed);
        clients[i] = bed_pipe(bed);
        connects[i] = bed_op(bed);
        opens[i] = bed_op(bed);
        expect_status(create(bed, servers[i], &options), OK);
        ph_connect_start(connects[i], servers[i], PH_FOREVER);
    }
    open.wait = PH_OPEN_FREE;
    for (int i = 0; i < COUNT; i++)
        ph_open_start(opens[i], clients[i], bed->name, &open,
                      after_ms(bed, 5000));
    for (int i = 0; i < COUNT; i++) {
        expect_status(await(bed, opens[i]), OK);
        expect_status(await(bed, connects[i]), OK);
        expect_status(write_bytes(bed, clients[i], &i, sizeof i), OK);
    }
    for (int i = 0; i < COUNT; i++)
        expect_status(read_outcome(bed, servers[i]), OK);
}

int main(void)
{
    run_test("absent", absent);
    run_test("appears later", appears_later);
    run_test("backlog", backlog);
    run_test("backlog is full", backlog_is_full);
    run_test("connect now", connect_now);
    run_test("came and went", came_and_went);
    run_test("notice of the last client", notice_of_the_last_client);
    run_test("max instances", max_instances);
    run_test("available", available);
    run_test("available vanishes", available_vanishes);
    run_test("misuse", misuse);
    run_test("many connects", many_connects);
    return tests_end();
}
