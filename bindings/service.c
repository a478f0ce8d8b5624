/* SPDX-License-Identifier: MIT */
#include "service.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "lauxlib.h"
#include "outcome.h"
#include "pipe.h"
#include "worker.h"

#define SERVER "pipehost.server"
#define PAUSE_US 100000 /* after a failed accept */
#define AT_ONCE 64      /* clients taken in one turn */
#define CROSS_AT_ONCE 64

/* ---- Accepting --------------------------------------------------------------------- */

static void add_client(struct ph_service *service, struct ph_pipe *pipe)
{
    struct ph_conn *conn = calloc(1, sizeof *conn);
    if (!conn) {
        ph_pipe_release(pipe);
        return;
    }
    conn->service = service;
    conn->server = service->server;
    conn->pipe = pipe;
    conn->id = ++service->served;
    conn->ref = LUA_NOREF;
    conn->next = service->conns;
    if (conn->next)
        conn->next->link = &conn->next;
    conn->link = &service->conns;
    service->conns = conn;
    service->count++;
    conn->server->count++;
    conn->server->runtime->clients++;
    ph_signal_reset(&conn->server->runtime->released);
    conn->from_ref = LUA_NOREF;
    ph_signal_reset(&service->empty);
    if (conn->server->quiet_open) {
        ph_conn_idle(conn);
        return;
    }
    conn->job = PH_JOB_OPENED;
    if (!ph_worker_run(conn))
        ph_conn_free(conn);
}

static void accepted(struct ph_op *op);

/* The next instance listens before the last one's client is served. */
static bool listen_again(struct ph_service *service)
{
    struct ph_pipe *next = ph_pipe_new_instance(service->instance);
    if (!next)
        return false;
    struct ph_pipe *taken = service->instance;
    service->instance = next;
    add_client(service, taken);
    return true;
}

static void accept_next(struct ph_service *service)
{
    for (int i = 0; i < AT_ONCE; i++) {
        struct ph_op *op = &service->accept;
        if (!service->instance || !service->server)
            return;
        op->done = accepted;
        op->user = service;
        if (ph_connect_start(op, service->instance, PH_FOREVER) != PH_OK ||
            op->state == PH_OP_PENDING)
            return;
        if (op->status != PH_OK || !listen_again(service))
            break;
    }
    ph_timer_start(service->port, &service->pause,
                   service->accept.status == PH_OK
                       ? 0
                       : ph_port_now(service->port) + PAUSE_US);
}

static void accept_later(struct ph_timer *timer)
{
    accept_next(ph_container_of(timer, struct ph_service, pause));
}

static void accepted(struct ph_op *op)
{
    struct ph_service *service = op->user;
    if (!service->instance || !service->server)
        return;
    if (op->status == PH_OK && listen_again(service))
        accept_next(service);
    else
        ph_timer_start(service->port, &service->pause,
                       ph_port_now(service->port) + PAUSE_US);
}

static void stop_accepting(struct ph_service *service)
{
    struct ph_pipe *instance = service->instance;
    service->instance = NULL;
    service->server = NULL;
    ph_timer_stop(service->port, &service->pause);
    if (!instance)
        return;
    ph_pipe_refuse(instance);
    ph_pipe_close(instance);
    ph_pipe_release(instance);
}

/* ---- Servers ------------------------------------------------------------------------ */

/* Idle clients go over to the new server, some in each turn. */
static void cross_some(struct ph_timer *timer)
{
    struct ph_service *service =
        ph_container_of(timer, struct ph_service, crossing);
    struct ph_conn *conn = service->conns, *next;
    int left = CROSS_AT_ONCE;
    for (; conn && left && service->server; conn = next) {
        next = conn->next;
        if (conn->server == service->server || conn->pinned ||
            conn->stopping || conn->worker || conn->op.kind != PH_OP_READ ||
            conn->op.state != PH_OP_PENDING)
            continue;
        ph_conn_cross(conn);
        left--;
    }
    if (!left)
        ph_timer_start(service->port, &service->crossing, 0);
}

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

/* From the table at 1: name, timeout, idle_timeout, on_message, dispatch,
 * object, quiet_open, quiet_end. */
static struct ph_server *push_server(lua_State *L)
{
    static const char *const values[] = {"on_message", "dispatch", "object",
                                         "name"};
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
    return server;
}

/* The server is one of its state's from now on, held by the registry. */
static void enlist(lua_State *L, struct ph_server *server,
                   struct ph_service *service)
{
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, server);
    server->service = service;
    service->servers++;
    server->next = server->runtime->servers;
    server->runtime->servers = server;
}

static char *copy_key(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static void link_service(struct ph_service *service,
                         struct ph_services *services)
{
    service->next = services->first;
    if (service->next)
        service->next->link = &service->next;
    service->link = &services->first;
    services->first = service;
}

/* Leaves the instance to its owner on failure. */
static struct ph_service *new_service(struct ph_server *server, const char *key)
{
    struct ph_service *service = calloc(1, sizeof *service);
    if (!service)
        return NULL;
    service->key = copy_key(key);
    if (!service->key) {
        free(service);
        return NULL;
    }
    service->port = server->runtime->port;
    service->owner = server->runtime->owner;
    service->server = server;
    service->pause.fire = accept_later;
    service->crossing.fire = cross_some;
    ph_signal_set(&service->empty);
    link_service(service, server->runtime->services);
    return service;
}

static struct ph_service *find(struct ph_runtime *runtime, const char *key)
{
    struct ph_service *at = runtime->services->first;
    while (at && (at->owner != runtime->owner || !at->server ||
                  strcmp(at->key, key) != 0))
        at = at->next;
    return at;
}

/* service(key) -> mode, direction of the name that an earlier generation of this
 * script serves · nil */
static int service(lua_State *L)
{
    static const char *const modes[] = {"any", "message", "byte"};
    static const char *const directions[] = {"duplex", "inbound", "outbound"};
    struct ph_service *found =
        find(ph_runtime_of(L), luaL_checkstring(L, 1));
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
    service = find(ph_runtime_of(L), luaL_checkstring(L, -1));
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
    service = new_service(server, luaL_checkstring(L, -2));
    if (!service)
        return luaL_error(L, "not enough memory");
    enlist(L, server, service);
    service->instance = created->pipe;
    created->pipe = NULL;
    accept_next(service);
    return 1;
}

/* Does the service still send its new clients here? */
static bool is_current(const struct ph_server *server)
{
    return server->service && server->service->server == server;
}

/* current() -> boolean: no later generation has taken the name over */
static int server_current(lua_State *L)
{
    lua_pushboolean(L, is_current(check(L)));
    return 1;
}

/* refuse(): no new clients; the name is given back */
static int server_refuse(lua_State *L)
{
    struct ph_server *server = check(L);
    if (is_current(server))
        stop_accepting(server->service);
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

/* cut(reason) -> count: closes every connection; what handlers still do with them
 * returns nil, "closed" */
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
        if (conn->ref != LUA_NOREF) {
            lua_rawgeti(L, LUA_REGISTRYINDEX, conn->ref);
            ((struct lua_pipe *)lua_touserdata(L, -1))->host_closed = true;
            lua_pop(L, 1);
        }
        conn->stopping = conn->cut = true;
        conn->reason = reason;
        ph_pipe_close(conn->pipe);
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

/* counts() -> connections, clients served so far */
static int server_counts(lua_State *L)
{
    struct ph_server *server = check(L);
    lua_pushinteger(L, (lua_Integer)server->count);
    lua_pushinteger(L, server->service ? server->service->served : 0);
    return 2;
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

static void accept_ended(struct ph_op *op)
{
    struct ph_service *service = op->user;
    ph_op_clear(op);
    free(service->key);
    free(service);
}

/* The state's handlers go. The last one takes the service with it. */
static void leave_service(struct ph_server *server)
{
    struct ph_service *service = server->service;
    struct ph_conn *conn = service->conns, *next;
    if (is_current(server))
        stop_accepting(service);
    for (; conn; conn = next) {
        next = conn->next;
        if (conn->server == server || conn->from == server)
            ph_conn_free(conn);
    }
    server->service = NULL;
    if (--service->servers)
        return;
    ph_timer_stop(service->port, &service->crossing);
    *service->link = service->next;
    if (service->next)
        service->next->link = service->link;
    service->accept.done = accept_ended;
    service->accept.user = service;
    /* Else the close of its pipe ends the accept, in the port's run. */
    if (service->accept.state != PH_OP_PENDING)
        accept_ended(&service->accept);
}

/* close(): after its last client has gone */
static int server_close(lua_State *L)
{
    struct ph_server *server = check(L);
    if (server->service) {
        if (server->count)
            return luaL_error(L, "the server still has clients");
        leave_service(server);
    }
    return 0;
}

void ph_service_abandon(struct ph_runtime *runtime)
{
    for (struct ph_server *server = runtime->servers; server;
         server = server->next)
        if (server->service)
            leave_service(server);
    runtime->servers = NULL;
}

void ph_service_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"current", server_current},
        {"refuse", server_refuse},
        {"finish", server_finish},
        {"cut", server_cut},
        {"wait_empty", server_wait_empty},
        {"counts", server_counts},
        {"connections", server_connections},
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
