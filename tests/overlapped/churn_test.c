/* SPDX-License-Identifier: MIT */
/*
 * Instances of one name and their clients, in a random order that is the same
 * in every run: created, opened, connected, disconnected and closed at any
 * moment, with operations pending that are cancelled or run out of time. Every
 * start is allowed, in any state. Each operation ends, once, with an outcome;
 * messages are whole; and at the end nothing is left (the bed looks).
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDS    8
#define STEPS   30000
#define PENDING 64 /* operations at once */
#define LONGEST 70000

struct churn;

struct job {
    struct ph_op op;
    struct churn *churn;
    struct job **at; /* its place in churn->jobs */
};

struct churn {
    struct bed *bed;
    uint32_t seed;
    struct ph_pipe *servers[ENDS], *clients[ENDS];
    struct job *jobs[PENDING + 2 * ENDS]; /* some are for the end */
    int running;
    long ends[PH_STATUS_COUNT], refused;
    unsigned char bytes[LONGEST];
};

static uint32_t dice(struct churn *c, uint32_t sides)
{
    return next_random(&c->seed) % sides;
}

static int64_t some_deadline(struct churn *c)
{
    int64_t now = ph_port_clock(c->bed->port);
    switch (dice(c, 4)) {
    case 0:
        return PH_NOW;
    case 1:
        return now + dice(c, 300);
    default:
        return now + dice(c, 8000);
    }
}

/* ---- Jobs --------------------------------------------------------------- */

static bool is_whole(const struct ph_op *op)
{
    return op->len == 0 || (op->data[0] == pattern_at(0) &&
                            op->data[op->len - 1] == pattern_at(op->len - 1));
}

static void job_done(struct ph_op *op)
{
    struct job *job = op->user;
    struct churn *c = job->churn;
    expect(op->state == PH_OP_DONE && op->status != PH_PENDING);
    expect(op->status != PH_MISUSE && op->status != PH_SYSTEM);
    if (op->status == PH_OK && op->kind == PH_OP_TRANSACT)
        expect(is_whole(op));
    if (op->status == PH_OK && op->kind == PH_OP_READ)
        expect(is_whole(op));
    c->ends[op->status]++;
    c->running--;
    *job->at = NULL;
    ph_op_clear(op);
    free(job);
}

static struct ph_op *new_op(struct churn *c)
{
    struct job *job = calloc(1, sizeof *job);
    struct job **at = c->jobs;
    while (*at)
        at++;
    *at = job;
    job->at = at;
    job->churn = c;
    job->op.done = job_done;
    job->op.user = job;
    c->running++;
    return &job->op;
}

static void started(struct ph_op *op, enum ph_status status)
{
    struct job *job = op->user;
    struct churn *c = job->churn;
    if (status == PH_OK) {
        if (op->state == PH_OP_DONE)
            job_done(op);
        return;
    }
    expect_status(status, MISUSE);
    expect(op->state == PH_OP_IDLE);
    c->refused++;
    c->running--;
    *job->at = NULL;
    ph_op_clear(op);
    free(job);
}

/* ---- Steps -------------------------------------------------------------- */

static void make_server(struct churn *c, struct ph_pipe **slot)
{
    struct ph_create_options options = create_options(PH_MODE_MESSAGE);
    struct ph_op *op = new_op(c);
    options.max_message = LONGEST;
    options.max_instances = ENDS / 2;
    options.backlog = 3;
    *slot = ph_pipe_new(c->bed->port);
    started(op, ph_create_start(op, *slot, c->bed->name, &options, PH_NOW));
}

static void make_client(struct churn *c, struct ph_pipe **slot)
{
    struct ph_open_options options = open_options();
    struct ph_op *op = new_op(c);
    options.max_message = LONGEST;
    options.wait = (enum ph_open_wait)dice(c, 3);
    *slot = ph_pipe_new(c->bed->port);
    started(op,
            ph_open_start(op, *slot, c->bed->name, &options, some_deadline(c)));
}

static void let_go(struct churn *c, struct ph_pipe **slot)
{
    struct ph_pipe *pipe = *slot;
    if (dice(c, 2)) {
        struct ph_op *op = new_op(c);
        started(op, ph_close_start(op, pipe,
                                   dice(c, 2) ? PH_NOW : some_deadline(c)));
    } else if (dice(c, 2)) {
        ph_pipe_close(pipe);
    }
    ph_pipe_release(pipe);
    *slot = NULL;
}

static void use(struct churn *c, struct ph_pipe *pipe, uint32_t how)
{
    struct ph_op *op = new_op(c);
    size_t len = dice(c, 9) ? dice(c, 500) : dice(c, LONGEST);
    int64_t until = some_deadline(c);
    enum ph_status status;
    if (how < 5)
        status = ph_read_start(op, pipe, PH_READ_MESSAGE, 0, until);
    else if (how < 9)
        status = ph_write_start(op, pipe, c->bytes, len, until);
    else if (how < 11)
        status = ph_transact_start(op, pipe, c->bytes, len, until);
    else if (how < 12)
        status = ph_flush_start(op, pipe, until);
    else
        status = ph_connect_start(op, pipe, until);
    started(op, status);
}

static void look(struct ph_pipe *pipe)
{
    struct ph_peek seen;
    struct ph_peer peer;
    struct ph_info info;
    long os;
    ph_pipe_info(pipe, &info);
    ph_pipe_peek(pipe, &seen, &os);
    if (ph_pipe_peer(pipe, &peer, &os) == PH_OK)
        expect(peer.pid != 0);
}

static void with_one(struct churn *c, struct ph_pipe *pipe)
{
    const char *why;
    switch (dice(c, 8)) {
    case 0:
        ph_pipe_disconnect(pipe, &why);
        break;
    case 1:
        look(pipe);
        break;
    default:
        use(c, pipe, dice(c, 16));
        break;
    }
}

static void one_step(struct churn *c)
{
    bool server = dice(c, 2);
    struct ph_pipe **slot = &(server ? c->servers : c->clients)[dice(c, ENDS)];
    uint32_t what = dice(c, 100);
    struct job *job = c->jobs[dice(c, PENDING)];
    if (what < 15 || c->running >= PENDING - 4)
        ph_port_run(c->bed->port, dice(c, 3) ? 0 : 200);
    else if (what < 25 && job)
        ph_op_cancel(&job->op);
    else if (!*slot && server)
        make_server(c, slot);
    else if (!*slot)
        make_client(c, slot);
    else if (what < 32)
        let_go(c, slot);
    else
        with_one(c, *slot);
}

static void end(struct churn *c)
{
    int64_t limit = ph_port_clock(c->bed->port) + CHECK_WAIT_US;
    for (int i = 0; i < ENDS; i++) {
        if (c->servers[i])
            let_go(c, &c->servers[i]);
        if (c->clients[i])
            let_go(c, &c->clients[i]);
    }
    while (c->running && ph_port_clock(c->bed->port) < limit)
        ph_port_run(c->bed->port, 10000);
    expect(c->running == 0);
}

static void churn(struct bed *bed)
{
    struct churn *c = calloc(1, sizeof *c);
    c->bed = bed;
    c->seed = 9;
    for (size_t i = 0; i < LONGEST; i++)
        c->bytes[i] = pattern_at(i);
    for (int i = 0; i < STEPS; i++)
        one_step(c);
    end(c);
    printf("# ok %ld, timeout %ld, cancelled %ld, closed %ld, busy %ld, absent "
           "%ld; refused %ld\n",
           c->ends[PH_OK], c->ends[PH_TIMEOUT], c->ends[PH_CANCELLED],
           c->ends[PH_CLOSED], c->ends[PH_BUSY], c->ends[PH_ABSENT],
           c->refused);
    expect(c->ends[PH_OK] > 500 && c->ends[PH_TIMEOUT] > 100);
    expect(c->ends[PH_CANCELLED] > 100 && c->ends[PH_CLOSED] > 100);
    if (!c->running)
        free(c);
}

int main(void)
{
    run_test("churn", churn);
    return tests_end();
}
