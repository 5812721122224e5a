/*
 * The suite must catch mistakes: each backend of tests/broken/ has one, and says in its
 * header which check must find it. tests/broken/README.md explains the header and what
 * "and no unrelated one" means; find_objection() is that rule.
 */
#include "support.h"

#include <fcntl.h>
#include <glob.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "../fakes/layout.h"
#include "../fault/home.h"
#include "../scenarios/trial.h"

#define LAYOUT "bookworm-mini"
#define UNDISTURBED "install/undisturbed"
#define RUN_MS 120000
#define CHANGED_LINES_MAX 5
#define WORDS_MAX 16
#define ANDS_MAX 4

static const char *const wrong_backends[] = {"always-succeeds",
                                             "dies-of-a-signal",
                                             "does-not-say-what-failed",
                                             "ignores-second-status",
                                             "leaves-a-process",
                                             "loses-stderr",
                                             "never-retries",
                                             "no-settle",
                                             "retries-cp",
                                             "retries-forever",
                                             "retries-on-any-failure",
                                             "retries-on-any-signal",
                                             "says-it-twice",
                                             "skips-verification",
                                             "takes-any-certificate",
                                             "takes-signal-for-137",
                                             "trusts-1-added",
                                             "wrong-ca-with-routes",
                                             "wrong-mode"};
#define WRONG_COUNT (sizeof wrong_backends / sizeof *wrong_backends)

/*
 * What every wrong backend plays beside the trials of its header: some of each kind, and
 * none where the mistake's traces hang on when a kill lands.
 */
static const char *const rest[] = {"install/undisturbed",
                                   "certificate/not-valid-let-through[file=expired]",
                                   "certificate/unusable[file=two]",
                                   "cp/*",
                                   "driver/client-killed*",
                                   "driver/reply-lost",
                                   "exec/installs-nothing",
                                   "exec/no-update-ca-certificates",
                                   "kill/after-end",
                                   "kill/before-command",
                                   "machines/*",
                                   "partial/everything-there",
                                   "partial/file-without-link",
                                   "plan/*",
                                   "retry/after-137-of-its-own",
                                   "retry/not-after-a-status[status=1]",
                                   "retry/settles*",
                                   "rotation/same-ca-twice"};
#define REST_COUNT (sizeof rest / sizeof *rest)

/* --- the header ------------------------------------------------------------------------ */

/* One line "# and: CHECK... in GLOB..."; words are NULL-terminated lists. */
struct consequence {
    char *checks[WORDS_MAX];
    char *globs[WORDS_MAX];
};
struct header {
    char *text; /* all words point into it */
    char *check, *glob;
    struct consequence ands[ANDS_MAX];
    size_t n_ands;
    bool shows_undisturbed;
    const char *backend; /* name of the .yaml beside it */
};

static void header_release(struct header *header)
{
    free(header->text);
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
        } else if (*word == '\0' || n == WORDS_MAX - 1) {
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

/* Reads the comment lines that a backend begins with. Returns false when they are no header. */
static bool header_parse(const char *text, struct header *ret_header)
{
    struct header header = {.text = strdup(text), .backend = "broken.yaml"};
    struct consequence first = {.checks = {NULL}};
    char *next = header.text, *line = strsep(&next, "\n");
    bool good = take_prefix(&line, "# must be caught by: ") && parse_checks(line, &first) &&
                !first.checks[1] && !first.globs[1];
    while (good && (line = strsep(&next, "\n")) && *line == '#') {
        if (take_prefix(&line, "# and: "))
            good = header.n_ands < ANDS_MAX && parse_checks(line, &header.ands[header.n_ands++]);
        else if (take_prefix(&line, "# with: "))
            header.backend = line;
        else if (strcmp(line, "# shows undisturbed") == 0)
            header.shows_undisturbed = true;
    }
    header.check = first.checks[0];
    header.glob = first.globs[0];
    if (good)
        *ret_header = header;
    else
        header_release(&header);
    return good;
}

/* --- the rule --------------------------------------------------------------------------- */

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Whether one of the trial's checks that can spoil its verdict failed. */
static bool fails(json_t *trial, const char *id)
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

static bool is_listed(const struct header *header, const char *trial_id, const char *check)
{
    for (size_t i = 0; i < header->n_ands; i++)
        if (matches_one(check, header->ands[i].checks) &&
            matches_one(trial_id, header->ands[i].globs))
            return true;
    return strcmp(check, header->check) == 0;
}

/* What is wrong with one trial, or NULL; good is the right backend's trial. */
static char *object_to_trial(const struct header *header, json_t *good, json_t *trial)
{
    static const char *const bad_verdicts[] = {"FAIL", "TIMEOUT", "CRASH", "LEAK", NULL};
    const char *id = text_of(trial, "id"), *verdict = text_of(trial, "verdict");
    bool caught = false;
    size_t index;
    json_t *check;
    json_array_foreach(json_object_get(trial, "checks"), index, check)
    {
        const char *name = text_of(check, "id");
        if (!fails(trial, name) || fails(good, name))
            continue;
        caught = true;
        if (!is_listed(header, id, name))
            return io_format("%s fails in %s, which the header does not say", name, id);
    }
    if (caught && !is_one_of(verdict, bad_verdicts))
        return io_format("%s is %s although checks fail", id, verdict);
    if (!caught && strcmp(verdict, text_of(good, "verdict")) != 0)
        return io_format("%s is %s, for the right backend %s", id, verdict,
                         text_of(good, "verdict"));
    if (trial_matches(id, header->glob) &&
        (!fails(trial, header->check) || fails(good, header->check)))
        return io_format("%s does not catch it in %s", header->check, id);
    if (trial_matches(id, UNDISTURBED) && caught != header->shows_undisturbed)
        return io_format("%s %s, the header says otherwise", id, caught ? "fails" : "passes");
    return NULL;
}

/* A check of an "and" line that fails nowhere says too much. */
static char *object_to_ands(const struct header *header, json_t *trials)
{
    for (size_t i = 0; i < header->n_ands; i++)
        for (char *const *glob = header->ands[i].checks; *glob; glob++) {
            bool used = false;
            const char *id;
            json_t *trial, *check;
            size_t index;
            json_object_foreach(trials, id, trial)
                json_array_foreach(json_object_get(trial, "checks"), index, check) used |=
                matches_one(id, header->ands[i].globs) &&
                trial_matches(text_of(check, "id"), *glob) && fails(trial, text_of(check, "id"));
            if (!used)
                return io_format("the header lists %s, which fails nowhere there", *glob);
        }
    return NULL;
}

/*
 * The rule. good and found are objects of trial events by id: the right backend's over the
 * whole suite, the wrong one's. Returns what is wrong, to be freed, or NULL: the mistake was
 * caught as its header says.
 */
static char *find_objection(const struct header *header, json_t *good, json_t *found)
{
    bool played = false, undisturbed = false;
    const char *id;
    json_t *trial;
    json_object_foreach(found, id, trial)
    {
        char *objection = object_to_trial(header, json_object_get(good, id), trial);
        if (objection)
            return objection;
        played |= trial_matches(id, header->glob);
        undisturbed |= trial_matches(id, UNDISTURBED);
    }
    if (!played || !undisturbed)
        return io_format("%s was not played", played ? UNDISTURBED : header->glob);
    return object_to_ands(header, found);
}

/* --- the rule on made-up results ---------------------------------------------------------- */

#define HEADER "# must be caught by: claim in kill/*\n# and: log/fatal in kill/*\n"
#define CHECK(id, result) "{\"id\":\"" id "\",\"result\":\"" result "\",\"decides\":true}"
#define TRIAL(id, verdict, checks)                                                                 \
    "\"" id "@x\":{\"id\":\"" id "@x\",\"verdict\":\"" verdict "\",\"checks\":[" checks "]}"
#define WELL(id) TRIAL(id, "PASS", CHECK("claim", "pass") "," CHECK("log/fatal", "pass"))
#define CAUGHT(id) TRIAL(id, "FAIL", CHECK("claim", "fail") "," CHECK("log/fatal", "fail"))

struct rule_case {
    const char *name;
    const char *header;
    const char *found;
    const char *objection; /* NULL: none */
};
static const struct rule_case rule_cases[] = {
    {"caught", HEADER, WELL(UNDISTURBED) "," CAUGHT("kill/a"), NULL},
    {"a right backend", HEADER, WELL(UNDISTURBED) "," WELL("kill/a"), "claim does not catch it"},
    {"caught in one of two", HEADER, WELL(UNDISTURBED) "," CAUGHT("kill/a") "," WELL("kill/b"),
     "does not catch it in kill/b"},
    {"an unrelated check", "# must be caught by: claim in kill/*\n",
     WELL(UNDISTURBED) "," CAUGHT("kill/a"), "log/fatal fails in kill/a"},
    {"a listed check, but elsewhere", HEADER,
     WELL(UNDISTURBED) "," CAUGHT("kill/a") "," CAUGHT("cp/a"), "log/fatal fails in cp/a"},
    {"a listed check that never fails", HEADER "# and: settle in *\n",
     WELL(UNDISTURBED) "," CAUGHT("kill/a"), "the header lists settle"},
    {"hidden by the verdict", HEADER,
     WELL(UNDISTURBED) "," TRIAL("kill/a", "XFAIL", CHECK("claim", "fail")),
     "is XFAIL although checks fail"},
    {"no verdict", HEADER,
     WELL(UNDISTURBED) "," TRIAL("kill/a", "UNRESOLVED", CHECK("claim", "pass")),
     "kill/a@x is UNRESOLVED, for the right backend PASS"},
    {"shown undisturbed, unsaid", "# must be caught by: claim in *\n# and: log/fatal in *\n",
     CAUGHT(UNDISTURBED), "fails, the header says otherwise"},
    {"said undisturbed, not shown", HEADER "# shows undisturbed\n",
     WELL(UNDISTURBED) "," CAUGHT("kill/a"), "passes, the header says otherwise"},
    {"its scenario not played", HEADER, WELL(UNDISTURBED), "kill/* was not played"},
    {"undisturbed not played", HEADER, CAUGHT("kill/a"), UNDISTURBED " was not played"},
};

static void a_wrong_account_of_a_mistake_is_refused(void **state)
{
    (void)state;
    json_t *good = json_loads(
        "{" WELL(UNDISTURBED) "," WELL("kill/a") "," WELL("kill/b") "," WELL("cp/a") "}", 0, NULL);
    assert_non_null(good);
    for (size_t i = 0; i < sizeof rule_cases / sizeof *rule_cases; i++) {
        const struct rule_case *row = &rule_cases[i];
        CLEANUP(header_release) struct header header = {NULL};
        CLEANUP(io_free) char *text = io_format("{%s}", row->found);
        json_t *found = json_loads(text, 0, NULL);
        if (!found || !header_parse(row->header, &header))
            fail_msg("%s: bad row", row->name);
        CLEANUP(io_free) char *objection = find_objection(&header, good, found);
        if (!objection != !row->objection || (objection && !strstr(objection, row->objection)))
            fail_msg("%s: expected '%s', found '%s'", row->name,
                     row->objection ? row->objection : "none", objection ? objection : "none");
        json_decref(found);
    }
    json_decref(good);
}

static void a_backend_without_a_header_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "machine=$1\n",
                                        "# a comment\n# must be caught by: claim in kill/*\n",
                                        "# must be caught by: claim\n",
                                        "# must be caught by: in kill/*\n",
                                        "# must be caught by: claim settle in kill/*\n",
                                        "# must be caught by: claim in kill/* cp/*\n",
                                        "# must be caught by: claim in kill/*\n# and: settle\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CLEANUP(header_release) struct header header = {NULL};
        if (header_parse(texts[i], &header))
            fail_msg("taken for a header: %s", texts[i]);
    }
}

/* --- real runs ---------------------------------------------------------------------------- */

struct bench {
    char *program; /* killpoint */
    char *folder;  /* tests/broken */
    json_t *good;  /* NULL until the right backend was played */
};
/* A test's state. */
struct wrong {
    const char *name;
    struct bench *bench;
};

/* The trial events of a results file, by id. */
static json_t *read_trials(const char *path)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    struct err err;
    if (io_read_file(AT_FDCWD, path, &text, 64u << 20, &err) < 0)
        fail_msg("%s", err.msg);
    json_t *trials = json_object();
    const char *at = buf_str(&text);
    for (const char *end; (end = strchr(at, '\n')); at = end + 1) {
        json_t *event = json_loadb(at, (size_t)(end - at), 0, NULL);
        if (strcmp(text_of(event, "event"), "trial") == 0)
            json_object_set(trials, text_of(event, "id"), event);
        json_decref(event);
    }
    return trials;
}

/* Plays globs (NULL-terminated; none: all) and returns the trials; fails on another status. */
static json_t *play(const struct bench *bench, const char *name, const char *backend,
                    const char *const *globs, int status)
{
    char *results_folder = dir_make();
    CLEANUP(io_free) char *results = io_format("%s/results.ndjson", results_folder);
    CLEANUP(io_free) char *file = io_format("%s/%s", bench->folder, backend);
    const char *argv[REST_COUNT + 12] = {bench->program, "run",  "--backend", file,
                                         "--layout",     LAYOUT, "--results", results};
    for (size_t i = 8; globs && *globs; i++)
        argv[i] = *globs++;
    setenv("BROKEN", name, 1);
    const struct proc_spec spec = {.argv = argv, .stdin_fd = -1};
    struct proc_result done = PROC_RESULT_INIT;
    struct err err;
    if (proc_run(&spec, NULL, RUN_MS, &done, &err) < 0)
        fail_msg("%s", err.msg);
    CLEANUP(buf_release) struct buf said = BUF_INIT;
    capture_text(&done.out, &said);
    capture_text(&done.err, &said);
    json_t *trials = done.how == PROC_EXITED && done.code == status ? read_trials(results) : NULL;
    dir_remove(&results_folder);
    if (!trials)
        fail_msg("%s: expected exit %d, found %s %d\n%s", name, status,
                 done.how == PROC_EXITED ? "exit" : "another end,", done.code, buf_str(&said));
    proc_result_release(&done);
    return trials;
}

static void the_right_backend_is_as_expected_in_the_whole_suite(void **state)
{
    struct wrong *right = *state;
    need_layout(LAYOUT);
    right->bench->good = play(right->bench, right->name, "broken.yaml", NULL, 0);
}

static void the_mistake_is_caught_by_its_check_and_no_other(void **state)
{
    const struct wrong *wrong = *state;
    need_layout(LAYOUT);
    if (!wrong->bench->good)
        fail_msg("there is nothing to compare with: the right backend was not as expected");
    CLEANUP(io_free) char *path = io_format("%s/%s.sh", wrong->bench->folder, wrong->name);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    CLEANUP(header_release) struct header header = {NULL};
    struct err err;
    if (io_read_file(AT_FDCWD, path, &text, 1 << 20, &err) < 0)
        fail_msg("%s", err.msg);
    if (!header_parse(buf_str(&text), &header))
        fail_msg("%s: the first line names no check", path);
    const char *globs[REST_COUNT + 2] = {header.glob};
    memcpy(globs + 1, rest, sizeof rest);
    json_t *found = play(wrong->bench, wrong->name, header.backend, globs, 1);
    CLEANUP(io_free) char *objection = find_objection(&header, wrong->bench->good, found);
    json_decref(found);
    if (objection)
        fail_msg("%s: %s", wrong->name, objection);
    print_message("%s: %s in %s\n", wrong->name, header.check, header.glob);
}

/* Comments aside; the one that differs by its .yaml alone has no line. */
static void each_wrong_backend_is_tested_and_differs_by_a_few_lines(void **state)
{
    const struct wrong *right = *state;
    CLEANUP(io_free) char *pattern = io_format("%s/*.sh", right->bench->folder);
    glob_t files;
    assert_int_equal(glob(pattern, 0, NULL, &files), 0);
    size_t count = files.gl_pathc;
    globfree(&files);
    assert_int_equal(count, WRONG_COUNT + 1); /* and good.sh */
    for (size_t i = 0; i < WRONG_COUNT; i++) {
        struct run diff =
            run_sh("cd '%s' && test -r %s.sh && diff good.sh %s.sh | grep -c '^[<>] *[^# ]'",
                   right->bench->folder, wrong_backends[i], wrong_backends[i]);
        int lines = atoi(diff.out);
        bool same = strcmp(wrong_backends[i], "takes-signal-for-137") == 0;
        if (!*diff.out || (lines == 0) != same || lines > CHANGED_LINES_MAX)
            fail_msg("%s differs by %d lines %s", wrong_backends[i], lines, diff.err);
        run_release(&diff);
    }
}

int main(void)
{
    struct bench bench = {NULL, NULL, NULL};
    struct err err;
    if (home_find("bin/killpoint", &bench.program, &err) < 0 ||
        home_find("tests/broken", &bench.folder, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    struct wrong right = {"good", &bench}, wrongs[WRONG_COUNT];
    struct CMUnitTest tests[WRONG_COUNT + 4] = {
        cmocka_unit_test(a_wrong_account_of_a_mistake_is_refused),
        cmocka_unit_test(a_backend_without_a_header_is_refused),
        {"each_wrong_backend_is_tested_and_differs_by_a_few_lines",
         each_wrong_backend_is_tested_and_differs_by_a_few_lines, NULL, NULL, &right},
        {"the_right_backend_is_as_expected_in_the_whole_suite",
         the_right_backend_is_as_expected_in_the_whole_suite, NULL, NULL, &right}};
    for (size_t i = 0; i < WRONG_COUNT; i++) {
        wrongs[i] = (struct wrong){wrong_backends[i], &bench};
        tests[i + 4] =
            (struct CMUnitTest){wrong_backends[i], the_mistake_is_caught_by_its_check_and_no_other,
                                NULL, NULL, &wrongs[i]};
    }
    int failed = cmocka_run_group_tests_name("broken", tests, NULL, NULL);
    json_decref(bench.good);
    free(bench.program);
    free(bench.folder);
    return failed;
}
