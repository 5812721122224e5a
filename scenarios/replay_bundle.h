/*
 * replay_bundle.h: the verb replay for bundles (bundle.h).
 */
#ifndef KILLPOINT_REPLAY_BUNDLE_H
#define KILLPOINT_REPLAY_BUNDLE_H

#include <stdbool.h>

struct replay_bundle {
    const char *path;
    const char *backend;        /* instead of the bundle's; NULL: its own */
    const char *const *command; /* likewise */
    bool keep, shell;           /* as the verb's options */
};

/* Plays the bundle's case, prints what came out and whether it is the same. Returns the verb's exit
 * status. */
int replay_bundle(const struct replay_bundle *replay);

#endif
