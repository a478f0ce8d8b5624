/* SPDX-License-Identifier: MIT */
#include "frame.h"

#include "lauxlib.h"

#define FRAME  "pipehost.frame"
#define FRAMER "pipehost.framer"

struct lua_frame {
    struct ph_frame *frame; /* a reference */
};

struct ph_frame *ph_frame_check(lua_State *L, int index)
{
    struct lua_frame *self;
    if (lua_isnoneornil(L, index))
        return NULL;
    self = luaL_checkudata(L, index, FRAME);
    return self->frame;
}

void ph_frame_push(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (lua_isnoneornil(L, index)) {
        lua_pushnil(L);
        return;
    }
    lua_getfield(L, LUA_REGISTRYINDEX, FRAMER);
    lua_pushvalue(L, index);
    lua_call(L, 1, 2);
    if (lua_isnil(L, -2))
        luaL_error(L, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
}

static size_t size_field(lua_State *L, const char *key, lua_Integer least,
                         lua_Integer most)
{
    lua_Integer value;
    lua_getfield(L, 1, key);
    value = luaL_checkinteger(L, -1);
    if (value < least || value > most)
        luaL_error(L, "frame: %s is from %I to %I", key, (LUAI_UACINT)least,
                   (LUAI_UACINT)most);
    lua_pop(L, 1);
    return (size_t)value;
}

static bool flag_field(lua_State *L, const char *key)
{
    bool value;
    lua_getfield(L, 1, key);
    value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

/* Leaves the text, of `size` bytes, on the stack. */
static const unsigned char *bytes_field(lua_State *L, const char *key,
                                        size_t size)
{
    size_t len;
    const char *text;
    lua_getfield(L, 1, key);
    text = luaL_checklstring(L, -1, &len);
    if (len != size)
        luaL_error(L, "frame: %s has %d bytes", key, (int)size);
    return (const unsigned char *)text;
}

/* From the table at 1, the fields of struct ph_frame_header. */
static struct ph_frame *from_header(lua_State *L)
{
    struct ph_frame_header header = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    header.size = size_field(L, "size", 1, PH_FRAME_HEADER_MAX);
    header.width = size_field(L, "width", 1, 8);
    header.offset = size_field(
        L, "offset", 0, (lua_Integer)header.size - (lua_Integer)header.width);
    header.big_endian = flag_field(L, "big_endian");
    header.counts_header = flag_field(L, "counts_header");
    header.keep = flag_field(L, "keep");
    header.bytes = bytes_field(L, "bytes", header.size);
    header.mask = bytes_field(L, "mask", header.size);
    return ph_frame_new(&header);
}

/* frame(header) -> frame: of a table with the fields of struct ph_frame_header;
 * nil: lines */
static int new_frame(lua_State *L)
{
    struct lua_frame *self;
    lua_settop(L, 1);
    self = lua_newuserdatauv(L, sizeof *self, 0);
    self->frame = NULL;
    luaL_setmetatable(L, FRAME);
    self->frame = lua_isnil(L, 1) ? ph_frame_new(NULL) : from_header(L);
    if (!self->frame)
        return luaL_error(L, "not enough memory");
    lua_settop(L, 2);
    return 1;
}

static int frame_gc(lua_State *L)
{
    struct lua_frame *self = luaL_checkudata(L, 1, FRAME);
    ph_frame_release(self->frame);
    self->frame = NULL;
    return 0;
}

/* set_framer(fn): fn(option) -> frame · nil, message */
static int set_framer(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, FRAMER);
    return 0;
}

void ph_frame_open(lua_State *L)
{
    luaL_newmetatable(L, FRAME);
    lua_pushcfunction(L, frame_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_pushcfunction(L, new_frame);
    lua_setfield(L, -2, "frame");
    lua_pushcfunction(L, set_framer);
    lua_setfield(L, -2, "set_framer");
}
