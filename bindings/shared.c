/* SPDX-License-Identifier: MIT */
#include "shared.h"

#include <string.h>

#include "lauxlib.h"
#include "misuse.h"
#include "outcome.h"
#include "pipe.h"
#include "runtime.h"
#include "store.h"
#include "value.h"

#define SHARED    "pipehost.shared"
#define GUARD     "pipehost.shared.guard"
#define LIMIT_MIB ((int)(PH_STORE_MAX >> 20))

/* A userdata; its user value is a parcel for what is encoded, used again and
 * again: its memory belongs to this state's limits no more than the store's. */
struct handle {
    struct ph_shared *shared;
};

static struct ph_shared *check(lua_State *L)
{
    struct handle *handle = luaL_checkudata(L, 1, SHARED);
    return handle->shared;
}

/* *integer holds the bytes of one. */
static struct ph_key check_key(lua_State *L, lua_Integer *integer)
{
    struct ph_key key = {0};
    int is = lua_type(L, 2) == LUA_TNUMBER;
    if (lua_type(L, 2) == LUA_TSTRING) {
        key.bytes = lua_tolstring(L, 2, &key.len);
        return key;
    }
    if (is)
        *integer = lua_tointegerx(L, 2, &is);
    luaL_argcheck(L, is, 2, "a key is a string or an integer");
    key.bytes = integer;
    key.len = sizeof *integer;
    key.integer = true;
    return key;
}

/* Pushes the value, or nil. */
static void push(lua_State *L, const struct ph_shared *shared,
                 const struct ph_key *key)
{
    struct ph_value value = {0};
    value.bytes = (unsigned char *)ph_shared_get(shared, key, &value.len);
    if (!value.bytes)
        lua_pushnil(L);
    else
        ph_value_decode(L, &value);
}

/* ---- Setting ------------------------------------------------------------ */

static int push_full(lua_State *L, const char *verb,
                     const struct ph_shared *shared, enum ph_status status)
{
    struct ph_op op = {.status = PH_NOMEM, .bytes = -1};
    if (status == PH_TOOBIG)
        op.why = "the shared values of a host have at most 64 MiB";
    _Static_assert(LIMIT_MIB == 64, "the sentence above");
    return ph_push_failure(L, &op, verb, ph_shared_name(shared));
}

#define KEPT 65536 /* bytes of a parcel that stay for the next value */

static enum ph_status store(lua_State *L, struct ph_shared *shared,
                            const struct ph_key *key, const char *verb)
{
    struct ph_value *parcel;
    const char *bad;
    enum ph_status status;
    if (lua_isnil(L, -1)) {
        ph_shared_remove(shared, key);
        return PH_OK;
    }
    lua_getiuservalue(L, 1, 1);
    parcel = lua_touserdata(L, -1);
    lua_pop(L, 1); /* the handle holds it */
    parcel->len = 0;
    bad = ph_value_encode(L, -1, parcel);
    if (bad)
        luaL_error(L, "%s: only plain data is shared: %s", verb, bad);
    status = ph_shared_set(shared, key, parcel->bytes, parcel->len);
    if (parcel->cap > KEPT)
        ph_value_free(parcel);
    return status;
}

/* The value on top becomes the key's; gives what the method returns. */
static int set(lua_State *L, struct ph_shared *shared, const struct ph_key *key,
               const char *verb)
{
    enum ph_status status = store(L, shared, key, verb);
    return status == PH_OK ? 1 : push_full(L, verb, shared, status);
}

/* get(key) -> a copy of the value, or nil */
static int shared_get(lua_State *L)
{
    lua_Integer integer;
    struct ph_shared *shared = check(L);
    struct ph_key key = check_key(L, &integer);
    push(L, shared, &key);
    return 1;
}

/* set(key, value) -> true · nil, "nomem"; nil removes it */
static int shared_set(lua_State *L)
{
    lua_Integer integer;
    struct ph_shared *shared = check(L);
    struct ph_key key = check_key(L, &integer);
    enum ph_status status;
    luaL_checkany(L, 3);
    ph_phase_check(L, "shared:set");
    lua_settop(L, 3);
    status = store(L, shared, &key, "shared:set");
    if (status != PH_OK)
        return push_full(L, "shared:set", shared, status);
    lua_pushboolean(L, 1);
    return 1;
}

/* add(key, number) -> the sum, which is the value now · nil, "nomem". Without a
 * number: 1; without a value it was 0 */
static int shared_add(lua_State *L)
{
    lua_Integer integer;
    struct ph_shared *shared = check(L);
    struct ph_key key = check_key(L, &integer);
    ph_phase_check(L, "shared:add");
    lua_settop(L, 3);
    if (lua_isnil(L, 3)) {
        lua_pushinteger(L, 1);
        lua_replace(L, 3);
    }
    luaL_checktype(L, 3, LUA_TNUMBER);
    push(L, shared, &key);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushinteger(L, 0);
    }
    if (lua_type(L, -1) != LUA_TNUMBER)
        return luaL_error(L, "shared:add: the value there is a %s",
                          luaL_typename(L, -1));
    lua_insert(L, 3);
    lua_arith(L, LUA_OPADD);
    return set(L, shared, &key, "shared:add");
}

/* update(key, fn) -> fn(value), which is the value now · nil, "nomem". fn
 * cannot wait; where it raises, the value stays */
static int shared_update(lua_State *L)
{
    lua_Integer integer;
    struct ph_shared *shared = check(L);
    struct ph_key key = check_key(L, &integer);
    luaL_checktype(L, 3, LUA_TFUNCTION);
    ph_phase_check(L, "shared:update");
    lua_settop(L, 3);
    push(L, shared, &key);
    lua_call(L, 1, 1); /* no continuation: there it cannot wait */
    return set(L, shared, &key, "shared:update");
}

/* keys() -> a list of them, in no order */
static int shared_keys(lua_State *L)
{
    struct ph_shared *shared = check(L);
    struct ph_key key;
    lua_Integer i = 0, integer;
    bool more = ph_shared_next(shared, NULL, &key);
    lua_newtable(L);
    for (; more; more = ph_shared_next(shared, &key, &key)) {
        if (key.integer) {
            memcpy(&integer, key.bytes, sizeof integer);
            lua_pushinteger(L, integer);
        } else {
            lua_pushlstring(L, key.bytes, key.len);
        }
        lua_rawseti(L, -2, ++i);
    }
    return 1;
}

/* ---- With several workers ----------------------------------------------- */

/* Until it is closed, which an error does as well, the store is ours. */
static int leave_store(lua_State *L)
{
    struct ph_store **store = luaL_checkudata(L, 1, GUARD);
    ph_store_leave(*store);
    return 0;
}

/* The method that is the upvalue, as one step that no other worker sees a part
 * of: shared:update with what it calls, too. */
static int locked(lua_State *L)
{
    int args = lua_gettop(L);
    struct ph_store **store;
    luaL_checkudata(L, 1, SHARED);
    store = lua_newuserdatauv(L, sizeof *store, 0);
    *store = ph_runtime_of(L)->store;
    luaL_setmetatable(L, GUARD);
    ph_store_enter(*store);
    lua_toclose(L, -1); /* it has room: nothing is raised */
    lua_pushvalue(L, lua_upvalueindex(1));
    for (int i = 1; i <= args; i++)
        lua_pushvalue(L, i);
    lua_call(L, args, LUA_MULTRET);
    return lua_gettop(L) - args - 1;
}

/* Wraps the functions of the table on top. */
static void lock_methods(lua_State *L, const luaL_Reg *methods)
{
    luaL_newmetatable(L, GUARD);
    lua_pushcfunction(L, leave_store);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    for (; methods->name; methods++) {
        lua_pushcfunction(L, methods->func);
        lua_pushcclosure(L, locked, 1);
        lua_setfield(L, -2, methods->name);
    }
}

/* ---- The type ----------------------------------------------------------- */

/* shared(name) -> the values of this name, the same for every script */
static int shared_open(lua_State *L)
{
    size_t len;
    const char *name = luaL_checklstring(L, 1, &len);
    struct handle *handle;
    luaL_argcheck(L, len && strlen(name) == len, 1,
                  "a name is a text without zero bytes, and not empty");
    handle = lua_newuserdatauv(L, sizeof *handle, 1);
    handle->shared = NULL;
    luaL_setmetatable(L, SHARED);
    ph_value_push(L);
    lua_setiuservalue(L, -2, 1);
    handle->shared = ph_shared_open(ph_runtime_of(L)->store, name, len);
    if (!handle->shared)
        return luaL_error(L, "not enough memory");
    return 1;
}

static int shared_gc(lua_State *L)
{
    struct handle *handle = luaL_checkudata(L, 1, SHARED);
    if (handle->shared)
        ph_shared_close(handle->shared);
    handle->shared = NULL;
    return 0;
}

static int shared_tostring(lua_State *L)
{
    lua_pushfstring(L, "shared %s", ph_shared_name(check(L)));
    return 1;
}

void ph_shared_types(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"get", shared_get},       {"set", shared_set},   {"add", shared_add},
        {"update", shared_update}, {"keys", shared_keys}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", shared_gc}, {"__tostring", shared_tostring}, {NULL, NULL}};
    luaL_newmetatable(L, SHARED);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    if (ph_runtime_of(L)->workers > 1)
        lock_methods(L, methods);
    ph_push_index(L, "a shared table");
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_pushcfunction(L, shared_open);
    lua_setfield(L, -2, "shared");
}
