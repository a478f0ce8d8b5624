/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "system_linux.h"

/* Who holds the lock of the name, from the kernel's list of locks; 0: nobody,
 * or a process that this one can't see. */
static uint32_t lock_holder(const char *folder, const char *name)
{
    char path[PATH_MAX + NAME_MAX + 8], line[256];
    uint32_t holder = 0;
    struct stat st;
    FILE *locks;
    snprintf(path, sizeof path, "%s/.%s.lock", folder, name);
    if (stat(path, &st) != 0)
        return 0;
    locks = fopen("/proc/locks", "re");
    if (!locks)
        return 0;
    while (!holder && fgets(line, sizeof line, locks)) {
        unsigned major_number, minor_number;
        unsigned long inode;
        long pid;
        if (sscanf(line, "%*s FLOCK %*s WRITE %ld %x:%x:%lu", &pid,
                   &major_number, &minor_number, &inode) == 4 &&
            inode == st.st_ino && major_number == major(st.st_dev) &&
            minor_number == minor(st.st_dev) && pid > 0)
            holder = (uint32_t)pid;
    }
    fclose(locks);
    return holder;
}

/* True: somebody serves the name. A kernel that does not list sockets still
 * tells who holds the lock. */
static bool look(const char *folder, const char *name, struct ph_listed *out)
{
    struct sockaddr_un address;
    struct ph_socket_seen seen;
    enum ph_status status;
    const char *why;
    long os;
    if (name[0] == '.' ||
        ph_socket_address(folder, name, &address, &why) != PH_OK)
        return false;
    status = ph_socket_look(address.sun_path, true, &seen, &os);
    if (status == PH_ABSENT)
        return false;
    *out = (struct ph_listed){.name = name, .mode = seen.mode, .instances = -1};
    out->owner.pid = lock_holder(folder, name);
    out->owner.has_uid = true;
    out->owner.uid = seen.uid;
    if (status != PH_OK)
        return out->owner.pid != 0;
    out->instances = seen.clients;
    return true;
}

static void list_folder(const char *folder,
                        void (*each)(void *user, const struct ph_listed *one),
                        void *user)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    struct ph_listed one;
    if (!dir)
        return;
    while ((entry = readdir(dir)))
        if (look(folder, entry->d_name, &one))
            each(user, &one);
    closedir(dir);
}

enum ph_status
ph_pipe_list(void (*each)(void *user, const struct ph_listed *one), void *user)
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
