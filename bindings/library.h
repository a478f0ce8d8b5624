/* SPDX-License-Identifier: MIT */
/* What every lua_State of pipehost starts with. */
#ifndef PH_LIBRARY_H
#define PH_LIBRARY_H

#include <stdbool.h>

#include "lua.h"

/* Opens the standard libraries, lfs and the types of pipes, and leaves the
 * table of C functions that the Lua library is built on ("core") on the stack.
 * Raises on lack of memory. */
void ph_library_open(lua_State *L);

/* Pushes the function of a module of the built-in library, such as
 * "pipehost/server.lua": from `folder` if that is not NULL and has it, else the
 * embedded one. False: there is none, nothing is pushed. Raises what is wrong
 * with the module's text. */
bool ph_library_load(lua_State *L, const char *folder, const char *name);

#endif
