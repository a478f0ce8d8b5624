/* SPDX-License-Identifier: MIT */
#include "generation.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "file.h"
#include "lauxlib.h"
#include "library.h"
#include "pipe.h"
#include "server.h"

#define HOOKS "pipehost.hooks"

static void *allocate(void *user, void *block, size_t old, size_t size)
{
    struct ph_generation *generation = user;
    void *more;
    if (!block)
        old = 0; /* Lua passes a type here */
    if (size == 0) {
        generation->memory -= old;
        ph_heap_free(&generation->heap, block, old);
        return NULL;
    }
    if (size > old && (ph_failing_now(&generation->failing) ||
                       !ph_limits_allow(generation, size - old)))
        return NULL;
    more = ph_heap_resize(&generation->heap, block, old, size);
    if (more)
        generation->memory += size - old;
    return more;
}

static void log_line(void *user, enum ph_level level, const char *text,
                     const char *const *fields, size_t count)
{
    struct ph_generation *generation = user;
    struct ph_log_entry entry = {.level = level,
                                 .origin = generation->origin,
                                 .text = text,
                                 .fields = fields,
                                 .count = count};
    ph_log_line(&generation->host->log, &entry);
}

/* ---- Opening ------------------------------------------------------------ */

struct opening {
    struct ph_generation *generation;
    const struct ph_value *options;
    lua_CFunction extra;
};

static int open_protected(lua_State *L)
{
    struct opening *opening = lua_touserdata(L, 1);
    const char *folder = opening->generation->host->library;
    ph_library_open(L);
    ph_limits_open(L);
    ph_file_open(L);
    ph_compile_open(L);
    ph_failing_open(L);
    if (opening->extra) {
        lua_pushcfunction(L, opening->extra);
        lua_pushvalue(L, -2);
        lua_call(L, 1, 0);
    }
    if (!ph_library_load(L, folder, "pipehost/prelude.lua"))
        return luaL_error(L, "the library has no pipehost/prelude.lua");
    lua_pushvalue(L, 2); /* core */
    lua_pushnil(L);
    if (opening->options) {
        lua_pop(L, 1);
        ph_value_decode(L, opening->options);
    }
    lua_call(L, 2, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, HOOKS);
    return 0;
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static int describe(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

/* *error as ph_generation_open has it. */
static bool run_open(struct opening *opening, char **error)
{
    lua_State *L = opening->generation->runtime.L;
    lua_pushcfunction(L, describe);
    lua_pushcfunction(L, open_protected);
    lua_pushlightuserdata(L, opening);
    if (lua_pcall(L, 1, 0, 1) != LUA_OK) {
        const char *text = lua_tostring(L, -1);
        *error = text ? copy_text(text) : NULL;
        return false;
    }
    lua_settop(L, 0);
    return true;
}

static void link_generation(struct ph_generation *generation)
{
    generation->next = generation->host->generations;
    generation->host->generations = generation;
}

static void set_runtime(struct ph_generation *generation)
{
    struct ph_runtime *runtime = &generation->runtime;
    runtime->port = generation->host->port;
    runtime->log = log_line;
    runtime->log_user = generation;
    runtime->log_least = &generation->host->log.least;
    runtime->services = &generation->host->services;
    runtime->store = generation->host->store;
    runtime->worker = generation->host->worker;
    runtime->workers = generation->host->workers;
    ph_signal_set(&runtime->idle);
    ph_signal_set(&runtime->released);
    memcpy(lua_getextraspace(runtime->L), &runtime, sizeof runtime);
}

/*
 * Lua's own settings (100, 2^13 bytes) mark all that lives within some 40
 * messages of 64 bytes, and those behind them wait: a fifth of a millisecond for
 * the built-in library alone. So the collector is slower and takes more and
 * smaller steps; it still ends a round long before the garbage doubles. The
 * library itself is loaded before that: nobody waits for it.
 */
#define COLLECTOR_SPEED 20 /* per cent of Lua's unit for each byte allocated */
#define COLLECTOR_STEP  10 /* of 2^10 bytes */

static void set_collector(lua_State *L)
{
    lua_gc(L, LUA_GCINC, 0, COLLECTOR_SPEED, COLLECTOR_STEP);
}

struct ph_generation *ph_generation_open(struct ph_host *host,
                                         const struct ph_value *options,
                                         lua_CFunction extra, char **error)
{
    struct ph_generation *generation = calloc(1, sizeof *generation);
    *error = NULL;
    if (!generation)
        return NULL;
    generation->host = host;
    generation->failing = host->failing;
    host->failing = (struct ph_failing){0};
    generation->runtime.L = lua_newstate(allocate, generation);
    if (!generation->runtime.L) {
        ph_heap_close(&generation->heap);
        free(generation);
        return NULL;
    }
    set_runtime(generation);
    link_generation(generation);
    struct opening opening = {generation, options, extra};
    if (run_open(&opening, error)) {
        set_collector(generation->runtime.L);
        return generation;
    }
    ph_generation_close(generation);
    return NULL;
}

/* ---- Hooks -------------------------------------------------------------- */

struct starting {
    const char *hook;
    const struct ph_value *args;
    struct ph_task *task;
    int held;
};

static int start_protected(lua_State *L)
{
    struct starting *starting = lua_touserdata(L, 1);
    int args = 0;
    lua_getfield(L, LUA_REGISTRYINDEX, HOOKS);
    if (lua_getfield(L, -1, starting->hook) != LUA_TFUNCTION)
        return luaL_error(L, "no hook '%s'", starting->hook);
    if (starting->args)
        args = ph_value_decode(L, starting->args);
    starting->task = ph_task_spawn(L, args);
    starting->held = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

struct ph_task *ph_generation_start(struct ph_generation *generation,
                                    const char *hook,
                                    const struct ph_value *args, int *held)
{
    lua_State *L = generation->runtime.L;
    struct starting starting = {.hook = hook, .args = args};
    lua_pushcfunction(L, start_protected);
    lua_pushlightuserdata(L, &starting);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        ph_runtime_log(&generation->runtime, PH_LOG_ERROR, "%s: %s", hook,
                       lua_tostring(L, -1));
        lua_pop(L, 1);
        return NULL;
    }
    if (held)
        *held = starting.held;
    else
        ph_generation_release(generation, starting.held);
    return starting.task;
}

void ph_generation_release(struct ph_generation *generation, int held)
{
    luaL_unref(generation->runtime.L, LUA_REGISTRYINDEX, held);
}

/* ---- Closing ------------------------------------------------------------ */

void ph_generation_cancel(struct ph_generation *generation, bool all)
{
    struct ph_task *task = generation->runtime.tasks;
    for (; task; task = task->next)
        if (all || !task->conn) /* a worker ends with its connection */
            ph_task_cancel(task);
}

static void unlink_generation(struct ph_generation *generation)
{
    struct ph_generation **link = &generation->host->generations;
    while (*link && *link != generation)
        link = &(*link)->next;
    if (*link)
        *link = generation->next;
}

void ph_generation_close(struct ph_generation *generation)
{
    generation->runtime.closing = true;
    ph_runtime_abandon(&generation->runtime);
    ph_operation_abandon(&generation->runtime);
    ph_server_abandon(&generation->runtime);
    lua_close(generation->runtime.L);
    assert(generation->memory == 0);
    ph_heap_close(&generation->heap);
    unlink_generation(generation);
    free((char *)generation->origin.script);
    free(generation);
}
