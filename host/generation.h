/* SPDX-License-Identifier: MIT */
/*
 * A generation: one lua_State for a script with all that it requires. The
 * command line runs in one too, the main generation.
 *
 * A host is a thread with its port and its generations: a worker. The first one
 * has the command line, and starts the others (workers.h).
 */
#ifndef PH_GENERATION_H
#define PH_GENERATION_H

#include "failing.h"
#include "heap.h"
#include "limit.h"
#include "log.h"
#include "lua.h"
#include "runtime.h"
#include "service.h"
#include "store.h"
#include "value.h"

struct ph_host {
    struct ph_port *port;
    struct ph_log log;
    const char *library; /* folder instead of the embedded library, or NULL */
    struct ph_generation *main;
    struct ph_generation *generations; /* the main one excluded */
    struct ph_services services;
    struct ph_store *store;     /* what scripts share; worker 1's */
    struct ph_signal signalled; /* set while `stops` or `reloads` */
    unsigned stops, reloads;    /* not yet taken by the command line */
    struct ph_ticker ticker;
    unsigned worker, workers; /* which worker this is, from 1, of how many */
    struct ph_workers *crew;  /* the others, known to all; NULL: none */
    struct ph_mail *mail;     /* has come, and was not received yet */
    struct ph_mail **mail_end;
    struct ph_signal mailed; /* set while there is some */
    struct ph_failing failing; /* for the state that is opened next */
};

struct ph_generation {
    struct ph_runtime runtime;
    struct ph_host *host;
    struct ph_generation *next;
    struct ph_log_origin origin;
    struct ph_heap heap;
    size_t memory; /* bytes that its state holds, and operations of it */
    struct ph_limits limits;
    struct ph_failing failing;
};

/* Makes a state and runs the library's prelude in it with `options` (a value
 * that crosses states, or NULL); `extra` opens more functions in the core
 * table, NULL: none. The phase is LOADING. NULL: it failed, and nothing is left
 * but *error, a text that the caller frees; NULL too: not enough memory. */
struct ph_generation *ph_generation_open(struct ph_host *host,
                                         const struct ph_value *options,
                                         lua_CFunction extra, char **error);

/* Starts the hook that the prelude returned under this name as a task, with the
 * values as arguments (NULL: none). The task is held by the state until it ends
 * and, if `held` is not NULL, until ph_generation_release. NULL: no such hook
 * or no memory. */
struct ph_task *ph_generation_start(struct ph_generation *generation,
                                    const char *hook,
                                    const struct ph_value *args, int *held);

/* The task that was held is the state's alone again. */
void ph_generation_release(struct ph_generation *generation, int held);

/* Cancels every task, or those that serve no connection. They end in the port's
 * next runs: runtime.idle. */
void ph_generation_cancel(struct ph_generation *generation, bool all);

/* Closes the state; no task may be left waiting for an operation (runtime.idle
 * or only tasks that have not run). Pipes and operations of the script are
 * finished by the port. */
void ph_generation_close(struct ph_generation *generation);

#endif
