/* SPDX-License-Identifier: MIT */
/* The host's functions for the command line (scripts/pipehost/main.lua). */
#ifndef PH_HOST_H
#define PH_HOST_H

#include "lua.h"

/* Adds the table "host" to the core table at stack index 1. For the main
 * generation only. */
int ph_host_open(lua_State *L);

#endif
