/* SPDX-License-Identifier: MIT */
/* Workers: pooled tasks that call a connection's handlers. */
#ifndef PH_WORKER_H
#define PH_WORKER_H

#include "connection.h"

/* Gives the connection's job (conn->job) to a worker of its server's state and
 * runs it as far as it goes without waiting. False: no memory for one. */
bool ph_worker_run(struct ph_conn *conn);

#endif
