/* SPDX-License-Identifier: MIT */
/* The part of overlapped.h that everything else needs: outcomes, the port, its
 * timers, signals and waits for them. */
#ifndef PH_PORT_H
#define PH_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PH_FOREVER       INT64_MAX
#define PH_NOW           INT64_C(-1)
#define PH_MESSAGE_MAX   65536 /* default of max_message, in bytes */
#define PH_NAME_MAX      200   /* characters of a plain pipe name */
#define PH_INSTANCES_MAX UINT32_MAX
#define PH_BACKLOG       8
#define ph_container_of(ptr, type, member)                                     \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ph_countof(a) (sizeof(a) / sizeof((a)[0]))

/* Outcomes; the texts are what Lua sees. `misuse` is never an outcome of an
 * operation: a start function returns it when the state forbids the start. */
#define PH_STATUS_LIST(X)                                                      \
    X(OK, "ok")                                                                \
    X(PENDING, "pending")                                                      \
    X(TIMEOUT, "timeout")                                                      \
    X(CANCELLED, "cancelled")                                                  \
    X(CLOSED, "closed")                                                        \
    X(BUSY, "busy")                                                            \
    X(ABSENT, "absent")                                                        \
    X(DENIED, "denied")                                                        \
    X(EXISTS, "exists")                                                        \
    X(TOOBIG, "toobig")                                                        \
    X(MODE, "mode")                                                            \
    X(PROTOCOL, "protocol")                                                    \
    X(NOMEM, "nomem")                                                          \
    X(BUDGET, "budget")                                                        \
    X(SYSTEM, "system")                                                        \
    X(MISUSE, "misuse")

#define PH_STATUS_ENUM_(name, text) PH_##name,
enum ph_status { PH_STATUS_LIST(PH_STATUS_ENUM_) PH_STATUS_COUNT };

/* The text of a status, as Lua sees it; a static string. */
const char *ph_status_name(enum ph_status status);

struct ph_port;
struct ph_pipe;
struct ph_listener;
struct ph_folder;
struct ph_frame;
struct ph_op;
struct ph_wait;
struct ph_process;

/* ---- Port ----------------------------------------------------------- */

enum ph_level { PH_LOG_DEBUG, PH_LOG_INFO, PH_LOG_WARN, PH_LOG_ERROR };

/* What exists on a port at this moment; all zero when nothing is left. */
struct ph_counts {
    size_t pipes;      /* pipe objects not yet freed */
    size_t operations; /* PENDING ones */
    size_t timers;     /* running timers, deadlines included */
    size_t listeners;  /* names held */
    size_t folders;    /* watched ones not yet freed */
    size_t processes;  /* trees that run or whose owner has not let go */
};

/* Makes a port in *out. PH_OK, PH_NOMEM, or PH_SYSTEM with *os set. */
enum ph_status ph_port_create(struct ph_port **out, long *os);

/* Frees the port. Everything on it must be closed and DONE (ph_port_counts all
 * zero); the caller runs the port until that holds. NULL is allowed. */
void ph_port_destroy(struct ph_port *port);

/* One turn: waits at most `wait_us` microseconds (PH_FOREVER: until something
 * happens) for completions, due timers and posts, and calls back for each.
 * PH_OK, or PH_SYSTEM when the system's port fails. */
enum ph_status ph_port_run(struct ph_port *port, int64_t wait_us);

/* Monotonic time in microseconds, as of the current turn: ph_port_run and
 * ph_port_clock refresh it. */
int64_t ph_port_now(const struct ph_port *port);

/* The same, read from the clock. */
int64_t ph_port_clock(struct ph_port *port);

/* Counts of what exists, for leak checks and status. */
struct ph_counts ph_port_counts(const struct ph_port *port);

/* Lines about the port itself (descriptors ran out, a name was taken over) go
 * to `log`; NULL drops them. The text is valid during the call only. */
void ph_port_set_log(struct ph_port *port,
                     void (*log)(void *user, enum ph_level, const char *text),
                     void *user);

/* A note from another thread. The poster owns it until `arrive` was called in
 * the port's run, and may then post it again. */
struct ph_post {
    struct ph_post *next;
    void (*arrive)(struct ph_post *post);
};

/* Queues the note; `arrive` is called in a later ph_port_run. The one function
 * for any thread (not for signal handlers). Never fails. */
void ph_port_post(struct ph_port *port, struct ph_post *post);

enum ph_signal_kind { PH_SIGNAL_STOP, PH_SIGNAL_RELOAD };

/* Has SIGINT, SIGTERM (Ctrl-C, Ctrl-Break, console close, shutdown) arrive as
 * PH_SIGNAL_STOP and SIGHUP as PH_SIGNAL_RELOAD, inside ph_port_run. For one
 * port of the process, the main one. PH_OK, or PH_SYSTEM with *os. Undone by
 * ph_port_destroy. */
enum ph_status ph_port_watch_signals(struct ph_port *port,
                                     void (*arrive)(void *user,
                                                    enum ph_signal_kind),
                                     void *user, long *os);

/* Has PH_SIGNAL_STOP come, or arrived already? For what computes for a long
 * time inside of ph_port_run. When it does not look either, the third signal
 * ends the process. */
bool ph_port_stop_asked(struct ph_port *port);

/* ---- Timers --------------------------------------------------------- */

/* Embedded in its owner; zeroed before first use. */
struct ph_timer {
    int64_t at; /* when it was started for; PH_FOREVER: never */
    uint64_t order; /* of the starts: it decides between equal times */
    void (*fire)(struct ph_timer *timer);
    struct ph_timer *child, *next, **link; /* pairing heap; link: in it */
};

/* Fires once in ph_port_run at or after `at`; a running timer is moved.
 * PH_FOREVER never fires and is not counted. */
void ph_timer_start(struct ph_port *port, struct ph_timer *timer, int64_t at);

/* Stops it if it runs; after that `fire` will not be called. */
void ph_timer_stop(struct ph_port *port, struct ph_timer *timer);

/* ---- Signals and waits ---------------------------------------------- */

/* Something that can be waited for: set or not. Embedded in operations,
 * events and tasks; zeroed before first use. */
struct ph_signal {
    bool set;
    struct ph_waiter *waiters;
};

/* Sets the signal; waits for it end in the port's run. Stays set until reset
 * (manual reset). */
void ph_signal_set(struct ph_signal *signal);

/* Not set any more. A wait that it has ended already stays ended. */
void ph_signal_reset(struct ph_signal *signal);

struct ph_waiter {
    struct ph_waiter *next, **link;
    struct ph_wait *wait;
};

enum ph_wait_mode { PH_WAIT_ANY, PH_WAIT_ALL };
enum ph_wait_state { PH_WAIT_IDLE, PH_WAIT_RUNS, PH_WAIT_ENDED };

/* A wait for one or many signals, no limit. Owned by the caller, who also owns
 * `waiters` (one for each signal) and `signals`, all untouched until it ended
 * or was dropped. Zeroed before use. */
struct ph_wait {
    struct ph_port *port;
    struct ph_signal *const *signals;
    struct ph_waiter *waiters;
    size_t count;
    enum ph_wait_mode mode;
    void (*done)(struct ph_wait *wait);
    void *user;
    /* results */
    enum ph_wait_state state;
    enum ph_status status; /* PH_OK, or PH_PENDING: the time was up */
    size_t index;          /* any: the lowest that was set */
    /* private */
    struct ph_timer timer;
    struct ph_wait *ready_next, **ready_link;
};

/* Starts waiting with port, signals, waiters, count, mode, done filled in.
 * Ends at once (state ENDED, done not called) when the condition holds or the
 * deadline is PH_NOW or past; else `done` is called in the port's run. Ending
 * never ends an operation. "All" consumes nothing until all are set. */
void ph_wait_start(struct ph_wait *wait, int64_t deadline);

/* Gives up a running wait; `done` is not called. */
void ph_wait_drop(struct ph_wait *wait);

#endif
