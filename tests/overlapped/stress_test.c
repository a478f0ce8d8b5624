/* SPDX-License-Identifier: MIT */
/*
 * Starts, cancels, deadlines, closes and disconnects in a random order that is
 * the same in every run. Messages carry numbers: what is read was written, in
 * order, and no accepted message is missing before one that was read.
 */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAIRS    12
#define STEPS    40000
#define MESSAGES 8192 /* of one direction of a pair, at most */
#define LONGEST  90000

enum fate { UNSENT, STARTED, ACCEPTED, FAILED };

/* One direction of a pair. */
struct lane {
    struct ph_pipe *from, *to;
    enum fate fates[MESSAGES];
    bool seen[MESSAGES];
    uint32_t sent, next; /* next: what may be read at least */
    int reads;           /* pending */
};

struct couple {
    struct lane lanes[2];
    struct ph_pipe *server, *client;
};

struct stress {
    struct bed *bed;
    uint32_t seed;
    unsigned char *bytes;
    struct couple couples[PAIRS];
    int running;
    long reads, writes, others, cancelled;
};

/* A heap object of its own for each operation, freed in its call. */
struct job {
    struct ph_op op;
    struct stress *stress;
    struct lane *lane;
    uint32_t number;
    struct job **at; /* in the list for cancels, or NULL */
};

static uint32_t dice(struct stress *s, uint32_t sides)
{
    return next_random(&s->seed) % sides;
}

static void settle(struct job *job)
{
    job->stress->running--;
    if (job->op.status == PH_CANCELLED || job->op.status == PH_TIMEOUT)
        job->stress->cancelled++;
    if (job->at)
        *job->at = NULL;
    ph_op_clear(&job->op);
    free(job);
}

static void was_read(struct job *job)
{
    struct lane *lane = job->lane;
    const struct ph_op *op = &job->op;
    uint32_t number;
    lane->reads--;
    if (op->status == PH_OK && expect(op->len >= sizeof number)) {
        memcpy(&number, op->data, sizeof number);
        if (expect(number < lane->sent) && expect(number >= lane->next)) {
            lane->next = number + 1;
            lane->seen[number] = true;
        }
        expect(op->len == sizeof number ||
               op->data[op->len - 1] == pattern_at(op->len - 1));
        job->stress->reads++;
    }
}

static void was_written(struct job *job)
{
    job->lane->fates[job->number] = job->op.status == PH_OK ? ACCEPTED : FAILED;
    job->stress->writes++;
}

static void job_done(struct ph_op *op)
{
    struct job *job = op->user;
    if (op->kind == PH_OP_READ)
        was_read(job);
    else if (op->kind == PH_OP_WRITE)
        was_written(job);
    else
        job->stress->others++;
    settle(job);
}

static struct job *new_job(struct stress *s, struct lane *lane)
{
    struct job *job = calloc(1, sizeof *job);
    job->op.done = job_done;
    job->op.user = job;
    job->stress = s;
    job->lane = lane;
    s->running++;
    return job;
}

/* Not called back where the start refused or ended it. */
static void launched(struct job *job, enum ph_status status)
{
    if (status != PH_OK) {
        expect_status(status, MISUSE);
        if (job->op.kind == PH_OP_READ)
            job->lane->reads--;
        job->stress->running--;
        ph_op_clear(&job->op);
        free(job);
    } else if (job->op.state == PH_OP_DONE) {
        job_done(&job->op);
    }
}

static int64_t some_deadline(struct stress *s)
{
    int64_t now = ph_port_clock(s->bed->port);
    switch (dice(s, 6)) {
    case 0:
        return PH_NOW;
    case 1:
        return now + dice(s, 200);
    case 2:
        return now + dice(s, 20000);
    default:
        return PH_FOREVER;
    }
}

static void maybe_cancel(struct stress *s, struct job *job)
{
    struct job *slot = job;
    job->at = &slot;
    if (dice(s, 2))
        ph_port_run(s->bed->port, 0);
    if (!slot)
        return;
    ph_op_cancel(&slot->op);
    slot->at = NULL;
}

static void start_read(struct stress *s, struct lane *lane)
{
    struct job *job = new_job(s, lane);
    enum ph_status status;
    lane->reads++;
    job->op.kind = PH_OP_READ;
    status =
        ph_read_start(&job->op, lane->to, PH_READ_MESSAGE, 0, some_deadline(s));
    bool pending = status == PH_OK && job->op.state == PH_OP_PENDING;
    launched(job, status);
    if (pending && dice(s, 8) == 0)
        maybe_cancel(s, job);
}

static void start_write(struct stress *s, struct lane *lane, bool cancels)
{
    struct job *job;
    enum ph_status status;
    size_t len =
        sizeof(uint32_t) + (dice(s, 8) ? dice(s, 600) : dice(s, LONGEST));
    if (lane->sent == MESSAGES)
        return;
    job = new_job(s, lane);
    job->number = lane->sent++;
    lane->fates[job->number] = STARTED;
    memcpy(s->bytes, &job->number, sizeof job->number);
    job->op.kind = PH_OP_WRITE;
    status = ph_write_start(&job->op, lane->from, s->bytes, len,
                            cancels ? some_deadline(s) : PH_FOREVER);
    for (size_t i = 0; i < sizeof job->number; i++)
        s->bytes[i] = pattern_at(i);
    bool pending = status == PH_OK && job->op.state == PH_OP_PENDING;
    if (status != PH_OK)
        lane->fates[job->number] = FAILED;
    launched(job, status);
    if (pending && cancels && dice(s, 4) == 0)
        maybe_cancel(s, job);
}

static void start_flush(struct stress *s, struct lane *lane)
{
    struct job *job = new_job(s, lane);
    job->op.kind = PH_OP_FLUSH;
    launched(job, ph_flush_start(&job->op, lane->from,
                                 dice(s, 2) ? some_deadline(s)
                                            : after_ms(s->bed, 5)));
}

static void start_close(struct stress *s, struct ph_pipe *pipe)
{
    struct job *job = new_job(s, NULL);
    job->op.kind = PH_OP_CLOSE;
    launched(job, ph_close_start(&job->op, pipe,
                                 dice(s, 2) ? PH_NOW
                                            : after_ms(s->bed, dice(s, 9))));
}

static void check_lane(const struct lane *lane)
{
    for (uint32_t i = 0; i < lane->next; i++)
        expect(lane->seen[i] || lane->fates[i] != ACCEPTED);
}

static void open_couple(struct stress *s, struct couple *couple)
{
    struct ph_create_options create_as = create_options(PH_MODE_MESSAGE);
    struct ph_open_options open_as = open_options();
    struct ph_op *op = bed_op(s->bed);
    memset(couple, 0, sizeof *couple);
    create_as.max_message = open_as.max_message = LONGEST + 100;
    couple->server = ph_pipe_new(s->bed->port);
    couple->client = ph_pipe_new(s->bed->port);
    expect_status(create(s->bed, couple->server, &create_as), OK);
    open_as.wait = PH_OPEN_FREE;
    ph_open_start(op, couple->client, s->bed->name, &open_as,
                  after_ms(s->bed, 5000));
    expect_status(await(s->bed, op), OK);
    expect_status(connect_client(s->bed, couple->server), OK);
    couple->lanes[0].from = couple->lanes[1].to = couple->server;
    couple->lanes[0].to = couple->lanes[1].from = couple->client;
}

static void close_couple(struct stress *s, struct couple *couple)
{
    uint32_t way = dice(s, 5);
    const char *why;
    if (way == 0)
        ph_pipe_disconnect(couple->server, &why);
    if (way < 3)
        start_close(s, couple->server);
    if (way != 1)
        start_close(s, couple->client);
    ph_pipe_release(couple->server);
    ph_pipe_release(couple->client);
}

/* All that is pending comes to its end; only then the lanes are looked at. */
static void quiesce(struct stress *s)
{
    int64_t limit = ph_port_clock(s->bed->port) + CHECK_WAIT_US;
    for (int i = 0; i < PAIRS; i++)
        close_couple(s, &s->couples[i]);
    while (s->running && ph_port_clock(s->bed->port) < limit)
        ph_port_run(s->bed->port, 10000);
    expect(s->running == 0);
    for (int i = 0; i < PAIRS; i++) {
        check_lane(&s->couples[i].lanes[0]);
        check_lane(&s->couples[i].lanes[1]);
    }
}

static void one_step(struct stress *s)
{
    struct couple *couple = &s->couples[dice(s, PAIRS)];
    struct lane *lane = &couple->lanes[dice(s, 2)];
    uint32_t action = dice(s, 100);
    if (action < 40) {
        if (lane->reads < 5)
            start_read(s, lane);
    } else if (action < 80) {
        start_write(s, lane, dice(s, 10) == 0);
    } else if (action < 83) {
        start_flush(s, lane);
    } else if (action < 97) {
        ph_port_run(s->bed->port, dice(s, 3) ? 0 : 300);
    } else if (action < 99) {
        struct ph_peek seen;
        long os;
        ph_pipe_peek(lane->to, &seen, &os);
    }
}

static void one_life(struct stress *s)
{
    for (int i = 0; i < PAIRS; i++)
        open_couple(s, &s->couples[i]);
    for (int i = 0; i < STEPS / 10; i++)
        one_step(s);
    quiesce(s);
}

static void stress(struct bed *bed)
{
    struct stress *s = calloc(1, sizeof *s);
    s->bed = bed;
    s->seed = 20240;
    s->bytes = malloc(LONGEST + 100 + sizeof(uint32_t));
    for (size_t i = 0; i < LONGEST + 100; i++)
        s->bytes[i] = pattern_at(i);
    for (int life = 0; life < 10; life++)
        one_life(s);
    printf("# %ld reads, %ld writes, %ld others, %ld ended early\n", s->reads,
           s->writes, s->others, s->cancelled);
    expect(s->reads > 500 && s->writes > 1000 && s->cancelled > 200);
    free(s->bytes);
    if (!s->running)
        free(s);
}

int main(void)
{
    run_test("stress", stress);
    return tests_end();
}
