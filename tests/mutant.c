#include "mutant.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "../scenarios/trial.h"

void mutant_release(struct mutant *mutant)
{
    free(mutant->text);
}

/* Splits "CHECK... in GLOB...". Returns whether both lists hold something. */
static bool parse_checks(char *words, struct consequence *ret)
{
    char **list = ret->checks, *rest_of_line = words;
    size_t n = 0;
    for (char *word = strsep(&rest_of_line, " "); word; word = strsep(&rest_of_line, " "))
        if (list == ret->checks && strcmp(word, "in") == 0) {
            list = ret->globs;
            n = 0;
        } else if (*word == '\0' || n == MUTANT_WORDS_MAX - 1) {
            return false;
        } else {
            list[n++] = word;
        }
    return ret->checks[0] && ret->globs[0];
}

static bool take_prefix(char **line, const char *prefix)
{
    size_t len = strlen(prefix);
    if (strncmp(*line, prefix, len) != 0)
        return false;
    *line += len;
    return true;
}

bool mutant_parse(const char *text, struct mutant *ret_mutant)
{
    struct mutant mutant = {.text = strdup(text), .backend = "broken.yaml"};
    struct consequence first = {.checks = {NULL}};
    char *next = mutant.text, *line = strsep(&next, "\n");
    bool good = take_prefix(&line, "# must be caught by: ") && parse_checks(line, &first) &&
                !first.checks[1] && !first.globs[1];
    while (good && (line = strsep(&next, "\n")) && *line == '#') {
        if (take_prefix(&line, "# and: "))
            good = mutant.n_ands < MUTANT_ANDS_MAX &&
                   parse_checks(line, &mutant.ands[mutant.n_ands++]);
        else if (take_prefix(&line, "# with: "))
            mutant.backend = line;
        else if (strcmp(line, "# shows undisturbed") == 0)
            mutant.shows_undisturbed = true;
    }
    mutant.check = first.checks[0];
    mutant.glob = first.globs[0];
    if (good)
        *ret_mutant = mutant;
    else
        mutant_release(&mutant);
    return good;
}

/* --- the rule --------------------------------------------------------------------------- */

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

bool mutant_check_fails(json_t *trial, const char *id)
{
    size_t index;
    json_t *check;
    json_array_foreach(json_object_get(trial, "checks"), index, check)
    {
        bool spoils = json_is_true(json_object_get(check, "decides")) ||
                      strcmp(id, "processes") == 0 || strcmp(id, "fired") == 0;
        if (spoils && strcmp(text_of(check, "id"), id) == 0 &&
            strcmp(text_of(check, "result"), "fail") == 0)
            return true;
    }
    return false;
}

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(*words, word) == 0)
            return true;
    return false;
}

static bool matches_one(const char *text, char *const *globs)
{
    for (; *globs; globs++)
        if (trial_matches(text, *globs))
            return true;
    return false;
}

static bool is_listed(const struct mutant *mutant, const char *trial_id, const char *check)
{
    for (size_t i = 0; i < mutant->n_ands; i++)
        if (matches_one(check, mutant->ands[i].checks) &&
            matches_one(trial_id, mutant->ands[i].globs))
            return true;
    return strcmp(check, mutant->check) == 0;
}

/* What is wrong with one trial, or NULL; good is the right backend's trial. */
static char *object_to_trial(const struct mutant *mutant, json_t *good, json_t *trial)
{
    static const char *const bad_verdicts[] = {"FAIL", "TIMEOUT", "CRASH", "LEAK", NULL};
    const char *id = text_of(trial, "id"), *verdict = text_of(trial, "verdict");
    bool caught = false;
    size_t index;
    json_t *check;
    json_array_foreach(json_object_get(trial, "checks"), index, check)
    {
        const char *name = text_of(check, "id");
        if (!mutant_check_fails(trial, name) || mutant_check_fails(good, name))
            continue;
        caught = true;
        if (!is_listed(mutant, id, name))
            return io_format("%s fails in %s, which its file does not say", name, id);
    }
    if (caught && !is_one_of(verdict, bad_verdicts))
        return io_format("%s is %s although checks fail", id, verdict);
    if (!caught && strcmp(verdict, text_of(good, "verdict")) != 0)
        return io_format("%s is %s, for the right backend %s", id, verdict,
                         text_of(good, "verdict"));
    if (trial_matches(id, mutant->glob) &&
        (!mutant_check_fails(trial, mutant->check) || mutant_check_fails(good, mutant->check)))
        return io_format("%s does not catch it in %s", mutant->check, id);
    if (trial_matches(id, MUTANT_UNDISTURBED) && caught != mutant->shows_undisturbed)
        return io_format("%s %s, its file says otherwise", id, caught ? "fails" : "passes");
    return NULL;
}

/* A check of an "and" line that fails nowhere says too much. */
static char *object_to_ands(const struct mutant *mutant, json_t *trials)
{
    for (size_t i = 0; i < mutant->n_ands; i++)
        for (char *const *glob = mutant->ands[i].checks; *glob; glob++) {
            bool used = false;
            const char *id;
            json_t *trial, *check;
            size_t index;
            json_object_foreach(trials, id, trial)
                json_array_foreach(json_object_get(trial, "checks"), index, check) used |=
                matches_one(id, mutant->ands[i].globs) &&
                trial_matches(text_of(check, "id"), *glob) &&
                mutant_check_fails(trial, text_of(check, "id"));
            if (!used)
                return io_format("its file lists %s, which fails nowhere there", *glob);
        }
    return NULL;
}

char *mutant_find_objection(const struct mutant *mutant, json_t *good, json_t *found)
{
    bool played = false, undisturbed = false;
    const char *id;
    json_t *trial;
    json_object_foreach(found, id, trial)
    {
        char *objection = object_to_trial(mutant, json_object_get(good, id), trial);
        if (objection)
            return objection;
        played |= trial_matches(id, mutant->glob);
        undisturbed |= trial_matches(id, MUTANT_UNDISTURBED);
    }
    if (!played || !undisturbed)
        return io_format("%s was not played", played ? MUTANT_UNDISTURBED : mutant->glob);
    return object_to_ands(mutant, found);
}

/* --- what failed ------------------------------------------------------------------------- */

int mutant_read_trials(const char *path, json_t **ret_trials, struct err *err)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = io_read_file(AT_FDCWD, path, &text, 64u << 20, err);
    if (ret < 0)
        return ret;
    json_t *trials = json_object();
    const char *at = buf_str(&text);
    for (const char *end; (end = strchr(at, '\n')); at = end + 1) {
        json_t *event = json_loadb(at, (size_t)(end - at), 0, NULL);
        if (strcmp(text_of(event, "event"), "trial") == 0)
            json_object_set(trials, text_of(event, "id"), event);
        json_decref(event);
    }
    *ret_trials = trials;
    return 0;
}

json_t *mutant_failures(json_t *good, json_t *found)
{
    json_t *counts = json_object(), *trial, *check;
    const char *id;
    size_t index;
    json_object_foreach(found, id, trial)
    {
        json_t *seen = json_object();
        json_array_foreach(json_object_get(trial, "checks"), index, check)
        {
            const char *name = text_of(check, "id");
            bool news = mutant_check_fails(trial, name) &&
                        !mutant_check_fails(json_object_get(good, id), name) &&
                        !json_object_get(seen, name);
            json_int_t count = json_integer_value(json_object_get(counts, name));
            json_object_set_new(seen, name, json_true());
            if (news)
                json_object_set_new(counts, name, json_integer(count + 1));
        }
        json_decref(seen);
    }
    return counts;
}
