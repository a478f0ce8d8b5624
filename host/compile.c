/* SPDX-License-Identifier: MIT */
/*
 * Compiling: no hook interrupts it, and some sources take it quadratic time
 * (long chains of `or`, `elseif` or `goto`). So it gets the text in small
 * pieces, and the limits are looked at between two of them.
 */
#include "lauxlib.h"
#include "limit.h"

#define PIECE 256

struct source {
    const char *name, *text;
    size_t left;
    int begin_ms;
};

/* Without the place of the call, which is in the library. */
static void too_long(lua_State *L, const struct source *source)
{
    bool file = *source->name == '@' || *source->name == '=';
    lua_pushfstring(L, "%s: the source takes longer than %d ms to compile",
                    file ? source->name + 1 : "load", PH_LIMIT_COMPILE_MS);
    lua_error(L);
}

static const char *next_piece(lua_State *L, void *user, size_t *size)
{
    struct source *source = user;
    const char *piece = source->text;
    if (ph_limits_used(L) - source->begin_ms >= PH_LIMIT_COMPILE_MS)
        too_long(L, source);
    ph_limits_check(L);
    *size = source->left < PIECE ? source->left : PIECE;
    source->text += *size;
    source->left -= *size;
    return piece;
}

/* load(text, chunk name [, environment]) -> function · nil, message */
static int load(lua_State *L)
{
    struct source source = {.begin_ms = ph_limits_used(L)};
    source.text = luaL_checklstring(L, 1, &source.left);
    source.name = luaL_optstring(L, 2, source.text);
    bool environment = lua_gettop(L) > 2;
    if (lua_load(L, next_piece, &source, source.name, "t") != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (environment) {
        lua_pushvalue(L, 3);
        if (!lua_setupvalue(L, -2, 1))
            lua_pop(L, 1);
    }
    return 1;
}

void ph_compile_open(lua_State *L)
{
    lua_pushcfunction(L, load);
    lua_setfield(L, -2, "load");
}
