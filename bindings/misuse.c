/* SPDX-License-Identifier: MIT */
/*
 * A mistake of a script is raised with the line that made it. Much of what
 * scripts call is Lua of the library, whose own lines would tell nobody
 * anything: the place is the innermost line that is not the library's.
 */
#include "misuse.h"

#include <string.h>

#include "lauxlib.h"

void ph_push_place(lua_State *L)
{
    lua_Debug at;
    for (int level = 1; lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        if (at.currentline > 0 && strncmp(at.source, "@pipehost/", 10) != 0) {
            lua_pushfstring(L, "%s:%d: ", at.short_src, at.currentline);
            return;
        }
    }
    lua_pushliteral(L, "");
}

/* ---- Near names --------------------------------------------------------- */

static size_t least(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

#define WORD 31

/* Levenshtein's distance of two short words. */
static size_t distance(const char *a, const char *b)
{
    size_t row[WORD + 1], na = strlen(a), nb = strlen(b);
    if (na > WORD || nb > WORD)
        return WORD;
    for (size_t j = 0; j <= nb; j++)
        row[j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t above = row[j];
            row[j] = least(above + 1, row[j - 1] + 1,
                           corner + (a[i - 1] != b[j - 1]));
            corner = above;
        }
    }
    return row[nb];
}

struct search {
    const char *key, *nearest; /* nearest: NULL while there is none */
    size_t best;
};

static struct search search_for(const char *key)
{
    return (struct search){.key = key, .best = strlen(key) / 2 + 1};
}

static void try_name(struct search *search, const char *name)
{
    size_t d = distance(search->key, name);
    if (d > search->best || (d == search->best && search->nearest &&
                             strcmp(search->nearest, name) < 0))
        return;
    search->best = d;
    search->nearest = name;
}

static void try_names(struct search *search, const char *const *names)
{
    while (names && *names)
        try_name(search, *names++);
}

/* The names are the table's own strings, and stay while it does. */
static void try_keys(lua_State *L, struct search *search, int index)
{
    index = lua_absindex(L, index);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING)
            try_name(search, lua_tostring(L, -1));
    }
}

static void push_nearest(lua_State *L, const struct search *search)
{
    if (search->nearest)
        lua_pushfstring(L, " (did you mean '%s'?)", search->nearest);
    else
        lua_pushliteral(L, "");
}

/* ---- Options ------------------------------------------------------------ */

/* Raises the sentence on top. */
static int raise_of(lua_State *L, const char *what)
{
    if (*what) {
        ph_push_place(L);
        lua_pushfstring(L, "%s: ", what);
        lua_rotate(L, -3, 2);
        lua_concat(L, 3);
    }
    return lua_error(L);
}

static void push_all(lua_State *L, const char *const *names)
{
    lua_pushliteral(L, "");
    for (const char *before = "; there are "; *names; before = ", ") {
        lua_pushfstring(L, "%s'%s'", before, *names++);
        lua_concat(L, 2);
    }
}

static int unknown_option(lua_State *L, const char *key,
                          const char *const *names, const char *what)
{
    struct search search = search_for(key);
    try_names(&search, names);
    lua_pushfstring(L, "unknown option '%s'", key);
    if (search.nearest)
        push_nearest(L, &search);
    else
        push_all(L, names);
    lua_concat(L, 2);
    return raise_of(L, what);
}

static int option_without_name(lua_State *L, int key, const char *what)
{
    const char *text = luaL_tolstring(L, key, NULL);
    lua_pushfstring(L, "options have names, but one has the key %s", text);
    return raise_of(L, what);
}

void ph_check_options(lua_State *L, int index, const char *const *names,
                      const char *what)
{
    index = lua_absindex(L, index);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        const char *const *at = names;
        const char *key;
        if (lua_type(L, -2) != LUA_TSTRING)
            option_without_name(L, -2, what);
        key = lua_tostring(L, -2);
        while (*at && strcmp(*at, key) != 0)
            at++;
        if (!*at)
            unknown_option(L, key, names, what);
        lua_pop(L, 1);
    }
}

/* ---- Fields ------------------------------------------------------------- */

int ph_unknown_field(lua_State *L, int index, const char *const *more,
                     const char *what)
{
    const char *key = luaL_tolstring(L, 2, NULL);
    struct search search = search_for(key);
    try_keys(L, &search, index);
    try_names(&search, more);
    ph_push_place(L);
    lua_pushfstring(L, "%s has no '%s'", what, key);
    push_nearest(L, &search);
    lua_concat(L, 3);
    return lua_error(L);
}

/* Upvalues: the table, what it is. */
static int index_or_raise(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    return ph_unknown_field(L, lua_upvalueindex(1), NULL,
                            lua_tostring(L, lua_upvalueindex(2)));
}

void ph_push_types(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, "pipehost.types");
}

void ph_push_index(lua_State *L, const char *what)
{
    ph_push_types(L);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, what);
    lua_pop(L, 1);
    lua_pushstring(L, what);
    lua_pushcclosure(L, index_or_raise, 2);
}
