/* SPDX-License-Identifier: MIT */
/* What sets the limits of a state: the library's functions for it. */
#include <limits.h>

#include "generation.h"
#include "lauxlib.h"
#include "limit.h"

#define LEAST_MEMORY ((size_t)1 << 20)

static struct ph_generation *generation_of(struct ph_runtime *runtime)
{
    return ph_container_of(runtime, struct ph_generation, runtime);
}

/* limit(tasks): from now on this state has limits; tasks: cpu also holds
 * outside of a server's calls */
static int limit(lua_State *L)
{
    struct ph_generation *generation = generation_of(ph_runtime_of(L));
    struct ph_limits *limits = &generation->limits;
    limits->memory = PH_LIMIT_MEMORY;
    limits->cpu_ms = PH_LIMIT_CPU_MS;
    limits->tasks = lua_toboolean(L, 1);
    generation->runtime.spawned_max = PH_LIMIT_TASKS;
    if (!ph_limits_watch(generation))
        ph_runtime_log(&generation->runtime, PH_LOG_WARN,
                       "no timer: computing time is not limited");
    ph_guards_open(L);
    return 0;
}

static void set_memory(lua_State *L, struct ph_generation *generation)
{
    lua_Number bytes = luaL_checknumber(L, 1);
    if (!(bytes >= LEAST_MEMORY && bytes <= 1e15))
        luaL_error(L,
                   "pipehost.limits: memory is a number of bytes, at least "
                   "%d",
                   (int)LEAST_MEMORY);
    if (bytes < (lua_Number)generation->memory)
        luaL_error(L,
                   "pipehost.limits: memory: the script has %I bytes already",
                   (LUAI_UACINT)generation->memory);
    generation->limits.memory = (size_t)bytes;
}

static void set_cpu(lua_State *L, struct ph_generation *generation)
{
    lua_Number ms = luaL_checknumber(L, 2);
    if (!(ms >= PH_TICK_MS))
        luaL_error(L,
                   "pipehost.limits: cpu is a number of milliseconds, at least "
                   "%d; math.huge: no limit",
                   PH_TICK_MS);
    generation->limits.cpu_ms = ms < INT_MAX ? (int)ms : 0;
    generation->limits.tasks = true;
}

static void set_tasks(lua_State *L, struct ph_generation *generation)
{
    lua_Number count = luaL_checknumber(L, 3);
    if (!(count >= 1))
        luaL_error(L, "pipehost.limits: tasks is a number, 1 or more; "
                      "math.huge: no limit");
    generation->runtime.spawned_max = count < 1e9 ? (size_t)count : 0;
}

/* set_limits(memory, cpu, tasks): nil: as it is. Nothing, in a state without
 * limits */
static int set_limits(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    struct ph_generation *generation = generation_of(runtime);
    struct ph_limits before = generation->limits;
    if (!lua_isnoneornil(L, 1))
        set_memory(L, generation);
    if (!lua_isnoneornil(L, 2))
        set_cpu(L, generation);
    if (!lua_isnoneornil(L, 3))
        set_tasks(L, generation);
    if (!runtime->watcher) {
        generation->limits = before;
        runtime->spawned_max = 0;
    }
    ph_limits_renew(generation);
    return 0;
}

/* limit_tasks(ms): what a task may compute outside of a server's calls, where
 * no limit holds there yet */
static int limit_tasks(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    lua_Integer ms = luaL_checkinteger(L, 1);
    luaL_argcheck(L, ms > 0 && ms < INT_MAX, 1, "milliseconds");
    generation_of(runtime)->limits.task_ms = (int)ms;
    ph_limits_renew(generation_of(runtime));
    return 0;
}

void ph_limits_setting_open(lua_State *L)
{
    static const luaL_Reg functions[] = {{"limit", limit},
                                         {"set_limits", set_limits},
                                         {"limit_tasks", limit_tasks},
                                         {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
