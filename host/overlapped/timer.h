/* SPDX-License-Identifier: MIT */
/* The port's side of timers. */
#ifndef PH_TIMER_H
#define PH_TIMER_H

#include "backend.h"

/* Fires the timers that are due at port->now, as long as that is not late. */
void ph_timers_fire(struct ph_port *port);

/* Microseconds from `clock` to the next timer: 0 when it is due, PH_FOREVER
 * when there is none. */
int64_t ph_timers_wait(const struct ph_port *port, int64_t clock);

#endif
