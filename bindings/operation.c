/* SPDX-License-Identifier: MIT */
/* An operation that the script holds. Its memory is the box; the userdata only
 * points to it, since the box must outlive a handle that is collected while the
 * system still works on the operation. */

#include "pipe.h"

#include <assert.h>
#include <stdlib.h>

#include "lauxlib.h"
#include "misuse.h"
#include "outcome.h"
#include "runtime.h"

struct ph_box {
    struct ph_op op;
    struct ph_runtime *runtime; /* on its account; NULL: its state has gone */
    size_t held;                /* bytes of it */
    struct ph_box *next, **link;   /* its handle was collected: runtime->orphans */
};

struct handle {
    struct ph_box *box;
};

/* A finalizer may still reach a handle that was collected with it. */
static struct ph_op *check(lua_State *L, int index)
{
    struct handle *handle = luaL_checkudata(L, index, PH_OPERATION);
    if (!handle->box)
        luaL_error(L, "the operation was collected");
    return &handle->box->op;
}

struct ph_signal *ph_operation_signal(lua_State *L, int index)
{
    if (!luaL_testudata(L, index, PH_OPERATION))
        return NULL;
    return &check(L, index)->signal;
}

/* ---- Memory ------------------------------------------------------------------- */

/* A box with its data is on the account of the script that holds the handle:
 * else many of them would be memory that no limit knows of, and the collector,
 * which sees the small handles only, would come too late. */
static void account(struct ph_box *box, size_t held)
{
    struct ph_runtime *runtime = box->runtime;
    if (runtime && runtime->watcher)
        runtime->watcher->held(runtime, (ptrdiff_t)(held - box->held));
    box->held = held;
}

static void account_data(struct ph_box *box)
{
    account(box, sizeof *box + (box->op.buf ? box->op.cap : 0));
}

/* Has the collector run, or raises for lack of memory, as for a value of this
 * size. */
static void make_room(lua_State *L, size_t size)
{
    if (!ph_runtime_of(L)->watcher)
        return;
    lua_newuserdatauv(L, size, 0);
    lua_pop(L, 1);
}

/* The result may be asked for later and often: it must not lie in the port's
 * scratch buffer. */
static void done(struct ph_op *op)
{
    assert(op->state == PH_OP_DONE);
    if (ph_op_keep(op) != PH_OK)
        op->status = PH_NOMEM;
    account_data(ph_container_of(op, struct ph_box, op));
}

static void free_box(struct ph_op *op)
{
    struct ph_box *box = ph_container_of(op, struct ph_box, op);
    assert(op->state != PH_OP_PENDING); /* else it is the port's */
    if (box->link)
        *box->link = box->next;
    if (box->next)
        box->next->link = box->link;
    account(box, 0);
    ph_op_clear(op);
    free(box);
}

/* Nobody holds it any more; the port finishes it. */
static void orphan(struct ph_box *box)
{
    struct ph_box **list = &box->runtime->orphans;
    box->op.done = free_box;
    box->next = *list;
    if (box->next)
        box->next->link = &box->next;
    box->link = list;
    *list = box;
    ph_op_cancel(&box->op);
}

static void disown(struct ph_box *box)
{
    account(box, 0);
    box->runtime = NULL;
}

void ph_operation_abandon(struct ph_runtime *runtime)
{
    while (runtime->orphans) {
        struct ph_box *box = runtime->orphans;
        runtime->orphans = box->next;
        box->next = NULL;
        box->link = NULL;
        disown(box);
    }
}

/* ---- Starts ------------------------------------------------------------------- */

/* Pushes a handle with an IDLE operation, for `len` bytes to write; its user
 * value is the pipe. */
static struct ph_op *push(lua_State *L, size_t len)
{
    struct handle *handle;
    make_room(L, sizeof *handle->box + len);
    handle = lua_newuserdatauv(L, sizeof *handle, 1);
    handle->box = NULL;
    luaL_setmetatable(L, PH_OPERATION);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    handle->box = calloc(1, sizeof *handle->box);
    if (!handle->box)
        luaL_error(L, "not enough memory");
    handle->box->runtime = ph_runtime_of(L);
    handle->box->op.done = done;
    account_data(handle->box);
    ph_made(L);
    return &handle->box->op;
}

static int started(lua_State *L, struct ph_op *op, enum ph_status status)
{
    struct lua_pipe *self = lua_touserdata(L, 1);
    if (status == PH_MISUSE && self->host_closed)
        status = PH_CLOSED;
    if (status == PH_MISUSE)
        return luaL_error(L, "pipe %s: %s", ph_pipe_name(L, 1), op->why);
    if (status != PH_OK)
        return ph_push_start_failure(L, status, 1);
    assert(op->state != PH_OP_IDLE);
    if (op->state == PH_OP_DONE)
        done(op);
    else
        account_data(ph_container_of(op, struct ph_box, op));
    return 1;
}

static int read_op(lua_State *L)
{
    struct lua_pipe *self = ph_pipe_check(L, 1);
    lua_Integer max = luaL_optinteger(L, 2, PH_MESSAGE_MAX);
    int64_t deadline = ph_check_deadline(L, 3, self->timeout_ms);
    struct ph_op *op;
    luaL_argcheck(L, max > 0 && max <= INT32_MAX, 2,
                  "a number of bytes, 1 to 2147483647");
    op = push(L, 0);
    return started(L, op,
                   ph_read_start(op, self->pipe, PH_READ_SOME, (size_t)max,
                                 deadline));
}

static int receive_op(lua_State *L)
{
    struct lua_pipe *self = ph_pipe_check(L, 1);
    int64_t deadline = ph_check_deadline(L, 2, self->timeout_ms);
    struct ph_op *op = push(L, 0);
    return started(L, op,
                   ph_read_start(op, self->pipe, PH_READ_MESSAGE, 0,
                                 deadline));
}

typedef enum ph_status (*send_start)(struct ph_op *op, struct ph_pipe *pipe,
                                     const void *data, size_t len,
                                     int64_t deadline);

static int start_send(lua_State *L, send_start start)
{
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);
    struct lua_pipe *self = ph_pipe_check(L, 1);
    int64_t deadline = ph_check_deadline(L, 3, self->timeout_ms);
    struct ph_op *op = push(L, len);
    return started(L, op, start(op, self->pipe, data, len, deadline));
}

static int write_op(lua_State *L)
{
    return start_send(L, ph_write_start);
}

static int send_op(lua_State *L)
{
    return start_send(L, ph_send_start);
}

static int transact_op(lua_State *L)
{
    return start_send(L, ph_transact_start);
}

typedef enum ph_status (*plain_start)(struct ph_op *op, struct ph_pipe *pipe,
                                      int64_t deadline);

static int start_plain(lua_State *L, plain_start start)
{
    struct lua_pipe *self = ph_pipe_check(L, 1);
    int64_t deadline = ph_check_deadline(L, 2, self->timeout_ms);
    struct ph_op *op = push(L, 0);
    return started(L, op, start(op, self->pipe, deadline));
}

static int connect_op(lua_State *L)
{
    return start_plain(L, ph_connect_start);
}

static int flush_op(lua_State *L)
{
    return start_plain(L, ph_flush_start);
}

/* ---- Methods -------------------------------------------------------------------- */

static int push_pending(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    return ph_push_status(L, PH_PENDING, "wait", ph_pipe_name(L, -1), 0);
}

static int push_waited(lua_State *L)
{
    struct ph_op *op = check(L, 1);
    if (op->state == PH_OP_PENDING)
        return push_pending(L);
    lua_pushboolean(L, 1);
    return 1;
}

static int wait_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    return push_waited(L);
}

/* wait(ms) -> true when it is DONE; nil, "pending": the operation goes on */
static int op_wait(lua_State *L)
{
    struct ph_op *op = check(L, 1);
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct ph_task *task;
    if (op->state != PH_OP_PENDING || deadline == PH_NOW)
        return push_waited(L);
    task = ph_wait_check(L, "op:wait");
    if (ph_task_wait_one(L, &op->signal, deadline))
        return push_waited(L);
    return ph_wait_yield(L, task, wait_resumed);
}

/* result() -> what the method of the same name returns; nil, "pending" */
static int op_result(lua_State *L)
{
    struct ph_op *op = check(L, 1);
    if (op->state == PH_OP_PENDING)
        return push_pending(L);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 1);
    return ph_push_result(L, op, 2);
}

/* cancel(): asks it to end; wait and result tell what came of it */
static int op_cancel(lua_State *L)
{
    ph_op_cancel(check(L, 1));
    return 0;
}

static int closed(lua_State *L, int status, lua_KContext context)
{
    (void)L;
    (void)status;
    (void)context;
    return 0;
}

/* Cancels and waits for the end, where the coroutine can suspend. */
static int op_close(lua_State *L)
{
    struct ph_op *op = check(L, 1);
    struct ph_task *task = ph_wait_task(L);
    ph_op_cancel(op);
    if (op->state != PH_OP_PENDING || !task)
        return 0;
    if (ph_task_wait_one(L, &op->signal, PH_FOREVER))
        return 0;
    return ph_wait_yield(L, task, closed);
}

/* Idempotent: a handle may be finalized and still be seen by a finalizer. */
static int op_gc(lua_State *L)
{
    struct handle *handle = luaL_checkudata(L, 1, PH_OPERATION);
    struct ph_box *box = handle->box;
    handle->box = NULL;
    if (!box)
        return 0;
    if (box->op.state == PH_OP_PENDING)
        orphan(box);
    else
        free_box(&box->op);
    if (ph_runtime_of(L)->closing)
        ph_operation_abandon(ph_runtime_of(L));
    return 0;
}

/* "read of pipe NAME (pending)" */
static int op_tostring(lua_State *L)
{
    static const char *const states[] = {"idle", "pending", "done"};
    const struct ph_op *op = check(L, 1);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 1);
    lua_pushfstring(L, "%s of pipe %s (%s)", ph_op_verb(op),
                    ph_pipe_name(L, 2), states[op->state]);
    return 1;
}

static const luaL_Reg pipe_methods[] = {
    {"read_op", read_op},         {"receive_op", receive_op},
    {"write_op", write_op},       {"send_op", send_op},
    {"transact_op", transact_op}, {"connect_op", connect_op},
    {"flush_op", flush_op},       {NULL, NULL},
};

static const luaL_Reg op_methods[] = {
    {"wait", op_wait},
    {"result", op_result},
    {"cancel", op_cancel},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", op_gc},
    {"__close", op_close},
    {"__tostring", op_tostring},
    {NULL, NULL},
};

void ph_operation_methods(lua_State *L)
{
    luaL_setfuncs(L, pipe_methods, 0);
}

void ph_operation_open(lua_State *L)
{
    luaL_newmetatable(L, PH_OPERATION);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, op_methods);
    ph_push_index(L, "an operation");
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
