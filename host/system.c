/* SPDX-License-Identifier: MIT */
/* What the command line asks about the system and this process. */
#include "host.h"
#include "lauxlib.h"
#include "overlapped.h"
#include "platform.h"

/* pid() -> of this process */
static int pid(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)ph_process_id());
    return 1;
}

/* program() -> the file that this program runs from · nil */
static int program(lua_State *L)
{
    char path[4096];
    if (!ph_program_path(path, sizeof path))
        return 0;
    lua_pushstring(L, path);
    return 1;
}

/* temporary_folder() -> a new one · nil */
static int temporary_folder(lua_State *L)
{
    char path[1024];
    if (!ph_temporary_folder(path, sizeof path))
        return 0;
    lua_pushstring(L, path);
    return 1;
}

/* processors() -> how many of them this process may use */
static int processors(lua_State *L)
{
    lua_pushinteger(L, ph_processor_count());
    return 1;
}

/* processes() -> the ids of those that run, where the system needs it */
static int processes(lua_State *L)
{
    uint32_t ids[4096];
    size_t count = ph_process_ids(ids, ph_countof(ids));
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushinteger(L, ids[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* is_terminal("stdin" | "stdout" | "stderr") -> boolean */
static int is_terminal(lua_State *L)
{
    static const char *const names[] = {"stdin", "stdout", "stderr", NULL};
    lua_pushboolean(L, ph_is_terminal(luaL_checkoption(L, 1, NULL, names)));
    return 1;
}

void ph_system_open(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"pid", pid},
        {"program", program},
        {"temporary_folder", temporary_folder},
        {"processors", processors},
        {"processes", processes},
        {"is_terminal", is_terminal},
        {NULL, NULL},
    };
    luaL_setfuncs(L, functions, 0);
}
