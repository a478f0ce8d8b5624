/* SPDX-License-Identifier: MIT */
/*
 * What C keeps for each lua_State, and tasks: the coroutines that the loop
 * runs. Lua is entered from the loop in one place, ph_task_resume.
 *
 * The loop side pushes nothing that can fail: values are built by the
 * continuation, inside the protected coroutine.
 */
#ifndef PH_RUNTIME_H
#define PH_RUNTIME_H

#include "lua.h"
#include "overlapped.h"

#define PH_TASK "pipehost.task"
#define PH_PIPE "pipehost.pipe"
#define PH_OPERATION "pipehost.operation"
#define PH_EVENT "pipehost.event"
#define PH_INFO "pipehost.info"

struct ph_task;

/* How far the script of this state may go. */
enum ph_phase {
    PH_PHASE_LOADING,  /* pipe operations raise; tasks wait for the commit */
    PH_PHASE_CHECKING, /* the same, but the first pipe operation ends it */
    PH_PHASE_RUNNING
};

struct ph_runtime {
    lua_State *L; /* the main thread */
    struct ph_port *port;
    enum ph_phase phase;
    struct ph_task *current; /* whose coroutine runs */
    struct ph_task *tasks;   /* all that have not ended */
    size_t task_count;
    const char *script; /* for log lines; the owner's */
    bool closing;       /* no new tasks */
    struct ph_signal idle; /* set while no task is left */
    /* One line; `fields` has field_count strings: key, value, key … */
    void (*log)(void *user, enum ph_level level, const char *text,
                const char *const *fields, size_t field_count);
    void *log_user;
};

/* The runtime of a state, from any of its coroutines. */
struct ph_runtime *ph_runtime_of(lua_State *L);

/* One line to the log, as of this script. */
void ph_runtime_log(struct ph_runtime *runtime, enum ph_level level,
                    const char *format, ...);

/* Sets the phase to RUNNING and starts the tasks that waited for it. */
void ph_runtime_commit(struct ph_runtime *runtime);

/* Before lua_close: drops the waits and timers of tasks that have not ended.
 * None of them may wait for an operation. */
void ph_runtime_abandon(struct ph_runtime *runtime);

/* ---- Tasks ----------------------------------------------------------------- */

enum ph_task_state { PH_TASK_READY, PH_TASK_WAITS, PH_TASK_RUNS, PH_TASK_DONE };

/* A userdata of its lua_State; while it has not ended the registry holds it.
 * A waiting task waits for exactly one of call, wait and timer. */
struct ph_task {
    struct ph_runtime *runtime;
    lua_State *co;
    struct ph_task *next, **link;
    enum ph_task_state state;
    bool failed;    /* ended by an error */
    bool cancelled; /* its next or present wait raises */
    bool observed;  /* somebody saw its end, so its error is not logged */
    bool yielded;   /* it left through a wait of ours */
    int ref, results;
    struct ph_signal ended;
    struct ph_op call; /* of a method that waits, such as pipe:read */
    struct ph_wait wait;
    struct ph_waiter waiter; /* for waits of one signal */
    struct ph_signal *signal;
    struct ph_timer timer; /* start and sleep */
};

/* Makes a task of the function and its `args` arguments on top of L's stack
 * (taken off) and pushes its userdata. It starts in the port's next run; one
 * that the script spawns before its commit starts with that. Raises on lack of memory. */
struct ph_task *ph_task_spawn(lua_State *L, int args);

/* The task at stack index `index`, or an argument error. */
struct ph_task *ph_task_check(lua_State *L, int index);

/* Asks a task to end: the wait it is in (or its next one) raises "cancelled"
 * there, so that what is to be closed is closed. */
void ph_task_cancel(struct ph_task *task);

/* Registers the metatable and the functions spawn, sleep, now, event … in the
 * table on top of the stack. */
void ph_task_open(lua_State *L);

/* ---- Waiting in a C function called by Lua ------------------------------------ */

/* The current task, if the calling coroutine can wait now; else raises, naming
 * `what`. Raises also in a task that was cancelled. */
struct ph_task *ph_wait_check(lua_State *L, const char *what);

/* Leaves the coroutine; the task goes on in `k` when what it waits for (set
 * before the call: a PENDING task->call, a running task->wait or timer) has
 * come. Use as: return ph_wait_yield(L, task, k). */
int ph_wait_yield(lua_State *L, struct ph_task *task, lua_KFunction k);

/* For continuations: raises if the task was cancelled meanwhile. */
void ph_wait_resumed(lua_State *L);

/* Has task->call bring its task back; call before each start. */
struct ph_op *ph_task_call(struct ph_task *task);

/* Starts task->wait for the task's one signal or for the given ones. True: it
 * has ended at once. */
bool ph_task_wait_one(struct ph_task *task, struct ph_signal *signal,
                      int64_t deadline);

/* The same with signals, waiters, count and mode of *wait filled in, all kept
 * alive by the waiting coroutine's stack. */
bool ph_task_wait_many(struct ph_task *task, struct ph_wait *wait,
                       int64_t deadline);

/* ---- Arguments --------------------------------------------------------------- */

/* A time in ms at `index` as an absolute deadline: nil or none gives
 * `fallback_ms` (negative: PH_FOREVER), 0 gives PH_NOW. Raises on anything that
 * is not a number ≥ 0. */
int64_t ph_check_deadline(lua_State *L, int index, lua_Number fallback_ms);

#endif
