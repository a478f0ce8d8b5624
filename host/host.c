/* SPDX-License-Identifier: MIT */
/*
 * Generations and their tasks as Lua values of the main generation. Values
 * cross from state to state as plain data (value.h).
 */
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include "generation.h"
#include "lauxlib.h"
#include "stdin.h"
#include "watch.h"
#include "workers.h"

#define GENERATION "pipehost.generation"
#define REMOTE     "pipehost.remote"

struct ph_host *ph_host_of(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    return ph_container_of(runtime, struct ph_generation, runtime)->host;
}

struct generation_handle {
    struct ph_generation *generation; /* NULL: closed */
};

/* A task of another state, held there until this handle is collected. */
struct remote {
    struct generation_handle *of;
    struct ph_task *task;
    int held;
};

static struct ph_generation *check(lua_State *L)
{
    struct generation_handle *handle = luaL_checkudata(L, 1, GENERATION);
    if (!handle->generation)
        luaL_error(L, "the generation is closed");
    return handle->generation;
}

void ph_host_encode(lua_State *L, int from, int to, struct ph_value *value)
{
    for (int i = from; i <= to; i++) {
        const char *bad = ph_value_encode(L, i, value);
        if (bad)
            luaL_error(L, "only plain data goes to another state: %s", bad);
    }
}

/* ---- Generations ------------------------------------------------------ */

/* open(name, number, options, owner, host) -> generation · nil, message. host:
 * true gives it the functions of this file too */
static int generation_open(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    unsigned number = (unsigned)luaL_checkinteger(L, 2);
    lua_CFunction extra = lua_toboolean(L, 5) ? ph_host_open : NULL;
    struct ph_value *options = ph_value_push(L);
    struct generation_handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
    char *error, *script;
    handle->generation = NULL;
    luaL_setmetatable(L, GENERATION);
    ph_host_encode(L, 3, 3, options);
    handle->generation =
        ph_generation_open(ph_host_of(L), options, extra, &error);
    if (!handle->generation) {
        lua_pushnil(L);
        lua_pushstring(L, error ? error : "not enough memory");
        free(error);
        return 2;
    }
    handle->generation->origin.generation = number;
    handle->generation->runtime.generation = number;
    handle->generation->runtime.owner = (unsigned)luaL_optinteger(L, 4, 0);
    script = malloc(strlen(name) + 1);
    if (!script) {
        ph_generation_close(handle->generation);
        handle->generation = NULL;
        lua_pushnil(L);
        lua_pushliteral(L, "not enough memory");
        return 2;
    }
    handle->generation->origin.script = strcpy(script, name);
    return 1;
}

/* generation:start(hook, …) -> remote · nil */
static int generation_start(lua_State *L)
{
    struct ph_generation *generation = check(L);
    const char *hook = luaL_checkstring(L, 2);
    int top = lua_gettop(L);
    struct ph_value *args = ph_value_push(L);
    struct remote *remote;
    ph_host_encode(L, 3, top, args);
    remote = lua_newuserdatauv(L, sizeof *remote, 1);
    remote->task = NULL;
    remote->of = lua_touserdata(L, 1);
    luaL_setmetatable(L, REMOTE);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    remote->task = ph_generation_start(generation, hook,
                                       args->len ? args : NULL, &remote->held);
    if (!remote->task)
        return 0;
    remote->task->observed = true; /* by whoever holds the remote */
    return 1;
}

/* generation:cancel(all): every task, or those that serve no connection */
static int generation_cancel(lua_State *L)
{
    ph_generation_cancel(check(L), lua_toboolean(L, 2));
    return 0;
}

static int idle_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_runtime_of(L)->current->awaited = NULL;
    ph_wait_resumed(L);
    lua_pushboolean(L, ph_task_waited(L)->status == PH_OK);
    return 1;
}

static int wait_for(lua_State *L, struct ph_runtime *other,
                    struct ph_signal *signal)
{
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct ph_task *task = ph_wait_check(L, "wait");
    if (ph_task_wait_one(L, signal, deadline)) {
        lua_pushboolean(L, signal->set);
        return 1;
    }
    task->awaited = other;
    return ph_wait_yield(L, task, idle_resumed);
}

/* generation:idle(ms) -> true: no task is left */
static int generation_idle(lua_State *L)
{
    struct ph_runtime *other = &check(L)->runtime;
    return wait_for(L, other, &other->idle);
}

/* generation:released(ms) -> true: no connection is served by it any more */
static int generation_released(lua_State *L)
{
    struct ph_runtime *other = &check(L)->runtime;
    return wait_for(L, other, &other->released);
}

static int tracked_resumed(lua_State *L, int status, lua_KContext context)
{
    int values = idle_resumed(L, status, context);
    ph_signal_reset(&check(L)->runtime.tracked);
    return values;
}

/* generation:tracked() -> true, when the script has read files that it had not
 * read before, since this was asked last */
static int generation_tracked(lua_State *L)
{
    struct ph_runtime *other = &check(L)->runtime;
    struct ph_task *task = ph_wait_check(L, "wait");
    if (ph_task_wait_one(L, &other->tracked, PH_FOREVER)) {
        ph_signal_reset(&other->tracked);
        lua_pushboolean(L, 1);
        return 1;
    }
    task->awaited = other;
    return ph_wait_yield(L, task, tracked_resumed);
}

/* generation:clients() -> the number of connections it serves */
static int generation_clients(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check(L)->runtime.clients);
    return 1;
}

/* generation:begun() -> boolean: its servers serve, whatever the commit said */
static int generation_begun(lua_State *L)
{
    lua_pushboolean(L, check(L)->runtime.begun);
    return 1;
}

/* generation:memory() -> bytes */
static int generation_memory(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check(L)->memory);
    return 1;
}

/* The signals of a state go with it: nobody may wait for them any more. */
static void end_waits(const struct ph_runtime *ours,
                      const struct ph_runtime *going)
{
    for (struct ph_task *task = ours->tasks; task; task = task->next)
        if (task->awaited == going)
            ph_task_cancel(task);
}

static int generation_close(lua_State *L)
{
    struct generation_handle *handle = luaL_checkudata(L, 1, GENERATION);
    struct ph_generation *generation = handle->generation;
    handle->generation = NULL;
    if (generation) {
        end_waits(ph_runtime_of(L), &generation->runtime);
        ph_generation_close(generation);
    }
    return 0;
}

/* ---- Remote tasks ----------------------------------------------------- */

/* The other state's memory may run out while it encodes: its own protection. */
static int encode_protected(lua_State *co)
{
    struct ph_value *value = lua_touserdata(co, 1);
    int count = lua_gettop(co) - 1;
    for (int i = 2; i <= count + 1; i++) {
        const char *bad = ph_value_encode(co, i, value);
        if (bad)
            return luaL_error(co, "only plain data comes back: %s", bad);
    }
    return 0;
}

/* That state could not say what came of it: for those who ask it has failed. */
static int push_lost(lua_State *L, const char *why)
{
    lua_pushboolean(L, 0);
    lua_pushstring(L, why);
    return 2;
}

static int push_results(lua_State *L)
{
    struct remote *remote = lua_touserdata(L, 1);
    struct ph_task *task = remote->task;
    struct ph_value *value = ph_value_push(L);
    int count = task->failed ? 1 : task->results;
    /* Nothing is called in a coroutine that may have died. */
    lua_State *co = task->co, *other = task->runtime->L;
    task->observed = true;
    if (!lua_checkstack(co, count) || !lua_checkstack(other, count + 2))
        return push_lost(L, "not enough memory");
    lua_pushcfunction(other, encode_protected);
    lua_pushlightuserdata(other, value);
    for (int i = 0; i < count; i++)
        lua_pushvalue(co, -count);
    lua_xmove(co, other, count);
    if (lua_pcall(other, count + 1, 0, 0) != LUA_OK) {
        int pushed = push_lost(L, lua_tostring(other, -1));
        lua_pop(other, 1);
        return pushed;
    }
    if (!task->failed)
        return ph_value_decode(L, value);
    lua_pushboolean(L, 0);
    return 1 + ph_value_decode(L, value);
}

static int remote_resumed(lua_State *L, int status, lua_KContext context)
{
    struct remote *remote = lua_touserdata(L, 1);
    (void)status;
    (void)context;
    ph_runtime_of(L)->current->awaited = NULL;
    ph_wait_resumed(L);
    if (remote->task->state != PH_TASK_DONE)
        return 0;
    return push_results(L);
}

/* remote:wait(ms) -> true and the results · false, the error with its
 * traceback · nothing: the time was up */
static int remote_wait(lua_State *L)
{
    struct remote *remote = luaL_checkudata(L, 1, REMOTE);
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct ph_task *task;
    if (!remote->of->generation)
        return luaL_error(L, "the generation is closed");
    if (remote->task->state == PH_TASK_DONE)
        return push_results(L);
    remote->task->observed = true;
    task = ph_wait_check(L, "wait");
    if (ph_task_wait_one(L, &remote->task->ended, deadline))
        return remote_resumed(L, LUA_OK, 0);
    task->awaited = &remote->of->generation->runtime;
    return ph_wait_yield(L, task, remote_resumed);
}

/* remote:cancel() */
static int remote_cancel(lua_State *L)
{
    struct remote *remote = luaL_checkudata(L, 1, REMOTE);
    if (remote->of->generation)
        ph_task_cancel(remote->task);
    return 0;
}

static int remote_gc(lua_State *L)
{
    struct remote *remote = luaL_checkudata(L, 1, REMOTE);
    if (remote->task && remote->of->generation)
        ph_generation_release(remote->of->generation, remote->held);
    remote->task = NULL;
    return 0;
}

/* ---- Signals, log, counts --------------------------------------------- */

static const char *take_signal(struct ph_host *host)
{
    const char *kind = NULL;
    if (host->stops) {
        host->stops--;
        kind = "stop";
    } else if (host->reloads) {
        host->reloads = 0; /* a storm of them is one */
        kind = "reload";
    }
    if (!host->stops && !host->reloads)
        ph_signal_reset(&host->signalled);
    return kind;
}

static int signal_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    lua_pushstring(L, take_signal(ph_host_of(L)));
    return 1;
}

/* wait_signal(ms) -> "stop" · "reload" · nil: the time was up */
static int wait_signal(lua_State *L)
{
    struct ph_host *host = ph_host_of(L);
    int64_t deadline = ph_check_deadline(L, 1, -1);
    struct ph_task *task = ph_wait_check(L, "wait_signal");
    if (ph_task_wait_one(L, &host->signalled, deadline))
        return signal_resumed(L, LUA_OK, 0);
    return ph_wait_yield(L, task, signal_resumed);
}

/* raise(kind): as if the signal had come */
static int raise_signal(lua_State *L)
{
    struct ph_host *host = ph_host_of(L);
    static const char *const kinds[] = {"stop", "reload", NULL};
    if (luaL_checkoption(L, 1, NULL, kinds))
        host->reloads++;
    else
        host->stops++;
    ph_signal_set(&host->signalled);
    return 0;
}

/* set_log{ level=, json=, colour=, traces= } */
static int set_log(lua_State *L)
{
    static const char *const levels[] = {"debug", "info", "warn", "error",
                                         NULL};
    struct ph_log *log = &ph_host_of(L)->log;
    luaL_checktype(L, 1, LUA_TTABLE);
    if (lua_getfield(L, 1, "level") != LUA_TNIL)
        log->least = (enum ph_level)luaL_checkoption(L, -1, NULL, levels);
    lua_getfield(L, 1, "json");
    log->json = lua_toboolean(L, -1);
    lua_getfield(L, 1, "colour");
    log->colour = lua_toboolean(L, -1);
    lua_getfield(L, 1, "traces");
    log->traces = lua_toboolean(L, -1);
    return 0;
}

/* counts() -> { pipes, operations, timers, listeners, folders, processes,
 * shared (bytes) } */
static int counts(lua_State *L)
{
    struct ph_counts counts = ph_port_counts(ph_host_of(L)->port);
    const struct {
        const char *key;
        size_t value;
    } rows[] = {{"pipes", counts.pipes},
                {"operations", counts.operations},
                {"timers", counts.timers},
                {"listeners", counts.listeners},
                {"folders", counts.folders},
                {"processes", counts.processes},
                {"clients", ph_host_of(L)->services.clients},
                {"shared", ph_store_bytes(ph_host_of(L)->store)}};
    lua_newtable(L);
    for (size_t i = 0; i < ph_countof(rows); i++) {
        lua_pushinteger(L, (lua_Integer)rows[i].value);
        lua_setfield(L, -2, rows[i].key);
    }
    return 1;
}

static void new_type(lua_State *L, const char *name, const luaL_Reg *methods,
                     lua_CFunction gc)
{
    luaL_newmetatable(L, name);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

int ph_host_open(lua_State *L)
{
    static const luaL_Reg generation_methods[] = {
        {"start", generation_start},
        {"cancel", generation_cancel},
        {"idle", generation_idle},
        {"memory", generation_memory},
        {"released", generation_released},
        {"tracked", generation_tracked},
        {"clients", generation_clients},
        {"begun", generation_begun},
        {"close", generation_close},
        {NULL, NULL}};
    static const luaL_Reg remote_methods[] = {
        {"wait", remote_wait}, {"cancel", remote_cancel}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"open", generation_open}, {"wait_signal", wait_signal},
        {"raise", raise_signal},   {"set_log", set_log},
        {"counts", counts},        {NULL, NULL}};
    new_type(L, GENERATION, generation_methods, generation_close);
    new_type(L, REMOTE, remote_methods, remote_gc);
    luaL_newlib(L, functions);
    ph_system_open(L);
    ph_watch_open(L);
    ph_stdin_open(L);
    ph_workers_open(L);
    lua_setfield(L, 1, "host");
    return 0;
}
