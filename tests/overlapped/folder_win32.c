/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <windows.h>

bool folder_make(const char *path)
{
    return CreateDirectoryA(path, NULL);
}

bool folder_remove(const char *path)
{
    return RemoveDirectoryA(path);
}

bool file_move(const char *from, const char *to)
{
    return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING);
}

bool tells_deleted_folder(void)
{
    HMODULE system = GetModuleHandleA("ntdll.dll");
    return !system || !GetProcAddress(system, "wine_get_version");
}
