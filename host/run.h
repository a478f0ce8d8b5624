/* SPDX-License-Identifier: MIT */
/* The life of a host: a thread with a port, whose main task decides its end. */
#ifndef PH_RUN_H
#define PH_RUN_H

#include "generation.h"

#define PH_EXIT_INTERNAL 70

/* One line on stderr; gives PH_EXIT_INTERNAL. */
int ph_internal(const char *what, const char *detail);

/* Empty, on no port yet; the log as given. */
void ph_host_init(struct ph_host *host, const struct ph_log *log);

/* Opens the main generation with these options and runs the port until its main
 * task has ended; gives what that returned, an exit status. */
int ph_host_run(struct ph_host *host, const struct ph_value *options);

/* After that, or instead: ends what scripts have left, in a bounded time, and
 * closes every state. */
void ph_host_close(struct ph_host *host);

/* Runs the port until nothing is left on it, for a bounded time, and frees it
 * then. True: it was freed. */
bool ph_host_close_port(struct ph_host *host);

#endif
