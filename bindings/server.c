/* SPDX-License-Identifier: MIT */
/* The Lua type "pipehost.server": what server.lua does with services. */
#include "server.h"

#include <string.h>

#include "connection.h"
#include "frame.h"
#include "lauxlib.h"
#include "pipe.h"

#define SERVER "pipehost.server"

static struct ph_server *check(lua_State *L)
{
    return luaL_checkudata(L, 1, SERVER);
}

/* The userdata is kept in the registry under its address. */
void ph_server_push(lua_State *L, struct ph_server *server, int value)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, server);
    lua_getiuservalue(L, -1, value);
    lua_remove(L, -2);
}

static lua_Number number_field(lua_State *L, const char *key)
{
    lua_Number value;
    lua_getfield(L, 1, key);
    value = luaL_optnumber(L, -1, -1);
    lua_pop(L, 1);
    return value;
}

static bool flag_field(lua_State *L, const char *key)
{
    bool value;
    lua_getfield(L, 1, key);
    value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

static uint32_t queue_bytes(lua_State *L)
{
    lua_Number bytes = number_field(L, "max_queue_bytes");
    return bytes < (lua_Number)UINT32_MAX ? (uint32_t)bytes : UINT32_MAX;
}

/* From the table at 1, which server.lua has made. */
static struct ph_server *push_server(lua_State *L)
{
    static const char *const values[] = {"on_message", "dispatch", "object",
                                         "name", "frame"};
    struct ph_server *server =
        lua_newuserdatauv(L, sizeof *server, PH_SERVER_VALUES);
    memset(server, 0, sizeof *server);
    server->runtime = ph_runtime_of(L);
    luaL_setmetatable(L, SERVER);
    for (int i = 0; i < PH_SERVER_VALUES; i++) {
        lua_getfield(L, 1, values[i]);
        lua_setiuservalue(L, -2, i + 1);
    }
    server->timeout_ms = number_field(L, "timeout");
    server->idle_ms = number_field(L, "idle_timeout");
    server->quiet_open = flag_field(L, "quiet_open");
    server->quiet_end = flag_field(L, "quiet_end");
    server->quiet_adopt = flag_field(L, "quiet_adopt");
    server->closes = flag_field(L, "closes");
    server->finishes = flag_field(L, "finishes");
    server->state_version = (lua_Integer)number_field(L, "state_version");
    server->messages = flag_field(L, "on_message");
    server->max_queue = (uint32_t)number_field(L, "max_queue");
    server->max_queue_bytes = queue_bytes(L);
    lua_getiuservalue(L, -1, PH_SERVER_FRAME);
    server->frame = ph_frame_check(L, -1);
    lua_pop(L, 1);
    return server;
}

/* The server is one of its state's from now on, held by the registry. */
static void enlist(lua_State *L, struct ph_server *server,
                   struct ph_service *service)
{
    lua_getiuservalue(L, -1, PH_SERVER_ON_MESSAGE);
    server->on_message = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, server);
    server->service = service;
    service->servers++;
    server->next = server->runtime->servers;
    server->runtime->servers = server;
}

/* service(key) -> mode, direction of the name that an earlier generation of
 * this script serves · nil */
static int service(lua_State *L)
{
    static const char *const modes[] = {"any", "message", "byte"};
    static const char *const directions[] = {"duplex", "inbound", "outbound"};
    struct ph_service *found =
        ph_service_find(ph_runtime_of(L), luaL_checkstring(L, 1));
    struct ph_info info;
    if (!found || !found->instance)
        return 0;
    ph_pipe_info(found->instance, &info);
    lua_pushstring(L, modes[info.mode]);
    lua_pushstring(L, directions[info.direction]);
    return 2;
}

/* adopt(options) -> server: the service that an earlier generation of this
 * script has under options.key; its new clients come here, and the others at
 * their safe points. nil: there is none */
static int adopt(lua_State *L)
{
    struct ph_server *server;
    struct ph_service *service;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "key");
    service = ph_service_find(ph_runtime_of(L), luaL_checkstring(L, -1));
    if (!service)
        return 0;
    server = push_server(L);
    enlist(L, server, service);
    service->server = server;
    ph_timer_start(service->port, &service->crossing, 0);
    return 1;
}

/* bind(options, instance) -> server: takes over the created pipe, which listens
 * already, and serves its clients with the handlers in options */
static int bind(lua_State *L)
{
    struct lua_pipe *created = ph_pipe_check(L, 2);
    struct ph_server *server;
    struct ph_service *service;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_getfield(L, 1, "key");
    server = push_server(L);
    service = ph_service_new(server, luaL_checkstring(L, -2));
    if (!service)
        return luaL_error(L, "not enough memory");
    enlist(L, server, service);
    service->instance = created->pipe;
    created->pipe = NULL;
    ph_service_accept(service);
    return 1;
}

void ph_server_count(struct ph_server *server, int change)
{
    struct ph_runtime *runtime = server->runtime;
    server->count += (size_t)change;
    runtime->clients += (size_t)change;
    if (runtime->clients)
        ph_signal_reset(&runtime->released);
    else
        ph_signal_set(&runtime->released);
}

bool ph_server_is_current(const struct ph_server *server)
{
    return server->service && server->service->server == server;
}

/* current() -> boolean: no later generation has taken the name over */
static int server_current(lua_State *L)
{
    lua_pushboolean(L, ph_server_is_current(check(L)));
    return 1;
}

/* refuse(): no new clients; the name is given back */
static int server_refuse(lua_State *L)
{
    struct ph_server *server = check(L);
    if (ph_server_is_current(server))
        ph_service_refuse(server->service);
    return 0;
}

/* finish(): idle clients end, after what has come from them is answered */
static int server_finish(lua_State *L)
{
    struct ph_server *server = check(L);
    struct ph_conn *conn = server->service ? server->service->conns : NULL;
    for (; conn; conn = conn->next) {
        if (conn->server != server)
            continue;
        conn->stopping = true;
        if (conn->op.kind == PH_OP_READ)
            ph_op_cancel(&conn->op);
    }
    return 0;
}

/* cut(reason) -> count: closes every connection; what handlers still do with
 * them returns nil, "closed" */
static int server_cut(lua_State *L)
{
    struct ph_server *server = check(L);
    struct ph_conn *conn = server->service ? server->service->conns : NULL;
    enum ph_reason reason = ph_reason_check(L, 2);
    lua_Integer cut = 0;
    for (; conn; conn = conn->next) {
        if (conn->server != server)
            continue;
        cut++;
        ph_conn_cut(conn, reason);
    }
    lua_pushinteger(L, cut);
    return 1;
}

static int empty_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    lua_pushboolean(L, ph_runtime_of(L)->current->wait.status == PH_OK);
    return 1;
}

/* wait_empty(ms) -> true: no client is left */
static int server_wait_empty(lua_State *L)
{
    struct ph_server *server = check(L);
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct ph_task *task = ph_wait_check(L, "server:stop");
    if (!server->service ||
        ph_task_wait_one(task, &server->service->empty, deadline)) {
        lua_pushboolean(L, !server->service || server->service->empty.set);
        return 1;
    }
    return ph_wait_yield(L, task, empty_resumed);
}

/* counts() -> connections, clients served so far, and how often one of these
 * stayed here at a reload because it could not cross */
static int server_counts(lua_State *L)
{
    struct ph_server *server = check(L);
    lua_pushinteger(L, (lua_Integer)server->count);
    lua_pushinteger(L, server->service ? server->service->served : 0);
    lua_pushinteger(L, (lua_Integer)server->stayed);
    return 3;
}

/* connections() -> a list of them */
static int server_connections(lua_State *L)
{
    struct ph_server *server = check(L);
    struct ph_conn *conn = server->service ? server->service->conns : NULL;
    lua_Integer i = 0;
    lua_newtable(L);
    for (; conn; conn = conn->next) {
        if (conn->server != server ||
            ph_pipe_state(conn->pipe) != PH_PIPE_CONNECTED)
            continue; /* its end is under way */
        ph_conn_push(L, conn);
        lua_rawseti(L, -2, ++i);
    }
    return 1;
}

static int server_broadcast(lua_State *L)
{
    return ph_server_broadcast(L, check(L)->service);
}

/* instance() -> the pipe's info is asked of it: the system's full name */
static int server_path(lua_State *L)
{
    struct ph_server *server = check(L);
    struct ph_info info;
    if (!server->service || !server->service->instance)
        return 0;
    ph_pipe_info(server->service->instance, &info);
    lua_pushstring(L, info.path);
    return 1;
}

/* close(): after its last client has gone */
static int server_close(lua_State *L)
{
    struct ph_server *server = check(L);
    if (server->service) {
        if (server->count)
            return luaL_error(L, "the server still has clients");
        ph_service_leave(server);
    }
    return 0;
}

void ph_server_abandon(struct ph_runtime *runtime)
{
    for (struct ph_server *server = runtime->servers; server;
         server = server->next)
        if (server->service)
            ph_service_leave(server);
    runtime->servers = NULL;
}

void ph_server_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"current", server_current},
        {"refuse", server_refuse},
        {"finish", server_finish},
        {"cut", server_cut},
        {"wait_empty", server_wait_empty},
        {"counts", server_counts},
        {"connections", server_connections},
        {"broadcast", server_broadcast},
        {"path", server_path},
        {"close", server_close},
        {NULL, NULL},
    };
    luaL_newmetatable(L, SERVER);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    lua_pushcfunction(L, bind);
    lua_setfield(L, -2, "bind");
    lua_pushcfunction(L, service);
    lua_setfield(L, -2, "service");
    lua_pushcfunction(L, adopt);
    lua_setfield(L, -2, "adopt");
}
