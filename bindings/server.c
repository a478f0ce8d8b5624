/* SPDX-License-Identifier: MIT */
/* The Lua type "pipehost.server": what server.lua does with services. */
#include "server.h"

#include <string.h>

#include "connection.h"
#include "crew.h"
#include "frame.h"
#include "lauxlib.h"
#include "outcome.h"
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
    static const char *const values[] = {"handler", "dispatch", "object",
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
    server->spread = flag_field(L, "spread");
    server->closes = flag_field(L, "closes");
    server->finishes = flag_field(L, "finishes");
    server->state_version = (lua_Integer)number_field(L, "state_version");
    server->messages = flag_field(L, "messages");
    server->max_queue = (uint32_t)number_field(L, "max_queue");
    server->max_queue_bytes = queue_bytes(L);
    lua_getiuservalue(L, -1, PH_SERVER_FRAME);
    server->frame = ph_frame_check(L, -1);
    lua_pop(L, 1);
    return server;
}

/* The server is one of its state's from now on, held by the registry. */
static void enlist(lua_State *L, struct ph_server *server)
{
    lua_getiuservalue(L, -1, PH_SERVER_HANDLER);
    server->handler = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, server);
    server->next = server->runtime->servers;
    server->runtime->servers = server;
}

static void attach(struct ph_server *server, struct ph_service *service)
{
    server->service = service;
    service->servers++;
}

/* service(key) -> the number of its clients, in all generations of this script;
 * nil: none of them serves that name */
static int service(lua_State *L)
{
    struct ph_service *found =
        ph_service_find(ph_runtime_of(L), luaL_checkstring(L, 1));
    if (!found)
        return 0;
    lua_pushinteger(L, (lua_Integer)found->count);
    return 1;
}

/* adjust(key, options) -> true · nil, code, info: the limits in the options for
 * pipe.create hold from now on for the name that this script serves. Raises for
 * wrong options. */
static int adjust(lua_State *L)
{
    struct ph_service *found =
        ph_service_find(ph_runtime_of(L), luaL_checkstring(L, 1));
    struct ph_create_options options = {0};
    const char *why = NULL;
    enum ph_status status = PH_OK;
    ph_create_options(L, &options);
    if (found && found->instance)
        status = ph_pipe_adjust(found->instance, &options, &why);
    if (status != PH_OK)
        return ph_push_refusal(L, status, "create", lua_tostring(L, 1), why);
    lua_pushboolean(L, 1);
    return 1;
}

/* server(options, instance) -> server with these handlers, which does not serve
 * yet. `instance` is a created pipe, which it takes; nil: it is to serve the
 * name that an earlier generation of this script has. */
static int new_server(lua_State *L)
{
    struct lua_pipe *created =
        lua_isnoneornil(L, 2) ? NULL : ph_pipe_check(L, 2);
    struct ph_server *server;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    server = push_server(L);
    enlist(L, server);
    if (!created)
        return 1;
    lua_getfield(L, 1, "key");
    server->service = ph_service_new(server->runtime, lua_tostring(L, -1));
    if (!server->service)
        return luaL_error(L, "not enough memory");
    server->service->servers++;
    server->service->instance = created->pipe;
    created->pipe = NULL;
    lua_settop(L, 3);
    return 1;
}

/* What the server is to serve: its own service, or that of an earlier
 * generation. */
static struct ph_service *to_serve(struct ph_server *server, const char *key)
{
    struct ph_service *found;
    if (server->service)
        return server->service;
    found = ph_service_find(server->runtime, key);
    /* Not where the names are held: clients come from there. */
    if (!found && server->runtime->worker > 1) {
        found = server->service = ph_service_new(server->runtime, key);
        if (found)
            found->servers++;
    }
    return found;
}

/* ready(key) -> boolean: begin would find what it is to serve */
static int server_ready(lua_State *L)
{
    struct ph_server *server = check(L);
    lua_pushboolean(L, to_serve(server, luaL_checkstring(L, 2)) != NULL);
    return 1;
}

/* New clients come here from now on, those of an earlier generation at their
 * safe points. */
static void begin_one(struct ph_server *server, struct ph_service *service)
{
    if (server->service) {
        service->server = server;
        ph_service_accept(service);
        return;
    }
    attach(server, service);
    service->server = server;
    ph_timer_start(service->port, &service->crossing, 0);
}

/* The i-th pair of the list, whose key is a string. */
static struct ph_server *pair(lua_State *L, lua_Integer i, const char **key)
{
    struct ph_server *server;
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 1, i + 1);
    server = lua_touserdata(L, -2);
    *key = lua_tostring(L, -1);
    lua_pop(L, 2);
    return server;
}

/* begin({server, key, ...}): all of them serve, or none, and the script runs. It
 * allocates nothing of Lua's once the first serves, so that no lack of memory
 * can leave a commit half done; generation:begun() tells. */
static int begin(lua_State *L)
{
    lua_Integer count = luaL_len(L, 1);
    const char *key;
    for (lua_Integer i = 1; i < count; i += 2) {
        lua_rawgeti(L, 1, i);
        luaL_checkudata(L, -1, SERVER);
        lua_pop(L, 1);
        struct ph_server *server = pair(L, i, &key);
        if (!to_serve(server, key))
            return luaL_error(L, "an earlier generation serves '%s' no more",
                              key);
    }
    for (lua_Integer i = 1; i < count; i += 2) {
        struct ph_server *server = pair(L, i, &key);
        begin_one(server, to_serve(server, key));
    }
    ph_runtime_of(L)->begun = true;
    ph_runtime_commit(ph_runtime_of(L));
    return 0;
}

/* resume(instance): serves again under its name, which it had given back */
static int server_resume(lua_State *L)
{
    struct ph_server *server = check(L);
    struct lua_pipe *created =
        lua_isnoneornil(L, 2) ? NULL : ph_pipe_check(L, 2);
    struct ph_service *service = server->service;
    if (!service || service->instance)
        return luaL_error(L, "the server has not given its name back");
    if (created) {
        service->instance = created->pipe;
        created->pipe = NULL;
    }
    service->server = server;
    ph_service_accept(service);
    return 0;
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

/* Its own connection, or with `all` one of its service's in any generation. */
static bool is_meant(const struct ph_server *server, const struct ph_conn *conn,
                     bool all)
{
    return all || conn->server == server;
}

/* finish(reason, all): clients end when what has come from them is answered;
 * idle ones at once. Its own, or all of its name in any generation. */
static int server_finish(lua_State *L)
{
    struct ph_server *server = check(L);
    struct ph_conn *conn = server->service ? server->service->conns : NULL;
    enum ph_reason reason = ph_reason_check(L, 2);
    bool all = lua_toboolean(L, 3);
    for (; conn; conn = conn->next) {
        if (!is_meant(server, conn, all))
            continue;
        conn->stopping = true;
        conn->reloaded |= reason == PH_REASON_RELOAD;
        ph_conn_wait_no_more(conn);
    }
    return 0;
}

/* cut(reason, all) -> count: closes connections, as finish means them; what
 * handlers still do with them returns nil, "closed" */
static int server_cut(lua_State *L)
{
    struct ph_server *server = check(L);
    struct ph_conn *conn = server->service ? server->service->conns : NULL;
    enum ph_reason reason = ph_reason_check(L, 2);
    bool all = lua_toboolean(L, 3);
    lua_Integer cut = 0;
    for (; conn; conn = conn->next) {
        if (!is_meant(server, conn, all))
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
    lua_pushboolean(L, ph_task_waited(L)->status == PH_OK);
    return 1;
}

/* wait_empty(ms) -> true: no client is left */
static int server_wait_empty(lua_State *L)
{
    struct ph_server *server = check(L);
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct ph_task *task = ph_wait_check(L, "server:stop");
    if (!server->service ||
        ph_task_wait_one(L, &server->service->empty, deadline)) {
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

/* announce(key, data): broadcast, to the clients at other workers */
static int announce(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    const char *key = luaL_checkstring(L, 1);
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);
    if (!ph_crew_broadcast(runtime->services, runtime->owner, key, data, len))
        return luaL_error(L, "not enough memory");
    return 0;
}

/* stop_others(key, ms): the same server at other workers */
static int stop_others(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    if (!ph_crew_stop(runtime->services, runtime->owner,
                      luaL_checkstring(L, 1), luaL_checknumber(L, 2)))
        return luaL_error(L, "not enough memory");
    return 0;
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
        {"ready", server_ready},
        {"resume", server_resume},
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
    lua_pushcfunction(L, new_server);
    lua_setfield(L, -2, "server");
    lua_pushcfunction(L, begin);
    lua_setfield(L, -2, "begin");
    lua_pushcfunction(L, service);
    lua_setfield(L, -2, "service");
    lua_pushcfunction(L, adjust);
    lua_setfield(L, -2, "adjust");
    lua_pushcfunction(L, announce);
    lua_setfield(L, -2, "announce");
    lua_pushcfunction(L, stop_others);
    lua_setfield(L, -2, "stop_others");
}
