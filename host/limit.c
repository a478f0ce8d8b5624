/* SPDX-License-Identifier: MIT */
#include "limit.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "generation.h"
#include "lauxlib.h"
#include "lua/stop.h"

#define MIB ((size_t)1 << 20)

atomic_uint_fast64_t ph_lua_stops;
static _Thread_local uint_fast64_t own_bit = 1; /* the main thread's */

bool ph_lua_stops_here(void)
{
    return atomic_load_explicit(&ph_lua_stops, memory_order_relaxed) & own_bit;
}

void ph_ticker_thread(struct ph_ticker *ticker, unsigned number)
{
    assert(number < PH_THREADS_MAX);
    ticker->number = number;
    own_bit = (uint_fast64_t)1 << number;
}

/* Of the calling thread. */
static void set_stop(bool stop)
{
    if (stop)
        atomic_fetch_or(&ph_lua_stops, own_bit);
    else if (ph_lua_stop())
        atomic_fetch_and(&ph_lua_stops, ~own_bit);
}

static struct ph_generation *generation_of(struct ph_runtime *runtime)
{
    return ph_container_of(runtime, struct ph_generation, runtime);
}

static struct ph_ticker *ticker_of(struct ph_generation *generation)
{
    return &generation->host->ticker;
}

/* ---- Being over ------------------------------------------------------- */

/* The first place in the script itself, or else in the library. Reads only: it
 * may be called while an allocation fails. */
static void note_place(struct ph_limits *limits, lua_State *L)
{
    lua_Debug ar;
    *limits->place = '\0';
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.currentline <= 0)
            continue;
        snprintf(limits->place, sizeof limits->place, "%s:%d", ar.short_src,
                 ar.currentline);
        if (strncmp(ar.source, "@pipehost/", 10) != 0)
            return;
    }
}

/* Loops in C see the flag before the hook has run. */
bool ph_limits_over(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    struct ph_task *task = runtime->current;
    if (task && ph_lua_stop() && !task->over) {
        task->over = true;
        note_place(&generation_of(runtime)->limits, L);
    }
    return task && task->over;
}

int ph_limits_used(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    return runtime->watcher ? ticker_of(generation_of(runtime))->used_ms : 0;
}

static int budget_of(const struct ph_generation *generation,
                     const struct ph_task *task)
{
    const struct ph_limits *limits = &generation->limits;
    if (task->called)
        return limits->cpu_ms;
    if (task->host)
        return limits->cpu_ms ? PH_LIMIT_HOST_MS : 0;
    if (generation->runtime.phase != PH_PHASE_RUNNING)
        return PH_LIMIT_LOAD_MS;
    return limits->tasks ? limits->cpu_ms : limits->task_ms;
}

static void push_budget(lua_State *L, struct ph_generation *generation)
{
    const struct ph_limits *limits = &generation->limits;
    const struct ph_task *task = generation->runtime.current;
    bool loading = generation->runtime.phase == PH_PHASE_LOADING;
    int used = limits->loading_ms + ticker_of(generation)->used_ms;
    const char *when = "while loading";
    int budget = budget_of(generation, task);
    if (limits->interrupted) {
        lua_pushliteral(L, "interrupted");
        return;
    }
    if (loading && used < budget) {
        budget = limits->cpu_ms;
        when = "while loading, inside a function that cannot be left";
    } else if (generation->runtime.phase == PH_PHASE_RUNNING) {
        when = "without waiting";
    }
    lua_pushfstring(L, "budget: the script computed longer than %d ms %s",
                    budget, when);
}

static void push_nomem(lua_State *L, const struct ph_limits *limits)
{
    bool whole = limits->memory % MIB == 0;
    if (!limits->refused)
        lua_pushliteral(L, "nomem: the system has no more memory");
    else
        lua_pushfstring(
            L, "nomem: the script needs more than its %I %s",
            (LUAI_UACINT)(whole ? limits->memory / MIB : limits->memory),
            whole ? "MiB" : "bytes");
}

static void push_sentence(lua_State *L, struct ph_generation *generation,
                          bool over)
{
    const struct ph_limits *limits = &generation->limits;
    if (over)
        push_budget(L, generation);
    else
        push_nomem(L, limits);
    if (*limits->place) {
        lua_pushfstring(L, "%s: %s", limits->place, lua_tostring(L, -1));
        lua_remove(L, -2);
    }
}

static void use_reserve(struct ph_limits *limits)
{
    limits->ceiling = limits->memory + PH_LIMIT_RESERVE;
}

static void explain(struct ph_runtime *runtime, lua_State *L, int status)
{
    struct ph_generation *generation = generation_of(runtime);
    bool over = ph_limits_over(L);
    use_reserve(&generation->limits);
    if (!over && status != LUA_ERRMEM)
        return;
    push_sentence(L, generation, over);
    lua_replace(L, -2);
}

/* ---- The hook --------------------------------------------------------- */

static void on_count(lua_State *L, lua_Debug *ar);

/* Setting it visits every call that is under way: of a deep recursion that can
 * take longer than a tick, and must not be begun anew by each. */
static void set_hook(lua_State *L)
{
    if (!lua_gethookmask(L))
        lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
}

static void clear_hook(lua_State *L)
{
    lua_sethook(L, NULL, 0, 0);
}

/* A load lets others run after each tick, where it can be left. */
static void give_way(lua_State *L, struct ph_generation *generation)
{
    struct ph_task *task = generation->runtime.current;
    if (!task || generation->runtime.phase != PH_PHASE_LOADING)
        return;
    if (task->cancelled)
        luaL_error(L, "cancelled");
    if (!ph_wait_task(L))
        return;
    generation->limits.loading_ms +=
        (int)(ph_ticker_clock() - generation->limits.began_ms);
    /* As a wait does: the coroutines that the script made are left too. */
    task->yielded = true;
    ph_timer_start(generation->runtime.port, &task->timer, 0);
    lua_yield(L, 0);
}

void ph_limits_check(lua_State *L)
{
    struct ph_generation *generation = generation_of(ph_runtime_of(L));
    if (!ph_limits_over(L))
        return;
    use_reserve(&generation->limits);
    push_sentence(L, generation, true);
    lua_error(L);
}

/* A task without a limit of time ends when the host is asked to stop. */
static void look_for_stop(lua_State *L, struct ph_generation *generation)
{
    struct ph_task *task = generation->runtime.current;
    if (!task || task->over || budget_of(generation, task) ||
        !ph_port_stop_asked(generation->runtime.port))
        return;
    generation->limits.interrupted = true;
    task->over = true;
    note_place(&generation->limits, L);
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    struct ph_generation *generation = generation_of(ph_runtime_of(L));
    bool due = ticker_of(generation)->due;
    (void)ar;
    look_for_stop(L, generation);
    if (ph_limits_over(L))
        set_hook(L);
    ph_limits_check(L);
    /* Set for a slice that ended meanwhile, or for its share of a load. */
    clear_hook(L);
    ticker_of(generation)->due = false;
    if (due)
        give_way(L, generation);
}

void ph_ticker_tick(struct ph_ticker *ticker, int used_ms)
{
    ticker->used_ms = used_ms;
    if (!ticker->running || used_ms < ticker->due_ms)
        return;
    ticker->due = true;
    if (used_ms >= ticker->stop_ms)
        atomic_fetch_or(&ph_lua_stops, (uint_fast64_t)1 << ticker->number);
    set_hook(ticker->running);
}

/* ---- Slices: from one wait to the next -------------------------------- */

static void set_ticker(struct ph_generation *generation, struct ph_task *task)
{
    struct ph_ticker *ticker = ticker_of(generation);
    struct ph_limits *limits = &generation->limits;
    int budget = budget_of(generation, task);
    bool loading = generation->runtime.phase == PH_PHASE_LOADING;
    int left = budget ? budget : INT_MAX;
    if (loading)
        limits->began_ms = ph_ticker_clock();
    if (budget && loading)
        left -= limits->loading_ms;
    /* Since it last gave way. */
    if (loading && limits->cpu_ms && left > limits->cpu_ms)
        left = limits->cpu_ms;
    ph_ticker_slice(ticker);
    ticker->due = false;
    ticker->used_ms = 0;
    ticker->stop_ms = left;
    /* A load gives way at its first tick, which comes within 10 ms. */
    ticker->due_ms = loading && left > PH_TICK_MS ? 0 : left;
    if (!budget)
        ticker->due_ms = PH_LOOK_MS;
}

/* What a task that passed its limit still runs after a wait (a <close> variable
 * that waited) has no new budget. */
static void begin_slice(struct ph_generation *generation, struct ph_task *task)
{
    struct ph_limits *limits = &generation->limits;
    set_ticker(generation, task);
    set_stop(task->over);
    limits->ceiling = limits->memory;
    limits->refused = false;
    if (task->host && !task->called)
        use_reserve(limits);
    if (task->over)
        return;
    *limits->place = '\0';
    limits->interrupted = false;
}

static void enter(struct ph_runtime *runtime)
{
    struct ph_generation *generation = generation_of(runtime);
    struct ph_task *task = runtime->current;
    /* First of all: a ticker that has seen the new slice, and that nothing
     * runs, sleeps until the next one. */
    ticker_of(generation)->running = task->co;
    begin_slice(generation, task);
    if (task->over)
        set_hook(task->co);
}

static void leave(struct ph_runtime *runtime)
{
    struct ph_generation *generation = generation_of(runtime);
    struct ph_task *task = runtime->current;
    ticker_of(generation)->running = NULL;
    set_stop(false);
    if (task->over && task->host && !task->called) {
        /* A worker, which has other connections to serve. */
        task->over = false;
        clear_hook(task->co);
    }
    use_reserve(&generation->limits);
}

static void switched(struct ph_runtime *runtime, lua_State *co)
{
    if (!runtime->current)
        return;
    ticker_of(generation_of(runtime))->running = co;
    if (ph_limits_over(co))
        set_hook(co);
}

bool ph_limits_allow(struct ph_generation *generation, size_t more)
{
    struct ph_limits *limits = &generation->limits;
    lua_State *running = ticker_of(generation)->running;
    if (!limits->memory || generation->memory + more <= limits->ceiling)
        return true;
    limits->refused = true;
    if (running && ph_runtime_of(running) == &generation->runtime)
        note_place(limits, running);
    return false;
}

/* ---- Calls of script code by the library ------------------------------ */

static const char *code_of(lua_State *L, int status)
{
    if (ph_limits_over(L))
        return "budget";
    return status == LUA_ERRMEM ? "nomem" : NULL;
}

/* The message handler has explained the errors that it saw. */
static const char *explain_end(struct ph_runtime *runtime, lua_State *L,
                               int status, int base)
{
    const char *code = code_of(L, status);
    if (code && status != LUA_ERRRUN) {
        lua_settop(L, base);
        lua_pushnil(L);
        explain(runtime, L, status);
    }
    return code;
}

static void begin_call(struct ph_runtime *runtime)
{
    runtime->current->called = true;
    begin_slice(generation_of(runtime), runtime->current);
}

static const char *end_call(struct ph_runtime *runtime, lua_State *L,
                            int status, int base)
{
    const char *code = explain_end(runtime, L, status, base);
    struct ph_task *task = runtime->current;
    task->called = false;
    if (task->over) {
        task->over = false;
        clear_hook(L);
    }
    begin_slice(generation_of(runtime), task);
    /* The dead frames hold what the script had: it goes now. */
    if (status == LUA_ERRMEM)
        lua_gc(L, LUA_GCCOLLECT);
    return code;
}

static void held(struct ph_runtime *runtime, ptrdiff_t more)
{
    generation_of(runtime)->memory += (size_t)more;
}

static const struct ph_watcher watcher = {
    .enter = enter,
    .leave = leave,
    .switched = switched,
    .begin_call = begin_call,
    .end_call = end_call,
    .explain = explain,
    .held = held,
};

static int call_done(lua_State *L, int status, lua_KContext outer)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    const char *code = (outer ? end_call : explain_end)(runtime, L, status, 1);
    if (!code && (status == LUA_OK || status == LUA_YIELD)) {
        lua_pushboolean(L, 1);
        lua_replace(L, 1);
        return lua_gettop(L);
    }
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    lua_pushstring(L, code);
    return 3;
}

/* call(fn, …) -> true and its results · false, the error with its traceback,
 * "budget" or "nomem" if it passed that limit. fn has a budget of its own, and
 * the library goes on after that; inside another call it is a plain xpcall. */
static int call(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    struct ph_task *task = runtime->current;
    bool outer = task && runtime->watcher && !task->called;
    luaL_checkany(L, 1);
    lua_pushcfunction(L, ph_error_traceback);
    lua_insert(L, 1);
    if (outer)
        begin_call(runtime);
    return call_done(
        L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, outer, call_done),
        outer);
}

/* host_task(): the running task is the library's own, and has no limits outside
 * of its calls */
static int host_task(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    runtime->current->host = true;
    if (runtime->watcher)
        begin_slice(generation_of(runtime), runtime->current);
    return 0;
}

bool ph_limits_watch(struct ph_generation *generation)
{
    use_reserve(&generation->limits);
    generation->runtime.watcher = &watcher;
    return ph_ticker_start(ticker_of(generation));
}

void ph_limits_renew(struct ph_generation *generation)
{
    if (generation->runtime.watcher && generation->runtime.current)
        begin_slice(generation, generation->runtime.current);
}

void ph_limits_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"call", call}, {"host_task", host_task}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
    ph_limits_setting_open(L);
}
