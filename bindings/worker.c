/* SPDX-License-Identifier: MIT */
/*
 * The hot path of a server: a message comes, a parked worker is started, calls
 * on_message, hands the reply to the pipe and returns, which parks it again: one
 * that never waits is never suspended. Whatever is not that goes to `dispatch`,
 * the function in server.lua.
 *
 * Stack of a worker: 1 the message handler (traceback); above it the call.
 */
#include "worker.h"

#include <assert.h>

#include "handover.h"
#include "lauxlib.h"
#include "outcome.h"

static struct ph_conn *conn_of(lua_State *L)
{
    return ph_runtime_of(L)->current->conn;
}

/* The connection leaves its worker before it goes on: what it does next may be
 * given to this worker again, in a later turn. NULL: it has gone meanwhile, with
 * another state. */
static struct ph_conn *release(lua_State *L)
{
    struct ph_task *task = ph_runtime_of(L)->current;
    struct ph_conn *conn = task->conn;
    task->conn = NULL;
    if (conn)
        conn->worker = NULL;
    return conn;
}

static void after_dispatch(lua_State *L, struct ph_conn *conn, bool ok)
{
    const char *text = ok ? NULL : lua_tostring(L, -1);
    if (!ok && !text)
        text = "not enough memory";
    switch (conn->job) {
    case PH_JOB_ADOPTED:
        ph_conn_adopted(conn, text);
        return;
    case PH_JOB_ENDED:
        if (text)
            ph_runtime_log(ph_runtime_of(L), PH_LOG_ERROR, "%s", text);
        ph_conn_free(conn);
        return;
    default:
        break;
    }
    if (text)
        ph_runtime_log(ph_runtime_of(L), PH_LOG_ERROR, "%s", text);
    if (ok && lua_isnil(L, -1))
        ph_conn_idle(conn);
    else
        ph_conn_end(conn, ph_reason_check(L, -1));
}

/* What dispatch returned: nil to go on, or the reason why it is over. */
static int dispatched(lua_State *L, int status, lua_KContext context)
{
    struct ph_conn *conn = release(L);
    (void)context;
    if (conn)
        after_dispatch(L, conn, status == LUA_OK || status == LUA_YIELD);
    return 0;
}

/* dispatch(kind, conn, …) with `args` values on top of the stack. */
static int dispatch(lua_State *L, const char *kind, int args)
{
    struct ph_conn *conn = conn_of(L);
    ph_server_push(L, conn->server, PH_SERVER_DISPATCH);
    lua_pushstring(L, kind);
    ph_conn_push(L, conn);
    lua_rotate(L, -args - 3, 3);
    return dispatched(
        L, lua_pcallk(L, args + 2, 1, 1, 0, dispatched), 0);
}

/* on_message has returned: a string is the reply, no value at all is none; the
 * rest (outcomes, errors, wrong types) is dispatch's. */
static int handled(lua_State *L, int status, lua_KContext context)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    const char *limit = NULL;
    bool ok;
    (void)context;
    if (runtime->watcher)
        limit = runtime->watcher->end_call(runtime, L, status, 1);
    if (!conn_of(L))
        return 0;
    ok = !limit && (status == LUA_OK || status == LUA_YIELD);
    if (ok && lua_type(L, 2) == LUA_TSTRING) {
        size_t len;
        const char *data = lua_tolstring(L, 2, &len);
        ph_conn_reply(release(L), data, len);
        return 0;
    }
    if (ok && lua_isnil(L, 2) && lua_isnil(L, 3)) {
        ph_conn_idle(release(L));
        return 0;
    }
    lua_pushboolean(L, ok);
    lua_insert(L, 2);
    if (!ok)
        lua_pushstring(L, limit);
    return dispatch(L, "answered", lua_gettop(L) - 1);
}

/* The session has returned or raised. */
static int session_ended(lua_State *L, int status, lua_KContext context)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    const char *limit = NULL;
    (void)context;
    if (runtime->watcher)
        limit = runtime->watcher->end_call(runtime, L, status, 1);
    if (!conn_of(L))
        return 0;
    if (!limit && (status == LUA_OK || status == LUA_YIELD)) {
        ph_conn_end(release(L), PH_REASON_CLOSED);
        return 0;
    }
    lua_pushstring(L, limit);
    return dispatch(L, "failed", 2);
}

/* Right here, and not through dispatch: each frame below a session costs memory
 * as long as its client is there. */
static int session(lua_State *L, struct ph_conn *conn)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, conn->server->handler);
    ph_conn_push(L, conn);
    if (ph_runtime_of(L)->watcher)
        ph_runtime_of(L)->watcher->begin_call(ph_runtime_of(L));
    return session_ended(L, lua_pcallk(L, 1, 0, 1, 0, session_ended), 0);
}

static int message(lua_State *L, struct ph_conn *conn)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, conn->server->handler);
    ph_conn_push(L, conn);
    lua_pushlstring(L, conn->op->len ? (const char *)conn->op->data : "",
                    conn->op->len);
    ph_op_clear(conn->op);
    if (ph_runtime_of(L)->watcher)
        ph_runtime_of(L)->watcher->begin_call(ph_runtime_of(L));
    return handled(L, lua_pcallk(L, 2, 3, 1, 0, handled), 0);
}

static int ended(lua_State *L, struct ph_conn *conn)
{
    lua_pushstring(L, ph_reason_name(conn->reason));
    if (!conn->op || conn->op->state != PH_OP_DONE || conn->op->status == PH_OK)
        return dispatch(L, "ended", 1);
    ph_server_push(L, conn->server, PH_SERVER_NAME);
    ph_push_failure(L, conn->op,
                    conn->op->kind == PH_OP_READ ? "receive" : "reply",
                    lua_tostring(L, -1));
    lua_remove(L, -4);
    return dispatch(L, "ended", 4);
}

/* dispatch("adopted", conn, state, its version) */
static int adopted(lua_State *L, struct ph_conn *conn)
{
    if (ph_value_decode(L, &conn->crossing->parcel) == 0)
        lua_pushnil(L);
    lua_pushinteger(L, conn->crossing->version);
    return dispatch(L, "adopted", 2);
}

/* dispatch("resumed", conn, the version that its state had) */
static int resumed(lua_State *L, struct ph_conn *conn)
{
    lua_pushinteger(L, conn->crossing->version);
    ph_crossing_free(conn);
    return dispatch(L, "resumed", 1);
}

static int body(lua_State *L)
{
    struct ph_conn *conn = conn_of(L);
    lua_pushcfunction(L, ph_error_traceback);
    switch (conn->job) {
    case PH_JOB_MESSAGE:
        return message(L, conn);
    case PH_JOB_OPENED:
        return conn->server->quiet_open ? session(L, conn)
                                        : dispatch(L, "opened", 0);
    case PH_JOB_ADOPTED:
        return adopted(L, conn);
    case PH_JOB_RESUMED:
        return resumed(L, conn);
    case PH_JOB_ENDED:
    default:
        return ended(L, conn);
    }
}

/* It failed outside its handlers, for want of memory: so ends its client. */
static void died(struct ph_task *task)
{
    struct ph_conn *conn = task->conn;
    task->conn = NULL;
    if (!conn)
        return;
    conn->worker = NULL;
    if (conn->job == PH_JOB_ADOPTED)
        ph_conn_adopted(conn, "not enough memory");
    else
        ph_conn_free(conn);
}

/* ---- The pool ------------------------------------------------------------------- */

static int new_worker(lua_State *L)
{
    struct ph_task **out = lua_touserdata(L, 1);
    *out = ph_task_new(L, body);
    (*out)->again = body;
    (*out)->died = died;
    (*out)->host = true; /* what it calls of the script has limits */
    return 0;
}

static struct ph_task *take_worker(struct ph_runtime *runtime)
{
    struct ph_task *task = ph_task_unpark(runtime);
    lua_State *L = runtime->L;
    if (task)
        return task;
    lua_pushcfunction(L, new_worker);
    lua_pushlightuserdata(L, &task);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        lua_pop(L, 1);
    return task;
}

bool ph_worker_run(struct ph_conn *conn)
{
    struct ph_task *task = take_worker(conn->server->runtime);
    assert(!conn->worker);
    if (!task)
        return false;
    task->conn = conn;
    conn->worker = task;
    ph_task_resume(task);
    return true;
}
