/* SPDX-License-Identifier: MIT */
/*
 * coroutine.resume and coroutine.close for scripts, whose coroutines may wait.
 *
 * A wait inside a coroutine that the script made suspends the whole task: the
 * resume that runs it leaves too, and resumes it again afterwards. A plain
 * yield goes to the script's resume as ever.
 */
#include <assert.h>
#include <string.h>

#include "lauxlib.h"
#include "runtime.h"

static int resume_done(lua_State *L, int status, lua_KContext context);

/* A coroutine that died of a limit died inside a hook, and whatever it would
 * still run would run without one: it belongs to nobody, and is not closed. */
static void disown(lua_State *co)
{
    memset(lua_getextraspace(co), 0, LUA_EXTRASPACE);
}

static void switched(struct ph_runtime *runtime, lua_State *co)
{
    if (runtime->watcher)
        runtime->watcher->switched(runtime, co);
}

/* Pushes false and why nobody else may resume (close) the coroutine at 1; or
 * nothing. */
static int push_taken(lua_State *L, const char *verb)
{
    static const char *const what[] = {
        [PH_WAITS_FOR_PIPE] = "a coroutine that waits for a pipe",
        [PH_IS_TASK] = "the coroutine of a task"};
    enum ph_taken how = ph_taken(lua_tothread(L, 1));
    if (how == PH_NOT_TAKEN)
        return 0;
    lua_pushboolean(L, 0);
    lua_pushfstring(L, "cannot %s %s", verb, what[how]);
    return 2;
}

static int resume(lua_State *L, lua_State *co, int args)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    struct ph_task *task = runtime->current;
    assert(lua_gettop(L) == 1 && lua_tothread(L, 1) == co);
    bool fixed = task && !lua_isyieldable(L);
    int results = 0;
    int status;
    if (fixed)
        task->fixed++;
    switched(runtime, co);
    status = lua_resume(co, L, args, &results);
    switched(runtime, L);
    if (fixed)
        task->fixed--;
    if (status == LUA_YIELD && task && task->yielded) {
        lua_pop(co, results);
        ph_take(co, PH_WAITS_FOR_PIPE);
        return lua_yieldk(L, 0, 0, resume_done);
    }
    lua_settop(L, 1);
    lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
    if (status != LUA_OK && status != LUA_YIELD) {
        results = 1;
        if (task && task->over)
            disown(co);
    }
    luaL_checkstack(L, results, "too many results");
    lua_xmove(co, L, results);
    return results + 1;
}

static int resume_done(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_take(lua_tothread(L, 1), PH_NOT_TAKEN);
    return resume(L, lua_tothread(L, 1), 0);
}

/* coroutine.resume(co, …) */
static int co_resume(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    int args = lua_gettop(L) - 1;
    luaL_argexpected(L, co, 1, "coroutine");
    if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) {
        lua_pushboolean(L, 0);
        lua_pushliteral(L, "cannot resume dead coroutine");
        return 2;
    }
    if (push_taken(L, "resume"))
        return 2;
    if (!lua_checkstack(co, args)) {
        lua_pushboolean(L, 0);
        lua_pushliteral(L, "too many arguments to resume");
        return 2;
    }
    lua_xmove(L, co, args);
    return resume(L, co, args);
}

static bool is_alive(lua_State *L, lua_State *co)
{
    lua_Debug ar;
    return co == L || (lua_status(co) == LUA_OK && lua_getstack(co, 0, &ar));
}

/* coroutine.close(co); its <close> variables run in co */
static int co_close(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    struct ph_runtime *runtime = ph_runtime_of(L);
    int status;
    luaL_argexpected(L, co, 1, "coroutine");
    if (is_alive(L, co))
        return luaL_error(L, "cannot close a %s coroutine",
                          co == L ? "running" : "normal");
    if (push_taken(L, "close"))
        return 2;
    if (!ph_runtime_of(co)) {
        lua_pushboolean(L, 0);
        lua_pushliteral(L, "it passed a limit");
        return 2;
    }
    switched(runtime, co);
    status = lua_closethread(co, L);
    switched(runtime, L);
    lua_pushboolean(L, status == LUA_OK);
    if (status == LUA_OK)
        return 1;
    lua_xmove(co, L, 1);
    return 2;
}

void ph_coroutine_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"co_resume", co_resume}, {"co_close", co_close}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
