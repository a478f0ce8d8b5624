/* SPDX-License-Identifier: MIT */
/*
 * Plain data as bytes. Each value is a tag and what belongs to it, in the
 * machine's own order: the bytes go from one state of this process to another,
 * never into a file or through a pipe. Tables are numbered as they come, so that
 * one that is met again, or in itself, is the same table afterwards too.
 *
 * What can't cross (functions, userdata, threads) is told with its path in the
 * value: "value.jobs[3].cb is a function" is found in a script, "a function"
 * is not.
 */
#include "value.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lauxlib.h"

enum tag {
    TAG_NIL,
    TAG_FALSE,
    TAG_TRUE,
    TAG_INTEGER,
    TAG_FLOAT,
    TAG_STRING,
    TAG_TABLE, /* followed by key, value … TAG_END */
    TAG_SEEN,  /* the n-th table again */
    TAG_END
};

#define DEPTH_MAX 100 /* far from the C stack's end, and from sane data */

struct encoder {
    lua_State *L;
    struct ph_value *out;
    int seen; /* stack index: table -> number */
    lua_Integer tables;
};

static void put(struct encoder *e, const void *bytes, size_t len)
{
    struct ph_value *out = e->out;
    if (out->len + len > out->cap) {
        size_t cap = (out->len + len) * 2;
        unsigned char *more = realloc(out->bytes, cap);
        if (!more)
            luaL_error(e->L, "not enough memory");
        out->bytes = more;
        out->cap = cap;
    }
    memcpy(out->bytes + out->len, bytes, len);
    out->len += len;
}

static void put_tag(struct encoder *e, enum tag tag)
{
    unsigned char byte = (unsigned char)tag;
    put(e, &byte, 1);
}

static void put_number(struct encoder *e, enum tag tag, const void *number,
                       size_t size)
{
    put_tag(e, tag);
    put(e, number, size);
}

/* The name of the key at `index`, appended to the path at `path`; pushed. */
static void push_path(lua_State *L, int path, int key)
{
    if (lua_type(L, key) == LUA_TSTRING)
        lua_pushfstring(L, "%s.%s", lua_tostring(L, path),
                        lua_tostring(L, key));
    else {
        const char *text = luaL_tolstring(L, key, NULL);
        lua_pushfstring(L, "%s[%s]", lua_tostring(L, path), text);
        lua_remove(L, -2);
    }
}

static bool encode(struct encoder *e, int index, int path, int depth);

/* True: the table was there before. */
static bool put_seen(struct encoder *e, int index)
{
    lua_State *L = e->L;
    lua_pushvalue(L, index);
    if (lua_rawget(L, e->seen) == LUA_TNUMBER) {
        lua_Integer n = lua_tointeger(L, -1);
        lua_pop(L, 1);
        put_number(e, TAG_SEEN, &n, sizeof n);
        return true;
    }
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    lua_pushinteger(L, ++e->tables);
    lua_rawset(L, e->seen);
    return false;
}

static bool put_table(struct encoder *e, int index, int path, int depth)
{
    lua_State *L = e->L;
    if (put_seen(e, index))
        return true;
    if (depth == DEPTH_MAX) {
        lua_pushfstring(L, "%s is nested too deeply", lua_tostring(L, path));
        return false;
    }
    luaL_checkstack(L, 8, "value is nested too deeply");
    put_tag(e, TAG_TABLE);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        int value = lua_gettop(L), key = value - 1;
        push_path(L, path, key);
        if (!encode(e, key, value + 1, depth + 1) ||
            !encode(e, value, value + 1, depth + 1))
            return false;
        lua_settop(L, key);
    }
    put_tag(e, TAG_END);
    return true;
}

static void put_string(struct encoder *e, int index)
{
    size_t len;
    const char *text = lua_tolstring(e->L, index, &len);
    put_number(e, TAG_STRING, &len, sizeof len);
    put(e, text, len);
}

/* False: the reason is on top of the stack. */
static bool encode(struct encoder *e, int index, int path, int depth)
{
    lua_State *L = e->L;
    lua_Integer integer;
    lua_Number number;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        put_tag(e, TAG_NIL);
        return true;
    case LUA_TBOOLEAN:
        put_tag(e, lua_toboolean(L, index) ? TAG_TRUE : TAG_FALSE);
        return true;
    case LUA_TNUMBER:
        integer = lua_tointeger(L, index);
        number = lua_tonumber(L, index);
        if (lua_isinteger(L, index))
            put_number(e, TAG_INTEGER, &integer, sizeof integer);
        else
            put_number(e, TAG_FLOAT, &number, sizeof number);
        return true;
    case LUA_TSTRING:
        put_string(e, index);
        return true;
    case LUA_TTABLE:
        return put_table(e, index, path, depth);
    default:
        lua_pushfstring(L, "%s is a %s", lua_tostring(L, path),
                        luaL_typename(L, index));
        return false;
    }
}

const char *ph_value_encode(lua_State *L, int index, struct ph_value *value)
{
    struct encoder e = {.L = L, .out = value};
    int top = lua_gettop(L);
    index = lua_absindex(L, index);
    luaL_checkstack(L, 8, NULL);
    lua_newtable(L);
    e.seen = top + 1;
    lua_pushliteral(L, "value");
    if (encode(&e, index, top + 2, 0)) {
        lua_settop(L, top);
        return NULL;
    }
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
    return lua_tostring(L, -1);
}

/* ---- Decoding -------------------------------------------------------------------- */

struct decoder {
    lua_State *L;
    const unsigned char *at, *end;
    int seen; /* stack index: number -> table */
    lua_Integer tables;
};

static void take(struct decoder *d, void *out, size_t len)
{
    assert(len <= (size_t)(d->end - d->at));
    memcpy(out, d->at, len);
    d->at += len;
}

static bool decode(struct decoder *d);

static void take_table(struct decoder *d)
{
    lua_State *L = d->L;
    luaL_checkstack(L, 4, NULL);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, d->seen, ++d->tables);
    while (decode(d)) {
        decode(d);
        lua_rawset(L, -3);
    }
}

static void take_string(struct decoder *d)
{
    size_t len;
    take(d, &len, sizeof len);
    lua_pushlstring(d->L, (const char *)d->at, len);
    d->at += len;
}

/* Pushes the next value; false: the end of a table, nothing pushed. */
static bool decode(struct decoder *d)
{
    lua_Integer integer;
    lua_Number number;
    switch ((enum tag) * d->at++) {
    case TAG_NIL:
        lua_pushnil(d->L);
        break;
    case TAG_FALSE:
        lua_pushboolean(d->L, 0);
        break;
    case TAG_TRUE:
        lua_pushboolean(d->L, 1);
        break;
    case TAG_INTEGER:
        take(d, &integer, sizeof integer);
        lua_pushinteger(d->L, integer);
        break;
    case TAG_FLOAT:
        take(d, &number, sizeof number);
        lua_pushnumber(d->L, number);
        break;
    case TAG_STRING:
        take_string(d);
        break;
    case TAG_TABLE:
        take_table(d);
        break;
    case TAG_SEEN:
        take(d, &integer, sizeof integer);
        lua_rawgeti(d->L, d->seen, integer);
        break;
    case TAG_END:
        return false;
    }
    return true;
}

int ph_value_decode(lua_State *L, const struct ph_value *value)
{
    struct decoder d = {.L = L, .at = value->bytes};
    d.end = value->bytes + value->len;
    int count = 0;
    lua_newtable(L);
    d.seen = lua_gettop(L);
    while (d.at < d.end) {
        /* Tables are numbered anew for each value. */
        d.tables = 0;
        luaL_checkstack(L, 2, NULL);
        decode(&d);
        count++;
    }
    lua_remove(L, d.seen);
    return count;
}

void ph_value_free(struct ph_value *value)
{
    free(value->bytes);
    memset(value, 0, sizeof *value);
}

static int value_gc(lua_State *L)
{
    ph_value_free(lua_touserdata(L, 1));
    return 0;
}

struct ph_value *ph_value_push(lua_State *L)
{
    struct ph_value *value = lua_newuserdatauv(L, sizeof *value, 0);
    memset(value, 0, sizeof *value);
    if (luaL_newmetatable(L, "pipehost.value")) {
        lua_pushcfunction(L, value_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return value;
}
