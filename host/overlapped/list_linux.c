/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>

#include "system_linux.h"

static void list_folder(const char *folder,
                        void (*each)(void *user, const char *name), void *user)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    if (!dir)
        return;
    while ((entry = readdir(dir))) {
        struct sockaddr_un address;
        const char *why;
        long os;
        if (entry->d_name[0] == '.' ||
            ph_socket_address(folder, entry->d_name, &address, &why) != PH_OK)
            continue;
        switch (ph_socket_listening(address.sun_path, &os)) {
        case PH_OK:
        case PH_BUSY:
            each(user, entry->d_name);
            break;
        default: /* left by a server that has died, or no socket */
            break;
        }
    }
    closedir(dir);
}

enum ph_status ph_pipe_list(void (*each)(void *user, const char *name),
                            void *user)
{
    char folder[PATH_MAX];
    const char *why;
    for (int i = 0;; i++) {
        int found = ph_folder(i, false, folder, &why);
        if (!found)
            return PH_OK;
        if (found > 0)
            list_folder(folder, each, user);
    }
}
