/* SPDX-License-Identifier: MIT */
/* Starts the port and the main generation, in which the command line runs, and
 * runs the port until that has its exit status. */
#include <stdio.h>
#include <string.h>

#include "lauxlib.h"
#include "platform.h"
#include "run.h"
#include "version.h"
#include "workers.h"

static void on_signal(void *user, enum ph_signal_kind kind)
{
    struct ph_host *host = user;
    if (kind == PH_SIGNAL_STOP)
        host->stops++;
    else
        host->reloads++;
    ph_signal_set(&host->signalled);
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

struct given {
    int argc;
    char **argv;
    struct ph_value *value;
};

/* Protected: what the main script is told, encoded. */
static int encode_options(lua_State *L)
{
    const struct given *given = lua_touserdata(L, 1);
    const char *bad;
    lua_newtable(L);
    lua_newtable(L);
    for (int i = 0; i < given->argc; i++) {
        lua_pushstring(L, given->argv[i]);
        lua_rawseti(L, -2, i);
    }
    lua_setfield(L, -2, "arguments");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "main");
    lua_pushstring(L, library_folder(given->argc, given->argv));
    lua_setfield(L, -2, "library");
    lua_pushliteral(L, PH_VERSION);
    lua_setfield(L, -2, "version");
    bad = ph_value_encode(L, -1, given->value);
    return bad ? luaL_error(L, "%s", bad) : 0;
}

static bool main_options(int argc, char **argv, struct ph_value *value)
{
    struct given given = {argc, argv, value};
    lua_State *L = luaL_newstate();
    bool ok;
    if (!L)
        return false;
    lua_pushcfunction(L, encode_options);
    lua_pushlightuserdata(L, &given);
    ok = lua_pcall(L, 1, 0, 0) == LUA_OK;
    lua_close(L);
    return ok;
}

/* The first worker, after the command line has ended: its exit status. */
static int close_host(struct ph_host *host, int status)
{
    ph_host_close(host);
    if (!ph_workers_stop(host))
        return status; /* what they use is left to them */
    ph_mail_clear(host);
    ph_store_clear(host->store);
    ph_host_close_port(host);
    return status;
}

static int give_up(struct ph_host *host, const char *why)
{
    ph_port_destroy(host->port);
    return ph_internal("internal error", why);
}

int main(int argc, char **argv)
{
    struct ph_log log = {.to = stderr, .least = PH_LOG_INFO};
    struct ph_store store = {0};
    struct ph_value options = {0};
    struct ph_host host;
    long os = 0;
    int status;
    ph_platform_start();
    ph_host_init(&host, &log);
    host.store = &store;
    if (ph_port_create(&host.port, &os) != PH_OK)
        return ph_internal("internal error",
                           "no completion port, or no memory for one");
    if (ph_port_watch_signals(host.port, on_signal, &host, &os) != PH_OK)
        return give_up(&host, "no signals, or no memory to hear of them");
    host.library = library_folder(argc, argv);
    if (!main_options(argc, argv, &options))
        return give_up(&host, "no memory for the arguments");
    status = ph_host_run(&host, &options);
    ph_value_free(&options);
    return close_host(&host, status);
}
