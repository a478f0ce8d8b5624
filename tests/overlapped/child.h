/* SPDX-License-Identifier: MIT */
/* What process_test.c starts: itself, as a program with a role. */
#ifndef CHILD_H
#define CHILD_H

#include <stdbool.h>

/* Plays the role that the arguments name and gives the exit status; -1: they
 * name none. */
int child_main(int argc, char **argv);

/* child_linux.c, child_win32.c: ends this process as a fault would. */
void child_crash(void);

/* Starts this program as a sleeper with our stdout that belongs to nobody: its
 * parent is gone, and it has left our session. */
bool child_leave_orphan(const char *program);

/* Linux: kills the process that watches this one. False: there is none. */
bool child_kill_watcher(void);

void child_sleep_ms(int ms);

/* In UTF-8, whatever the system makes of them for main and getenv. */
char **child_arguments(int argc, char **argv);
const char *child_variable(const char *name);

/* Bytes as they are, on all streams. */
void child_streams_binary(void);

/* The number in ph_exit.code after child_crash; -1: not the same everywhere. */
extern const long long child_crash_code;

#endif
