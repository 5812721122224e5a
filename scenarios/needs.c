#include "needs.h"

#include <string.h>

#include "../fakes/faults.h"
#include "../fakes/layout.h"

static bool has_such_rule(const struct scenario *scenario)
{
    bool found = false;
    for (const char *const *text = scenario->faults; text && *text && !found; text++) {
        CLEANUP(faults_release) struct faults faults = FAULTS_INIT;
        found = faults_parse(&faults, *text, NULL) == 0 && faults_need_namespaces(&faults.set);
    }
    return found;
}

static bool has_read_only(const struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->step_count; i++)
        if (scenario->steps[i].kind == STEP_READ_ONLY)
            return true;
    return false;
}

static bool needs_proc(const struct scenario *scenario)
{
    for (const char *const *need = scenario->needs; *need; need++)
        if (strcmp(*need, NEEDS_GUEST_PROC) == 0)
            return true;
    return false;
}

static bool is_mounted_layout(const char *name)
{
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    return layout_open(name, &layout, NULL) == 0 && (layout.host || layout.hide[0]);
}

const char *needs_of_machine(const struct trial *trial)
{
    const struct scenario *scenario = trial->scenario;
    return has_such_rule(scenario)            ? "a first process of the container, or a VM, that "
                                                "ends with all others (scope=init, scope=vm)"
           : scenario->disk_bytes > 0         ? "a disk of its own size"
           : has_read_only(scenario)          ? "a read-only mount"
           : needs_proc(scenario)             ? "a /proc of the guest's own"
           : is_mounted_layout(trial->layout) ? "an overlay over this machine's own files"
                                              : NULL;
}
