/* SPDX-License-Identifier: MIT */
#ifndef PH_VERSION_H
#define PH_VERSION_H

/* Also read by the resource compiler: macros only. */
#define PH_VERSION "0.1.0"
#define PH_VERSION_NUMBERS 0, 1, 0, 0

#endif
