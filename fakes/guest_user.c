#include "guest_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_number(const char *text, unsigned *ret_number)
{
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || number > INT32_MAX)
        return false;
    *ret_number = (unsigned)number;
    return true;
}

/* Fills uid, gid and home where the file has the user. Returns its name, owned, or NULL. */
static char *find_passwd(const char *word, struct guest_user *user)
{
    CLEANUP(io_fclose) FILE *file = fopen("/etc/passwd", "re");
    unsigned number = 0;
    bool numeric = is_number(word, &number);
    const struct passwd *entry;
    while (file && (entry = fgetpwent(file))) {
        if (strcmp(entry->pw_name, word) != 0 && !(numeric && entry->pw_uid == number))
            continue;
        user->uid = entry->pw_uid;
        user->gid = entry->pw_gid;
        snprintf(user->home, sizeof user->home, "%s", entry->pw_dir);
        return io_format("%s", entry->pw_name);
    }
    if (numeric)
        user->uid = number;
    return NULL;
}

static bool find_group(const char *word, gid_t *ret_gid)
{
    CLEANUP(io_fclose) FILE *file = fopen("/etc/group", "re");
    unsigned number = 0;
    const struct group *entry;
    while (file && (entry = fgetgrent(file)))
        if (strcmp(entry->gr_name, word) == 0) {
            *ret_gid = entry->gr_gid;
            return true;
        }
    bool numeric = is_number(word, &number);
    if (numeric)
        *ret_gid = number;
    return numeric;
}

static void find_groups(const char *name, struct guest_user *user)
{
    CLEANUP(io_fclose) FILE *file = fopen("/etc/group", "re");
    const struct group *entry;
    while (file && (entry = fgetgrent(file)))
        for (char **member = entry->gr_mem; *member; member++)
            if (strcmp(*member, name) == 0 && user->n_groups < GUEST_USER_GROUPS_MAX)
                user->groups[user->n_groups++] = entry->gr_gid;
}

int guest_user_find(const char *text, struct guest_user *ret_user, struct err *err)
{
    *ret_user = (struct guest_user){.home = "/root"};
    if (!text || !*text)
        return 0;
    CLEANUP(io_free) char *word = io_format("%s", text);
    char *group = strchr(word, ':');
    unsigned number;
    if (group)
        *group++ = '\0';
    if (word[0] && word[strspn(word, "0123456789")] == '\0' && !is_number(word, &number))
        return err_text(err, ERANGE, "uids and gids must be in range 0-%d", INT32_MAX);
    struct guest_user user = {.home = "/"};
    CLEANUP(io_free) char *name = find_passwd(*word ? word : "0", &user);
    if (!name && !is_number(*word ? word : "0", &number))
        return err_text(err, ENOENT, "unable to find user %s: no matching entries in passwd file",
                        word);
    if (group && *group && !find_group(group, &user.gid))
        return err_text(err, ENOENT, "unable to find group %s: no matching entries in group file",
                        group);
    if (name && !(group && *group))
        find_groups(name, &user);
    *ret_user = user;
    return 0;
}

int guest_user_become(const struct guest_user *user, struct err *err)
{
    if (setgroups(user->n_groups, user->groups) < 0 && errno != EPERM)
        return err_set(err, errno, "setgroups");
    if ((user->gid != 0 || user->uid != 0) && (setresgid(user->gid, user->gid, user->gid) < 0 ||
                                               setresuid(user->uid, user->uid, user->uid) < 0))
        return err_set(err, errno, "become user %u", (unsigned)user->uid);
    return 0;
}
