/* SPDX-License-Identifier: MIT */
/* Messages that are queued for a connection. Each is a write of its pipe: the
 * pipe keeps their order, and that of the replies. */
#include <assert.h>
#include <stdlib.h>

#include "handover.h"
#include "lauxlib.h"
#include "outcome.h"
#include "pipe.h"

struct post {
    struct ph_op op; /* its user: the connection */
    uint32_t len;
};

static void free_post(struct post *post)
{
    ph_op_clear(&post->op);
    free(post);
}

/* One that is lost leaves a gap in what the client gets: better none. */
static void lost(struct ph_conn *conn, enum ph_status status)
{
    if (!conn->pipe || conn->cut || status == PH_CLOSED ||
        status == PH_CANCELLED)
        return;
    ph_runtime_log(conn->server->runtime, PH_LOG_WARN,
                   "connection %lld: what was posted cannot be sent (%s)",
                   (long long)conn->id, ph_status_name(status));
    ph_conn_cut(conn, PH_REASON_ERROR);
}

static void post_done(struct ph_op *op)
{
    struct ph_conn *conn = op->user;
    struct post *post = ph_container_of(op, struct post, op);
    enum ph_status status = op->status;
    assert(conn->posts && conn->post_bytes >= post->len);
    conn->posts--;
    conn->post_bytes -= post->len;
    free_post(post);
    if (status != PH_OK)
        lost(conn, status);
    ph_conn_settle(conn);
}

static bool is_full(const struct ph_conn *conn, size_t len)
{
    const struct ph_server *server = conn->server;
    /* An empty queue takes whatever a message may be. */
    return conn->posts >= server->max_queue ||
           (conn->posts &&
            (uint64_t)conn->post_bytes + len > server->max_queue_bytes);
}

static enum ph_status start(struct ph_conn *conn, struct ph_op *op,
                            const void *data, size_t len)
{
    struct ph_info info;
    bool raw;
    ph_pipe_info(conn->pipe, &info);
    raw = info.mode == PH_MODE_BYTE && !conn->server->frame;
    return (raw ? ph_write_start : ph_send_start)(op, conn->pipe, data, len,
                                                  PH_FOREVER);
}

/* No message that the pipe would take. */
static bool is_long(const struct ph_conn *conn, size_t len)
{
    struct ph_info info;
    ph_pipe_info(conn->pipe, &info);
    return len >
           info.max_message + (conn->server->frame ? PH_FRAME_HEADER_MAX : 0);
}

enum ph_status ph_conn_post(struct ph_conn *conn, const void *data, size_t len)
{
    struct post *post;
    enum ph_status status;
    if (ph_pipe_state(conn->pipe) != PH_PIPE_CONNECTED)
        return PH_CLOSED;
    if (is_long(conn, len))
        return PH_TOOBIG;
    if (is_full(conn, len))
        return PH_BUSY;
    post = calloc(1, sizeof *post);
    if (!post)
        return PH_NOMEM;
    post->op.done = post_done;
    post->op.user = conn;
    post->len = (uint32_t)len;
    status = start(conn, &post->op, data, len);
    if (status == PH_OK && post->op.state == PH_OP_PENDING) {
        conn->posts++;
        conn->post_bytes += post->len;
        return PH_OK;
    }
    if (status == PH_OK)
        status = post->op.status;
    free_post(post);
    return status;
}

/* post(data) -> true · nil, "busy": queues, never waits */
static int conn_post(lua_State *L)
{
    struct ph_conn *conn = ph_conn_check(L, "post");
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);
    enum ph_status status;
    if (!conn)
        return ph_push_start_failure(L, PH_CLOSED, 1);
    status = ph_conn_post(conn, data, len);
    if (status == PH_MISUSE)
        return luaL_error(L,
                          "pipe %s: a message of its frame begins with its "
                          "header",
                          ph_pipe_name(L, 1));
    if (status != PH_OK)
        return ph_push_status(L, status, "post", ph_pipe_name(L, 1), 0);
    lua_pushboolean(L, 1);
    return 1;
}

lua_Integer ph_service_post(struct ph_service *service,
                            const struct ph_conn *except, const void *data,
                            size_t len)
{
    struct ph_conn *conn = service->conns, *next;
    lua_Integer queued = 0;
    for (; conn; conn = next) {
        enum ph_status status;
        next = conn->next;
        if (conn == except)
            continue;
        status = ph_conn_post(conn, data, len);
        queued += status == PH_OK;
        /* Nobody else is told which of them it was. */
        if (status == PH_NOMEM)
            lost(conn, status);
    }
    return queued;
}

/* broadcast(data, except) -> the number of connections it is queued for: those
 * of the whole service, whichever generation serves them; but not `except`.
 * Those of other workers, which it reaches too, are not counted. */
int ph_server_broadcast(lua_State *L, struct ph_service *service)
{
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);
    struct lua_pipe *handle =
        lua_isnoneornil(L, 3) ? NULL : luaL_checkudata(L, 3, PH_PIPE);
    const struct ph_conn *except = handle ? handle->conn : NULL;
    lua_Integer queued = 0;
    if (service)
        queued = ph_service_post(service, except, data, len);
    lua_pushinteger(L, queued);
    return 1;
}

void ph_conn_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"post", conn_post}, {"checkpoint", ph_conn_checkpoint}, {NULL, NULL}};
    luaL_setfuncs(L, methods, 0);
}
