/* SPDX-License-Identifier: MIT */
#include "failing.h"

#include <stdlib.h>

#include "generation.h"
#include "lauxlib.h"

#define TRIES 2

bool ph_failing_now(struct ph_failing *failing)
{
    if (!failing->left || --failing->left >= TRIES)
        return false;
    failing->failed = true;
    return true;
}

/* fail_allocation(n, next) -> boolean: has the one that was asked for before
 * failed? The n-th allocation from now on fails, of this state, or with `next`
 * of the one that is opened next; 0: none does. */
static int fail_allocation(lua_State *L)
{
    struct ph_runtime *runtime = ph_runtime_of(L);
    struct ph_generation *generation =
        ph_container_of(runtime, struct ph_generation, runtime);
    struct ph_failing *failing =
        lua_toboolean(L, 2) ? &generation->host->failing : &generation->failing;
    lua_Integer n = luaL_checkinteger(L, 1);
    lua_pushboolean(L, failing->failed);
    failing->left = n > 0 ? (size_t)n - 1 + TRIES : 0;
    failing->failed = false;
    return 1;
}

void ph_failing_open(lua_State *L)
{
    if (!getenv("PIPEHOST_FAILING"))
        return;
    lua_pushcfunction(L, fail_allocation);
    lua_setfield(L, -2, "fail_allocation");
}
