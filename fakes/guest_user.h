/*
 * guest_user.h: whom a command runs as: docker's USER[:GROUP], names or numbers.
 *
 * Names are looked up in the guest's own files, so call this inside its root. A number that is
 * not there is taken as it is, with group 0 and the home /.
 * Source: docker's --user; moby/sys/user, GetExecUser.
 */
#ifndef KILLPOINT_GUEST_USER_H
#define KILLPOINT_GUEST_USER_H

#include "../fault/io.h"

#define GUEST_USER_GROUPS_MAX 64

struct guest_user {
    uid_t uid;
    gid_t gid;
    gid_t groups[GUEST_USER_GROUPS_MAX];
    size_t n_groups;
    char home[256];
};

/* user: NULL or "" is root, without the look. -ENOENT: there is no such user or group. */
int guest_user_find(const char *user, struct guest_user *ret_user, struct err *err);

/* The process gives up what it is for that. */
int guest_user_become(const struct guest_user *user, struct err *err);

#endif
