/* SPDX-License-Identifier: MIT */
/* Create, open and available: tried at once and then by timer, so that the loop
 * never blocks and a pipe that appears later is found. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "faulty.h"

#define RETRY_LONGEST_US 16000

static void finish(struct ph_op *op, enum ph_status status)
{
    struct ph_pipe *pipe = op->pipe;
    assert(!op->system);
    if (pipe && pipe->connecting == op)
        pipe->connecting = NULL;
    if (status == PH_OK && op->kind == PH_OP_OPEN)
        pipe->state = PH_PIPE_CONNECTED;
    ph_op_end(op, status);
}

static enum ph_status try_once(struct ph_op *op)
{
    switch (op->kind) {
    case PH_OP_CREATE:
        return ph_create_try(op);
    case PH_OP_OPEN:
        if (op->port->plans)
            return ph_fault_open(op);
        return ph_backend_open(op->pipe, op->name, op->options, &op->os,
                               &op->why);
    default:
        return ph_backend_available(op, op->name, &op->os);
    }
}

/* Is that a reason to try again later, and was it asked for? */
static bool may_wait(const struct ph_op *op, enum ph_status status)
{
    const struct ph_open_options *options = op->options;
    switch (op->kind) {
    case PH_OP_CREATE:
        /* Without a deadline nobody waits for another server to end. */
        return status == PH_EXISTS && op->deadline != PH_FOREVER;
    case PH_OP_OPEN:
        return (status == PH_ABSENT && options->wait == PH_OPEN_EXISTS) ||
               (status == PH_BUSY && options->wait != PH_OPEN_NO);
    default:
        return status == PH_BUSY;
    }
}

/* Time is up: create says who is in the way, open what it still missed. */
static enum ph_status ended(struct ph_op *op, enum ph_status status)
{
    if (op->ending != PH_TIMEOUT || op->kind == PH_OP_CREATE)
        return op->ending == PH_TIMEOUT ? status : op->ending;
    if (op->deadline == PH_NOW)
        return status;
    op->why = status == PH_ABSENT ? "the pipe is still absent"
                                  : "all instances are still busy";
    return PH_TIMEOUT;
}

void ph_try_step(struct ph_op *op)
{
    enum ph_status status;
    if (op->system) { /* runs in the system; ph_op_system_done will tell */
        if (op->ending != PH_OK)
            ph_backend_cancel_system(op);
        return;
    }
    if (op->ending == PH_CANCELLED || op->ending == PH_CLOSED) {
        finish(op, op->ending);
        return;
    }
    /* One more try when the time is up: the pipe may be there by now. */
    status = try_once(op);
    if (status == PH_PENDING)
        return;
    if (!may_wait(op, status))
        finish(op, status);
    else if (op->ending != PH_OK)
        finish(op, ended(op, status));
    else
        ph_op_retry_later(op, RETRY_LONGEST_US);
}

void ph_available_done(struct ph_op *op, enum ph_status status)
{
    if (op->ending != PH_OK && status != PH_OK)
        status = op->deadline == PH_NOW ? PH_BUSY : op->ending;
    finish(op, status);
}

/* What an operation gets at its start, all of it or none: owned copies. */
struct request {
    char *name;
    void *options;
};

/* May the operation be started so? Takes nothing yet. */
static enum ph_status check(struct ph_op *op, const struct ph_pipe *pipe,
                            const char *name)
{
    const char *why;
    if (pipe && (pipe->state != PH_PIPE_NEW || pipe->connecting))
        return ph_op_misuse(op, "the pipe object is in use already");
    if (ph_name_check(name, &why) != PH_OK)
        return ph_op_misuse(op, why);
    return PH_OK;
}

static enum ph_status no_memory(const struct request *request)
{
    free(request->name);
    free(request->options);
    return PH_NOMEM;
}

/* The begun operation owns the request from here. */
static enum ph_status launch(struct ph_op *op, struct request request)
{
    assert(!op->name && !op->options && request.name);
    op->name = request.name;
    op->options = request.options;
    if (op->pipe)
        op->pipe->connecting = op;
    ph_try_step(op);
    ph_op_started(op);
    return PH_OK;
}

static struct ph_create_options *
copy_options(const struct ph_create_options *from)
{
    size_t uids = from->uid_count * sizeof *from->uids;
    size_t sddl = from->sddl ? strlen(from->sddl) + 1 : 0;
    struct ph_create_options *copy = malloc(sizeof *copy + uids + sddl);
    char *at = (char *)(copy + 1);
    if (!copy)
        return NULL;
    *copy = *from;
    if (uids)
        copy->uids = memcpy(at, from->uids, uids);
    if (sddl)
        copy->sddl = memcpy(at + uids, from->sddl, sddl);
    return copy;
}

enum ph_status ph_create_start(struct ph_op *op, struct ph_pipe *pipe,
                               const char *name,
                               const struct ph_create_options *options,
                               int64_t deadline)
{
    struct request request = {0};
    enum ph_status status = check(op, pipe, name);
    if (status != PH_OK)
        return status;
    request.name = ph_strdup(name);
    request.options = copy_options(options);
    if (!request.name || !request.options)
        return no_memory(&request);
    ph_op_begin(op, PH_OP_CREATE, pipe->port, pipe, deadline);
    return launch(op, request);
}

enum ph_status ph_open_start(struct ph_op *op, struct ph_pipe *pipe,
                             const char *name,
                             const struct ph_open_options *options,
                             int64_t deadline)
{
    struct request request = {0};
    enum ph_status status = check(op, pipe, name);
    if (status != PH_OK)
        return status;
    request.name = ph_strdup(name);
    request.options = malloc(sizeof *options);
    free(pipe->name);
    pipe->name = ph_strdup(name);
    if (!request.name || !request.options || !pipe->name)
        return no_memory(&request);
    *(struct ph_open_options *)request.options = *options;
    pipe->max_message = options->max_message;
    ph_op_begin(op, PH_OP_OPEN, pipe->port, pipe, deadline);
    return launch(op, request);
}

enum ph_status ph_available_start(struct ph_op *op, struct ph_port *port,
                                  const char *name, int64_t deadline)
{
    struct request request = {0};
    enum ph_status status = check(op, NULL, name);
    if (status != PH_OK)
        return status;
    request.name = ph_strdup(name);
    if (!request.name)
        return PH_NOMEM;
    ph_op_begin(op, PH_OP_AVAILABLE, port, NULL, deadline);
    return launch(op, request);
}
