/* SPDX-License-Identifier: MIT */
/*
 * Tasks, events, time, and waits for one or many of them, as scripts have them.
 *
 * What is waited for is held by the stack of the coroutine that waits: it can't
 * be collected meanwhile. A wait for many has its signals and waiters in a
 * userdata of its own, which lies on that stack too.
 */
#include <assert.h>
#include <string.h>

#include "lauxlib.h"
#include "misuse.h"
#include "outcome.h"
#include "pipe.h"
#include "process.h"
#include "runtime.h"

#define ITEMS_MAX (1 << 20) /* of one wait; __len may claim any number */

struct ph_task *ph_task_check(lua_State *L, int index)
{
    return luaL_checkudata(L, index, PH_TASK);
}

/* Waits are for scripts that run: a load that waits would never be loaded. */
static struct ph_task *check_wait(lua_State *L, const char *what)
{
    ph_phase_check(L, what);
    return ph_wait_check(L, what);
}

/* ---- Tasks ------------------------------------------------------------ */

/* spawn(fn, …) -> task: runs fn(…) as a coroutine of the loop */
static int spawn(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    luaL_checktype(L, 1, LUA_TFUNCTION);
    if (runtime->closing)
        return luaL_error(L, "spawn: the script is being closed");
    if (runtime->spawned_max && runtime->spawned >= runtime->spawned_max)
        return luaL_error(L, "spawn: the script has %I tasks already",
                          (LUAI_UACINT)runtime->spawned);
    ph_task_spawn(L, lua_gettop(L) - 1)->spawned = true;
    runtime->spawned++;
    ph_made(L);
    return 1;
}

/* The results live on the ended coroutine's stack: true or false, then the
 * values or the error. They stay there for the next who asks. */
static int push_end(lua_State *L, struct ph_task *task)
{
    lua_State *co = task->co;
    int count = task->failed ? 1 : task->results;
    assert(task->state == PH_TASK_DONE && lua_gettop(co) >= count);
    task->observed = true;
    /* Not luaL_checkstack for both: an error raised in a coroutine that nobody
     * resumes ends the process. */
    if (!lua_checkstack(L, count) || !lua_checkstack(co, count))
        return luaL_error(L, "task:wait: too many results");
    if (task->failed) {
        lua_pushvalue(co, -1);
        lua_xmove(co, L, 1);
        return lua_error(L);
    }
    for (int i = 0; i < count; i++)
        lua_pushvalue(co, -count);
    lua_xmove(co, L, count);
    return count;
}

static int push_waited(lua_State *L)
{
    struct ph_task *task = ph_task_check(L, 1);
    if (task->state != PH_TASK_DONE)
        return ph_push_status(L, PH_PENDING, "wait", "task", 0);
    return push_end(L, task);
}

static int wait_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    return push_waited(L);
}

/* task:wait(ms) -> true and what its function returned; raises what it raised;
 * nil, "pending": the time was up and it goes on */
static int task_wait(lua_State *L)
{
    struct ph_task *other = ph_task_check(L, 1), *task;
    int64_t deadline = ph_check_deadline(L, 2, -1);
    if (other->state == PH_TASK_DONE || deadline == PH_NOW)
        return push_waited(L);
    task = check_wait(L, "task:wait");
    if (task == other)
        return luaL_error(L, "a task can't wait for itself");
    if (ph_task_wait_one(L, &other->ended, deadline))
        return push_waited(L);
    return ph_wait_yield(L, task, wait_resumed);
}

/* task:cancel(): the wait it is in raises "cancelled" there */
static int task_cancel(lua_State *L)
{
    ph_task_cancel(ph_task_check(L, 1));
    return 0;
}

/* tasks() -> { { task =, thread = } … }: those that have not ended */
static int tasks(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    lua_Integer i = 0;
    lua_newtable(L);
    for (struct ph_task *task = runtime->tasks; task; task = task->next) {
        if (task->ref == LUA_NOREF)
            continue;
        lua_createtable(L, 0, 2);
        lua_rawgeti(L, LUA_REGISTRYINDEX, task->ref);
        if (lua_getiuservalue(L, -1, 1) == LUA_TTHREAD)
            lua_setfield(L, -3, "thread");
        else
            lua_pop(L, 1);
        lua_setfield(L, -2, "task");
        lua_rawseti(L, -2, ++i);
    }
    return 1;
}

static int task_tostring(lua_State *L)
{
    static const char *const states[] = {"ready", "waiting", "running", "done"};
    lua_pushfstring(L, "task (%s)", states[ph_task_check(L, 1)->state]);
    return 1;
}

/* ---- Events ----------------------------------------------------------- */

static struct ph_signal *check_event(lua_State *L)
{
    return luaL_checkudata(L, 1, PH_EVENT);
}

/* event() -> an event, not set; manual reset */
static int event(lua_State *L)
{
    struct ph_signal *signal = lua_newuserdatauv(L, sizeof *signal, 0);
    memset(signal, 0, sizeof *signal);
    luaL_setmetatable(L, PH_EVENT);
    return 1;
}

static int event_set(lua_State *L)
{
    ph_signal_set(check_event(L));
    return 0;
}

static int event_reset(lua_State *L)
{
    ph_signal_reset(check_event(L));
    return 0;
}

static int event_is_set(lua_State *L)
{
    lua_pushboolean(L, check_event(L)->set);
    return 1;
}

static int push_event(lua_State *L, bool set)
{
    if (!set)
        return ph_push_status(L, PH_PENDING, "wait", "event", 0);
    lua_pushboolean(L, 1);
    return 1;
}

static int event_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    return push_event(L, ph_task_waited(L)->status == PH_OK);
}

/* event:wait(ms) -> true · nil, "pending" */
static int event_wait(lua_State *L)
{
    struct ph_signal *signal = check_event(L);
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct ph_task *task;
    if (signal->set || deadline == PH_NOW)
        return push_event(L, signal->set);
    task = check_wait(L, "event:wait");
    if (ph_task_wait_one(L, signal, deadline))
        return push_event(L, signal->set);
    return ph_wait_yield(L, task, event_resumed);
}

/* ---- Time ------------------------------------------------------------- */

static int slept(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    return 0;
}

static int start_sleep(lua_State *L, struct ph_task *task)
{
    int64_t deadline = ph_check_deadline(L, 1, -1);
    ph_timer_start(task->runtime->port, &task->timer, deadline);
    return ph_wait_yield(L, task, slept);
}

/* sleep(ms): others run meanwhile; 0 gives way for one turn */
static int sleep_ms(lua_State *L)
{
    luaL_checknumber(L, 1);
    return start_sleep(L, check_wait(L, "sleep"));
}

/* pause(ms): the same for the library, also while a script loads */
static int pause_ms(lua_State *L)
{
    return start_sleep(L, ph_wait_check(L, "sleep"));
}

/* now() -> milliseconds, monotonic, with fractions */
static int now(lua_State *L)
{
    int64_t us = ph_port_clock(ph_runtime_of(L)->port);
    lua_pushnumber(L, (lua_Number)us / 1000);
    return 1;
}

/* ---- Waits for many --------------------------------------------------- */

/* Signals and waiters of one wait; the user value is a copy of the list, which
 * keeps the items alive until then. */
struct many {
    struct ph_wait wait;
    struct ph_signal **signals;
};

static struct ph_signal *check_signal(lua_State *L, int index, lua_Integer i)
{
    struct ph_signal *signal = ph_operation_signal(L, index);
    struct ph_task *task = luaL_testudata(L, index, PH_TASK);
    if (!signal)
        signal = luaL_testudata(L, index, PH_EVENT);
    if (task)
        signal = &task->ended;
    if (!signal)
        signal = ph_process_signal(L, index);
    if (!signal)
        luaL_error(L,
                   "item %I of the list is a %s; operations, tasks and events "
                   "can be waited for",
                   (LUAI_UACINT)i, luaL_typename(L, index));
    return signal;
}

/* Leaves the list at 1 and the userdata on top. */
static struct many *collect(lua_State *L, enum ph_wait_mode mode)
{
    lua_Integer count;
    struct many *many;
    luaL_checktype(L, 1, LUA_TTABLE);
    count = luaL_len(L, 1);
    luaL_argcheck(L, count > 0, 1, "nothing to wait for");
    luaL_argcheck(L, count <= ITEMS_MAX, 1, "more than 1048576 items");
    many = lua_newuserdatauv(L,
                             sizeof *many +
                                 (size_t)count * (sizeof(struct ph_waiter) +
                                                  sizeof(struct ph_signal *)),
                             1);
    memset(many, 0, sizeof *many);
    many->wait.waiters =
        memset(many + 1, 0, (size_t)count * sizeof(struct ph_waiter));
    many->signals = (struct ph_signal **)(many->wait.waiters + count);
    many->wait.signals = many->signals;
    many->wait.count = (size_t)count;
    many->wait.mode = mode;
    lua_createtable(L, (int)count, 0);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(L, 1, i);
        many->signals[i - 1] = check_signal(L, -1, i);
        lua_rawseti(L, -2, i);
    }
    lua_setiuservalue(L, -2, 1);
    return many;
}

static int push_which(lua_State *L, const struct ph_wait *wait)
{
    if (wait->status != PH_OK)
        return ph_push_status(L, PH_PENDING, "wait", NULL, 0);
    if (wait->mode == PH_WAIT_ALL) {
        lua_pushboolean(L, 1);
        return 1;
    }
    lua_getiuservalue(L, -1, 1);
    lua_rawgeti(L, -1, (lua_Integer)wait->index + 1);
    lua_pushinteger(L, (lua_Integer)wait->index + 1);
    return 2;
}

static int which_resumed(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    ph_wait_resumed(L);
    return push_which(L, ph_task_waited(L));
}

static int wait_many(lua_State *L, enum ph_wait_mode mode, const char *what)
{
    int64_t deadline = ph_check_deadline(L, 2, -1);
    struct many *many = collect(L, mode);
    struct ph_task *task = check_wait(L, what);
    if (ph_task_wait_many(L, &many->wait, deadline))
        return push_which(L, ph_task_waited(L));
    return ph_wait_yield(L, task, which_resumed);
}

/* wait_any(list, ms) -> item, index · nil, "pending"; the lowest index wins */
static int wait_any(lua_State *L)
{
    return wait_many(L, PH_WAIT_ANY, "wait_any");
}

/* wait_all(list, ms) -> true · nil, "pending" */
static int wait_all(lua_State *L)
{
    return wait_many(L, PH_WAIT_ALL, "wait_all");
}

static const luaL_Reg task_methods[] = {
    {"wait", task_wait}, {"cancel", task_cancel}, {NULL, NULL}};

static const luaL_Reg event_methods[] = {{"set", event_set},
                                         {"reset", event_reset},
                                         {"is_set", event_is_set},
                                         {"wait", event_wait},
                                         {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"spawn", spawn},       {"event", event}, {"sleep", sleep_ms},
    {"pause", pause_ms},    {"now", now},     {"wait_any", wait_any},
    {"wait_all", wait_all}, {"tasks", tasks}, {NULL, NULL},
};

static void new_type(lua_State *L, const char *name, const char *what,
                     const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    ph_push_index(L, what);
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

void ph_task_open(lua_State *L)
{
    new_type(L, PH_TASK, "a task", task_methods);
    lua_pushcfunction(L, task_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
    new_type(L, PH_EVENT, "an event", event_methods);
    lua_pop(L, 1);
    luaL_setfuncs(L, functions, 0);
}
