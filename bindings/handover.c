/* SPDX-License-Identifier: MIT */
/*
 * An on_message connection crosses between two messages: its state is encoded
 * in the old lua_State, and decoded (and migrated) by a worker in the new one.
 * Its read goes on meanwhile; what it brings is held.
 *
 * A session crosses in conn:checkpoint, where its coroutine waits. When the new
 * server has taken the state, the coroutine is closed, and a session begins
 * there; else it goes on.
 */
#include "handover.h"

#include <assert.h>
#include <stdlib.h>

#include "lauxlib.h"
#include "pipe.h"

bool ph_conn_wants_crossing(const struct ph_conn *conn)
{
    const struct ph_server *to = conn->service->server;
    return to && to != conn->server && !conn->stopping &&
           (lua_Integer)conn->refused != to->runtime->generation;
}

/* ---- The state ---------------------------------------------------------- */

/* Protected, in the old state: conn.state, if there is any, as bytes. */
static int pack_state(lua_State *L)
{
    struct ph_conn *conn = lua_touserdata(L, 1);
    const char *bad = NULL;
    lua_rawgeti(L, LUA_REGISTRYINDEX, conn->ref);
    if (lua_getiuservalue(L, -1, PH_PIPE_VALUE) != LUA_TNIL)
        bad = ph_value_encode(L, -1, &conn->crossing->parcel);
    if (bad)
        return luaL_error(L, "%s", bad);
    return 0;
}

/* Protected, in the new state, where no migrate is asked for. */
static int unpack_state(lua_State *L)
{
    struct ph_conn *conn = lua_touserdata(L, 1);
    ph_conn_push(L, conn);
    if (ph_value_decode(L, &conn->crossing->parcel) > 0)
        lua_setiuservalue(L, -2, PH_PIPE_VALUE);
    return 0;
}

/* False: the error is on top of the stack. */
static bool protected(lua_State *L, lua_CFunction function, void *argument)
{
    lua_pushcfunction(L, function);
    lua_pushlightuserdata(L, argument);
    return lua_pcall(L, 1, 0, 0) == LUA_OK;
}

/* ---- Going and coming back ---------------------------------------------- */

static const char no_memory[] = "not enough memory";

static void stay(struct ph_conn *conn, const struct ph_server *refused_by,
                 const char *why)
{
    conn->refused = (uint32_t)refused_by->runtime->generation;
    conn->server->stayed++;
    ph_runtime_log(conn->server->runtime, PH_LOG_WARN,
                   "connection %lld stays on this generation: %s",
                   (long long)conn->id, why);
}

static void drop_crossing(struct ph_conn *conn)
{
    ph_value_free(&conn->crossing->parcel);
    free(conn->crossing);
    conn->crossing = NULL;
}

/* Its state is encoded; false: it stays. */
static bool depart(struct ph_conn *conn)
{
    lua_State *L = conn->server->runtime->L;
    const struct ph_server *to = conn->service->server;
    bool packed;
    conn->crossing = calloc(1, sizeof *conn->crossing);
    if (!conn->crossing) {
        stay(conn, to, no_memory);
        return false;
    }
    conn->crossing->from_ref = LUA_NOREF;
    conn->crossing->version = conn->server->state_version;
    packed = conn->ref == LUA_NOREF || protected(L, pack_state, conn);
    if (packed)
        return true;
    stay(conn, to, lua_tostring(L, -1));
    lua_pop(L, 1);
    drop_crossing(conn);
    return false;
}

static void move(struct ph_conn *conn, struct ph_server *to)
{
    struct ph_crossing *crossing = conn->crossing;
    crossing->from = conn->server;
    crossing->from_ref = conn->ref;
    conn->ref = LUA_NOREF;
    conn->server = to;
    ph_server_count(to, 1);
    if (to->frame)
        ph_pipe_set_frame(conn->pipe, to->frame);
}

static void move_back(struct ph_conn *conn, const char *refusal)
{
    struct ph_crossing *crossing = conn->crossing;
    struct ph_server *to = conn->server;
    ph_conn_drop_userdata(to, &conn->ref, true);
    ph_server_count(to, -1);
    conn->server = crossing->from;
    conn->ref = crossing->from_ref;
    if (conn->server->frame)
        ph_pipe_set_frame(conn->pipe, conn->server->frame);
    conn->worker = crossing->session;
    if (conn->worker)
        conn->job = PH_JOB_OPENED;
    stay(conn, to, refusal);
}

/* Nothing of the old server has it any more. */
static void arrive(struct ph_conn *conn)
{
    struct ph_crossing *crossing = conn->crossing;
    struct ph_server *from = crossing->from;
    ph_conn_drop_userdata(from, &crossing->from_ref, true);
    crossing->from = NULL;
    ph_server_count(from, -1);
}

static void wake(struct ph_task *session)
{
    ph_timer_start(session->runtime->port, &session->timer, 0);
}

/* The session's coroutine ends in the loop, not inside the other state. */
static void take_over_session(struct ph_timer *timer)
{
    struct ph_conn *conn = ph_container_of(timer, struct ph_conn, timer);
    struct ph_task *session = conn->crossing->session;
    conn->crossing->session = NULL;
    session->conn = NULL;
    ph_task_close(session);
    arrive(conn);
    if (!ph_conn_run(conn, PH_JOB_RESUMED))
        ph_conn_free(conn);
}

void ph_conn_adopted(struct ph_conn *conn, const char *refusal)
{
    struct ph_task *session = conn->crossing->session;
    if (!refusal && session) {
        conn->timer.fire = take_over_session;
        ph_timer_start(conn->service->port, &conn->timer, 0);
        return;
    }
    if (refusal)
        move_back(conn, refusal);
    else
        arrive(conn);
    drop_crossing(conn);
    if (session)
        wake(session);
    else
        ph_conn_go_on(conn);
}

/* In the new server's state: with a worker where the script is to be asked. */
static void settle_in(struct ph_conn *conn)
{
    struct ph_server *to = conn->server;
    lua_State *L = to->runtime->L;
    const char *refusal = NULL;
    if (!to->quiet_adopt) {
        if (!ph_conn_run(conn, PH_JOB_ADOPTED))
            ph_conn_adopted(conn, no_memory);
        return;
    }
    if (conn->crossing->parcel.len && !protected(L, unpack_state, conn)) {
        refusal = no_memory;
        lua_pop(L, 1);
    }
    ph_conn_adopted(conn, refusal);
}

void ph_crossing_free(struct ph_conn *conn)
{
    struct ph_crossing *crossing = conn->crossing;
    if (!crossing)
        return;
    if (crossing->from) {
        ph_conn_drop_userdata(crossing->from, &crossing->from_ref, false);
        ph_server_count(crossing->from, -1);
    }
    if (crossing->session) {
        crossing->session->conn = NULL;
        wake(crossing->session);
    }
    drop_crossing(conn);
}

/* ---- Between two messages ----------------------------------------------- */

/* on_reload = "close" */
static void close_instead(struct ph_conn *conn)
{
    conn->stopping = true;
    conn->held = false;
    conn->reloaded = true;
    if (!ph_conn_wait_no_more(conn))
        ph_conn_end(conn, PH_REASON_RELOAD);
}

void ph_conn_cross(struct ph_conn *conn)
{
    struct ph_server *to = conn->service->server;
    assert(ph_conn_wants_crossing(conn) && !conn->worker);
    if (to->closes) {
        close_instead(conn);
    } else if (!conn->server->messages || !to->messages || to->finishes) {
        conn->refused = (uint32_t)to->runtime->generation;
        ph_conn_go_on(conn);
    } else if (!depart(conn)) {
        ph_conn_go_on(conn);
    } else {
        move(conn, to);
        settle_in(conn);
    }
}

/* ---- In a session's checkpoint ------------------------------------------ */

/* Not inside the session's coroutine: the loop enters one state at a time. */
static void cross_session(struct ph_timer *timer)
{
    struct ph_conn *conn = ph_container_of(timer, struct ph_conn, timer);
    struct ph_crossing *crossing = conn->crossing;
    conn->worker = NULL;
    if (ph_conn_wants_crossing(conn)) {
        move(conn, conn->service->server);
        settle_in(conn);
        return;
    }
    conn->worker = crossing->session; /* the later server has gone again */
    drop_crossing(conn);
    wake(conn->worker);
}

static int checkpoint_resumed(lua_State *L, int status, lua_KContext context)
{
    struct ph_task *task = ph_runtime_of(L)->current;
    (void)status;
    (void)context;
    /* A task that is cancelled waits until its connection has a place. */
    if (task->conn && task->conn->crossing)
        return ph_wait_yield(L, task, checkpoint_resumed);
    ph_wait_resumed(L);
    return 0;
}

static bool may_cross(struct ph_conn *conn)
{
    const struct ph_server *to = conn->service->server;
    if (!ph_conn_wants_crossing(conn) || to->closes)
        return false;
    if (!to->messages)
        return true;
    stay(conn, to, "its server has on_message there, and no session");
    return false;
}

/* checkpoint(): where a later generation serves the name, the session ends here
 * and one of that generation begins. Returns nothing otherwise. */
int ph_conn_checkpoint(lua_State *L)
{
    struct ph_conn *conn = ph_conn_check(L, "checkpoint");
    struct ph_task *task = ph_wait_check(L, "conn:checkpoint");
    if (!conn)
        return 0; /* closed: the next operation tells */
    if (conn->server->messages)
        return luaL_error(L, "conn:checkpoint is for sessions; on_message "
                             "connections cross between two messages");
    if (conn->worker != task || task->co != L)
        return luaL_error(L, "conn:checkpoint is called by the session itself, "
                             "not in another task or coroutine");
    if (!may_cross(conn) || !depart(conn))
        return 0;
    conn->crossing->session = task;
    conn->timer.fire = cross_session;
    ph_timer_start(conn->service->port, &conn->timer, 0);
    return ph_wait_yield(L, task, checkpoint_resumed);
}
