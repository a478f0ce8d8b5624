/* SPDX-License-Identifier: MIT */
/*
 * How a C function that a script has called waits: for an operation, for the
 * next message of a pipe, or for signals. It leaves the coroutine, and the loop
 * resumes the task in the continuation.
 */
#include <assert.h>
#include <stdlib.h>

#include "lauxlib.h"
#include "runtime.h"

static void call_done(struct ph_op *op)
{
    ph_task_resume(op->user);
}

static void wait_done(struct ph_wait *wait)
{
    ph_task_resume(wait->user);
}

struct ph_task *ph_wait_task(lua_State *L)
{
    struct ph_task *task = ph_runtime_of(L)->current;
    return task && !task->fixed && lua_isyieldable(L) ? task : NULL;
}

struct ph_task *ph_wait_check(lua_State *L, const char *what)
{
    struct ph_task *task = ph_wait_task(L);
    if (!task)
        luaL_error(L,
                   "%s cannot wait here: inside table.sort, string.gsub, "
                   "shared:update, a finalizer or another C function",
                   what);
    if (task->cancelled)
        luaL_error(L, "cancelled");
    return task;
}

int ph_wait_yield(lua_State *L, struct ph_task *task, lua_KFunction k)
{
    assert(task->runtime->current == task);
    task->yielded = true;
    return lua_yieldk(L, 0, 0, k);
}

void ph_wait_resumed(lua_State *L)
{
    if (ph_runtime_of(L)->current->cancelled)
        luaL_error(L, "cancelled");
}

struct ph_op *ph_task_try_call(struct ph_task *task)
{
    if (!task->call)
        task->call = ph_op_take(task->runtime->port);
    if (task->call) {
        task->call->done = call_done;
        task->call->user = task;
    }
    return task->call;
}

struct ph_op *ph_task_call(lua_State *L, struct ph_task *task)
{
    if (!ph_task_try_call(task))
        luaL_error(L, "not enough memory");
    return task->call;
}

void ph_task_call_over(struct ph_task *task)
{
    if (task->call)
        ph_op_give(task->call);
    task->call = NULL;
}

/* ---- A receive that rests -------------------------------------------- */

static void rest_timed_out(struct ph_timer *timer)
{
    struct ph_task *task = ph_container_of(timer, struct ph_task, timer);
    ph_read_wake(task->resting);
}

/* Without memory the task goes on, and finds no call. */
static struct ph_op *woken(struct ph_rest *rest, int64_t *deadline)
{
    struct ph_task *task = ph_container_of(rest, struct ph_task, rest);
    struct ph_port *port = task->runtime->port;
    *deadline = task->timer.at;
    task->resting = NULL;
    ph_timer_stop(port, &task->timer);
    task->timer.fire = ph_task_ready;
    if (!ph_task_try_call(task))
        ph_timer_start(port, &task->timer, 0);
    return task->call;
}

enum ph_status ph_task_rest(struct ph_task *task, struct ph_pipe *pipe,
                            int64_t deadline)
{
    if (deadline == PH_NOW)
        return PH_BUSY;
    ph_task_call_over(task);
    task->rest.wake = woken;
    task->resting = pipe;
    task->timer.fire = rest_timed_out;
    ph_timer_start(task->runtime->port, &task->timer, deadline);
    if (ph_read_rest(pipe, &task->rest))
        return task->call && task->call->state == PH_OP_DONE ? PH_OK
                                                             : PH_PENDING;
    ph_timer_stop(task->runtime->port, &task->timer);
    task->timer.fire = ph_task_ready;
    task->resting = NULL;
    return PH_BUSY;
}

/* ---- Waits for signals ----------------------------------------------- */

static struct ph_task_wait *new_wait(lua_State *L, struct ph_task *task)
{
    if (!task->wait)
        task->wait = calloc(1, sizeof *task->wait);
    if (!task->wait)
        luaL_error(L, "not enough memory");
    return task->wait;
}

bool ph_task_wait_one(lua_State *L, struct ph_signal *signal, int64_t deadline)
{
    struct ph_task *task = ph_runtime_of(L)->current;
    struct ph_task_wait *wait = new_wait(L, task);
    struct ph_wait one = {.signals = (struct ph_signal *const *)&wait->signal,
                          .waiters = &wait->waiter,
                          .count = 1};
    wait->signal = signal;
    return ph_task_wait_many(L, &one, deadline);
}

bool ph_task_wait_many(lua_State *L, const struct ph_wait *wait,
                       int64_t deadline)
{
    struct ph_task *task = ph_runtime_of(L)->current;
    struct ph_wait *of = &new_wait(L, task)->of;
    *of = *wait;
    of->port = task->runtime->port;
    of->done = wait_done;
    of->user = task;
    ph_wait_start(of, deadline);
    return of->state == PH_WAIT_ENDED;
}

const struct ph_wait *ph_task_waited(lua_State *L)
{
    return &ph_runtime_of(L)->current->wait->of;
}
