/* SPDX-License-Identifier: MIT */
/* ltablib.c: all of its loops get or set an element in each turn. */
#define LUA_LIB

#include "lprefix.h"

#include "lauxlib.h"
#include "lua.h"
#include "stop.h"

static void check_stop(lua_State *L)
{
    if (ph_lua_stop())
        luaL_error(L, "stopped");
}

#define lua_geti(L, t, i) (check_stop(L), lua_geti(L, t, i))
#define lua_seti(L, t, i) (check_stop(L), lua_seti(L, t, i))

#include "ltablib.c"
