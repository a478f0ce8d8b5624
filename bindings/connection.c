/* SPDX-License-Identifier: MIT */
/*
 * A connection of a service, from its accept to its end. Between two messages
 * it is this object and a read that rests; no operation, no coroutine, nothing
 * in Lua. Its userdata is made when a handler first asks for it, and stays.
 *
 * `op` is the read of the next message, or the write of a reply: never both, so
 * a client that does not take its replies is not listened to. It is borrowed
 * from the port when the first byte comes, and given back when the read rests.
 * What is pending when the connection ends is ended by the close of its pipe,
 * in the port's run; the memory goes with the last of it (ph_conn_settle).
 */
#include "connection.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "handover.h"
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

/* ---- The userdata ---------------------------------------------------- */

void ph_conn_push(lua_State *L, struct ph_conn *conn)
{
    struct lua_pipe *self;
    if (conn->ref != LUA_NOREF) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, conn->ref);
        return;
    }
    lua_pushnil(L); /* no state yet, and the name is the server's */
    self = ph_pipe_push(L, -1);
    lua_remove(L, -2);
    self->timeout_ms = (float)conn->server->timeout_ms;
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
        if (lua_getiuservalue(L, 1, PH_PIPE_VALUE) == LUA_TNIL) {
            lua_newtable(L);
            lua_pushvalue(L, -1);
            lua_setiuservalue(L, 1, PH_PIPE_VALUE);
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

/* What a state keeps of a pipe that lives on in another one. */
static void close_handle(struct lua_pipe *self)
{
    struct ph_pipe *pipe = self->pipe;
    if (!pipe)
        return;
    self->pipe = ph_pipe_new(ph_pipe_port(pipe));
    if (self->pipe)
        ph_pipe_close(self->pipe);
    ph_pipe_release(pipe);
}

void ph_conn_push_name(lua_State *L, struct ph_conn *conn)
{
    struct ph_server *server = conn->server;
    if (server->runtime != ph_runtime_of(L)) /* it is crossing from here */
        server = conn->crossing->from;
    ph_server_push(L, server, PH_SERVER_NAME);
}

void ph_conn_drop_userdata(struct ph_server *server, int *ref, bool lives)
{
    lua_State *L = server->runtime->L;
    struct lua_pipe *self;
    if (*ref == LUA_NOREF)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, *ref);
    self = lua_touserdata(L, -1);
    self->conn = NULL;
    self->host_closed = true;
    ph_server_push(L, server, PH_SERVER_NAME);
    lua_setiuservalue(L, -2, PH_PIPE_VALUE);
    lua_pop(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, *ref);
    *ref = LUA_NOREF;
    if (lives)
        close_handle(self);
}

struct ph_conn *ph_conn_check(lua_State *L, const char *what)
{
    struct lua_pipe *self = ph_pipe_check(L, 1);
    if (!self->conn && !self->host_closed)
        luaL_error(L, "pipe %s: only a server's connection has %s",
                   ph_pipe_name(L, 1), what);
    return self->conn;
}

/* ---- Its life -------------------------------------------------------- */

static void log_no_memory(const struct ph_conn *conn)
{
    ph_runtime_log(conn->server->runtime, PH_LOG_ERROR,
                   "no memory to serve connection %lld", (long long)conn->id);
}

/* NULL: no memory for one. */
static struct ph_op *take_op(struct ph_conn *conn, void (*done)(struct ph_op *))
{
    if (!conn->op)
        conn->op = ph_op_take(conn->service->port);
    if (conn->op) {
        conn->op->done = done;
        conn->op->user = conn;
    } else {
        log_no_memory(conn);
    }
    return conn->op;
}

static void give_op(struct ph_conn *conn)
{
    if (conn->op)
        ph_op_give(conn->op);
    conn->op = NULL;
}

static bool is_pending(const struct ph_conn *conn)
{
    return conn->op && conn->op->state == PH_OP_PENDING;
}

void ph_conn_settle(struct ph_conn *conn)
{
    if (conn->pipe || conn->posts || is_pending(conn))
        return;
    give_op(conn);
    free(conn);
}

static void op_ended(struct ph_op *op)
{
    ph_conn_settle(op->user);
}

static void unlink_conn(struct ph_conn *conn)
{
    struct ph_service *service = conn->service;
    *conn->link = conn->next;
    if (conn->next)
        conn->next->link = conn->link;
    ph_server_count(conn->server, -1);
    service->services->clients--;
    if (--service->count == 0)
        ph_signal_set(&service->empty);
}

/* What is still pending of it ends with the close, in the port's run. */
void ph_conn_free(struct ph_conn *conn)
{
    struct ph_pipe *pipe = conn->pipe;
    assert(pipe);
    ph_read_forget(pipe);
    ph_timer_stop(conn->service->port, &conn->timer);
    if (conn->worker)
        conn->worker->conn = NULL;
    ph_crossing_free(conn);
    ph_conn_drop_userdata(conn->server, &conn->ref, false);
    unlink_conn(conn);
    if (conn->op)
        conn->op->done = op_ended;
    conn->pipe = NULL;
    ph_pipe_close(pipe);
    ph_pipe_release(pipe);
    if (conn->place)
        ph_place_return(conn->place);
    ph_conn_settle(conn);
}

bool ph_conn_run(struct ph_conn *conn, enum ph_job job)
{
    conn->job = job;
    if (ph_worker_run(conn))
        return true;
    log_no_memory(conn);
    return false;
}

static void run_or_free(struct ph_conn *conn, enum ph_job job)
{
    if (!ph_conn_run(conn, job))
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
        run_or_free(conn, PH_JOB_ENDED);
}

static void mark_host_closed(struct ph_conn *conn)
{
    lua_State *L = conn->server->runtime->L;
    struct lua_pipe *self;
    if (conn->ref == LUA_NOREF)
        return;
    lua_rawgeti(L, LUA_REGISTRYINDEX, conn->ref);
    self = lua_touserdata(L, -1);
    self->host_closed = true;
    lua_pop(L, 1);
}

void ph_conn_cut(struct ph_conn *conn, enum ph_reason reason)
{
    mark_host_closed(conn);
    if (!conn->cut)
        conn->reason = reason;
    conn->stopping = conn->cut = true;
    ph_pipe_close(conn->pipe);
}

static enum ph_reason stop_reason(const struct ph_conn *conn)
{
    return conn->reloaded ? PH_REASON_RELOAD : PH_REASON_STOPPED;
}

static enum ph_reason reason_of(const struct ph_conn *conn)
{
    switch (conn->op->status) {
    case PH_CLOSED:
        return PH_REASON_CLOSED;
    case PH_TIMEOUT:
        return PH_REASON_TIMEOUT;
    case PH_TOOBIG: /* a reply: the script's mistake */
    case PH_PROTOCOL:
        return conn->op->kind == PH_OP_READ ? PH_REASON_PROTOCOL
                                            : PH_REASON_ERROR;
    case PH_CANCELLED:
        /* Else another handler of the script has closed it. */
        return conn->stopping ? stop_reason(conn) : PH_REASON_CLOSED;
    default:
        return PH_REASON_ERROR;
    }
}

/* Has its message stay where it is until it can be handled. */
static void hold(struct ph_conn *conn)
{
    conn->held = true;
    if (ph_op_keep(conn->op) != PH_OK)
        conn->op->status = PH_NOMEM;
}

static void after_read(struct ph_conn *conn)
{
    if (conn->worker) { /* a hand-over is under way */
        hold(conn);
    } else if (conn->op->status == PH_OK && ph_conn_wants_crossing(conn)) {
        hold(conn);
        ph_conn_cross(conn);
    } else if (conn->op->status == PH_OK) {
        run_or_free(conn, PH_JOB_MESSAGE);
    } else if (conn->op->status == PH_TIMEOUT && conn->stopping) {
        ph_conn_end(conn, stop_reason(conn));
    } else {
        ph_conn_end(conn, reason_of(conn));
    }
}

static void read_done(struct ph_op *op)
{
    after_read(op->user);
}

static void after_write(struct ph_conn *conn)
{
    if (conn->op->status == PH_OK)
        ph_conn_idle(conn);
    else
        ph_conn_end(conn, reason_of(conn));
}

static void write_done(struct ph_op *op)
{
    after_write(op->user);
}

/* ---- The read of the next message ------------------------------------ */

static void timed_out(struct ph_timer *timer)
{
    struct ph_conn *conn = ph_container_of(timer, struct ph_conn, timer);
    ph_read_wake(conn->pipe);
}

/* There was no memory for an operation, and a message is lost. */
static void starved(struct ph_timer *timer)
{
    struct ph_conn *conn = ph_container_of(timer, struct ph_conn, timer);
    if (conn->worker)
        ph_conn_cut(conn, PH_REASON_ERROR);
    else
        ph_conn_end(conn, PH_REASON_ERROR);
}

static struct ph_op *woken(struct ph_rest *rest, int64_t *deadline)
{
    struct ph_conn *conn = ph_container_of(rest, struct ph_conn, rest);
    struct ph_port *port = conn->service->port;
    ph_timer_stop(port, &conn->timer);
    *deadline = conn->timer.at;
    if (take_op(conn, read_done))
        return conn->op;
    conn->timer.fire = starved;
    ph_timer_start(port, &conn->timer, 0);
    return NULL;
}

/* A worker that is on the C stack must not run another of its connection's
 * messages from here: what is there already comes in the next turn. */
static void announce(struct ph_op *op)
{
    if (op->state != PH_OP_DONE)
        return;
    if (ph_op_keep(op) != PH_OK)
        op->status = PH_NOMEM;
    ph_op_announce(op);
}

static bool rest(struct ph_conn *conn)
{
    give_op(conn);
    conn->rest.wake = woken;
    conn->timer.fire = timed_out;
    ph_timer_start(conn->service->port, &conn->timer,
                   deadline(conn, conn->server->idle_ms));
    if (ph_read_rest(conn->pipe, &conn->rest))
        return true;
    ph_timer_stop(conn->service->port, &conn->timer);
    return false;
}

static void read_next(struct ph_conn *conn)
{
    struct ph_op *op;
    int64_t until;
    if (!conn->stopping && rest(conn)) {
        if (conn->op)
            announce(conn->op);
        return;
    }
    /* When the server stops, only what has come already is still answered. */
    until = conn->stopping ? PH_NOW : deadline(conn, conn->server->idle_ms);
    op = take_op(conn, read_done);
    if (op && ph_read_start(op, conn->pipe, PH_READ_MESSAGE, 0, until) == PH_OK)
        announce(op);
    else
        ph_conn_end(conn, PH_REASON_ERROR);
}

void ph_conn_idle(struct ph_conn *conn)
{
    if (ph_pipe_state(conn->pipe) != PH_PIPE_CONNECTED)
        ph_conn_end(conn,
                    conn->stopping ? stop_reason(conn) : PH_REASON_CLOSED);
    else if (ph_conn_wants_crossing(conn))
        ph_conn_cross(conn);
    else
        read_next(conn);
}

bool ph_conn_waits(const struct ph_conn *conn)
{
    return is_pending(conn) ? conn->op->kind == PH_OP_READ
                            : ph_read_rests(conn->pipe);
}

bool ph_conn_wait_no_more(struct ph_conn *conn)
{
    if (!ph_conn_waits(conn))
        return false;
    ph_read_wake(conn->pipe);
    if (conn->op)
        ph_op_cancel(conn->op);
    return true;
}

void ph_conn_reply(struct ph_conn *conn, const char *data, size_t len)
{
    struct ph_op *op = take_op(conn, write_done);
    int64_t until = deadline(conn, conn->server->timeout_ms);
    if (!op)
        ph_conn_end(conn, PH_REASON_ERROR);
    else if (ph_reply_start(op, conn->pipe, data, len, until) != PH_OK)
        ph_conn_end(conn, PH_REASON_CLOSED); /* closed by its handler */
    else if (op->state == PH_OP_IDLE)
        ph_conn_idle(conn);
    else if (op->state == PH_OP_DONE)
        after_write(conn);
}

void ph_conn_go_on(struct ph_conn *conn)
{
    if (conn->held) {
        conn->held = false;
        after_read(conn);
    } else if (!ph_read_rests(conn->pipe) && !is_pending(conn)) {
        ph_conn_idle(conn);
    }
}
