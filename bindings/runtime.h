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

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lua.h"
#include "overlapped.h"

#define PH_TASK "pipehost.task"
#define PH_PIPE "pipehost.pipe"
#define PH_OPERATION "pipehost.operation"
#define PH_EVENT "pipehost.event"
#define PH_INFO "pipehost.info"
#define PH_MADE "pipehost.made" /* in the registry: see ph_made */

/* Why scripts may not resume or close a coroutine now. */
enum ph_taken {
    PH_NOT_TAKEN,
    PH_WAITS_FOR_PIPE, /* only the task that waits in it goes on with it */
    PH_IS_TASK         /* only the loop does, for ever */
};

struct ph_task;

/* How far the script of this state may go. */
enum ph_phase {
    PH_PHASE_LOADING,  /* pipe operations raise; tasks wait for the commit */
    PH_PHASE_CHECKING, /* the same, but the first pipe operation ends it */
    PH_PHASE_RUNNING
};

struct ph_runtime;

/* Watches over what the coroutines of a state use: who owns the state says how
 * (host/limit.h). All are called by the loop's thread. */
struct ph_watcher {
    /* The loop resumes runtime->current: what it computes until `leave` is
     * counted anew. */
    void (*enter)(struct ph_runtime *runtime);
    void (*leave)(struct ph_runtime *runtime);
    /* Between the two: this coroutine of the task runs from now on. */
    void (*switched)(struct ph_runtime *runtime, lua_State *co);
    /* A task of the library's own (task->host) calls script code, which has a
     * budget of its own … */
    void (*begin_call)(struct ph_runtime *runtime);
    /* … and it has ended with `status`: "budget" or "nomem" if it passed that
     * limit, else NULL. Then the error's text is on top of L's stack, in place
     * of what was above index `base`. */
    const char *(*end_call)(struct ph_runtime *runtime, lua_State *L,
                            int status, int base);
    /* `status`, as of lua_pcall, is about to be reported: an error on top of
     * L's stack that comes from a limit is replaced by the sentence for it. */
    void (*explain)(struct ph_runtime *runtime, lua_State *L, int status);
    /* The script holds `more` bytes (fewer, if negative) outside of its state. */
    void (*held)(struct ph_runtime *runtime, ptrdiff_t more);
};

struct ph_runtime {
    lua_State *L; /* the main thread */
    struct ph_port *port;
    const struct ph_watcher *watcher; /* NULL: nobody watches */
    enum ph_phase phase;
    bool begun; /* its servers serve, which is not taken back */
    struct ph_task *current; /* whose coroutine runs */
    struct ph_task *tasks;   /* all that have not ended */
    size_t task_count;
    size_t spawned, spawned_max; /* by the script itself; 0: any number */
    const char *script; /* for log lines; the owner's */
    lua_Integer generation;    /* its number */
    struct ph_server *servers; /* that it has bound */
    struct ph_services *services; /* of the host */
    struct ph_store *store;       /* of the host: shared values */
    unsigned worker, workers;     /* which one this is, of how many */
    unsigned owner;               /* the script, in all its generations */
    size_t clients;               /* connections of its servers */
    struct ph_signal tracked;     /* set when it has read files anew */
    struct ph_signal released;    /* set while there are none */
    struct ph_task *parked;    /* idle workers, linked by next */
    size_t parked_count;
    bool closing; /* no new tasks */
    bool told;    /* of what is made: ph_made */
    struct ph_box *orphans; /* pending operations without a handle */
    struct ph_signal idle; /* set while no task is left */
    /* One line; `fields` has field_count strings: key, value, key … */
    void (*log)(void *user, enum ph_level level, const char *text,
                const char *const *fields, size_t field_count);
    void *log_user;
    const enum ph_level *log_least; /* lines below it are dropped */
};

/* The extra space of a coroutine has the runtime's address, and in the bits that
 * are zero there how it is taken. A new one has what the main thread has. */
#define PH_TAKEN_BITS ((uintptr_t)3)

static inline uintptr_t ph_extra(lua_State *L)
{
    uintptr_t value;
    static_assert(sizeof value == LUA_EXTRASPACE, "an address fits in there");
    memcpy(&value, lua_getextraspace(L), sizeof value);
    return value;
}

/* The runtime of a state, from any of its coroutines. */
static inline struct ph_runtime *ph_runtime_of(lua_State *L)
{
    return (struct ph_runtime *)(ph_extra(L) & ~PH_TAKEN_BITS);
}

/* A coroutine is taken, or is not any more. */
void ph_take(lua_State *co, enum ph_taken how);

/* How it is. */
enum ph_taken ph_taken(lua_State *co);

/* Tells the function that core.watch_made was given, if it was, of the object
 * on top of the stack, which a function that a script calls has made. */
void ph_made(lua_State *L);

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

/* A task's wait for signals; the one signal of ph_task_wait_one is in it. */
struct ph_task_wait {
    struct ph_wait of;
    struct ph_waiter waiter;
    struct ph_signal *signal;
};

/* A userdata of its lua_State; while it has not ended the registry holds it.
 * A waiting task waits for exactly one of call, rest, wait and timer. Of each
 * session there is one, so what few of them need is a pointer. */
struct ph_task {
    struct ph_runtime *runtime;
    lua_State *co;
    struct ph_task *next, **link;
    enum ph_task_state state;
    bool failed;    /* ended by an error */
    bool cancelled; /* its next or present wait raises */
    bool spawned;   /* by the script: counted */
    bool observed;  /* somebody saw its end, so its error is not logged */
    const struct ph_runtime *awaited; /* whose signal it waits for, if not ours */
    bool yielded;   /* it left through a wait of ours */
    unsigned fixed; /* resumes of its coroutines inside C functions that cannot
                       be left: nothing waits there */
    unsigned at_once; /* operations since it was resumed that needed no wait */
    bool host;      /* outside of its calls it runs the library's own code */
    bool called;    /* it is inside a call of script code */
    bool over;      /* passed a limit, and has not ended yet */
    int ref, results;
    struct ph_signal ended;
    struct ph_op *call; /* of a method that waits, such as pipe:read, or NULL */
    struct ph_rest rest;     /* a receive that needs no operation … */
    struct ph_pipe *resting; /* … of this pipe, or NULL */
    struct ph_task_wait *wait; /* its last; NULL: none yet */
    struct ph_timer timer;     /* start, sleep, and the time-out of a rest */
    struct ph_conn *conn;  /* a worker's: whom it serves */
    lua_CFunction again; /* a worker's: it is parked when this has returned, and
                            run anew */
    void (*died)(struct ph_task *task); /* a worker's: it failed */
};

/* Makes a task of the function and its `args` arguments on top of L's stack
 * (taken off) and pushes its userdata. It starts in the port's next run; one
 * that the script spawns before its commit starts with that. Raises on lack of memory. */
struct ph_task *ph_task_spawn(lua_State *L, int args);

/* Makes a task that runs the C function itself, on an empty stack, and pushes
 * nothing. The caller resumes it. Raises on lack of memory. */
struct ph_task *ph_task_new(lua_State *L, lua_CFunction function);

/* Runs the task until it waits or ends: the one place where the loop enters
 * Lua. */
void ph_task_resume(struct ph_task *task);

/* Resumes the task of this timer. */
void ph_task_ready(struct ph_timer *timer);

/* Ends a task that waits, and for no operation: its coroutine is closed, whose
 * <close> variables run and cannot wait. Not inside another task. */
void ph_task_close(struct ph_task *task);

/* A worker without work, which does not count as a task until now. NULL: none is
 * parked. */
struct ph_task *ph_task_unpark(struct ph_runtime *runtime);

/* The task at stack index `index`, or an argument error. */
struct ph_task *ph_task_check(lua_State *L, int index);

/* Asks a task to end: the wait it is in (or its next one) raises "cancelled"
 * there, so that what is to be closed is closed. */
void ph_task_cancel(struct ph_task *task);

/* Registers the metatable and the functions spawn, sleep, now, event … in the
 * table on top of the stack. */
void ph_task_open(lua_State *L);

/* The same with co_resume and co_close: coroutine.resume and coroutine.close, by
 * which coroutines of scripts may wait. */
void ph_coroutine_open(lua_State *L);

/* Message handler: turns any error into a text with its traceback. */
int ph_error_traceback(lua_State *L);

/* ---- Waiting in a C function called by Lua ------------------------------------ */

/* The current task, or NULL where the calling coroutine cannot wait now. */
struct ph_task *ph_wait_task(lua_State *L);

/* The current task, if the calling coroutine can wait now; else raises, naming
 * `what`. Raises also in a task that was cancelled. */
struct ph_task *ph_wait_check(lua_State *L, const char *what);

/* Leaves the coroutine; the task goes on in `k` when what it waits for (set
 * before the call: a PENDING task->call, a rest, a running wait or timer) has
 * come. Use as: return ph_wait_yield(L, task, k). */
int ph_wait_yield(lua_State *L, struct ph_task *task, lua_KFunction k);

/* For continuations: raises if the task was cancelled meanwhile. */
void ph_wait_resumed(lua_State *L);

/* task->call, IDLE, which brings its task back; call before each start. Raises
 * on lack of memory. */
struct ph_op *ph_task_call(lua_State *L, struct ph_task *task);

/* The same; NULL: no memory. */
struct ph_op *ph_task_try_call(struct ph_task *task);

/* task->call is not needed any more: DONE or IDLE, or NULL already. */
void ph_task_call_over(struct ph_task *task);

/* Its call, if it waits for one, is asked to end as "cancelled". False: it waits
 * for none. */
bool ph_task_interrupt(struct ph_task *task);

/* The task's next message of the pipe, without an operation as long as none has
 * come. PH_PENDING: it may be waited for; PH_OK: task->call is DONE; PH_BUSY:
 * nothing was done, that takes ph_read_start. */
enum ph_status ph_task_rest(struct ph_task *task, struct ph_pipe *pipe,
                            int64_t deadline);

/* Starts a wait of the task for one signal or for the given ones. True: it has
 * ended at once. Raises on lack of memory. */
bool ph_task_wait_one(lua_State *L, struct ph_signal *signal, int64_t deadline);

/* The same with signals, waiters, count and mode of *wait filled in, all kept
 * alive by the waiting coroutine's stack. */
bool ph_task_wait_many(lua_State *L, const struct ph_wait *wait,
                       int64_t deadline);

/* The last wait of the running task. */
const struct ph_wait *ph_task_waited(lua_State *L);

/* ---- Arguments --------------------------------------------------------------- */

/* A time in ms at `index` as an absolute deadline: nil or none gives
 * `fallback_ms` (negative: PH_FOREVER), 0 gives PH_NOW. Raises on anything that
 * is not a number ≥ 0. */
int64_t ph_check_deadline(lua_State *L, int index, lua_Number fallback_ms);

#endif
