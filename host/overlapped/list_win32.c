/* SPDX-License-Identifier: MIT */
/* Pipes that somebody serves now. The folder \\.\pipe\ can be listed as files
 * are; names that are none of ours by their form are left out. */
#include <windows.h>

#include "overlapped.h"

#define NAME_BYTES 1024

/* The system has the number of instances where a file has its size. Wine puts
 * nothing there; and what else a pipe is only its handle tells. */
static void tell(const WIN32_FIND_DATAW *found, const char *name,
                 void (*each)(void *user, const struct ph_listed *one),
                 void *user)
{
    struct ph_listed one = {.name = name, .instances = -1};
    if (found->nFileSizeLow)
        one.instances = found->nFileSizeLow;
    each(user, &one);
}

enum ph_status
ph_pipe_list(void (*each)(void *user, const struct ph_listed *one), void *user)
{
    WIN32_FIND_DATAW found;
    HANDLE search = FindFirstFileW(L"\\\\.\\pipe\\*", &found);
    DWORD error = GetLastError();
    if (search == INVALID_HANDLE_VALUE)
        return error == ERROR_FILE_NOT_FOUND ? PH_OK : PH_SYSTEM;
    do {
        char name[NAME_BYTES];
        const char *why;
        if (WideCharToMultiByte(CP_UTF8, 0, found.cFileName, -1, name,
                                NAME_BYTES, NULL, NULL) > 0 &&
            ph_name_check(name, &why) == PH_OK)
            tell(&found, name, each, user);
    } while (FindNextFileW(search, &found));
    FindClose(search);
    return PH_OK;
}
