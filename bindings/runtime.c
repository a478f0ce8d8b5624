/* SPDX-License-Identifier: MIT */
/*
 * Tasks: coroutines that the loop runs.
 *
 * A wait is a lua_yieldk out of the C function that waits, with a continuation
 * that builds the result. What it waits for (the task's operation, wait or
 * timer, each part of the task itself) resumes the task in the port's run:
 * ph_task_resume is the one place where the loop calls into Lua. There nothing
 * is pushed, since an allocation that fails outside of a protected call ends
 * the process; all values are made inside, by the continuation.
 *
 * The body of a task runs in lua_pcallk within its coroutine, not around it: an
 * error still finds the <close> variables of the coroutine, and these may wait.
 *
 * While a task has not ended the registry holds it, so that a script may forget
 * one that it has spawned.
 */
#include "runtime.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lauxlib.h"

#define DEEP 10000 /* calls in one another */
#define SHOWN_LEVELS 10

void ph_take(lua_State *co, enum ph_taken how)
{
    uintptr_t value = (ph_extra(co) & ~PH_TAKEN_BITS) | (uintptr_t)how;
    memcpy(lua_getextraspace(co), &value, sizeof value);
}

enum ph_taken ph_taken(lua_State *co)
{
    return (enum ph_taken)(ph_extra(co) & PH_TAKEN_BITS);
}

void ph_made(lua_State *L)
{
    if (!ph_runtime_of(L)->told)
        return;
    lua_getfield(L, LUA_REGISTRYINDEX, PH_MADE);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
}

void ph_runtime_log(struct ph_runtime *runtime, enum ph_level level,
                    const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    runtime->log(runtime->log_user, level, text, NULL, 0);
}

int64_t ph_check_deadline(lua_State *L, int index, lua_Number fallback_ms)
{
    lua_Number ms = luaL_optnumber(L, index, fallback_ms);
    bool given = !lua_isnoneornil(L, index);
    luaL_argcheck(L, !given || ms >= 0, index,
                  "a time is a number of milliseconds, 0 or more");
    if (ms < 0 || ms > 9e12)
        return PH_FOREVER;
    if (ms == 0)
        return PH_NOW;
    /* From now on, not from the turn's begin: the script may have computed. */
    return ph_port_clock(ph_runtime_of(L)->port) + (int64_t)(ms * 1000);
}

/* ---- Running --------------------------------------------------------------- */

static void unlink_task(struct ph_task *task)
{
    *task->link = task->next;
    if (task->next)
        task->next->link = task->link;
    task->link = NULL;
    if (--task->runtime->task_count == 0)
        ph_signal_set(&task->runtime->idle);
}

static void drop_waits(struct ph_task *task)
{
    assert(!task->resting);
    ph_task_call_over(task);
    if (task->wait)
        ph_wait_drop(&task->wait->of);
    free(task->wait);
    task->wait = NULL;
}

static void ended(struct ph_task *task)
{
    lua_State *L = task->runtime->L;
    task->state = PH_TASK_DONE;
    task->runtime->spawned -= task->spawned;
    unlink_task(task);
    drop_waits(task);
    ph_signal_set(&task->ended);
    luaL_unref(L, LUA_REGISTRYINDEX, task->ref);
    task->ref = LUA_NOREF;
}

static void report(struct ph_task *task)
{
    const char *text = lua_tostring(task->co, -1);
    if (!task->observed && !task->ended.waiters && !task->cancelled)
        ph_runtime_log(task->runtime, PH_LOG_ERROR, "%s",
                       text ? text : "an error without a message");
}

/* A coroutine that has returned is as good as a new one. */
static void park(struct ph_task *task)
{
    struct ph_runtime *runtime = task->runtime;
    lua_settop(task->co, 0);
    lua_pushcfunction(task->co, task->again);
    task->state = PH_TASK_READY;
    task->results = 0;
    unlink_task(task);
    if (task->call || task->wait)
        drop_waits(task);
    task->next = runtime->parked;
    runtime->parked = task;
    runtime->parked_count++;
}

void ph_task_resume(struct ph_task *task)
{
    struct ph_runtime *runtime = task->runtime;
    struct ph_task *before = runtime->current;
    int args = task->state == PH_TASK_READY ? task->results : 0;
    int status;
    assert(task->state != PH_TASK_RUNS && task->state != PH_TASK_DONE);
    task->state = PH_TASK_RUNS;
    task->yielded = false;
    task->at_once = 0;
    runtime->current = task;
    if (runtime->watcher)
        runtime->watcher->enter(runtime);
    status = lua_resume(task->co, NULL, args, &task->results);
    if (runtime->watcher)
        runtime->watcher->leave(runtime);
    runtime->current = before;
    if (status == LUA_YIELD) {
        task->state = PH_TASK_WAITS;
        lua_pop(task->co, task->results);
        /* A plain coroutine.yield gives way to others for one turn. */
        if (!task->yielded)
            ph_timer_start(runtime->port, &task->timer, 0);
        return;
    }
    if (status == LUA_OK && task->again) {
        park(task);
        return;
    }
    /* The body runs protected: its first result says how it ended. */
    task->failed =
        status != LUA_OK ||
        (task->results && !lua_toboolean(task->co, -task->results));
    if (task->failed)
        report(task);
    ended(task);
    if (task->died)
        task->died(task);
}

void ph_task_close(struct ph_task *task)
{
    struct ph_runtime *runtime = task->runtime;
    int status;
    assert(task->state == PH_TASK_WAITS && !runtime->current);
    ph_timer_stop(runtime->port, &task->timer);
    task->state = PH_TASK_RUNS;
    runtime->current = task;
    if (runtime->watcher)
        runtime->watcher->enter(runtime);
    status = lua_closethread(task->co, NULL);
    if (status != LUA_OK && runtime->watcher)
        runtime->watcher->explain(runtime, task->co, status);
    if (runtime->watcher)
        runtime->watcher->leave(runtime);
    runtime->current = NULL;
    task->failed = status != LUA_OK;
    task->results = 0;
    if (task->failed)
        report(task);
    ended(task);
}

void ph_task_ready(struct ph_timer *timer)
{
    ph_task_resume(ph_container_of(timer, struct ph_task, timer));
}

/* ---- The body of every task -------------------------------------------------- */

static void explain(lua_State *L, int status)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    if (runtime->watcher)
        runtime->watcher->explain(runtime, L, status);
}

static void push_level(lua_State *L, int level)
{
    lua_Debug at;
    lua_getstack(L, level, &at);
    lua_getinfo(L, "Sl", &at);
    if (at.currentline > 0)
        lua_pushfstring(L, "\n\t%s:%d: in function <%s:%d>", at.short_src,
                        at.currentline, at.short_src, at.linedefined);
    else
        lua_pushfstring(L, "\n\t%s: in ?", at.short_src);
}

/* luaL_traceback walks along all levels some twenty times, to count them: after
 * an endless recursion, for a second. */
static void push_traceback(lua_State *L, const char *message)
{
    lua_Debug at;
    if (!lua_getstack(L, DEEP, &at)) {
        luaL_traceback(L, L, message, 1);
        return;
    }
    lua_pushfstring(L, "%s\nstack traceback:", message);
    for (int level = 1; level <= SHOWN_LEVELS; level++) {
        push_level(L, level);
        lua_concat(L, 2);
    }
    lua_pushfstring(L, "\n\t...\t(more than %d levels)", DEEP);
    lua_concat(L, 2);
}

/* One that came through another task has its traceback already. */
int ph_error_traceback(lua_State *L)
{
    const char *message;
    explain(L, LUA_ERRRUN);
    message = luaL_tolstring(L, 1, NULL);
    if (!strstr(message, "\nstack traceback:"))
        push_traceback(L, message);
    return 1;
}

static int body_done(lua_State *L, int status, lua_KContext context)
{
    bool ok = status == LUA_OK || status == LUA_YIELD;
    (void)context;
    if (!ok && status != LUA_ERRRUN) /* the message handler saw that */
        explain(L, status);
    luaL_checkstack(L, 1, "too many results");
    lua_pushboolean(L, ok);
    lua_replace(L, 1);
    return lua_gettop(L);
}

/* Stack: function, arguments. Errors are caught here, inside the coroutine, so
 * that <close> variables may still wait. */
static int body(lua_State *L)
{
    lua_pushcfunction(L, ph_error_traceback);
    lua_insert(L, 1);
    return body_done(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0,
                                   body_done),
                     0);
}

static void link_task(struct ph_task *task)
{
    struct ph_runtime *runtime = task->runtime;
    task->next = runtime->tasks;
    if (task->next)
        task->next->link = &task->next;
    task->link = &runtime->tasks;
    runtime->tasks = task;
    runtime->task_count++;
    ph_signal_reset(&runtime->idle);
}

/* Pushes the userdata with its coroutine, held by the registry; after that
 * nothing raises. */
static struct ph_task *push_task(lua_State *L)
{
    struct ph_task *task = lua_newuserdatauv(L, sizeof *task, 1);
    memset(task, 0, sizeof *task);
    task->runtime = ph_runtime_of(L);
    task->state = PH_TASK_DONE;
    task->timer.fire = ph_task_ready;
    luaL_setmetatable(L, PH_TASK);
    task->co = lua_newthread(L);
    ph_take(task->co, PH_IS_TASK);
    lua_setiuservalue(L, -2, 1);
    lua_pushvalue(L, -1);
    task->ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return task;
}

struct ph_task *ph_task_new(lua_State *L, lua_CFunction function)
{
    struct ph_task *task = push_task(L);
    lua_pop(L, 1);
    lua_pushcfunction(task->co, function);
    task->state = PH_TASK_READY;
    link_task(task);
    return task;
}

struct ph_task *ph_task_unpark(struct ph_runtime *runtime)
{
    struct ph_task *task = runtime->parked;
    if (!task)
        return NULL;
    runtime->parked = task->next;
    runtime->parked_count--;
    link_task(task);
    return task;
}

struct ph_task *ph_task_spawn(lua_State *L, int args)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    struct ph_task *task = push_task(L);
    /* What body adds has its place too. */
    if (!lua_checkstack(task->co, args + 2 + LUA_MINSTACK)) {
        luaL_unref(L, LUA_REGISTRYINDEX, task->ref);
        luaL_error(L, "too many arguments");
    }
    lua_insert(L, -args - 2);
    lua_pushcfunction(task->co, body);
    lua_xmove(L, task->co, args + 1);
    task->state = PH_TASK_READY;
    task->results = args + 1;
    link_task(task);
    /* The host's own tasks, the load among them, start in any phase. */
    if (runtime->phase == PH_PHASE_RUNNING || !runtime->current)
        ph_timer_start(runtime->port, &task->timer, 0);
    return task;
}

void ph_runtime_commit(struct ph_runtime *runtime)
{
    runtime->phase = PH_PHASE_RUNNING;
    for (struct ph_task *task = runtime->tasks; task; task = task->next)
        if (task->state == PH_TASK_READY)
            ph_timer_start(runtime->port, &task->timer, 0);
}

bool ph_task_interrupt(struct ph_task *task)
{
    if (task->resting)
        ph_read_wake(task->resting);
    if (!task->call || task->call->state != PH_OP_PENDING)
        return false;
    ph_op_cancel(task->call);
    return true;
}

void ph_task_cancel(struct ph_task *task)
{
    if (task->state == PH_TASK_DONE || task->cancelled)
        return;
    task->cancelled = true;
    if (task->state == PH_TASK_RUNS)
        return;
    if (ph_task_interrupt(task))
        return;
    if (task->wait)
        ph_wait_drop(&task->wait->of);
    ph_timer_start(task->runtime->port, &task->timer, 0);
}

void ph_runtime_abandon(struct ph_runtime *runtime)
{
    for (struct ph_task *task = runtime->tasks; task; task = task->next) {
        ph_timer_stop(runtime->port, &task->timer);
        drop_waits(task);
    }
}
