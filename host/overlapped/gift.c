/* SPDX-License-Identifier: MIT */
/*
 * Clients that go from the port which has accepted them to another one. What
 * travels is the system's handle; the pipe that had it keeps its place among
 * max_instances, and its name alive, until it is closed.
 */
#include <assert.h>
#include <stdlib.h>

#include "operation.h"

void ph_pipe_give(struct ph_pipe *pipe, struct ph_gift *out)
{
    assert(pipe->state == PH_PIPE_CONNECTED && pipe->attached && pipe->server);
    assert(!pipe->reads.head && !pipe->writes.head && !pipe->flushes);
    out->handle = ph_backend_give(pipe);
    out->mode = pipe->mode;
    out->direction = pipe->direction;
    out->max_message = pipe->max_message;
    assert(!pipe->attached);
}

enum ph_status ph_pipe_take_back(struct ph_pipe *pipe,
                                 const struct ph_gift *gift)
{
    assert(pipe->state == PH_PIPE_CONNECTED && !pipe->attached);
    return ph_backend_take(pipe, gift->handle);
}

struct ph_pipe *ph_pipe_take(struct ph_port *port, const struct ph_gift *gift,
                             const char *name, const char *path)
{
    struct ph_pipe *pipe = ph_pipe_new(port);
    if (!pipe)
        return NULL;
    pipe->server = true;
    pipe->name = ph_strdup(name);
    pipe->path = ph_strdup(path);
    pipe->mode = gift->mode;
    pipe->direction = gift->direction;
    pipe->max_message = (uint32_t)gift->max_message;
    if (pipe->name && pipe->path &&
        ph_backend_take(pipe, gift->handle) == PH_OK) {
        pipe->state = PH_PIPE_CONNECTED;
        return pipe;
    }
    ph_pipe_release(pipe);
    return NULL;
}

void ph_gift_drop(const struct ph_gift *gift)
{
    ph_backend_drop(gift->handle);
}
