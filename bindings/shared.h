/* SPDX-License-Identifier: MIT */
/* pipehost.shared: values that all scripts of a host have in common. */
#ifndef PH_SHARED_H
#define PH_SHARED_H

#include "lua.h"

/* The type, and the function `shared` in the table on top. */
void ph_shared_types(lua_State *L);

#endif
