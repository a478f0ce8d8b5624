/* SPDX-License-Identifier: MIT */
/* What a script asks of a pipe, or does with it, without waiting. */
#include <math.h>

#include "lauxlib.h"
#include "outcome.h"
#include "pipe.h"

/* disconnect() -> true: drops the client, unread data with it */
static int pipe_disconnect(lua_State *L)
{
    struct lua_pipe *self = ph_pipe_check(L, 1);
    const char *why;
    enum ph_status status = ph_pipe_disconnect(self->pipe, &why);
    if (status == PH_MISUSE)
        return luaL_error(L, "pipe %s: %s", ph_pipe_name(L, 1), why);
    if (status != PH_OK)
        return ph_push_status(L, status, "disconnect", ph_pipe_name(L, 1), 0);
    lua_pushboolean(L, 1);
    return 1;
}

/* peek() -> { available, left } in bytes */
static int pipe_peek(lua_State *L)
{
    struct lua_pipe *self = ph_pipe_check(L, 1);
    struct ph_peek peek;
    long os = 0;
    enum ph_status status = ph_pipe_peek(self->pipe, &peek, &os);
    if (status == PH_MISUSE)
        return luaL_error(L, "pipe %s: peek: nobody is connected (230)",
                          ph_pipe_name(L, 1));
    if (status != PH_OK)
        return ph_push_status(L, status, "peek", ph_pipe_name(L, 1), os);
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, (lua_Integer)peek.available);
    lua_setfield(L, -2, "available");
    lua_pushinteger(L, (lua_Integer)peek.left);
    lua_setfield(L, -2, "left");
    return 1;
}

/* peer() -> { pid, uid or sid } */
static int pipe_peer(lua_State *L)
{
    struct lua_pipe *self = ph_pipe_check(L, 1);
    struct ph_peer peer;
    long os = 0;
    enum ph_status status = ph_pipe_peer(self->pipe, &peer, &os);
    if (status == PH_MISUSE)
        return luaL_error(L, "pipe %s: peer: nobody is connected",
                          ph_pipe_name(L, 1));
    if (status != PH_OK)
        return ph_push_status(L, status, "peer", ph_pipe_name(L, 1), os);
    lua_createtable(L, 0, 2);
    lua_pushinteger(L, peer.pid);
    lua_setfield(L, -2, "pid");
    if (peer.has_uid)
        lua_pushinteger(L, peer.uid);
    else
        lua_pushstring(L, peer.sid);
    lua_setfield(L, -2, peer.has_uid ? "uid" : "sid");
    return 1;
}

static void set_text(lua_State *L, const char *key, const char *value)
{
    lua_pushstring(L, value);
    lua_setfield(L, -2, key);
}

static void set_count(lua_State *L, const char *key, uint32_t value)
{
    if (!value)
        return; /* not known */
    if (value == PH_INSTANCES_MAX)
        lua_pushnumber(L, HUGE_VAL);
    else
        lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

/* info() -> { name, path, server, mode, direction, state, instances,
 * max_instances, max_message } */
static int pipe_info(lua_State *L)
{
    static const char *const modes[] = {"any", "message", "byte"};
    static const char *const directions[] = {"duplex", "inbound", "outbound"};
    static const char *const states[] = {"new", "listening", "connected",
                                         "disconnected", "closed"};
    struct lua_pipe *self = ph_pipe_check(L, 1);
    struct ph_info info;
    ph_pipe_info(self->pipe, &info);
    lua_createtable(L, 0, 10);
    set_text(L, "name", ph_pipe_name(L, 1));
    set_text(L, "path", info.path);
    set_text(L, "mode", modes[info.mode]);
    set_text(L, "direction", directions[info.direction]);
    set_text(L, "state", states[info.state]);
    set_count(L, "instances", info.instances);
    set_count(L, "max_instances", info.max_instances);
    lua_pushboolean(L, info.server);
    lua_setfield(L, -2, "server");
    lua_pushboolean(L, info.framed);
    lua_setfield(L, -2, "framed");
    lua_pushinteger(L, (lua_Integer)info.max_message);
    lua_setfield(L, -2, "max_message");
    return 1;
}

void ph_pipe_info_methods(lua_State *L)
{
    static const luaL_Reg methods[] = {{"disconnect", pipe_disconnect},
                                       {"peek", pipe_peek},
                                       {"peer", pipe_peer},
                                       {"info", pipe_info},
                                       {NULL, NULL}};
    luaL_setfuncs(L, methods, 0);
}
