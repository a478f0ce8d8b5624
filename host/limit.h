/* SPDX-License-Identifier: MIT */
/*
 * What a script may use: memory in all, and computing time between two waits.
 *
 * Nothing is counted while all goes well. A tick of 10 ms of the loop thread's
 * CPU time looks whether the same coroutine still runs, and only when that has
 * gone on for too long it sets a count hook, which raises the error. The hook
 * stays, so that every further instruction of that task raises it again, until
 * the task or the call (core.call) has ended.
 */
#ifndef PH_LIMIT_H
#define PH_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lua.h"

#define PH_TICK_MS          10
#define PH_THREADS_MAX      64 /* that run Lua */
#define PH_LIMIT_MEMORY     ((size_t)64 << 20)
#define PH_LIMIT_RESERVE    ((size_t)256 << 10) /* for the host's own code */
#define PH_LIMIT_CPU_MS     100
#define PH_LIMIT_TASKS      10000
#define PH_LIMIT_LOAD_MS    2000
#define PH_LIMIT_COMPILE_MS 80   /* of one source */
#define PH_LIMIT_HOST_MS    2000 /* of the library's own code */
#define PH_LOOK_MS          100  /* where there is no limit: for Ctrl-C */

struct ph_generation;

/* ---- The tick --------------------------------------------------------- */

/* One for each thread that runs Lua; zeroed before use. The tick reads and
 * writes it at any moment, but only while that thread does not run. */
struct ph_ticker {
    lua_State *volatile running; /* NULL: no Lua that is watched */
    volatile unsigned slice;     /* changes whenever counting starts anew */
    volatile int due_ms;         /* of computing: then the hook is set */
    volatile int stop_ms;        /* then loops in C stop too */
    volatile int used_ms;        /* computed in this slice, by the last tick */
    volatile bool due;           /* the hook was set in this slice */
    unsigned number;             /* of its thread, from 0 */
    void *system;                /* NULL: it does not tick */
};

/* The calling thread is this one of those that run Lua, and the ticker its own.
 * The main thread is 0, without this call. */
void ph_ticker_thread(struct ph_ticker *ticker, unsigned number);

/* Has the calling thread's computing time ticked off. False: the system
 * refused. Calling it again changes nothing. */
bool ph_ticker_start(struct ph_ticker *ticker);

/* No tick comes any more; nothing when it was not started. */
void ph_ticker_stop(struct ph_ticker *ticker);

/* Counting starts anew, for what `running` says by now. */
void ph_ticker_slice(struct ph_ticker *ticker);

/* What the calling thread has computed in all, in ms. A system call. */
int64_t ph_ticker_clock(void);

/* For the tick: this slice has computed for used_ms. In a signal handler of
 * the thread, or while the thread is suspended. */
void ph_ticker_tick(struct ph_ticker *ticker, int used_ms);

/* ---- One state's limits ----------------------------------------------- */

/* All zero: no limits. */
struct ph_limits {
    size_t memory;    /* most bytes; 0: any number */
    size_t ceiling;   /* for what runs now: with or without the reserve */
    int cpu_ms;       /* between two waits; 0: any time */
    bool tasks;       /* cpu_ms also holds outside of a server's calls */
    int task_ms;      /* the same where `tasks` is not set; 0: any time */
    int loading_ms;   /* of computing, before this slice */
    int64_t began_ms; /* this slice of a load, by ph_ticker_clock */
    bool interrupted; /* by Ctrl-C, not by a limit */
    bool refused;     /* the last lack of memory was of our making */
    char place[96];   /* "file:line" where a limit was passed, or "" */
};

/* May the state's memory grow by `more` bytes? */
bool ph_limits_allow(struct ph_generation *generation, size_t more);

/* Has the running task passed its limit of time? From any coroutine. */
bool ph_limits_over(lua_State *L);

/* Raises the sentence for it, if it has. */
void ph_limits_check(lua_State *L);

/* What the running task has computed since its last wait, in ms, by the tick;
 * 0 in a state without limits. */
int ph_limits_used(lua_State *L);

/* From now on the state is held to its limits. False: the system gave no timer,
 * so not to those of time. */
bool ph_limits_watch(struct ph_generation *generation);

/* They have changed: what runs now is held to them as they are, and its
 * computing is counted anew. Nothing in a state that is not watched. */
void ph_limits_renew(struct ph_generation *generation);

/* Adds the functions on limits to the core table on top of the stack. */
void ph_limits_open(lua_State *L);

/* The part of it that sets them. */
void ph_limits_setting_open(lua_State *L);

/* Replaces functions of the standard libraries by which scripts could run code
 * where no hook comes (finalizers, message handlers), or for ever. */
void ph_guards_open(lua_State *L);

/* Adds `load` to the core table on top of the stack: compiles, within limits.
 */
void ph_compile_open(lua_State *L);

#endif
