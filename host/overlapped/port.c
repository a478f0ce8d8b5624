/* SPDX-License-Identifier: MIT */
/*
 * A turn of the loop, always in this order:
 *
 *   completions  the back end tells what has come (ph_backend_poll)
 *   replies      what the handlers of these have answered is sent
 *   posts        notes of other threads, in the order of their posting
 *   timers       deadlines, sleeps, further tries
 *   steps        operations that were poked: cancelled ones, heads of queues
 *   waits        those that have ended, now that all of the turn's signals are
 *                set: of several the lowest index wins
 *   the dead     pipes, listeners, processes that nobody has any more; not
 *                before, since what came in this turn may still name them
 *
 * Nothing else calls back. So a start never does, and the caller may look at
 * the operation after it.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "operation.h"
#include "timer.h"

/* What is due may take this long in one turn; the rest follows in the next
 * ones, after what has come from the system. */
#define TURN_US 10000

enum ph_status ph_port_create(struct ph_port **out, long *os)
{
    struct ph_port *port;
    enum ph_status status = ph_backend_port_open(&port, os);
    if (status != PH_OK)
        return status;
    port->ready_tail = &port->ready;
    port->ended_tail = &port->ended;
    port->parked_tail = &port->parked;
    port->now = ph_backend_clock();
    *out = port;
    return PH_OK;
}

void ph_port_destroy(struct ph_port *port)
{
    if (!port)
        return;
    assert(!port->counts.pipes && !port->counts.operations);
    assert(!port->counts.listeners && !port->counts.timers);
    assert(!port->counts.folders);
    assert(!port->counts.processes && !port->plans && !port->parked);
    free(port->parked_bytes);
    ph_spares_free(port);
    ph_backend_port_close(port);
}

/* They are pushed as on a stack, without a lock; taken all at once and turned
 * round they are in order again. */
static void deliver_posts(struct ph_port *port)
{
    struct ph_post *newest, *oldest = NULL;
    if (!atomic_load_explicit(&port->posts, memory_order_relaxed))
        return; /* what is posted from now on wakes the next poll */
    newest = atomic_exchange(&port->posts, NULL);
    while (newest) {
        struct ph_post *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct ph_post *next = oldest->next;
        oldest->arrive(oldest);
        oldest = next;
    }
}

static void free_dead(struct ph_port *port)
{
    while (port->dead) {
        struct ph_pipe *pipe = port->dead;
        port->dead = pipe->next_dead;
        ph_backend_pipe_free(pipe);
        port->counts.pipes--;
    }
    ph_listeners_free(port);
    ph_processes_free(port);
}

/* 0 when there is work that no completion will announce. */
static int64_t longest_wait(const struct ph_port *port, int64_t wait_us)
{
    if (port->ready || port->stepping || port->ended || port->ending ||
        port->dead || port->dead_listeners || port->dead_processes ||
        atomic_load(&port->posts))
        return 0;
    if (wait_us <= 0)
        return 0;
    if (!port->timers)
        return wait_us;
    int64_t next = ph_timers_wait(port, ph_backend_clock());
    return next < wait_us ? next : wait_us;
}

bool ph_port_late(int64_t begin)
{
    return ph_backend_clock() - begin > TURN_US;
}

enum ph_status ph_port_run(struct ph_port *port, int64_t wait_us)
{
    enum ph_status status = ph_backend_poll(port, longest_wait(port, wait_us));
    if (status != PH_OK)
        return status;
    ph_parked_run(port);
    deliver_posts(port);
    ph_timers_fire(port);
    ph_ops_run(port);
    ph_waits_run(port);
    free_dead(port);
    return PH_OK;
}

int64_t ph_port_now(const struct ph_port *port)
{
    return port->now;
}

int64_t ph_port_clock(struct ph_port *port)
{
    port->now = ph_backend_clock();
    return port->now;
}

struct ph_counts ph_port_counts(const struct ph_port *port)
{
    return port->counts;
}

void ph_port_set_log(struct ph_port *port,
                     void (*log)(void *user, enum ph_level, const char *text),
                     void *user)
{
    port->log = log;
    port->log_user = user;
}

void ph_port_log(struct ph_port *port, enum ph_level level, const char *format,
                 ...)
{
    char text[512];
    va_list args;
    if (!port->log)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    port->log(port->log_user, level, text);
}

void ph_port_post(struct ph_port *port, struct ph_post *post)
{
    struct ph_post *head = atomic_load(&port->posts);
    do {
        post->next = head;
    } while (!atomic_compare_exchange_weak(&port->posts, &head, post));
    /* Who found others there knows that their wake is still to be seen. */
    if (!head)
        ph_backend_wake(port);
}

bool ph_port_stop_asked(struct ph_port *port)
{
    return port->stopping || (port->on_signal && ph_backend_stop_asked(port));
}

void ph_port_signalled(struct ph_port *port, enum ph_signal_kind kind)
{
    port->stopping |= kind == PH_SIGNAL_STOP;
    port->on_signal(port->on_signal_user, kind);
}

enum ph_status ph_port_watch_signals(struct ph_port *port,
                                     void (*arrive)(void *user,
                                                    enum ph_signal_kind),
                                     void *user, long *os)
{
    port->on_signal = arrive;
    port->on_signal_user = user;
    return ph_backend_watch_signals(port, os);
}
