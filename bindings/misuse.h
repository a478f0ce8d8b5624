/* SPDX-License-Identifier: MIT */
/* Mistakes of a script, told with the script's own line and the near name. */
#ifndef PH_MISUSE_H
#define PH_MISUSE_H

#include "lua.h"

/* Pushes "file:line: " of the script's line that is being run: neither C nor
 * the built-in library. Empty where there is none. */
void ph_push_place(lua_State *L);

/* Checks that the table at `index` has no key besides `names` (NULL-ended);
 * raises with the key and the nearest name. `what` names the function; empty:
 * the sentence alone, without its place. */
void ph_check_options(lua_State *L, int index, const char *const *names,
                      const char *what);

/* Raises because `what` ("a pipe") has not the field whose key is at stack
 * index 2: with the nearest of the keys of the table at `index` and of `more`
 * (NULL-ended, or NULL). */
int ph_unknown_field(lua_State *L, int index, const char *const *more,
                     const char *what);

/* Pushes the table of all that ph_push_index was called for: what -> table. */
void ph_push_types(lua_State *L);

/* Pops a table and pushes a function for __index: what the table has, and for
 * other keys ph_unknown_field. */
void ph_push_index(lua_State *L, const char *what);

#endif
