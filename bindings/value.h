/* SPDX-License-Identifier: MIT */
/* Plain data as bytes: how values cross from one lua_State to another. */
#ifndef PH_VALUE_H
#define PH_VALUE_H

#include "lua.h"

#include <stddef.h>

struct ph_value {
    unsigned char *bytes; /* malloc'ed; the owner frees it */
    size_t len, cap;
};

/* Appends the value at `index`: nil, booleans, numbers, strings, and tables of
 * them, shared ones and cycles included; metatables are dropped. Returns NULL,
 * or a text on top of L's stack that names the path of what is none of these
 * ("value.jobs[3].cb is a function"). May raise on lack of memory. */
const char *ph_value_encode(lua_State *L, int index, struct ph_value *value);

/* Pushes the values that were appended and returns their number. May raise on
 * lack of memory. */
int ph_value_decode(lua_State *L, const struct ph_value *value);

/* Frees its bytes; it is empty then. */
void ph_value_free(struct ph_value *value);

/* Pushes an empty value that the collector frees, whatever raises. */
struct ph_value *ph_value_push(lua_State *L);

#endif
