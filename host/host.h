/* SPDX-License-Identifier: MIT */
/* The host's functions for the command line (scripts/pipehost/main.lua). */
#ifndef PH_HOST_H
#define PH_HOST_H

#include "lua.h"

/* Adds the table "host" to the core table at stack index 1: for the main
 * generation, and for test files, which load scripts of their own. */
int ph_host_open(lua_State *L);

/* system.c: adds what tells about the system to the table on top. */
void ph_system_open(lua_State *L);

#endif
