/* SPDX-License-Identifier: MIT */
#include <windows.h>

#include "overlapped.h"

#define NAME_BYTES 1024

enum ph_status ph_pipe_list(void (*each)(void *user, const char *name),
                            void *user)
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
            each(user, name);
    } while (FindNextFileW(search, &found));
    FindClose(search);
    return PH_OK;
}
