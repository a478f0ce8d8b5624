/* SPDX-License-Identifier: MIT */
/* The few things besides pipes in which the systems differ. */
#ifndef PH_PLATFORM_H
#define PH_PLATFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* At the very start: UTF-8 on the console, no message boxes, no SIGPIPE; malloc
 * keeps some freed memory for the next who asks. */
void ph_platform_start(void);

/* This process's id. */
uint32_t ph_process_id(void);

/* The ids of running processes, at most `most`; their number. Linux gives none:
 * there the folder of pipes is listed, which Wine cannot do. */
size_t ph_process_ids(uint32_t *out, size_t most);

/* The file that this program runs from, in UTF-8. False: not known, or it does
 * not fit. */
bool ph_program_path(char *out, size_t size);

/* Makes a new folder for temporary files that only this user can use. False:
 * the system refused, or its path does not fit. */
bool ph_temporary_folder(char *out, size_t size);

/* How many of them this process may use; at least 1. */
unsigned ph_processor_count(void);

/* Milliseconds since 1970, UTC. */
int64_t ph_wall_clock_ms(void);

/* The date and time of day of these seconds since 1970, UTC; in any thread. */
void ph_utc(time_t seconds, struct tm *out);

/* A multiple of any page's size. */
#define PH_SLAB ((size_t)65536)

/* PH_SLAB bytes at an address that is a multiple of it; NULL: no memory. Their
 * pages cost nothing before they are touched. */
void *ph_slab_take(void);

/* Gives them back. */
void ph_slab_give(void *slab);

/* Does this descriptor (0: stdin, 1: stdout, 2: stderr) lead to a terminal? */
bool ph_is_terminal(int descriptor);

#endif
