/* SPDX-License-Identifier: MIT */
/* Standard input as a Lua value, for the command line's state. */
#ifndef PH_BINDING_STDIN_H
#define PH_BINDING_STDIN_H

#include "lua.h"

/* The function input goes into the table on top, and its type into the
 * registry. */
void ph_stdin_open(lua_State *L);

#endif
