/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <stdlib.h>
#include <string.h>

#include "lauxlib.h"

#define FILE_TEXT "pipehost.file_text"

static int text_gc(lua_State *L)
{
    struct ph_file *file = luaL_checkudata(L, 1, FILE_TEXT);
    free(file->bytes);
    file->bytes = NULL;
    return 0;
}

/* A file's text while it crosses into Lua: freed whatever raises. */
static struct ph_file *push_file(lua_State *L)
{
    struct ph_file *file = lua_newuserdatauv(L, sizeof *file, 0);
    memset(file, 0, sizeof *file);
    luaL_setmetatable(L, FILE_TEXT);
    return file;
}

static const char *reason(enum ph_status status)
{
    switch (status) {
    case PH_ABSENT:
        return "there is no such file";
    case PH_BUSY:
        return "it is being written to";
    case PH_TOOBIG:
        return "it is too long";
    case PH_DENIED:
        return "access is denied";
    case PH_NOMEM:
        return "out of memory";
    default:
        return "the system cannot read it";
    }
}

/* read_file(path, most) -> its bytes · nil, "absent" | "busy" | "toobig" |
 * "denied" | "nomem" | "system", a sentence without the path */
static int read_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    lua_Integer most = luaL_checkinteger(L, 2);
    struct ph_file *file = push_file(L);
    long os = 0;
    enum ph_status status = ph_file_read(path, (size_t)most, file, &os);
    if (status == PH_OK) {
        lua_pushlstring(L, file->bytes, file->len);
        free(file->bytes);
        file->bytes = NULL;
        return 1;
    }
    lua_pushnil(L);
    lua_pushstring(L, ph_status_name(status));
    lua_pushstring(L, reason(status));
    if (os && status == PH_SYSTEM)
        lua_pushfstring(L, "%s (system error %I)", lua_tostring(L, -1),
                        (LUAI_UACINT)os);
    return 3;
}

void ph_file_open(lua_State *L)
{
    luaL_newmetatable(L, FILE_TEXT);
    lua_pushcfunction(L, text_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, read_file);
    lua_setfield(L, -2, "read_file");
}
