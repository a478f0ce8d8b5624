/* SPDX-License-Identifier: MIT */
/*
 * States of operations, and the list of those that are to go on.
 *
 *   IDLE --ph_op_begin--> PENDING --ph_op_end--> DONE --ph_op_clear--> IDLE
 *
 * A PENDING operation waits for the system, for its turn in a queue, or for its
 * timer. `ending` says that it was asked to end, and why; the first reason
 * counts. Nobody ends it for that: it is poked, and its own step, in the port's
 * run, finds out whether the system was faster. That is why a time-out or a
 * cancel never loses what came before it, and why ending is told only when the
 * system has let go of the buffer.
 *
 * Output belongs to the caller until the start returns; what is still needed
 * then has been copied (ph_op_own_output). Input lies in the back end's or the
 * pipe's memory until ph_op_keep.
 */
#include "operation.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SPARES 64 /* operations that a port keeps for the next that are asked */

#define PH_STATUS_TEXT_(name, text) [PH_##name] = text,
static const char *const status_names[] = {PH_STATUS_LIST(PH_STATUS_TEXT_)};

const char *ph_status_name(enum ph_status status)
{
    assert((unsigned)status < PH_STATUS_COUNT);
    return status_names[status];
}

char *ph_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

void ph_queue_push(struct ph_queue *queue, struct ph_op *op)
{
    op->next = NULL;
    if (queue->head)
        queue->tail->next = op;
    else
        queue->head = op;
    queue->tail = op;
}

void ph_queue_remove(struct ph_queue *queue, struct ph_op *op)
{
    struct ph_op *before = NULL;
    for (struct ph_op *at = queue->head; at; before = at, at = at->next) {
        if (at != op)
            continue;
        if (before)
            before->next = op->next;
        else
            queue->head = op->next;
        if (queue->tail == op)
            queue->tail = before;
        return;
    }
}

void ph_ops_end(struct ph_op *first, enum ph_status status)
{
    for (struct ph_op *op = first; op; op = op->next) {
        if (op->ending == PH_OK)
            op->ending = status;
        ph_op_poke(op);
    }
}

/* ---- Ready list: what is stepped in the next run -------------------- */

static void append(struct ph_op *op, struct ph_op ***tail)
{
    op->ready_next = NULL;
    op->ready_link = *tail;
    **tail = op;
    *tail = &op->ready_next;
}

void ph_op_poke(struct ph_op *op)
{
    if (!op->ready_link)
        append(op, &op->port->ready_tail);
}

void ph_op_park(struct ph_op *op)
{
    assert(!op->ready_link && op->kind == PH_OP_WRITE);
    append(op, &op->port->parked_tail);
}

void ph_op_unpoke(struct ph_op *op)
{
    if (!op->ready_link)
        return;
    *op->ready_link = op->ready_next;
    if (op->ready_next)
        op->ready_next->ready_link = op->ready_link;
    else if (op->port->ready_tail == &op->ready_next)
        op->port->ready_tail = op->ready_link;
    else if (op->port->parked_tail == &op->ready_next)
        op->port->parked_tail = op->ready_link;
    op->ready_link = NULL;
}

static void step(struct ph_op *op)
{
    static void (*const steps[])(struct ph_op *) = {
        [PH_OP_CREATE] = ph_try_step,        [PH_OP_OPEN] = ph_try_step,
        [PH_OP_AVAILABLE] = ph_try_step,     [PH_OP_CONNECT] = ph_connect_step,
        [PH_OP_READ] = ph_read_step,         [PH_OP_WRITE] = ph_write_step,
        [PH_OP_TRANSACT] = ph_transact_step, [PH_OP_FLUSH] = ph_flush_step,
        [PH_OP_CLOSE] = ph_close_step,       [PH_OP_WATCH] = ph_watch_step,
        [PH_OP_INPUT] = ph_input_step,
    };
    if (op->state == PH_OP_DONE) { /* ph_op_announce */
        op->done(op);
        return;
    }
    assert(op->state == PH_OP_PENDING);
    steps[op->kind](op);
}

/* What is poked meanwhile waits for the next turn. */
static void take_ready(struct ph_port *port)
{
    if (!port->ready)
        return;
    port->stepping = port->ready;
    port->stepping->ready_link = &port->stepping;
    port->ready = NULL;
    /* The last of the batch no longer ends the list of those that wait. */
    port->ready_tail = &port->ready;
}

void ph_ops_run(struct ph_port *port)
{
    int64_t begin;
    if (!port->stepping)
        take_ready(port);
    if (!port->stepping)
        return;
    begin = ph_backend_clock();
    while (port->stepping) {
        struct ph_op *op = port->stepping;
        ph_op_unpoke(op);
        step(op);
        if (ph_port_late(begin))
            break;
    }
}

/* ---- States --------------------------------------------------------- */

static void timer_fired(struct ph_timer *timer)
{
    struct ph_op *op = ph_container_of(timer, struct ph_op, timer);
    if (op->port->now >= op->deadline && op->ending == PH_OK)
        op->ending = PH_TIMEOUT;
    step(op);
}

void ph_op_begin(struct ph_op *op, enum ph_op_kind kind, struct ph_port *port,
                 struct ph_pipe *pipe, int64_t deadline)
{
    assert(op->state != PH_OP_PENDING);
    ph_op_clear(op);
    op->kind = kind;
    op->state = PH_OP_PENDING;
    op->bytes = -1;
    op->why = NULL; /* of a start that was refused */
    op->port = port;
    op->pipe = pipe;
    op->deadline = deadline;
    op->starting = true;
    op->timer.fire = timer_fired;
    if (deadline != PH_NOW)
        ph_timer_start(port, &op->timer, deadline);
    port->counts.operations++;
    if (pipe)
        pipe->live++;
}

void ph_op_started(struct ph_op *op)
{
    if (op->state == PH_OP_PENDING && op->deadline == PH_NOW) {
        op->ending = PH_TIMEOUT;
        step(op);
    }
    op->starting = false;
}

/* What was written may be long, and its operation may be kept. */
static void drop_output(struct ph_op *op)
{
    free(op->buf);
    op->buf = NULL;
    op->out = NULL;
    op->cap = 0;
}

void ph_op_end(struct ph_op *op, enum ph_status status)
{
    struct ph_pipe *pipe = op->pipe; /* the operation may be gone by then */
    assert(op->state == PH_OP_PENDING && status != PH_PENDING);
    ph_timer_stop(op->port, &op->timer);
    ph_op_unpoke(op);
    op->state = PH_OP_DONE;
    op->status = status;
    if (op->kind == PH_OP_WRITE)
        drop_output(op);
    op->port->counts.operations--;
    op->signal.set = true;
    if (op->signal.waiters)
        ph_signal_set(&op->signal);
    if (!op->starting && op->done)
        op->done(op);
    if (!pipe)
        return;
    /* Not before the call: it keeps the pipe alive. */
    pipe->live--;
    ph_pipe_settle(pipe);
}

enum ph_status ph_op_misuse(struct ph_op *op, const char *why)
{
    op->why = why;
    return PH_MISUSE;
}

void ph_op_announce(struct ph_op *op)
{
    assert(op->state == PH_OP_DONE && op->done);
    ph_op_poke(op);
}

void ph_op_cancel(struct ph_op *op)
{
    if (op->state != PH_OP_PENDING || op->ending != PH_OK)
        return;
    op->ending = PH_CANCELLED;
    ph_op_poke(op);
}

void ph_op_retry_later(struct ph_op *op, int64_t longest_us)
{
    op->pause = op->pause ? op->pause * 2 : 1000;
    if (op->pause > longest_us)
        op->pause = longest_us;
    int64_t at = op->port->now + op->pause;
    ph_timer_start(op->port, &op->timer, at < op->deadline ? at : op->deadline);
}

/* ---- Memory of an operation ----------------------------------------- */

static enum ph_status own(struct ph_op *op, const unsigned char *bytes,
                          size_t len)
{
    unsigned char *copy = malloc(len ? len : 1);
    if (!copy)
        return PH_NOMEM;
    if (len)
        memcpy(copy, bytes, len);
    free(op->buf);
    op->buf = copy;
    op->cap = len;
    return PH_OK;
}

static bool owns(const struct ph_op *op, const unsigned char *bytes)
{
    return op->buf && bytes >= op->buf && bytes <= op->buf + op->cap;
}

enum ph_status ph_op_keep(struct ph_op *op)
{
    if (!op->data || owns(op, op->data))
        return PH_OK;
    if (own(op, op->data, op->len) != PH_OK) {
        op->data = NULL;
        op->len = 0;
        return PH_NOMEM;
    }
    op->data = op->buf;
    return PH_OK;
}

enum ph_status ph_op_own_output(struct ph_op *op)
{
    size_t rest = op->out_len - op->out_done;
    if (owns(op, op->out))
        return PH_OK;
    if (own(op, op->out + op->out_done, rest) != PH_OK)
        return PH_NOMEM;
    /* Only the rest is kept: counts go on from there by moving the base. */
    op->out = op->buf;
    op->out_base += op->out_done;
    op->out_len = rest;
    op->out_done = 0;
    return PH_OK;
}

/* Zeroes these fields and what lies between them; the last has eight bytes.
 * Most of an operation needs no clearing, and each message pays for two of
 * them. */
static inline void clear(struct ph_op *op, size_t first, size_t last)
{
    memset((char *)op + first, 0, last + 8 - first);
}

void ph_op_clear(struct ph_op *op)
{
    assert(op->state != PH_OP_PENDING);
    assert(!op->timer.link);
    ph_op_unpoke(op);
    if (op->state == PH_OP_IDLE)
        return; /* nothing has been put into it since the last time */
    free(op->buf);
    free(op->name);
    free(op->options);
    static_assert(sizeof op->bytes == 8 && sizeof op->system <= 8,
                  "clear() takes the last field to have eight bytes");
    clear(op, offsetof(struct ph_op, status), offsetof(struct ph_op, bytes));
    clear(op, offsetof(struct ph_op, pause), offsetof(struct ph_op, system));
    op->state = PH_OP_IDLE;
    op->pipe = NULL;
    op->signal.set = false;
}

/* The last one given back is the first to be taken: it is in the caches. */
struct ph_op *ph_op_take(struct ph_port *port)
{
    struct ph_op *op = port->spare;
    if (op) {
        assert(port->spares && op->state == PH_OP_IDLE);
        port->spares--;
        port->spare = op->next;
    } else {
        op = calloc(1, sizeof *op);
    }
    if (op)
        op->port = port;
    return op;
}

void ph_op_give(struct ph_op *op)
{
    struct ph_port *port = op->port;
    assert(!op->signal.waiters);
    ph_op_clear(op);
    if (port->spares == SPARES) {
        free(op);
        return;
    }
    port->spares++;
    op->next = port->spare;
    port->spare = op;
}

void ph_spares_free(struct ph_port *port)
{
    while (port->spare) {
        struct ph_op *op = port->spare;
        port->spare = op->next;
        free(op);
    }
}
