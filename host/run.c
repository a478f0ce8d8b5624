/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "host.h"
#include "lauxlib.h"

#define CLOSE_ROUNDS   200
#define CLOSE_ROUND_US 10000

int ph_internal(const char *what, const char *detail)
{
    fprintf(stderr, "pipehost: %s: %s\n", what, detail ? detail : "");
    return PH_EXIT_INTERNAL;
}

static void on_port_log(void *user, enum ph_level level, const char *text)
{
    struct ph_host *host = user;
    struct ph_log_entry entry = {.level = level, .text = text};
    ph_log_line(&host->log, &entry);
}

void ph_host_init(struct ph_host *host, const struct ph_log *log)
{
    *host = (struct ph_host){.log = *log, .worker = 1, .workers = 1};
    host->mail_end = &host->mail;
}

/* The main task returns the exit status. */
static int exit_status(const struct ph_task *task)
{
    if (task->failed)
        return ph_internal("internal error", lua_tostring(task->co, -1));
    return (int)lua_tointeger(task->co, -1);
}

static int run_main(struct ph_host *host)
{
    int held;
    struct ph_task *task = ph_generation_start(host->main, "main", NULL, &held);
    if (!task)
        return ph_internal("internal error", "the main task did not start");
    task->observed = true;
    while (task->state != PH_TASK_DONE)
        if (ph_port_run(host->port, PH_FOREVER) != PH_OK)
            return ph_internal("internal error", "the port failed");
    return exit_status(task);
}

int ph_host_run(struct ph_host *host, const struct ph_value *options)
{
    char *error;
    ph_port_set_log(host->port, on_port_log, host);
    host->main = ph_generation_open(host, options, ph_host_open, &error);
    if (host->main)
        return run_main(host);
    ph_internal("internal error", error ? error : "not enough memory");
    free(error);
    return PH_EXIT_INTERNAL;
}

/* Whatever a script left: a bounded time for its end, then it goes. */
void ph_host_close(struct ph_host *host)
{
    for (struct ph_generation *at = host->generations; at; at = at->next)
        ph_generation_cancel(at, true);
    for (int i = 0; i < CLOSE_ROUNDS; i++) {
        bool busy = false;
        for (struct ph_generation *at = host->generations; at; at = at->next)
            busy |= at->runtime.task_count > 0;
        if (!busy)
            break;
        ph_port_run(host->port, CLOSE_ROUND_US);
    }
    /* The others are values of the main state, and go with it. */
    if (host->main)
        ph_generation_close(host->main);
    assert(!host->generations);
    ph_ticker_stop(&host->ticker);
}

static bool port_is_idle(const struct ph_port *port)
{
    struct ph_counts counts = ph_port_counts(port);
    return !counts.pipes && !counts.operations && !counts.listeners &&
           !counts.folders && !counts.processes;
}

bool ph_host_close_port(struct ph_host *host)
{
    for (int i = 0; i < CLOSE_ROUNDS && !port_is_idle(host->port); i++)
        ph_port_run(host->port, CLOSE_ROUND_US);
    if (!port_is_idle(host->port))
        return false;
    ph_port_destroy(host->port);
    return true;
}
