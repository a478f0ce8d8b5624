/* SPDX-License-Identifier: MIT */
/*
 * Waits for signals. A waiter links one wait into one signal's list, so setting
 * a signal finds its waits, and ending a wait leaves all of its signals,
 * without a search and without memory of our own.
 *
 * A wait that has ended is called at the end of the turn. Until then it stays
 * linked: another signal of the same turn may have a lower index, and one that
 * is set beats a time that is up.
 */
#include "operation.h"

#include <assert.h>

static bool holds(const struct ph_wait *wait, size_t *index)
{
    bool any = wait->mode == PH_WAIT_ANY;
    for (size_t i = 0; i < wait->count; i++) {
        if (wait->signals[i]->set != any)
            continue;
        *index = i;
        return any;
    }
    return !any;
}

static void unlink_waiters(struct ph_wait *wait)
{
    for (size_t i = 0; i < wait->count; i++) {
        struct ph_waiter *waiter = &wait->waiters[i];
        if (!waiter->link)
            continue;
        *waiter->link = waiter->next;
        if (waiter->next)
            waiter->next->link = waiter->link;
        waiter->link = NULL;
    }
}

static void link_waiters(struct ph_wait *wait)
{
    for (size_t i = 0; i < wait->count; i++) {
        struct ph_waiter *waiter = &wait->waiters[i];
        struct ph_signal *signal = wait->signals[i];
        assert(!waiter->link);
        waiter->wait = wait;
        waiter->next = signal->waiters;
        if (waiter->next)
            waiter->next->link = &waiter->next;
        waiter->link = &signal->waiters;
        signal->waiters = waiter;
    }
}

/* The wait is over; its call comes at the end of the turn, so that of several
 * signals set in one turn the lowest wins. */
static void end_soon(struct ph_wait *wait, enum ph_status status)
{
    struct ph_port *port = wait->port;
    wait->status = status;
    ph_timer_stop(port, &wait->timer);
    if (wait->ready_link)
        return;
    wait->ready_next = NULL;
    wait->ready_link = port->ended_tail;
    *port->ended_tail = wait;
    port->ended_tail = &wait->ready_next;
}

static void time_up(struct ph_timer *timer)
{
    assert(ph_container_of(timer, struct ph_wait, timer)->state ==
           PH_WAIT_RUNS);
    end_soon(ph_container_of(timer, struct ph_wait, timer), PH_PENDING);
}

void ph_wait_start(struct ph_wait *wait, int64_t deadline)
{
    assert(wait->state != PH_WAIT_RUNS && !wait->ready_link);
    assert(wait->port && wait->count);
    wait->state = PH_WAIT_ENDED;
    wait->status = PH_OK;
    if (holds(wait, &wait->index))
        return;
    wait->status = PH_PENDING;
    if (deadline <= wait->port->now)
        return;
    wait->state = PH_WAIT_RUNS;
    link_waiters(wait);
    wait->timer.fire = time_up;
    ph_timer_start(wait->port, &wait->timer, deadline);
}

static void unlink_ready(struct ph_wait *wait)
{
    if (!wait->ready_link)
        return;
    *wait->ready_link = wait->ready_next;
    if (wait->ready_next)
        wait->ready_next->ready_link = wait->ready_link;
    else if (wait->port->ended_tail == &wait->ready_next)
        wait->port->ended_tail = wait->ready_link;
    wait->ready_link = NULL;
}

void ph_wait_drop(struct ph_wait *wait)
{
    if (wait->state != PH_WAIT_RUNS)
        return;
    wait->state = PH_WAIT_IDLE;
    ph_timer_stop(wait->port, &wait->timer);
    unlink_waiters(wait);
    unlink_ready(wait);
}

/* Those that end meanwhile wait for the next turn: two tasks that wake each
 * other must not keep the port from its other work. */
static void take_ended(struct ph_port *port)
{
    port->ending = port->ended;
    if (!port->ending)
        return;
    port->ending->ready_link = &port->ending;
    port->ended = NULL;
    port->ended_tail = &port->ended;
}

void ph_waits_run(struct ph_port *port)
{
    int64_t begin;
    if (!port->ending)
        take_ended(port);
    if (!port->ending)
        return;
    begin = ph_backend_clock();
    while (port->ending) {
        struct ph_wait *wait = port->ending;
        size_t index = wait->index;
        assert(wait->state == PH_WAIT_RUNS && index < wait->count);
        unlink_ready(wait);
        unlink_waiters(wait);
        /* An event may have been reset since: the one that ended it counts. */
        if (holds(wait, &index)) {
            wait->index = index;
            wait->status = PH_OK;
        }
        wait->state = PH_WAIT_ENDED;
        wait->done(wait);
        if (ph_port_late(begin))
            break;
    }
}

void ph_signal_set(struct ph_signal *signal)
{
    struct ph_waiter *waiter = signal->waiters;
    signal->set = true;
    for (; waiter; waiter = waiter->next) {
        struct ph_wait *wait = waiter->wait;
        if (wait->mode == PH_WAIT_ALL && !holds(wait, &wait->index))
            continue;
        if (!wait->ready_link || wait->status != PH_OK)
            wait->index = (size_t)(waiter - wait->waiters);
        end_soon(wait, PH_OK);
    }
}

void ph_signal_reset(struct ph_signal *signal)
{
    signal->set = false;
}
