/* SPDX-License-Identifier: MIT */
/*
 * The Lua type "pipehost.pipe": a handle with one reference to a pipe object.
 *
 * A method that waits starts task->call, an operation that the task has for the
 * time of the call, and leaves the coroutine; its continuation gives the
 * result. One that is done at once does not leave it: such calls cost no more
 * than the system's, but after some of them in one turn the task gives way.
 *
 * Closed by the script and closed by the host are different things: the first
 * makes further use a mistake, which raises, the second an outcome that any
 * script has to expect (host_closed).
 */
#include "pipe.h"

#include <assert.h>
#include <string.h>

#include "connection.h"
#include "lauxlib.h"
#include "misuse.h"
#include "outcome.h"
#include "runtime.h"

#define AT_ONCE 64 /* operations of a task in one turn without a wait */

struct lua_pipe *ph_pipe_check(lua_State *L, int index)
{
    struct lua_pipe *self = luaL_checkudata(L, index, PH_PIPE);
    if (!self->pipe)
        luaL_error(L, "pipe %s is closed", ph_pipe_name(L, index));
    return self;
}

const char *ph_pipe_name(lua_State *L, int index)
{
    const struct lua_pipe *self = lua_touserdata(L, index);
    const char *name;
    if (self->conn)
        ph_conn_push_name(L, self->conn);
    else
        lua_getiuservalue(L, index, PH_PIPE_VALUE);
    name = lua_tostring(L, -1);
    lua_pop(L, 1); /* the userdata, or the server, holds it */
    return name ? name : "";
}

struct lua_pipe *ph_pipe_push(lua_State *L, int name)
{
    struct lua_pipe *self;
    name = lua_absindex(L, name);
    self = lua_newuserdatauv(L, sizeof *self, 1);
    *self = (struct lua_pipe){.timeout_ms = -1};
    luaL_setmetatable(L, PH_PIPE);
    lua_pushvalue(L, name);
    lua_setiuservalue(L, -2, PH_PIPE_VALUE);
    return self;
}

/* ---- Calls that wait ---------------------------------------------------------- */

static int finish(lua_State *L, struct ph_task *task)
{
    if (!task->call) /* there was no memory for it when its message came */
        return ph_push_start_failure(L, PH_NOMEM, 1);
    assert(task->call->state == PH_OP_DONE);
    int values = ph_push_result(L, task->call, 1);
    ph_task_call_over(task);
    return values;
}

/* A cancelled task hears of it here, unless its operation was done first: what
 * that has taken from the pipe would be lost. Then its next wait tells it. */
static int resumed(lua_State *L, int status, lua_KContext context)
{
    struct ph_task *task = ph_runtime_of(L)->current;
    (void)status;
    (void)context;
    if (!task->call || task->call->status != PH_OK)
        ph_wait_resumed(L);
    return finish(L, task);
}

/* Operations that are done at once must not keep the loop from the others:
 * after some of them the task gives way for one turn. */
static void give_way(struct ph_task *task)
{
    if (ph_op_keep(task->call) != PH_OK)
        task->call->status = PH_NOMEM;
    ph_timer_start(task->runtime->port, &task->timer, 0);
}

/* True: task->call is done, and the task need not give way. */
static bool at_once(lua_State *L, struct ph_task *task)
{
    if (!task->call || task->call->state != PH_OP_DONE)
        return false;
    if (++task->at_once < AT_ONCE || !lua_isyieldable(L))
        return true;
    give_way(task);
    return false;
}

int ph_pipe_await(lua_State *L, struct ph_task *task)
{
    if (at_once(L, task))
        return finish(L, task);
    return ph_wait_yield(L, task, resumed);
}

/* What every method needs that starts an operation and waits for it. */
struct call {
    struct lua_pipe *self;
    struct ph_task *task;
    int64_t deadline;
};

static struct call begin(lua_State *L, const char *what, int ms_index)
{
    struct call call = {.self = ph_pipe_check(L, 1)};
    call.deadline = ph_check_deadline(L, ms_index, call.self->timeout_ms);
    call.task = ph_wait_check(L, what);
    return call;
}

static struct ph_op *operation(lua_State *L, const struct call *call)
{
    return ph_task_call(L, call->task);
}

static int await(lua_State *L, struct call *call, enum ph_status started)
{
    if (started == PH_MISUSE && call->self->host_closed)
        started = PH_CLOSED;
    if (started == PH_MISUSE)
        return luaL_error(L, "pipe %s: %s", ph_pipe_name(L, 1),
                          call->task->call->why);
    if (started != PH_OK)
        return ph_push_start_failure(L, started, 1);
    return ph_pipe_await(L, call->task);
}

static size_t check_count(lua_State *L, int index, size_t fallback)
{
    lua_Integer count = luaL_optinteger(L, index, (lua_Integer)fallback);
    luaL_argcheck(L, count >= 0 && count <= INT32_MAX, index,
                  "a number of bytes, 0 to 2147483647");
    return (size_t)count;
}

/* read(max, ms): what is there, at most max bytes -> data, more */
static int pipe_read(lua_State *L)
{
    struct call call = begin(L, "pipe:read", 3);
    size_t max = check_count(L, 2, PH_MESSAGE_MAX);
    luaL_argcheck(L, max > 0, 2, "a read takes at least one byte");
    return await(L, &call,
                 ph_read_start(operation(L, &call), call.self->pipe,
                               PH_READ_SOME, max, call.deadline));
}

/* read_exact(n, ms) -> n bytes */
static int pipe_read_exact(lua_State *L)
{
    struct call call = begin(L, "pipe:read_exact", 3);
    size_t count;
    luaL_checkinteger(L, 2);
    count = check_count(L, 2, 0);
    return await(L, &call,
                 ph_read_start(operation(L, &call), call.self->pipe,
                               PH_READ_EXACT, count, call.deadline));
}

/* read_line(ms) -> a line without its end */
static int pipe_read_line(lua_State *L)
{
    struct call call = begin(L, "pipe:read_line", 2);
    return await(L, &call,
                 ph_read_start(operation(L, &call), call.self->pipe,
                               PH_READ_LINE, 0, call.deadline));
}

static enum ph_status start_receive(lua_State *L, struct call *call)
{
    struct ph_pipe *pipe = call->self->pipe;
    if (ph_task_rest(call->task, pipe, call->deadline) != PH_BUSY)
        return PH_OK;
    return ph_read_start(operation(L, call), pipe, PH_READ_MESSAGE, 0,
                         call->deadline);
}

/* receive(ms) -> one whole message */
static int pipe_receive(lua_State *L)
{
    struct call call = begin(L, "pipe:receive", 2);
    return await(L, &call, start_receive(L, &call));
}

/* ---- Iterators ------------------------------------------------------------------ */

/* Of the values that a read has given; the pipe is at 1. */
static int next_value(lua_State *L, int values)
{
    const char *code;
    if (!lua_isnil(L, -values))
        return values;
    code = lua_tostring(L, -values + 1);
    if (!code || strcmp(code, "closed") != 0)
        return luaL_error(L, "%s", luaL_tolstring(L, -values + 2, NULL));
    lua_pushnil(L);
    return 1;
}

static int next_resumed(lua_State *L, int status, lua_KContext context)
{
    return next_value(L, resumed(L, status, context));
}

static int await_next(lua_State *L, struct call *call, enum ph_status started)
{
    if (started != PH_OK)
        return next_value(L, await(L, call, started));
    if (at_once(L, call->task))
        return next_value(L, finish(L, call->task));
    return ph_wait_yield(L, call->task, next_resumed);
}

static int next_message(lua_State *L)
{
    struct call call;
    lua_settop(L, 0); /* what for hands over */
    lua_pushvalue(L, lua_upvalueindex(1));
    call = begin(L, "pipe:messages", 2);
    return await_next(L, &call, start_receive(L, &call));
}

static int next_line(lua_State *L)
{
    struct call call;
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    call = begin(L, "pipe:lines", 2);
    return await_next(L, &call,
                      ph_read_start(operation(L, &call), call.self->pipe,
                                    PH_READ_LINE, 0, call.deadline));
}

/* messages() -> an iterator of the messages: it ends when the other end has
 * closed, and raises on any other outcome */
static int pipe_messages(lua_State *L)
{
    luaL_checkudata(L, 1, PH_PIPE);
    lua_settop(L, 1);
    lua_pushcclosure(L, next_message, 1);
    return 1;
}

/* lines() -> the same of the lines of a byte pipe, without their ends; a last
 * one needs none */
static int pipe_lines(lua_State *L)
{
    luaL_checkudata(L, 1, PH_PIPE);
    lua_settop(L, 1);
    lua_pushcclosure(L, next_line, 1);
    return 1;
}

/* ---- Writing --------------------------------------------------------------------- */

/* write(data, ms) -> true */
static int pipe_write(lua_State *L)
{
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);
    struct call call = begin(L, "pipe:write", 3);
    return await(L, &call,
                 ph_write_start(operation(L, &call), call.self->pipe, data, len,
                                call.deadline));
}

/* send(data, ms): one whole message -> true */
static int pipe_send(lua_State *L)
{
    struct call call = begin(L, "pipe:send", 3);
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);
    return await(L, &call,
                 ph_send_start(operation(L, &call), call.self->pipe, data, len,
                               call.deadline));
}

/* transact(data, ms) -> the reply */
static int pipe_transact(lua_State *L)
{
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);
    struct call call = begin(L, "pipe:transact", 3);
    return await(L, &call,
                 ph_transact_start(operation(L, &call), call.self->pipe, data,
                                   len, call.deadline));
}

/* connect(ms): waits for a client of a created instance -> true */
static int pipe_connect(lua_State *L)
{
    struct call call = begin(L, "pipe:connect", 2);
    return await(
        L, &call,
        ph_connect_start(operation(L, &call), call.self->pipe, call.deadline));
}

/* flush(ms): until the peer has read all -> true */
static int pipe_flush(lua_State *L)
{
    struct call call = begin(L, "pipe:flush", 2);
    return await(
        L, &call,
        ph_flush_start(operation(L, &call), call.self->pipe, call.deadline));
}

/* ---- Close ---------------------------------------------------------------------- */

/* The handle is the script's no more, whatever comes of the close. */
static struct ph_pipe *give_up(struct lua_pipe *self)
{
    struct ph_pipe *pipe = self->pipe;
    self->pipe = NULL;
    return pipe;
}

/* Where nothing can wait, or may any more, a pipe is closed all the same: the
 * port does the rest. Raises where the answer was asked for. */
static int close_unwaited(lua_State *L, struct lua_pipe *self, bool asks)
{
    struct ph_pipe *pipe = give_up(self);
    ph_pipe_close(pipe);
    ph_pipe_release(pipe);
    if (asks)
        ph_wait_check(L, "pipe:close");
    lua_pushboolean(L, 1);
    return 1;
}

/* close(ms): true; with ms: whether the peer has read everything */
static int pipe_close(lua_State *L)
{
    struct lua_pipe *self = luaL_checkudata(L, 1, PH_PIPE);
    bool asks = !lua_isnoneornil(L, 2);
    int64_t flush = asks ? ph_check_deadline(L, 2, -1) : PH_NOW;
    enum ph_status started;
    struct ph_task *task = ph_wait_task(L);
    struct ph_op *op;
    struct ph_pipe *pipe;
    if (!self->pipe || ph_pipe_state(self->pipe) == PH_PIPE_CLOSED) {
        lua_pushboolean(L, 1);
        return 1;
    }
    if (!task || task->cancelled || !ph_task_try_call(task))
        return close_unwaited(L, self, asks);
    if (asks && flush == PH_NOW) /* one look, where PH_NOW would be none */
        flush = ph_port_now(ph_runtime_of(L)->port);
    op = task->call;
    pipe = give_up(self);
    started = ph_close_start(op, pipe, flush);
    ph_pipe_release(pipe);
    if (started != PH_OK)
        return luaL_error(L, "pipe %s: %s", ph_pipe_name(L, 1), op->why);
    return ph_pipe_await(L, task);
}

static int pipe_gc(lua_State *L)
{
    struct lua_pipe *self = luaL_checkudata(L, 1, PH_PIPE);
    struct ph_pipe *pipe = give_up(self);
    if (pipe)
        ph_pipe_release(pipe);
    return 0;
}

/* ---- The type ---------------------------------------------------------------------- */

static int pipe_tostring(lua_State *L)
{
    struct lua_pipe *self = luaL_checkudata(L, 1, PH_PIPE);
    lua_pushfstring(L, "pipe %s%s", ph_pipe_name(L, 1),
                    self->pipe ? "" : " (closed)");
    return 1;
}

/* Methods first, then a connection's own fields. Upvalue 1: the methods. */
static int pipe_index(lua_State *L)
{
    struct lua_pipe *self = lua_touserdata(L, 1);
    const char *key = lua_tostring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    if (self->conn && ph_conn_field(L, self->conn))
        return 1;
    /* nil for those of a connection, where it is none or has ended. */
    for (const char *const *name = ph_conn_fields; *name; name++)
        if (key && strcmp(key, *name) == 0)
            return 0;
    return ph_unknown_field(L, lua_upvalueindex(1), ph_conn_fields, "a pipe");
}

/* Only a connection's `state` is the script's to set. */
static int pipe_newindex(lua_State *L)
{
    struct lua_pipe *self = luaL_checkudata(L, 1, PH_PIPE);
    const char *key = luaL_checkstring(L, 2);
    if (strcmp(key, "state") != 0 || !self->conn)
        return luaL_error(L,
                          "a pipe has no field '%s' to set; a server's "
                          "connection keeps its data in conn.state",
                          key);
    lua_settop(L, 3);
    lua_setiuservalue(L, 1, PH_PIPE_VALUE);
    return 0;
}

static const luaL_Reg methods[] = {
    {"read", pipe_read},
    {"read_exact", pipe_read_exact},
    {"read_line", pipe_read_line},
    {"receive", pipe_receive},
    {"messages", pipe_messages},
    {"lines", pipe_lines},
    {"write", pipe_write},
    {"send", pipe_send},
    {"transact", pipe_transact},
    {"connect", pipe_connect},
    {"flush", pipe_flush},
    {"close", pipe_close},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", pipe_gc},
    {"__close", pipe_gc},
    {"__tostring", pipe_tostring},
    {"__newindex", pipe_newindex},
    {NULL, NULL},
};

void ph_pipe_open(lua_State *L)
{
    luaL_newmetatable(L, PH_PIPE);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    ph_pipe_info_methods(L);
    ph_operation_methods(L);
    ph_conn_methods(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "methods"); /* the library adds its own in Lua */
    lua_pushcclosure(L, pipe_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
