/* SPDX-License-Identifier: MIT */
#include "connection.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lauxlib.h"
#include "pipe.h"
#include "worker.h"

#define PH_REASON_TEXT_(name, text) text,
static const char *const reason_names[] = {PH_REASON_LIST(PH_REASON_TEXT_)};

const char *ph_reason_name(enum ph_reason reason)
{
    return reason_names[reason];
}

enum ph_reason ph_reason_check(lua_State *L, int index)
{
    const char *text = lua_tostring(L, index);
    for (int i = 0; text && i < PH_REASON_COUNT; i++)
        if (strcmp(text, reason_names[i]) == 0)
            return (enum ph_reason)i;
    return PH_REASON_ERROR;
}

static int64_t deadline(const struct ph_conn *conn, lua_Number ms)
{
    int64_t now = ph_port_now(conn->service->port);
    return ms < 0 || ms > 9e12 ? PH_FOREVER : now + (int64_t)(ms * 1000);
}

/* ---- The userdata ---------------------------------------------------------------- */

void ph_conn_push(lua_State *L, struct ph_conn *conn)
{
    struct lua_pipe *self;
    if (conn->ref != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, conn->ref);
        return;
    }
    ph_server_push(L, conn->server, PH_SERVER_NAME);
    self = ph_pipe_push(L, -1);
    lua_remove(L, -2);
    self->timeout_ms = conn->server->timeout_ms;
    lua_pushvalue(L, -1);
    conn->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    ph_pipe_retain(conn->pipe);
    self->pipe = conn->pipe;
    self->conn = conn;
}

const char *const ph_conn_fields[] = {"state", "id", "server", "generation",
                                      NULL};

int ph_conn_field(lua_State *L, struct ph_conn *conn)
{
    const char *key = lua_tostring(L, 2);
    if (!key)
        return 0;
    if (strcmp(key, "state") == 0) {
        if (lua_getiuservalue(L, 1, PH_PIPE_FIELDS_VALUE) == LUA_TNIL) {
            lua_newtable(L);
            lua_pushvalue(L, -1);
            lua_setiuservalue(L, 1, PH_PIPE_FIELDS_VALUE);
        }
        return 1;
    }
    if (strcmp(key, "id") == 0)
        lua_pushinteger(L, conn->id);
    else if (strcmp(key, "server") == 0)
        ph_server_push(L, conn->server, PH_SERVER_OBJECT);
    else if (strcmp(key, "generation") == 0)
        lua_pushinteger(L, conn->server->runtime->generation);
    else
        return 0;
    return 1;
}

/* The userdata in that state is the script's alone from now on: a handle that
 * the host has closed. */
static struct lua_pipe *drop_userdata(lua_State *L, int *ref)
{
    struct lua_pipe *self;
    if (*ref == LUA_NOREF)
        return NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, *ref);
    self = lua_touserdata(L, -1);
    self->conn = NULL;
    self->host_closed = true;
    lua_pop(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, *ref);
    *ref = LUA_NOREF;
    return self;
}

/* The same where the pipe lives on in another state: the handle left behind
 * gets a closed one instead. */
static void leave_userdata(lua_State *L, int *ref)
{
    struct lua_pipe *self = drop_userdata(L, ref);
    struct ph_pipe *pipe = self ? self->pipe : NULL;
    if (!pipe)
        return;
    self->pipe = ph_pipe_new(ph_pipe_port(pipe));
    if (self->pipe)
        ph_pipe_close(self->pipe);
    ph_pipe_release(pipe);
}

static void count_client(struct ph_server *server, int change)
{
    struct ph_runtime *runtime = server->runtime;
    server->count += (size_t)change;
    runtime->clients += (size_t)change;
    if (runtime->clients)
        ph_signal_reset(&runtime->released);
    else
        ph_signal_set(&runtime->released);
}

/* ---- Its life --------------------------------------------------------------------- */

static void free_ended(struct ph_op *op)
{
    ph_op_clear(op);
    free(op->user);
}

void ph_conn_free(struct ph_conn *conn)
{
    struct ph_service *service = conn->service;
    ph_timer_stop(service->port, &conn->soon);
    drop_userdata(conn->server->runtime->L, &conn->ref);
    if (conn->from)
        drop_userdata(conn->from->runtime->L, &conn->from_ref);
    if (conn->from)
        count_client(conn->from, -1);
    ph_value_free(&conn->parcel);
    *conn->link = conn->next;
    if (conn->next)
        conn->next->link = conn->link;
    count_client(conn->server, -1);
    if (--service->count == 0)
        ph_signal_set(&service->empty);
    conn->op.done = free_ended;
    conn->op.user = conn;
    ph_pipe_close(conn->pipe);
    ph_pipe_release(conn->pipe);
    /* Else its close ends the operation, in the port's run. */
    if (conn->op.state != PH_OP_PENDING)
        free_ended(&conn->op);
}

static void run(struct ph_conn *conn, enum ph_job job)
{
    conn->job = job;
    if (ph_worker_run(conn))
        return;
    ph_runtime_log(conn->server->runtime, PH_LOG_ERROR,
                   "no memory to serve a client: it is disconnected");
    ph_conn_free(conn);
}

void ph_conn_end(struct ph_conn *conn, enum ph_reason reason)
{
    if (conn->cut)
        reason = conn->reason;
    conn->reason = reason;
    if (conn->server->quiet_end &&
        (reason == PH_REASON_CLOSED || reason == PH_REASON_STOPPED))
        ph_conn_free(conn);
    else
        run(conn, PH_JOB_ENDED);
}

static bool wants_crossing(const struct ph_conn *conn)
{
    return conn->service->server && conn->server != conn->service->server &&
           !conn->pinned && !conn->stopping;
}

static enum ph_reason reason_of(const struct ph_conn *conn)
{
    switch (conn->op.status) {
    case PH_CLOSED:
        return PH_REASON_CLOSED;
    case PH_TIMEOUT:
        return PH_REASON_TIMEOUT;
    case PH_TOOBIG:
        return PH_REASON_PROTOCOL;
    case PH_CANCELLED:
        if (conn->reloaded)
            return PH_REASON_RELOAD;
        /* Else another handler of the script has closed it. */
        return conn->stopping ? PH_REASON_STOPPED : PH_REASON_CLOSED;
    default:
        return PH_REASON_ERROR;
    }
}

static void after_read(struct ph_conn *conn)
{
    /* A hand-over is under way: it goes on with what has come. */
    conn->held = conn->worker != NULL;
    if (conn->held) {
        if (ph_op_keep(&conn->op) != PH_OK)
            conn->op.status = PH_NOMEM;
        return;
    }
    if (wants_crossing(conn) && conn->op.status == PH_OK) {
        conn->held = true;
        if (ph_op_keep(&conn->op) != PH_OK)
            conn->op.status = PH_NOMEM;
        ph_conn_cross(conn);
        return;
    }
    if (conn->op.status == PH_OK)
        run(conn, PH_JOB_MESSAGE);
    else if (conn->op.status == PH_TIMEOUT && conn->stopping)
        ph_conn_end(conn, PH_REASON_STOPPED);
    else
        ph_conn_end(conn, reason_of(conn));
}

static void read_done(struct ph_op *op)
{
    after_read(op->user);
}

static void after_write(struct ph_conn *conn)
{
    if (conn->op.status == PH_OK)
        ph_conn_idle(conn);
    else
        ph_conn_end(conn, reason_of(conn));
}

static void write_done(struct ph_op *op)
{
    after_write(op->user);
}

/* A worker that is on the C stack must not run another of its connection's
 * messages from here: what is there already comes in the next turn. */
static void read_soon(struct ph_timer *timer)
{
    struct ph_conn *conn = ph_container_of(timer, struct ph_conn, soon);
    after_read(conn);
}

void ph_conn_idle(struct ph_conn *conn)
{
    /* When the server stops, only what has come already is still answered. */
    int64_t until =
        conn->stopping ? PH_NOW : deadline(conn, conn->server->idle_ms);
    if (ph_pipe_state(conn->pipe) != PH_PIPE_CONNECTED) {
        ph_conn_end(conn, conn->stopping ? PH_REASON_STOPPED
                                         : PH_REASON_CLOSED);
        return;
    }
    if (wants_crossing(conn)) {
        ph_conn_cross(conn);
        return;
    }
    conn->op.done = read_done;
    conn->op.user = conn;
    if (ph_read_start(&conn->op, conn->pipe, PH_READ_MESSAGE, 0, until) !=
        PH_OK) {
        ph_conn_end(conn, PH_REASON_ERROR);
        return;
    }
    if (conn->op.state != PH_OP_DONE)
        return;
    if (ph_op_keep(&conn->op) != PH_OK)
        conn->op.status = PH_NOMEM;
    conn->soon.fire = read_soon;
    ph_timer_start(conn->service->port, &conn->soon, 0);
}

void ph_conn_reply(struct ph_conn *conn, const char *data, size_t len)
{
    conn->op.done = write_done;
    conn->op.user = conn;
    if (ph_write_start(&conn->op, conn->pipe, data, len,
                       deadline(conn, conn->server->timeout_ms)) != PH_OK)
        ph_conn_end(conn, PH_REASON_CLOSED); /* closed by its handler */
    else if (conn->op.state == PH_OP_DONE)
        after_write(conn);
}

/* ---- Hand-over ---------------------------------------------------------------------- */

/* Protected, in the old state: conn.state, if there is any, as bytes. */
static int pack_state(lua_State *L)
{
    struct ph_conn *conn = lua_touserdata(L, 1);
    const char *bad = NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, conn->ref);
    if (lua_getiuservalue(L, -1, PH_PIPE_FIELDS_VALUE) != LUA_TNIL)
        bad = ph_value_encode(L, -1, &conn->parcel);
    if (bad)
        return luaL_error(L, "%s", bad);
    return 0;
}

/* Protected, in the new state, where no migrate is asked for. */
static int unpack_state(lua_State *L)
{
    struct ph_conn *conn = lua_touserdata(L, 1);
    ph_conn_push(L, conn);
    if (ph_value_decode(L, &conn->parcel) > 0)
        lua_setiuservalue(L, -2, PH_PIPE_FIELDS_VALUE);
    return 0;
}

static bool protected(lua_State *L, lua_CFunction function, void *argument)
{
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, argument);
    return lua_pcall(L, 1, 0, 0) == LUA_OK;
}

static void stay(struct ph_conn *conn, const char *why)
{
    conn->pinned = true;
    ph_runtime_log(conn->server->runtime, PH_LOG_WARN,
                   "connection %lld stays on this generation: %s",
                   (long long)conn->id, why ? why : "not enough memory");
}

/* On with what came meanwhile, or the next read. */
static void go_on(struct ph_conn *conn)
{
    if (conn->held) {
        conn->held = false;
        after_read(conn);
    } else if (conn->op.state != PH_OP_PENDING) {
        ph_conn_idle(conn);
    }
}

static void move(struct ph_conn *conn, struct ph_server *to)
{
    conn->from = conn->server;
    conn->from_ref = conn->ref;
    conn->ref = LUA_NOREF;
    conn->server = to;
    count_client(to, 1);
}

void ph_conn_adopted(struct ph_conn *conn, bool accepted)
{
    struct ph_server *from = conn->from;
    ph_value_free(&conn->parcel);
    conn->from = NULL;
    if (accepted) {
        leave_userdata(from->runtime->L, &conn->from_ref);
        count_client(from, -1);
    } else {
        leave_userdata(conn->server->runtime->L, &conn->ref);
        count_client(conn->server, -1);
        conn->server = from;
        conn->ref = conn->from_ref;
        conn->from_ref = LUA_NOREF;
        stay(conn, "the new one's migrate or on_adopt refused it");
    }
    go_on(conn);
}

/* on_reload = "close" */
static void close_instead(struct ph_conn *conn)
{
    conn->pinned = true;
    conn->held = false;
    conn->reloaded = true;
    if (conn->op.state == PH_OP_PENDING)
        ph_op_cancel(&conn->op);
    else
        ph_conn_end(conn, PH_REASON_RELOAD);
}

void ph_conn_cross(struct ph_conn *conn)
{
    struct ph_server *to = conn->service->server;
    lua_State *L = conn->server->runtime->L;
    if (to->closes) {
        close_instead(conn);
        return;
    }
    if (!conn->server->messages || !to->messages || to->finishes) {
        conn->pinned = true;
        go_on(conn);
        return;
    }
    if (conn->ref != LUA_NOREF && !protected(L, pack_state, conn)) {
        stay(conn, lua_tostring(L, -1));
        lua_pop(L, 1);
        ph_value_free(&conn->parcel);
        go_on(conn);
        return;
    }
    move(conn, to);
    if (!to->quiet_adopt) {
        run(conn, PH_JOB_ADOPTED);
        return;
    }
    ph_conn_adopted(conn, !conn->parcel.len ||
                              protected(to->runtime->L, unpack_state, conn));
}
