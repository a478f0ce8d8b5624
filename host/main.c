/* SPDX-License-Identifier: MIT */
/* Starts the port and the main generation, in which the command line runs, and
 * runs the port until that has its exit status. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generation.h"
#include "host.h"
#include "lauxlib.h"
#include "platform.h"
#include "version.h"

#define EXIT_INTERNAL  70
#define CLOSE_ROUNDS   200
#define CLOSE_ROUND_US 10000

static void on_signal(void *user, enum ph_signal_kind kind)
{
    struct ph_host *host = user;
    if (kind == PH_SIGNAL_STOP)
        host->stops++;
    else
        host->reloads++;
    ph_signal_set(&host->signalled);
}

static void on_port_log(void *user, enum ph_level level, const char *text)
{
    struct ph_host *host = user;
    struct ph_log_entry entry = {.level = level, .text = text};
    ph_log_line(&host->log, &entry);
}

static int internal(const char *what, const char *detail)
{
    fprintf(stderr, "pipehost: %s: %s\n", what, detail ? detail : "");
    return EXIT_INTERNAL;
}

/* --scripts DIR is needed before there is any Lua; the command line knows the
 * option too, for its help. */
static const char *library_folder(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "--scripts") == 0)
            return argv[i + 1];
    return NULL;
}

static const char *main_options(int argc, char **argv, struct ph_value *value)
{
    lua_State *L = luaL_newstate();
    const char *bad;
    if (!L)
        return "not enough memory";
    lua_newtable(L);
    lua_newtable(L);
    for (int i = 0; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "arguments");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "main");
    lua_pushstring(L, library_folder(argc, argv));
    lua_setfield(L, -2, "library");
    lua_pushliteral(L, PH_VERSION);
    lua_setfield(L, -2, "version");
    bad = ph_value_encode(L, -1, value);
    lua_close(L);
    return bad ? "arguments" : NULL;
}

/* The command line's task returns its exit status. */
static int exit_status(const struct ph_task *task)
{
    if (task->failed)
        return internal("internal error", lua_tostring(task->co, -1));
    return (int)lua_tointeger(task->co, -1);
}

static int run(struct ph_host *host)
{
    int held;
    struct ph_task *task = ph_generation_start(host->main, "main", NULL, &held);
    if (!task)
        return internal("internal error", "the command line did not start");
    task->observed = true;
    while (task->state != PH_TASK_DONE)
        if (ph_port_run(host->port, PH_FOREVER) != PH_OK)
            return internal("internal error", "the port failed");
    return exit_status(task);
}

/* Whatever a script left: a bounded time for its end, then it goes. */
static void close_all(struct ph_host *host)
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
}

static bool port_is_idle(const struct ph_port *port)
{
    struct ph_counts counts = ph_port_counts(port);
    return !counts.pipes && !counts.operations && !counts.listeners &&
           !counts.folders && !counts.processes;
}

static void close_port(struct ph_host *host)
{
    for (int i = 0; i < CLOSE_ROUNDS && !port_is_idle(host->port); i++)
        ph_port_run(host->port, CLOSE_ROUND_US);
    if (port_is_idle(host->port))
        ph_port_destroy(host->port);
}

int main(int argc, char **argv)
{
    struct ph_host host = {.log = {.to = stderr, .least = PH_LOG_INFO}};
    struct ph_value options = {0};
    long os = 0;
    int status = EXIT_INTERNAL;
    char *error;
    ph_platform_start();
    if (ph_port_create(&host.port, &os) != PH_OK)
        return internal("internal error", "no completion port");
    ph_port_set_log(host.port, on_port_log, &host);
    if (ph_port_watch_signals(host.port, on_signal, &host, &os) != PH_OK)
        return internal("internal error", "no signals");
    host.library = library_folder(argc, argv);
    if (main_options(argc, argv, &options) != NULL)
        return internal("internal error", "bad arguments");
    host.main = ph_generation_open(&host, &options, ph_host_open, &error);
    if (host.main) {
        status = run(&host);
    } else {
        internal("internal error", error ? error : "not enough memory");
        free(error);
    }
    close_all(&host);
    ph_store_clear(&host.store);
    ph_ticker_stop(&host.ticker);
    ph_value_free(&options);
    close_port(&host);
    return status;
}
