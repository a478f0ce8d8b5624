/* SPDX-License-Identifier: MIT */
/*
 * `serve --workers N`: N - 1 threads besides the main one, each a host of its
 * own: a port, a main generation in which scripts/pipehost/worker/agent.lua
 * runs, and the same generations of the scripts as worker 1, loaded from the
 * texts that worker 1 has read. Worker 1 has the command line, signals, control
 * pipe, watches and names; it tells the others what to do by mail (plain data),
 * and hands clients to them (bindings/crew.h).
 *
 * A reload is prepared in all of them, in what can fail, before it is committed
 * in any. Ports are made and freed by the main thread, so that a note can be
 * posted to a worker at any time.
 */
#ifndef PH_WORKERS_H
#define PH_WORKERS_H

#include "generation.h"

/* Starts workers 2 to `count`, whose main generations get these options. Before
 * any script is opened. NULL, or why not (static); then there are none. */
const char *ph_workers_start(struct ph_host *first, unsigned count,
                             const struct ph_value *options);

/* Ends them, in a bounded time, when the states of the first are closed. False:
 * one still runs, and uses what is the host's. */
bool ph_workers_stop(struct ph_host *first);

/* Frees mail that was not received. */
void ph_mail_clear(struct ph_host *host);

/* Adds send and receive, and start_workers, to the table on top. */
void ph_workers_open(lua_State *L);

#endif
