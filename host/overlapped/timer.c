/* SPDX-License-Identifier: MIT */
/*
 * Timers in a pairing heap: nothing to allocate, and a deadline that is
 * started and stopped again without firing, the usual case, costs one link and
 * one unlink. (Fredman, Sedgewick, Sleator, Tarjan 1986: two-pass variant.)
 */
#include "timer.h"

#include <assert.h>

#include "operation.h"

static bool is_before(const struct ph_timer *a, const struct ph_timer *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static struct ph_timer *meld(struct ph_timer *a, struct ph_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (is_before(b, a)) {
        struct ph_timer *swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    if (b->next)
        b->next->link = &b->next;
    a->child = b;
    b->link = &a->child;
    return a;
}

static struct ph_timer *meld_list(struct ph_timer *list)
{
    struct ph_timer *pairs = NULL, *root = NULL;
    while (list) {
        struct ph_timer *a = list, *b = a->next;
        list = b ? b->next : NULL;
        a->next = NULL;
        if (b)
            b->next = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct ph_timer *next = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void set_root(struct ph_port *port, struct ph_timer *root)
{
    port->timers = root;
    if (root) {
        root->next = NULL;
        root->link = &port->timers;
    }
}

void ph_timer_start(struct ph_port *port, struct ph_timer *timer, int64_t at)
{
    ph_timer_stop(port, timer);
    /* Never due in the turn that starts it: a timer that restarts itself with
     * no delay must not keep the port from its other work. */
    timer->at = at > port->now ? at : port->now + 1;
    if (at == PH_FOREVER)
        return;
    assert(timer->fire && !timer->child);
    timer->order = port->timer_order++;
    timer->next = NULL;
    set_root(port, meld(port->timers, timer));
    port->counts.timers++;
}

void ph_timer_stop(struct ph_port *port, struct ph_timer *timer)
{
    if (!timer->link)
        return;
    struct ph_timer *children = meld_list(timer->child);
    assert(port->counts.timers && *timer->link == timer);
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->link = NULL;
    timer->next = timer->child = NULL;
    set_root(port, meld(port->timers, children));
    port->counts.timers--;
}

void ph_timers_fire(struct ph_port *port)
{
    int64_t now = port->now, begin;
    if (!port->timers || port->timers->at > now)
        return;
    begin = ph_backend_clock();
    while (port->timers && port->timers->at <= now) {
        struct ph_timer *timer = port->timers;
        ph_timer_stop(port, timer);
        assert(!timer->link && !timer->child);
        timer->fire(timer);
        if (ph_port_late(begin))
            break;
    }
}

int64_t ph_timers_wait(const struct ph_port *port, int64_t clock)
{
    if (!port->timers)
        return PH_FOREVER;
    return port->timers->at > clock ? port->timers->at - clock : 0;
}
