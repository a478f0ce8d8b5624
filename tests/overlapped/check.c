/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bed_pipe {
    struct ph_pipe *pipe;
    struct bed_pipe *next;
};

struct bed_process {
    struct ph_process *process;
    struct bed_process *next;
};

static struct {
    int passed, failed, skipped;
    char reason[400];
    const char *skip;
} state;

bool check(bool good, const char *what, const char *file, int line)
{
    if (!good && !state.reason[0])
        snprintf(state.reason, sizeof state.reason, "%s (%s:%d)", what, file,
                 line);
    return good;
}

bool check_status(enum ph_status is, enum ph_status want, const char *what,
                  const char *file, int line)
{
    char text[300];
    snprintf(text, sizeof text, "%s is %s, not %s", what, ph_status_name(is),
             ph_status_name(want));
    return check(is == want, text, file, line);
}

void skip(const char *reason)
{
    state.skip = reason;
}

int tests_end(void)
{
    printf("%d passed, %d failed", state.passed, state.failed);
    if (state.skipped)
        printf(", %d skipped", state.skipped);
    putchar('\n');
    return state.failed != 0;
}

/* ---- The bed ------------------------------------------------------------ */

static void *get(size_t size)
{
    void *memory = calloc(1, size);
    if (!memory) {
        puts("not ok - memory: none left");
        exit(1);
    }
    return memory;
}

/* Fresh in every test and run. */
static void make_name(struct bed *bed, const char *test)
{
    snprintf(bed->name, sizeof bed->name, "t-%.40s-%lx-%llx", test,
             (unsigned long)time(NULL),
             (unsigned long long)ph_port_clock(bed->port));
    for (char *at = bed->name; *at; at++)
        if (*at == ' ' || *at == '/')
            *at = '-';
}

static bool anything_left(struct bed *bed)
{
    struct ph_counts counts = ph_port_counts(bed->port);
    return counts.pipes || counts.operations || counts.timers ||
           counts.listeners || counts.folders || counts.processes;
}

static void strip(struct bed *bed)
{
    int64_t limit = ph_port_clock(bed->port) + CHECK_WAIT_US;
    struct bed_process *process;
    struct bed_pipe *pipe;
    struct bed_op *op;
    for (process = bed->processes; process; process = process->next)
        ph_process_release(process->process);
    for (pipe = bed->pipes; pipe; pipe = pipe->next)
        ph_pipe_release(pipe->pipe);
    for (op = bed->ops; op; op = op->next)
        ph_op_cancel(&op->op);
    while (anything_left(bed) && ph_port_clock(bed->port) < limit)
        ph_port_run(bed->port, 100000);
}

static void report_left(struct bed *bed)
{
    struct ph_counts counts = ph_port_counts(bed->port);
    printf("# left: %zu pipes, %zu operations, %zu timers, %zu listeners, "
           "%zu folders, %zu processes\n",
           counts.pipes, counts.operations, counts.timers, counts.listeners,
           counts.folders, counts.processes);
}

static void unmake(struct bed *bed)
{
    while (bed->ops) {
        struct bed_op *op = bed->ops;
        bed->ops = op->next;
        ph_op_clear(&op->op);
        free(op);
    }
    while (bed->pipes) {
        struct bed_pipe *pipe = bed->pipes;
        bed->pipes = pipe->next;
        free(pipe);
    }
    while (bed->processes) {
        struct bed_process *process = bed->processes;
        bed->processes = process->next;
        free(process);
    }
    ph_port_destroy(bed->port);
}

static void report(const char *name)
{
    if (state.reason[0]) {
        printf("not ok - %s: %s\n", name, state.reason);
        state.failed++;
    } else if (state.skip) {
        printf("skip - %s: %s\n", name, state.skip);
        state.skipped++;
    } else {
        printf("ok - %s\n", name);
        state.passed++;
    }
    fflush(stdout);
}

void run_test(const char *name, void (*test)(struct bed *bed))
{
    struct bed *bed = get(sizeof *bed);
    long os = 0;
    state.reason[0] = '\0';
    state.skip = NULL;
    if (expect_status(ph_port_create(&bed->port, &os), OK)) {
        make_name(bed, name);
        test(bed);
        strip(bed);
        /* Better leaked than freed under the system's hands. */
        if (expect(!anything_left(bed)))
            unmake(bed);
        else
            report_left(bed);
    }
    free(bed);
    report(name);
}

static void op_done(struct ph_op *op)
{
    struct bed_op *mine = op->user;
    expect(!mine->in_start);
    mine->calls++;
    mine->bed->calls++;
}

struct ph_op *bed_op(struct bed *bed)
{
    struct bed_op *op = get(sizeof *op);
    op->op.done = op_done;
    op->op.user = op;
    op->bed = bed;
    op->next = bed->ops;
    bed->ops = op;
    return &op->op;
}

int bed_calls(const struct ph_op *op)
{
    const struct bed_op *mine = op->user;
    return mine->calls;
}

struct ph_pipe *bed_pipe(struct bed *bed)
{
    struct bed_pipe *item = get(sizeof *item);
    item->pipe = ph_pipe_new(bed->port);
    item->next = bed->pipes;
    bed->pipes = item;
    return item->pipe;
}

void bed_process(struct bed *bed, struct ph_process *process)
{
    struct bed_process *item = get(sizeof *item);
    item->process = process;
    item->next = bed->processes;
    bed->processes = item;
}

/* ---- Waiting ------------------------------------------------------------ */

int64_t after_ms(struct bed *bed, int64_t ms)
{
    return ph_port_clock(bed->port) + ms * 1000;
}

enum ph_status await(struct bed *bed, struct ph_op *op)
{
    int64_t limit = ph_port_clock(bed->port) + CHECK_WAIT_US;
    while (op->state == PH_OP_PENDING && ph_port_clock(bed->port) < limit)
        if (!expect_status(ph_port_run(bed->port, 100000), OK))
            break;
    if (op->state != PH_OP_DONE) {
        expect(op->state == PH_OP_DONE);
        return PH_PENDING;
    }
    return op->status;
}

void run_ms(struct bed *bed, int64_t ms)
{
    int64_t end = ph_port_clock(bed->port) + ms * 1000;
    do {
        int64_t left = end - ph_port_clock(bed->port);
        ph_port_run(bed->port, left > 0 ? left : 0);
    } while (ph_port_clock(bed->port) < end);
}

/* ---- Steps -------------------------------------------------------------- */

struct ph_create_options create_options(enum ph_mode mode)
{
    struct ph_create_options options = {
        .mode = mode,
        .max_instances = PH_INSTANCES_MAX,
        .backlog = PH_BACKLOG,
        .max_message = PH_MESSAGE_MAX,
    };
    return options;
}

struct ph_open_options open_options(void)
{
    struct ph_open_options options = {.max_message = PH_MESSAGE_MAX};
    return options;
}

static enum ph_status finish(struct bed *bed, struct ph_op *op,
                             enum ph_status started)
{
    return started == PH_OK ? await(bed, op) : started;
}

enum ph_status create(struct bed *bed, struct ph_pipe *pipe,
                      const struct ph_create_options *options)
{
    struct ph_op *op = bed_op(bed);
    return finish(bed, op,
                  ph_create_start(op, pipe, bed->name, options, PH_NOW));
}

enum ph_status open_client(struct bed *bed, struct ph_pipe *pipe)
{
    struct ph_op *op = bed_op(bed);
    struct ph_open_options options = open_options();
    return finish(bed, op,
                  ph_open_start(op, pipe, bed->name, &options, PH_NOW));
}

enum ph_status connect_client(struct bed *bed, struct ph_pipe *pipe)
{
    struct ph_op *op = bed_op(bed);
    return finish(bed, op, ph_connect_start(op, pipe, after_ms(bed, 5000)));
}

enum ph_status write_bytes(struct bed *bed, struct ph_pipe *pipe,
                           const void *bytes, size_t len)
{
    struct ph_op *op = bed_op(bed);
    return finish(bed, op,
                  ph_write_start(op, pipe, bytes, len, after_ms(bed, 5000)));
}

enum ph_status write_text(struct bed *bed, struct ph_pipe *pipe,
                          const char *text)
{
    return write_bytes(bed, pipe, text, strlen(text));
}

enum ph_status close_pipe(struct bed *bed, struct ph_pipe *pipe)
{
    struct ph_op *op = bed_op(bed);
    return finish(bed, op, ph_close_start(op, pipe, PH_NOW));
}

static struct ph_op *read_one(struct bed *bed, struct ph_pipe *pipe,
                              enum ph_status *status)
{
    struct ph_op *op = bed_op(bed);
    struct ph_info info;
    ph_pipe_info(pipe, &info);
    *status =
        finish(bed, op,
               ph_read_start(op, pipe,
                             info.mode == PH_MODE_MESSAGE ? PH_READ_MESSAGE
                                                          : PH_READ_SOME,
                             PH_MESSAGE_MAX, after_ms(bed, 5000)));
    return op;
}

bool is_text(const struct ph_op *op, const char *text)
{
    size_t len = strlen(text);
    return op->state == PH_OP_DONE && op->status == PH_OK && op->len == len &&
           memcmp(op->data, text, len) == 0;
}

bool reads_text(struct bed *bed, struct ph_pipe *pipe, const char *text)
{
    enum ph_status status;
    struct ph_op *op = read_one(bed, pipe, &status);
    return expect_status(status, OK) && is_text(op, text);
}

enum ph_status read_outcome(struct bed *bed, struct ph_pipe *pipe)
{
    enum ph_status status;
    read_one(bed, pipe, &status);
    return status;
}

struct pair bed_pair_with(struct bed *bed,
                          const struct ph_create_options *options)
{
    struct pair pair = {bed_pipe(bed), bed_pipe(bed)};
    struct ph_op *op = bed_op(bed);
    struct ph_open_options open = {.max_message = options->max_message};
    expect_status(create(bed, pair.server, options), OK);
    expect_status(ph_open_start(op, pair.client, bed->name, &open, PH_NOW), OK);
    expect_status(await(bed, op), OK);
    expect_status(connect_client(bed, pair.server), OK);
    return pair;
}

struct pair bed_pair(struct bed *bed, enum ph_mode mode)
{
    struct ph_create_options options = create_options(mode);
    return bed_pair_with(bed, &options);
}

/* ---- Data --------------------------------------------------------------- */

unsigned char pattern_at(size_t index)
{
    return (unsigned char)(index * 31 + (index >> 8) * 7 + (index >> 16));
}

uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}
