/* SPDX-License-Identifier: MIT */
/*
 * Allocations that fail on purpose, for tests: a state's n-th from now on, and
 * the second try for it that Lua makes after a collection.
 */
#ifndef PH_FAILING_H
#define PH_FAILING_H

#include <stdbool.h>
#include <stddef.h>

#include "lua.h"

/* All zero: none fails. */
struct ph_failing {
    size_t left; /* until the last one that fails */
    bool failed;
};

/* For each allocation: is it one that fails? */
bool ph_failing_now(struct ph_failing *failing);

/* Where PIPEHOST_FAILING is in the environment: adds the function
 * fail_allocation to the core table on top of the stack. */
void ph_failing_open(lua_State *L);

#endif
