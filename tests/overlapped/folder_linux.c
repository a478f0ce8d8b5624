/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

bool folder_make(const char *path)
{
    return mkdir(path, 0700) == 0;
}

bool folder_remove(const char *path)
{
    return rmdir(path) == 0;
}

bool file_move(const char *from, const char *to)
{
    return rename(from, to) == 0;
}

bool tells_deleted_folder(void)
{
    return true;
}
