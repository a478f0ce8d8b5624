/* SPDX-License-Identifier: MIT */
/* Standard functions that would let a script's code run where no hook comes, or
 * run for ever in C. */
#include <limits.h>
#include <string.h>

#include "lauxlib.h"
#include "limit.h"
#include "runtime.h"

#define LONGEST_DATE 4096
#define LONGEST_NUMBER 65536

/* Calls the C function that is the upvalue, in this call's own frame. */
static int original(lua_State *L)
{
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/* ---- Message handlers ------------------------------------------------------------ */

/* Hooks rest while a hook's error is raised, so the handler is left out. */
static int handler(lua_State *L)
{
    if (ph_limits_over(L))
        return 1;
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

/* xpcall(f, handler, …) */
static int guarded_xpcall(lua_State *L)
{
    luaL_checktype(L, 2, LUA_TFUNCTION);
    if (!lua_iscfunction(L, 2)) {
        lua_pushvalue(L, 2);
        lua_pushcclosure(L, handler, 1);
        lua_replace(L, 2);
    }
    return original(L);
}

/* ---- Finalizers -------------------------------------------------------------------- */

static void check_metatable(lua_State *L)
{
    if (!lua_istable(L, 2))
        return;
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL)
        luaL_error(L, "__gc is not for scripts: no limit holds in a finalizer; "
                      "use __close");
    lua_pop(L, 1);
}

/* setmetatable(table, metatable) */
static int guarded_setmetatable(lua_State *L)
{
    check_metatable(L);
    return original(L);
}

/* debug.setmetatable(value, metatable): not of the host's objects */
static int debug_setmetatable(lua_State *L)
{
    luaL_argcheck(L, lua_type(L, 1) != LUA_TUSERDATA, 1,
                  "the metatable of a host object stays");
    luaL_argcheck(L, lua_type(L, 1) != LUA_TSTRING, 1,
                  "the metatable of strings stays");
    check_metatable(L);
    return original(L);
}

/* ---- Loops ------------------------------------------------------------------------- */

/* string.rep(s, n, separator): nothing, many times, is nothing */
static int guarded_rep(lua_State *L)
{
    size_t len, separator;
    luaL_checklstring(L, 1, &len);
    luaL_checkinteger(L, 2);
    luaL_optlstring(L, 3, "", &separator);
    if (len + separator > 0)
        return original(L);
    lua_pushliteral(L, "");
    return 1;
}

/* tonumber(value, base): with a base, a loop in C over the digits */
static int guarded_tonumber(lua_State *L)
{
    if (!lua_isnoneornil(L, 2) && lua_type(L, 1) == LUA_TSTRING)
        luaL_argcheck(L, lua_rawlen(L, 1) <= LONGEST_NUMBER, 1,
                      "a number this long");
    return original(L);
}

/* os.date(format, time): a loop in C over the format */
static int guarded_date(lua_State *L)
{
    size_t len;
    luaL_optlstring(L, 1, "", &len);
    luaL_argcheck(L, len <= LONGEST_DATE, 1, "a format this long");
    return original(L);
}

/* ---- The library's own functions -------------------------------------------------- */

/* The host's C functions and the Lua library stay as they are: scripts may look
 * into them, not change them. */
static void check_own(lua_State *L, const lua_Debug *ar, const char *what)
{
    if (*ar->what == 'C' || strncmp(ar->source, "@pipehost/", 10) == 0)
        luaL_error(L, "the %s of the host's functions stay", what);
}

static void check_function(lua_State *L, int index)
{
    lua_Debug ar;
    luaL_checktype(L, index, LUA_TFUNCTION);
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &ar);
    check_own(L, &ar, "upvalues");
}

/* debug.setupvalue(f, n, value) */
static int guarded_setupvalue(lua_State *L)
{
    check_function(L, 1);
    return original(L);
}

/* debug.upvaluejoin(f1, n1, f2, n2) */
static int guarded_upvaluejoin(lua_State *L)
{
    check_function(L, 1);
    check_function(L, 3);
    return original(L);
}

/* debug.setlocal([thread,] level, n, value); this call is level 0 */
static int guarded_setlocal(lua_State *L)
{
    lua_State *other = lua_tothread(L, 1);
    lua_Integer level = luaL_checkinteger(L, other ? 2 : 1);
    lua_Debug ar;
    if (level >= 0 && level < INT_MAX &&
        lua_getstack(other ? other : L, (int)level, &ar)) {
        lua_getinfo(other ? other : L, "S", &ar);
        check_own(L, &ar, "locals");
    }
    return original(L);
}

/* ---- Registering ------------------------------------------------------------------- */

/* The function of this name in the table on top of the stack. */
static void guard(lua_State *L, const char *name, lua_CFunction function)
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, function, 1);
    lua_setfield(L, -2, name);
}

static void protect(lua_State *L, const char *type)
{
    if (luaL_getmetatable(L, type) == LUA_TTABLE) {
        lua_pushboolean(L, 0);
        lua_setfield(L, -2, "__metatable");
    }
    lua_pop(L, 1);
}

static void remove_fields(lua_State *L, const char *const *names)
{
    for (; *names; names++) {
        lua_pushnil(L);
        lua_setfield(L, -2, *names);
    }
}

void ph_guards_open(lua_State *L)
{
    static const char *const not_for_scripts[] = {"sethook", "getregistry",
                                                  "setuservalue", NULL};
    lua_pushglobaltable(L);
    guard(L, "xpcall", guarded_xpcall);
    guard(L, "setmetatable", guarded_setmetatable);
    guard(L, "tonumber", guarded_tonumber);
    lua_getfield(L, -1, "string");
    guard(L, "rep", guarded_rep);
    lua_getfield(L, -2, "debug");
    guard(L, "setmetatable", debug_setmetatable);
    guard(L, "setupvalue", guarded_setupvalue);
    guard(L, "upvaluejoin", guarded_upvaluejoin);
    guard(L, "setlocal", guarded_setlocal);
    lua_getfield(L, -3, "getmetatable");
    lua_setfield(L, -2, "getmetatable");
    remove_fields(L, not_for_scripts);
    lua_getfield(L, -3, "os");
    guard(L, "date", guarded_date);
    lua_pop(L, 4);
    protect(L, LUA_FILEHANDLE);
    protect(L, "directory metatable");
    protect(L, "lock metatable");
    protect(L, PH_INFO);
    protect(L, "pipehost.server");
}
