/* SPDX-License-Identifier: MIT */
/*
 * Names that this process serves: create joins or takes one, connect waits in
 * its queue for the next client.
 *
 * A listener is shared by the instances of a name. `instances` counts the pipe
 * objects that refer to it; the last one that leaves gives the name back.
 * `taken` counts those that have a client: at max_instances nobody is let in.
 * A client is not tied to an instance before a connect takes it, so it does not
 * matter which of several instances is asked first.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "faulty.h"

static struct ph_listener *find(struct ph_port *port, const char *key)
{
    struct ph_listener *at = port->listeners;
    while (at && (at->closed || strcmp(at->key, key) != 0))
        at = at->next;
    return at;
}

static void free_listener(struct ph_listener *listener)
{
    free(listener->name);
    free(listener->path);
    free(listener->key);
    free(listener->block);
    ph_backend_listener_free(listener);
}

static void remove_listener(struct ph_listener *listener)
{
    struct ph_listener **link = &listener->port->listeners;
    while (*link != listener)
        link = &(*link)->next;
    *link = listener->next;
    listener->next = listener->port->dead_listeners;
    listener->port->dead_listeners = listener;
}

void ph_listener_gone(struct ph_listener *listener)
{
    listener->gone = true;
    if (!listener->instances)
        remove_listener(listener);
}

void ph_pipe_refuse(struct ph_pipe *pipe)
{
    struct ph_listener *listener = pipe->listener;
    if (!listener || listener->closed)
        return;
    ph_ops_end(listener->waiting.head, PH_CANCELLED);
    listener->closed = true;
    ph_backend_unlisten(listener);
}

void ph_listeners_free(struct ph_port *port)
{
    while (port->dead_listeners) {
        struct ph_listener *listener = port->dead_listeners;
        port->dead_listeners = listener->next;
        port->counts.listeners--;
        free_listener(listener);
    }
}

/* ---- Create --------------------------------------------------------- */

static void join(struct ph_pipe *pipe, struct ph_listener *listener,
                 size_t max_message)
{
    assert(max_message < UINT32_MAX);
    assert(pipe->state == PH_PIPE_NEW && !pipe->listener && !listener->closed);
    pipe->server = true;
    pipe->listener = listener;
    pipe->name = listener->name;
    pipe->mode = listener->options.mode;
    pipe->direction = listener->options.direction;
    pipe->max_message = (uint32_t)max_message;
    pipe->state = PH_PIPE_LISTENING;
    listener->instances++;
}

static enum ph_status join_existing(struct ph_op *op,
                                    struct ph_listener *listener)
{
    const struct ph_create_options *options = op->options;
    if (options->first) {
        op->why = "this process serves it already";
        return PH_EXISTS;
    }
    if (options->mode != listener->options.mode ||
        options->direction != listener->options.direction) {
        op->why = "its other instances have another mode or direction";
        return PH_MODE;
    }
    if (options->max_message > listener->options.max_message) {
        op->why = "its first instance was created with a smaller max_message";
        return PH_TOOBIG;
    }
    join(op->pipe, listener, options->max_message);
    return PH_OK;
}

static enum ph_status take_name(struct ph_op *op, char *path, char *key)
{
    struct ph_listener *listener = ph_backend_listener_alloc();
    enum ph_status status;
    if (!listener) {
        free(path);
        free(key);
        return PH_NOMEM;
    }
    listener->port = op->port;
    listener->path = path;
    listener->key = key;
    listener->options = *(struct ph_create_options *)op->options;
    listener->name = ph_strdup(op->name);
    status = listener->name ? ph_backend_listen(listener, &op->os, &op->why)
                            : PH_NOMEM;
    if (status != PH_OK) {
        free_listener(listener);
        return status;
    }
    listener->next = op->port->listeners;
    op->port->listeners = listener;
    op->port->counts.listeners++;
    join(op->pipe, listener, listener->options.max_message);
    listener->block = op->options;
    op->options = NULL;
    return PH_OK;
}

enum ph_status ph_create_try(struct ph_op *op)
{
    char *path = NULL, *key = NULL;
    enum ph_status status =
        ph_backend_server_path(op->name, &path, &key, &op->os, &op->why);
    if (status != PH_OK)
        return status;
    struct ph_listener *listener = find(op->port, key);
    if (!listener)
        return take_name(op, path, key);
    free(path);
    free(key);
    return join_existing(op, listener);
}

struct ph_pipe *ph_pipe_new_instance(const struct ph_pipe *of)
{
    struct ph_pipe *pipe = ph_pipe_new(of->port);
    assert(of->listener);
    if (pipe)
        join(pipe, of->listener, of->max_message);
    return pipe;
}

/* ---- Connect -------------------------------------------------------- */

/* Nobody is let in: the system's own limit is not used, since it counts server
 * ends that are closed but whose client is still there, too. */
static bool full(const struct ph_listener *listener)
{
    return listener->taken >= listener->options.max_instances;
}

static void update(struct ph_listener *listener)
{
    if (!listener->closed)
        ph_backend_listener_update(listener);
}

static void finish_connect(struct ph_op *op, enum ph_status status)
{
    struct ph_pipe *pipe = op->pipe;
    assert(pipe->connecting == op);
    ph_queue_remove(&pipe->listener->waiting, op);
    pipe->connecting = NULL;
    if (status == PH_OK) {
        assert(pipe->state != PH_PIPE_CLOSED);
        assert(pipe->attached && !pipe->taken);
        pipe->state = PH_PIPE_CONNECTED;
        pipe->taken = true;
        pipe->listener->taken++;
        /* The call that follows may look for a place. */
        if (full(pipe->listener))
            update(pipe->listener);
    }
    ph_op_end(op, status);
}

static enum ph_status accept(struct ph_listener *listener, struct ph_op *op,
                             enum ph_try when)
{
    if (op->port->plans)
        return ph_fault_accept(listener, op);
    return ph_backend_accept(listener, op->pipe, when, &op->os);
}

/* Gives the next client to the head; false: none is there now. */
static bool serve_head(struct ph_listener *listener)
{
    struct ph_op *op = listener->waiting.head;
    enum ph_status status;
    if (op->pipe->state == PH_PIPE_CLOSED) {
        assert(op->ending != PH_OK);
        finish_connect(op, op->ending); /* the client is another's */
        return true;
    }
    if (op->pipe->attached) {
        /* Its old client is still being dropped: the others go first. */
        ph_queue_remove(&listener->waiting, op);
        ph_queue_push(&listener->waiting, op);
        return listener->waiting.head != op;
    }
    status = accept(listener, op, PH_TRY_NOW);
    if (status == PH_PENDING)
        return false;
    finish_connect(op, status);
    return true;
}

static void release(struct ph_listener *listener)
{
    assert(!listener->instances && !listener->waiting.head);
    listener->closed = true;
    ph_backend_unlisten(listener);
}

/* The last instance gives the name back. */
static void leave(struct ph_listener *listener)
{
    assert(listener->instances);
    if (--listener->instances)
        update(listener);
    else if (listener->gone)
        remove_listener(listener);
    else if (!listener->closed)
        release(listener);
}

void ph_listener_ready(struct ph_listener *listener)
{
    /* At most as many as wait now: no instance keeps the loop to itself. */
    uint32_t waiting = 0;
    listener->instances++; /* held: callbacks may close every instance */
    for (struct ph_op *op = listener->waiting.head; op; op = op->next)
        waiting++;
    while (waiting-- && listener->waiting.head && !full(listener) &&
           !listener->closed)
        if (!serve_head(listener))
            break;
    leave(listener);
}

void ph_connect_step(struct ph_op *op)
{
    struct ph_listener *listener = op->pipe->listener;
    if (op->ending == PH_OK) {
        ph_listener_ready(listener);
        return;
    }
    /* A client that has come while the time ran out is taken. */
    if (listener->waiting.head == op && !full(listener) &&
        op->ending != PH_CLOSED && op->pipe->state != PH_PIPE_CLOSED &&
        !op->pipe->attached &&
        accept(listener, op, PH_TRY_NOW) == PH_OK)
        finish_connect(op, PH_OK);
    else
        finish_connect(op, op->ending);
}

enum ph_status ph_connect_start(struct ph_op *op, struct ph_pipe *pipe,
                                int64_t deadline)
{
    bool already = pipe->server && pipe->state == PH_PIPE_CONNECTED;
    if (pipe->state == PH_PIPE_CLOSED)
        return ph_op_misuse(op, "the pipe is closed");
    if (!pipe->server || pipe->state == PH_PIPE_NEW ||
        (!pipe->listener && !already)) /* its place is at another port */
        return ph_op_misuse(op, "only a created instance connects (1)");
    if (pipe->connecting)
        return ph_op_misuse(op, "a connect is pending on this instance (87)");
    ph_op_begin(op, PH_OP_CONNECT, pipe->port, pipe, deadline);
    if (already) { /* 535 */
        ph_op_end(op, PH_OK);
        op->starting = false;
        return PH_OK;
    }
    struct ph_listener *listener = pipe->listener;
    if (listener->closed) {
        op->why = "no new clients are taken for this name";
        ph_op_end(op, PH_CLOSED);
        op->starting = false;
        return PH_OK;
    }
    pipe->connecting = op;
    ph_queue_push(&listener->waiting, op);
    if (listener->waiting.head == op && !full(listener) && !pipe->attached) {
        enum ph_status status = accept(
            listener, op, deadline == PH_NOW ? PH_TRY_NOW : PH_TRY_FIRST);
        if (status != PH_PENDING)
            finish_connect(op, status);
    }
    ph_op_started(op);
    update(listener);
    return PH_OK;
}

/* ---- Other limits ------------------------------------------------------- */

enum ph_status ph_pipe_adjust(struct ph_pipe *pipe,
                              const struct ph_create_options *options,
                              const char **why)
{
    struct ph_listener *listener = pipe->listener;
    enum ph_status status;
    assert(listener && pipe->state != PH_PIPE_CONNECTED);
    if (listener->closed)
        return PH_OK;
    status = ph_backend_adjust(listener, options, why);
    if (status != PH_OK)
        return status;
    listener->options.max_instances = options->max_instances;
    listener->options.backlog = options->backlog;
    listener->options.max_message = options->max_message;
    pipe->max_message = options->max_message;
    update(listener);
    return PH_OK;
}

/* ---- Leaving -------------------------------------------------------- */

void ph_listener_untake(struct ph_pipe *pipe)
{
    struct ph_listener *listener = pipe->listener;
    bool was_full;
    if (!pipe->taken)
        return;
    assert(listener->taken);
    was_full = full(listener);
    pipe->taken = false;
    listener->taken--;
    if (pipe->state == PH_PIPE_CLOSED && listener->instances == 1)
        return; /* the name goes with it: nobody may come in any more */
    ph_backend_listener_update(listener);
    if (was_full && listener->waiting.head)
        ph_op_poke(listener->waiting.head);
}

void ph_listener_leave(struct ph_pipe *pipe)
{
    struct ph_listener *listener = pipe->listener;
    if (!listener)
        return;
    pipe->listener = NULL;
    pipe->name = NULL;
    leave(listener);
}
