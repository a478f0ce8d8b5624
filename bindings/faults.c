/* SPDX-License-Identifier: MIT */
#include "faults.h"

#include <string.h>

#include "fault.h"
#include "lauxlib.h"
#include "misuse.h"
#include "runtime.h"

#define FAULTS     "pipehost.faults"
#define FAULTS_MAX 256

struct lua_faults {
    struct ph_plan *plan; /* NULL: the handle has gone, or was never filled */
    bool up;              /* not closed */
};

static const char *const lane_names[PH_LANES + 1] = {
    [PH_LANE_IN] = "in",
    [PH_LANE_OUT] = "out",
    [PH_LANE_OPEN] = "open",
    [PH_LANE_CONNECT] = "connect",
};

/* ---- The plan ----------------------------------------------------------- */

static int64_t field(lua_State *L, const char *key)
{
    int64_t value;
    lua_getfield(L, -1, key);
    value = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
    return value;
}

static enum ph_fault_kind kind(lua_State *L)
{
    int found = 0;
    lua_getfield(L, -1, "kind");
    while (found < PH_FAULT_KINDS &&
           strcmp(ph_fault_name((enum ph_fault_kind)found),
                  luaL_checkstring(L, -1)) != 0)
        found++;
    if (found == PH_FAULT_KINDS)
        luaL_error(L, "there is no such fault");
    lua_pop(L, 1);
    return (enum ph_fault_kind)found;
}

static enum ph_status status(lua_State *L)
{
    int found = PH_OK;
    if (lua_getfield(L, -1, "status") != LUA_TNIL)
        while (found < PH_STATUS_COUNT &&
               strcmp(ph_status_name((enum ph_status)found),
                      luaL_checkstring(L, -1)) != 0)
            found++;
    if (found == PH_STATUS_COUNT)
        luaL_error(L, "there is no such code");
    lua_pop(L, 1);
    return (enum ph_status)found;
}

/* Of the table on top of the stack. */
static struct ph_fault fault(lua_State *L)
{
    struct ph_fault one = {
        .kind = kind(L),
        .lanes = (unsigned)field(L, "lanes"),
        .first = (uint64_t)field(L, "first"),
        .last = (uint64_t)field(L, "last"),
        .every = (uint64_t)field(L, "every"),
        .parts = (uint32_t)field(L, "parts"),
        .value = field(L, "value"),
        .spread = field(L, "spread"),
        .status = status(L),
    };
    if (!one.every)
        luaL_error(L, "every is 0");
    return one;
}

static size_t read_faults(lua_State *L, int index, struct ph_fault *faults)
{
    lua_Integer count = luaL_len(L, index);
    luaL_argcheck(L, count >= 0 && count <= FAULTS_MAX, index,
                  "more than 256 faults");
    for (lua_Integer i = 0; i < count; i++) {
        lua_geti(L, index, i + 1);
        luaL_checktype(L, -1, LUA_TTABLE);
        faults[i] = fault(L);
        lua_pop(L, 1);
    }
    return (size_t)count;
}

/* faults(name, side, seed, together, list) -> handle. The list's tables have
 * kind, lanes, first, last, every, parts, value, spread and status, as struct
 * ph_fault. */
static int faults(lua_State *L)
{
    static const char *const sides[] = {"any", "client", "server", NULL};
    struct ph_fault list[FAULTS_MAX];
    struct ph_plan_options options = {
        .name = luaL_checkstring(L, 1),
        .side = (enum ph_fault_side)luaL_checkoption(L, 2, NULL, sides),
        .seed = (uint64_t)luaL_checkinteger(L, 3),
        .together = lua_toboolean(L, 4),
        .faults = list,
        .count = read_faults(L, 5, list),
    };
    struct lua_faults *self = lua_newuserdatauv(L, sizeof *self, 0);
    memset(self, 0, sizeof *self);
    luaL_setmetatable(L, FAULTS);
    if (ph_plan_add(ph_runtime_of(L)->port, &options, &self->plan) != PH_OK)
        return luaL_error(L, "not enough memory");
    self->up = true;
    return 1;
}

/* ---- The handle --------------------------------------------------------- */

static struct lua_faults *check(lua_State *L)
{
    struct lua_faults *self = luaL_checkudata(L, 1, FAULTS);
    luaL_argcheck(L, self->plan, 1, "these faults have gone");
    return self;
}

static uint64_t counted(lua_State *L, const struct ph_lane_counts *counts,
                        const char *what)
{
    if (strcmp(what, "units") == 0)
        return counts->units;
    if (strcmp(what, "bytes") == 0)
        return counts->bytes;
    if (strcmp(what, "operations") == 0)
        return counts->operations;
    for (int i = 0; i < PH_FAULT_KINDS; i++)
        if (strcmp(what, ph_fault_name((enum ph_fault_kind)i)) == 0)
            return counts->done[i];
    return (uint64_t)luaL_error(L,
                                "faults:count: '%s' is neither units, bytes, "
                                "operations nor a fault",
                                what);
}

/* count(what, lane) -> how many of them there were; without a lane in all */
static int count(lua_State *L)
{
    const struct lua_faults *self = check(L);
    const char *what = luaL_checkstring(L, 2);
    bool one = !lua_isnoneornil(L, 3);
    int lane = one ? luaL_checkoption(L, 3, NULL, lane_names) : 0;
    int end = one ? lane + 1 : PH_LANES;
    uint64_t sum = 0;
    for (; lane < end; lane++)
        sum += counted(L, ph_plan_counts(self->plan, (enum ph_lane)lane), what);
    lua_pushinteger(L, (lua_Integer)sum);
    return 1;
}

static void set_integer(lua_State *L, const char *key, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, key);
}

/* events() -> { { fault, on, number, value }, … } */
static int events(lua_State *L)
{
    size_t length;
    const struct ph_fault_event *at = ph_plan_events(check(L)->plan, &length);
    lua_createtable(L, (int)length, 0);
    for (size_t i = 0; i < length; i++, at++) {
        lua_createtable(L, 0, 4);
        lua_pushstring(L, ph_fault_name(at->kind));
        lua_setfield(L, -2, "fault");
        lua_pushstring(L, lane_names[at->lane]);
        lua_setfield(L, -2, "on");
        set_integer(L, "number", (int64_t)at->number);
        set_integer(L, "value", at->value);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* close(); again: nothing happens. Counts and events stay. */
static int close_faults(lua_State *L)
{
    struct lua_faults *self = luaL_checkudata(L, 1, FAULTS);
    if (self->up)
        ph_plan_close(self->plan);
    self->up = false;
    return 0;
}

static int collect(lua_State *L)
{
    struct lua_faults *self = luaL_checkudata(L, 1, FAULTS);
    close_faults(L);
    if (self->plan)
        ph_plan_release(self->plan);
    self->plan = NULL;
    return 0;
}

void ph_faults_open(lua_State *L)
{
    static const luaL_Reg methods[] = {{"count", count},
                                       {"events", events},
                                       {"close", close_faults},
                                       {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__close", close_faults}, {"__gc", collect}, {NULL, NULL}};
    luaL_newmetatable(L, FAULTS);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    ph_push_index(L, "a plan of faults");
    lua_setfield(L, -2, "__index");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lua_pushcfunction(L, faults);
    lua_setfield(L, -2, "faults");
}
