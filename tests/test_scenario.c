#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "../scenarios/scenario.h"
#include "random.h"

#define HEAD "format: 1\nid: a/b\ntitle: t\nlevel: must\n" /* lines 1 to 4 */
#define TAIL "expect:\n  claim: success\n"
#define FAILS "expect:\n  claim: failure\n" /* two lines */

static const char *const layouts[] = {"bookworm", "trixie", "bullseye", NULL};

/* All diagnostics as they are printed, of a file called f. */
static int parse(const char *text, struct scenario_set *set, struct buf *said)
{
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    CLEANUP(io_free) char *data = NULL;
    size_t len = 0;
    int ret = scenario_parse("f", text, strlen(text), layouts, set, &diags);
    FILE *file = open_memstream(&data, &len);
    assert_non_null(file);
    diags_print(&diags, file);
    fclose(file);
    buf_append(said, data, len);
    return ret;
}

/* --- what is refused, and where ------------------------------------------- */

struct bad {
    const char *name;
    const char *text;
    const char *said;
};

#define E(place, words) "f:" place ": error: " words "\n"

static const struct bad wrong_alone[] = {
    {"empty", "", E("1:1", "the file is empty")},
    {"no mapping", "- a\n", E("1:1", "scenario: expected a mapping, found a list")},
    {"no text", "format: \"a\n", NULL},
    {"no layout of that name", HEAD "layout: bokworm\n" TAIL,
     E("5:9", "layout: there is no layout 'bokworm'; did you mean 'bookworm'?")},
    {"one layout of several", HEAD "layout: [trixie, sarge]\n" TAIL,
     E("5:18", "layout: there is no layout 'sarge'")},
    {"layout twice", HEAD "layout: [trixie, trixie]\n" TAIL, E("5:18", "layout: 'trixie' twice")},
    {"driver twice", HEAD "driver: [docker, smolvm, docker]\n" TAIL,
     E("5:26", "driver: 'docker' twice")},
    {"no such reply", HEAD "faults: cp#1 end:reply=gone\n" TAIL, NULL},
};

static const struct bad wrong_together[] = {
    {"either without reason", HEAD "expect: {claim: either}\n",
     E("5:17", "claim: either needs a reason")},
    {"any without reason", HEAD "faults: [begin]\n" TAIL "  fired: any\n",
     E("8:10", "fired: any needs a reason")},
    {"any without faults", HEAD TAIL "  fired: any\n  reason: r\n",
     E("7:10", "fired: there are no faults that could fire")},
    {"exit 0 is no failure", HEAD FAILS "  exit: 0\n",
     E("7:9", "exit: 0 claims success, and claim is failure")},
    {"exit 1 is no success", HEAD TAIL "  exit: 1\n",
     E("7:9", "exit: 1 claims failure, and claim is success")},
    {"exit 77 is no claim", HEAD FAILS "  exit: 77\n",
     E("7:9", "exit: 77 claims nothing: 77 is UNSUPPORTED, 99 is ERROR")},
    {"settle with one exec", HEAD TAIL "  calls: {exec: 1}\n  settle_ms: {min: 1}\n",
     E("8:14", "settle_ms needs two execs, and calls.exec is at most 1")},
    {"settle upside down", HEAD TAIL "  settle_ms: {min: 2, max: 1}\n",
     E("7:14", "settle_ms: min 2 is above max 1")},
    {"too many statuses", HEAD TAIL "  calls: {exec: {max: 1}}\n  exec_status: [1, 0]\n",
     E("8:16", "exec_status: a list of 2, which calls.exec does not allow")},
    {"too few statuses", HEAD TAIL "  calls: {exec: 2}\n  exec_status: [0]\n",
     E("8:16", "exec_status: a list of 1, which calls.exec does not allow")},
    {"fatal success", HEAD TAIL "  log: {fatal: exec}\n",
     E("7:16", "fatal: nothing is fatal where the claim is success")},
    {"fatal without call", HEAD FAILS "  calls: {cp: 0}\n  log: {fatal: cp}\n",
     E("8:16", "fatal: calls.cp is 0, so none can fail")},
    {"label of the other plan", HEAD "plan: {routes: []}\n" TAIL "  log: {label: egress}\n",
     E("8:16", "label: plan 1 picks pipelock")},
    {"label of the second plan", HEAD "plan: [{}, {routes: []}]\n" TAIL "  log: {label: egress}\n",
     E("8:16", "label: plan 2 picks pipelock")},
    {"label of no plan", HEAD TAIL "  log: {label: pipelock}\n",
     E("7:16", "label: plan 1 picks egress")},
    {"third exec of two", HEAD "faults: [exec#3 begin]\n" TAIL "  calls: {exec: 2}\n",
     E("5:10", "faults: exec#3 cannot fire: expect.calls.exec allows 2")},
    {"third exec of two runs of one",
     HEAD "plan: [{}, {}]\nfaults: exec#3 begin\n" TAIL "  calls: {exec: 1}\n",
     E("6:9", "faults: exec#3 cannot fire: expect.calls.exec allows 2")},
    {"second cp of one on each",
     HEAD "plan: [{}, {}]\nmachines: each\nfaults: cp#2 begin\n" TAIL "  calls: {cp: 1}\n",
     E("7:9", "faults: cp#2 cannot fire: expect.calls.cp allows 1")},
    {"no exec at all", HEAD "faults: begin\n" TAIL "  calls: {exec: 0}\n",
     E("5:9", "faults: the rule cannot fire: expect.calls.exec is 0")},
    {"same attempts", HEAD "faults:\n  - begin\n  - exec begin:status=3\n" TAIL,
     E("7:5", "faults: rule 1 has the same attempts already: begin")},
    {"each with one plan", HEAD "machines: each\n" TAIL,
     E("5:11", "machines: each needs 2 to 8 plans, and there is 1")},
    {"each with nine plans",
     HEAD "machines: each\nplan: [{}, {}, {}, {}, {}, {}, {}, {}, {}]\n" TAIL,
     E("5:11", "machines: each needs 2 to 8 plans, and there are 9")},
    {"each with references",
     HEAD "machines: each\nplan: [{}, {}, {}, {}, {}]\n" TAIL "  store: {exact: pass}\n",
     E("5:11", "machines: with store.exact each takes at most 4 plans")},
    {"unreadable in the guest", HEAD "guest:\n  - provision: unreadable\n" TAIL,
     E("6:16", "guest: 'unreadable' has no bytes to write")},
    {"unreadable written", HEAD "guest:\n  - write: {path: /a, fixture: unreadable}\n" TAIL,
     E("6:32", "guest: 'unreadable' has no bytes to write")},
};

static const struct bad wrong_matrix[] = {
    {"unused name", HEAD "matrix: {ms: [1], n: [2]}\nfaults: ['at:ms=${n}']\n" TAIL,
     E("5:10", "matrix: nothing uses ${ms} in plan, guest, limits, faults or expect")},
    {"used where nothing is replaced",
     "format: 1\nid: a\ntitle: t ${ms}\nlevel: must\n"
     "matrix: {ms: [1]}\n" TAIL,
     E("5:10", "matrix: nothing uses ${ms} in plan, guest, limits, faults or expect")},
    {"same value twice", HEAD "matrix: {ms: [1, 2, 1]}\nfaults: ['at:ms=${ms}']\n" TAIL,
     E("5:21", "matrix: '1' and '1' are the same in an id")},
    {"same value in an id", HEAD "matrix: {p: [a/b, a_b]}\nguest: [{run: 'echo ${p}'}]\n" TAIL,
     E("5:19", "matrix: 'a/b' and 'a_b' are the same in an id")},
    {"no list", HEAD "matrix: {ms: 1}\n" TAIL,
     E("5:14", "values: expected a list; each item: a scalar, found an integer: 1")},
    {"a value of the second combination", HEAD "matrix: {n: [1, 300]}\n" FAILS "  exit: ${n}\n",
     E("8:9", "exit: 300 is not from 0 to 255")},
    {"a rule of the second combination",
     HEAD "matrix: {n: [1, 3]}\nfaults: 'exec#${n} begin'\n" TAIL "  calls: {exec: 2}\n",
     E("6:9", "faults: exec#3 cannot fire: expect.calls.exec allows 2")},
    {"type of a value", HEAD "matrix: {n: [1, '2']}\n" FAILS "  exit: ${n}\n",
     E("8:9", "exit: expected an integer from 0 to 255, found text: 2")},
};

/* Each of them alone would be found; none hides another. */
static const struct bad several[] = {
    {"three kinds",
     "format: 1\nid: a/b\ntitle: 5\nlevel: must\nlevle: must\n" TAIL
     "  calls: {exec: 1}\n  settle_ms: {min: 1000}\n",
     E("3:8", "title: expected text, found an integer: 5 (quotes make it text)")
         E("5:1", "unknown key 'levle' in scenario; did you mean 'level'?")
             E("9:14", "settle_ms needs two execs, and calls.exec is at most 1")},
    {"duplicate key and others", HEAD "level: may\nlayout: woody\n" TAIL "  clam: 1\n",
     E("5:1", "duplicate key 'level', first on line 4")
         E("6:9", "layout: there is no layout 'woody'")
             E("9:3", "unknown key 'clam' in expect; did you mean 'claim'?")},
    {"a mistake is told once for all values",
     HEAD "matrix: {ms: [1, 2, 3]}\nfaults: ['at:ms=${ms}']\nexpect: {claim: either}\n",
     E("7:17", "claim: either needs a reason")},
    {"what is not read may use a name", HEAD "matrix: {ms: [1]}\nfautls: ['at:ms=${ms}']\n" TAIL,
     E("6:1", "unknown key 'fautls' in scenario; did you mean 'faults'?")},
    {"a bad rule does not hide the others",
     HEAD "faults: [exec#9 begin, bgin]\n" TAIL "  calls: {exec: 2}\n", NULL},
};

static void check_refused(const struct bad *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
        CLEANUP(buf_release) struct buf said = BUF_INIT;
        int ret = parse(rows[i].text, &set, &said);
        if (ret != -EINVAL || !said.len || set.count ||
            (rows[i].said && strcmp(rows[i].said, buf_str(&said)) != 0))
            fail_msg("%s: %d\n%s", rows[i].name, ret, buf_str(&said));
    }
}
#define CHECK_REFUSED(rows) check_refused(rows, sizeof rows / sizeof *rows)

static void file_is_refused_where_it_is_wrong(void **state)
{
    (void)state;
    CHECK_REFUSED(wrong_alone);
}

static void file_is_refused_where_its_keys_disagree(void **state)
{
    (void)state;
    CHECK_REFUSED(wrong_together);
}

static void matrix_is_refused_where_it_is_wrong(void **state)
{
    (void)state;
    CHECK_REFUSED(wrong_matrix);
}

static void all_mistakes_are_told_in_one_run(void **state)
{
    (void)state;
    CHECK_REFUSED(several);
}

static void matrix_of_too_many_combinations_is_refused(void **state)
{
    CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
    CLEANUP(buf_release) struct buf said = BUF_INIT;
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    (void)state;
    buf_add(&text, HEAD "matrix:\n");
    for (char name = 'a'; name <= 'c'; name++)
        buf_printf(&text, "  %c: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]\n", name);
    buf_add(&text, "faults: ['at:ms=${a}${b}${c}']\n" TAIL);
    assert_int_equal(parse(buf_str(&text), &set, &said), -EINVAL);
    assert_string_equal(buf_str(&said), E("6:3", "matrix: more than 1000 combinations"));
}

/* --- what is taken -------------------------------------------------------- */

static void check_parse(const char *text, struct scenario_set *set)
{
    CLEANUP(buf_release) struct buf said = BUF_INIT;
    if (parse(text, set, &said) < 0 || said.len)
        fail_msg("%s", buf_str(&said));
}

static void shortest_scenario_has_every_default(void **state)
{
    CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
    (void)state;
    check_parse(HEAD TAIL, &set);
    assert_int_equal(set.count, 1);
    const struct scenario *scenario = set.items[0];
    const struct expect *expect = &scenario->expect;
    assert_string_equal(scenario->path, "f");
    assert_string_equal(scenario->id, "a/b");
    assert_string_equal(scenario->base_id, "a/b");
    assert_int_equal(scenario->level, LEVEL_MUST);
    assert_null(scenario->refs[0]);
    assert_null(scenario->needs[0]);
    assert_null(scenario->faults[0]);
    assert_string_equal(scenario->layouts[0], "bookworm");
    assert_null(scenario->layouts[1]);
    assert_int_equal(scenario->driver_count, 1);
    assert_int_equal(scenario->drivers[0], DRIVER_SMOLVM);
    assert_int_equal(scenario->plan_count, 1);
    assert_string_equal(scenario->plans[0].routes[0], "api.example.com");
    assert_null(scenario->plans[0].routes[1]);
    assert_string_equal(scenario->plans[0].chosen, "ca");
    assert_int_equal(scenario->plans[0].label, LABEL_EGRESS);
    assert_int_equal(scenario->machines, MACHINES_ONE);
    assert_int_equal(scenario->step_count, 0);
    assert_int_equal(scenario->run_ms, 30000);
    assert_int_equal(scenario->disk_bytes, 0);
    assert_int_equal(expect->claim, CLAIM_SUCCESS);
    assert_null(expect->reason);
    assert_int_equal(expect->exit, -1);
    assert_false(expect->judge_cp || expect->judge_exec || expect->judge_settle);
    assert_int_equal(expect->exec.min, 0);
    assert_int_equal(expect->exec.max, INT32_MAX);
    assert_int_equal(expect->exec_status_count, 0);
    assert_int_equal(expect->must, JUDGE_PASS);
    assert_int_equal(expect->should, JUDGE_PASS);
    assert_int_equal(expect->exact, JUDGE_REPORT);
    assert_int_equal(expect->label, LABEL_ANY);
    assert_null(expect->contains[0]);
    assert_int_equal(expect->fired, FIRED_ALL);
}

static void store_is_judged_by_default_only_after_success(void **state)
{
    static const struct {
        const char *expect;
        enum judge must, should;
    } rows[] = {
        {"expect: {claim: failure}\n", JUDGE_REPORT, JUDGE_REPORT},
        {"expect: {claim: either, reason: r}\n", JUDGE_REPORT, JUDGE_REPORT},
        {"expect: {claim: failure, store: {must: pass}}\n", JUDGE_PASS, JUDGE_REPORT},
        {"expect: {claim: success, store: {should: report}}\n", JUDGE_PASS, JUDGE_REPORT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
        CLEANUP(io_free) char *text = io_format(HEAD "%s", rows[i].expect);
        check_parse(text, &set);
        if (set.items[0]->expect.must != rows[i].must ||
            set.items[0]->expect.should != rows[i].should)
            fail_msg("%s", rows[i].expect);
    }
}

static const char full[] =
    HEAD "refs: [E1, E2]\ntags: kill\nneeds: driver-signals\ndriver: [smolvm, docker]\n"
         "layout: [bullseye, trixie]\n"
         "plan:\n  - {egress: rotated}\n  - {routes: [], pipelock: two}\n"
         "guest:\n"
         "  - run: echo ${HOME} ${n}\n"
         "  - write: {path: /a, text: '', mode: '0600', owner: 'u:g', append: true}\n"
         "  - write: {path: /b, fixture: ca}\n"
         "  - symlink: {path: /c, target: ../d}\n"
         "  - remove: /e\n"
         "  - mkdir: {path: /f, mode: '1777'}\n"
         "  - provision: rotated\n"
         "  - read_only: /g\n"
         "limits: {run_ms: 5000, disk: 8MiB}\n"
         "matrix: {n: [2]}\n"
         "faults: ['exec#${n} begin', cp#1 end:reply=lost]\n"
         "expect:\n  claim: failure\n  reason: r\n  exit: 1\n"
         "  calls:\n    cp: {min: 1}\n    exec:\n      max: ${n}\n"
         "  settle_ms: {min: 1000}\n  exec_status: [137, -9]\n  store: {must: pass, exact: pass}\n"
         "  log: {fingerprint: none, fatal: exec, contains: [x, 'y z']}\n  fired: any\n";

static void every_key_reaches_its_member(void **state)
{
    CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
    (void)state;
    check_parse(full, &set);
    const struct scenario *scenario = set.items[0];
    const struct expect *expect = &scenario->expect;
    assert_string_equal(scenario->id, "a/b[n=2]");
    assert_string_equal(scenario->refs[1], "E2");
    assert_string_equal(scenario->tags[0], "kill");
    assert_string_equal(scenario->needs[0], "driver-signals");
    assert_int_equal(scenario->drivers[1], DRIVER_DOCKER);
    assert_string_equal(scenario->layouts[1], "trixie");
    assert_int_equal(scenario->plan_count, 2);
    assert_string_equal(scenario->plans[0].chosen, "rotated");
    assert_string_equal(scenario->plans[1].chosen, "two");
    assert_int_equal(scenario->plans[1].label, LABEL_PIPELOCK);
    assert_int_equal(scenario->run_ms, 5000);
    assert_int_equal(scenario->disk_bytes, 8 << 20);
    assert_string_equal(scenario->faults[0], "exec#2 begin");
    assert_int_equal(expect->exit, 1);
    assert_string_equal(expect->reason, "r");
    assert_true(expect->judge_cp && expect->judge_exec && expect->judge_settle);
    assert_int_equal(expect->cp.max, INT32_MAX);
    assert_int_equal(expect->exec.max, 2);
    assert_int_equal(expect->settle_ms.min, 1000);
    assert_int_equal(expect->settle_ms.max, 600000);
    assert_int_equal(expect->exec_status_count, 2);
    assert_int_equal(expect->exec_status[1], -9);
    assert_int_equal(expect->must, JUDGE_PASS);
    assert_int_equal(expect->exact, JUDGE_PASS);
    assert_int_equal(expect->fingerprint, FINGERPRINT_NONE);
    assert_int_equal(expect->fatal, FATAL_EXEC);
    assert_string_equal(expect->contains[1], "y z");
    assert_int_equal(expect->fired, FIRED_ANY);
    const struct step *steps = scenario->steps;
    assert_int_equal(scenario->step_count, 8);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(steps[i].line, 14 + (int)i);
    assert_string_equal(steps[0].text, "echo ${HOME} 2");
    assert_int_equal(steps[1].kind, STEP_WRITE);
    assert_string_equal(steps[1].text, "");
    assert_string_equal(steps[1].owner, "u:g");
    assert_int_equal(steps[1].mode, 0600);
    assert_true(steps[1].append);
    assert_null(steps[2].text);
    assert_string_equal(steps[2].fixture, "ca");
    assert_int_equal(steps[2].mode, 0644);
    assert_false(steps[2].append);
    assert_string_equal(steps[3].path, "/c");
    assert_string_equal(steps[3].target, "../d");
    assert_int_equal(steps[4].kind, STEP_REMOVE);
    assert_string_equal(steps[4].path, "/e");
    assert_int_equal(steps[5].mode, 01777);
    assert_string_equal(steps[6].fixture, "rotated");
    assert_int_equal(steps[7].kind, STEP_READ_ONLY);
    assert_string_equal(steps[7].path, "/g");
}

static void matrix_gives_one_scenario_for_each_combination(void **state)
{
    static const struct {
        const char *id, *step;
    } rows[] = {
        {"a/b[call=cp,p=1]", "cp /1"},
        {"a/b[call=cp,p=x_y__]", "cp /x/y\xc3\xa9"},
        {"a/b[call=cp,p=-0.5_]", "cp /-0.5*"},
        {"a/b[call=exec,p=1]", "exec /1"},
        {"a/b[call=exec,p=x_y__]", "exec /x/y\xc3\xa9"},
        {"a/b[call=exec,p=-0.5_]", "exec /-0.5*"},
    };
    CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
    (void)state;
    check_parse(HEAD "matrix: {call: [cp, exec], p: [1, x/y\xc3\xa9, -0.5*]}\n"
                     "guest: [{run: '${call} /${p}'}]\n" TAIL,
                &set);
    assert_int_equal(set.count, sizeof rows / sizeof *rows);
    for (size_t i = 0; i < set.count; i++) {
        assert_string_equal(set.items[i]->id, rows[i].id);
        assert_string_equal(set.items[i]->base_id, "a/b");
        assert_string_equal(set.items[i]->steps[0].text, rows[i].step);
    }
}

static void combinations_that_can_be_meant_are_taken(void **state)
{
    static const struct {
        const char *name, *text;
    } rows[] = {
        {"the fourth exec of two runs",
         HEAD "plan: [{}, {}]\nfaults: exec#4 begin\n" TAIL "  calls: {exec: 2}\n"},
        {"a rule behind the last call",
         HEAD "faults: exec#3 begin\n" TAIL "  calls: {exec: 2}\n  fired: any\n  reason: r\n"},
        {"settle of one or two execs",
         HEAD TAIL "  calls: {exec: {max: 2}}\n  settle_ms: {max: 1}\n"},
        {"settle of any execs", HEAD TAIL "  settle_ms: {min: 1}\n"},
        {"special before general", HEAD "faults: [exec#1 begin, exec begin]\n" TAIL},
        {"rules of start", HEAD "faults: start begin:scope=vm\n" TAIL "  calls: {exec: 0}\n"},
        {"eight machines", HEAD "machines: each\nplan: [{}, {}, {}, {}, {}, {}, {}, {}]\n" TAIL},
        {"four machines, exact",
         HEAD "machines: each\nplan: [{}, {}, {}, {}]\n" TAIL "  store: {exact: pass}\n"},
        {"an unreadable certificate", HEAD "plan: {egress: unreadable}\n" FAILS "  exit: 2\n"},
        {"pipelock's label", HEAD "plan: {routes: []}\n" TAIL "  log: {label: pipelock}\n"},
        {"no driver call", HEAD FAILS "  calls: {cp: 0, exec: 0}\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
        CLEANUP(buf_release) struct buf said = BUF_INIT;
        if (parse(rows[i].text, &set, &said) < 0)
            fail_msg("%s: %s", rows[i].name, buf_str(&said));
    }
}

static void ids_are_unique_in_a_set(void **state)
{
    CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
    CLEANUP(buf_release) struct buf said = BUF_INIT;
    (void)state;
    check_parse(HEAD TAIL, &set);
    assert_int_equal(parse(HEAD TAIL, &set, &said), -EINVAL);
    assert_string_equal(buf_str(&said), E("2:5", "id: 'a/b' is also that of f"));
    assert_int_equal(set.count, 1);
}

/* --- folders -------------------------------------------------------------- */

static void put(const char *folder, const char *name, const char *id)
{
    CLEANUP(io_free) char *path = io_format("%s/%s", folder, name);
    CLEANUP(io_free) char *parent = io_format("%s", path);
    CLEANUP(io_free)
    char *text = io_format("format: 1\nid: %s\ntitle: t\nlevel: may\n" TAIL, id);
    *strrchr(parent, '/') = '\0';
    assert_int_equal(io_make_dirs(parent, 0700, NULL), 0);
    assert_int_equal(io_write_file(AT_FDCWD, path, text, strlen(text), 0600, NULL), 0);
}

static void folder_is_loaded_by_path_in_byte_order(void **state)
{
    CLEANUP(dir_remove) char *folder = dir_make();
    CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    (void)state;
    put(folder, "a/z.yaml", "second");
    put(folder, "a-z.yaml", "first");
    put(folder, "b.yaml", "third");
    put(folder, "README.md", "none");
    put(folder, "b.yaml.orig", "none");
    put(folder, ".hidden.yaml", "none");
    put(folder, ".git/x.yaml", "none");
    assert_int_equal(scenario_load_dir(folder, NULL, &set, &diags), 0);
    assert_int_equal(set.count, 3);
    assert_string_equal(set.items[0]->id, "first");
    assert_string_equal(set.items[1]->id, "second");
    assert_string_equal(set.items[2]->id, "third");
    assert_string_equal(set.items[1]->path + strlen(folder), "/a/z.yaml");
}

static void folder_with_bad_files_gives_the_good_ones(void **state)
{
    CLEANUP(dir_remove) char *folder = dir_make();
    CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    (void)state;
    put(folder, "1.yaml", "same");
    put(folder, "2.yaml", "Bad");
    put(folder, "3.yaml", "same");
    put(folder, "4.yaml", "good");
    assert_int_equal(scenario_load_dir(folder, NULL, &set, &diags), -EINVAL);
    assert_int_equal(set.count, 2);
    assert_string_equal(set.items[1]->id, "good");
    assert_int_equal(diags.count, 2);
    assert_string_equal(diags.items[0].path + strlen(folder), "/2.yaml");
    assert_string_equal(diags.items[1].path + strlen(folder), "/3.yaml");
    assert_int_equal(diags.items[1].line, 2);
    assert_int_equal(diags.items[1].column, 5);
}

static void file_that_is_not_there_is_a_diagnostic(void **state)
{
    CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    (void)state;
    assert_int_equal(scenario_load("/nowhere/a.yaml", NULL, &set, &diags), -EINVAL);
    assert_int_equal(scenario_load_dir("/nowhere", NULL, &set, &diags), -EINVAL);
    assert_int_equal(diags.count, 2);
    assert_int_equal(diags.items[1].line, 0);
}

static void suite_of_this_project_loads(void **state)
{
    CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
    CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
    (void)state;
    int ret = scenario_load_dir("scenarios/suite", NULL, &set, &diags);
    diags_print(&diags, stderr);
    assert_int_equal(ret, 0);
    assert_true(set.count > 0);
}

/* --- broken files --------------------------------------------------------- */

static void replace(struct buf *text, size_t from, size_t len, const char *with)
{
    struct buf next = BUF_INIT;
    buf_append(&next, buf_str(text), from);
    buf_add(&next, with);
    buf_append(&next, buf_str(text) + from + len, text->len - from - len);
    buf_release(text);
    *text = next;
}

static void mutate(struct random *random, struct buf *text)
{
    static const char *const words[] = {
        "null",   "[]",      "{}",     "''",     "-1",   "99999999999", "true",   "${n}",
        "either", "- ",      ": ",     "\n",     "\n  ", "each",        "docker", "exec#9 begin",
        "0x10",   "~",       "any",    "[a, b]", "#",    "&a ",         "*a",     "!!str ",
        "<<: ",   "? ",      "---\n",  "'",      "\"",   "\xc3\xa9",    "\xff",   "\t",
        "{a: ",   "matrix:", "faults", "1.5",    "|\n ", "${",          "}",      ",",
    };
    const char *word = words[random_below(random, sizeof words / sizeof *words)];
    const char byte[2] = {(char)random_below(random, 256), '\0'};
    const char digit[2] = {(char)('0' + random_below(random, 10)), '\0'};
    if (!text->len)
        buf_add(text, "\n");
    size_t at = random_below(random, text->len), left = text->len - at, start = at;
    while (start && text->data[start - 1] != '\n')
        start--;
    size_t line = strcspn(text->data + start, "\n"), rest = start + line - at;
    switch (random_below(random, 6)) {
    case 0: replace(text, at, 0, word); break;
    case 1: replace(text, at, random_below(random, left < 12 ? left : 12), ""); break;
    case 2: replace(text, at, 1, byte); break;
    case 3: replace(text, at, 1, digit); break;
    case 4: replace(text, at, rest <= left ? rest : 0, word); break;
    default: replace(text, start, line + (start + line < text->len), ""); break;
    }
}

static void mutated_files_load_or_are_refused_with_a_place(void **state)
{
    static const char *const seeds[] = {
        full,
        HEAD
        "matrix: {n: [1, 2], m: [a, b]}\nguest: [{run: '${m}'}]\nfaults: ['exec#${n} begin']\n" TAIL
        "  calls: {exec: 2}\n  settle_ms: {min: 1}\n  store: {exact: pass}\n",
        HEAD "machines: each\nplan: [{}, {egress: rotated}]\n" TAIL "  log: {label: egress}\n",
    };
    for (size_t i = 0; i < sizeof seeds / sizeof *seeds; i++) {
        CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
        check_parse(seeds[i], &set);
    }
    uint64_t rounds, good = 0, bad = 0;
    struct random random = random_start(&rounds);
    (void)state;
    for (uint64_t i = 0; i < rounds / 20 + 1; i++) {
        CLEANUP(scenario_set_release) struct scenario_set set = SCENARIO_SET_INIT;
        CLEANUP(diags_release) struct diags diags = DIAGS_INIT;
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        buf_add(&text, seeds[i % (sizeof seeds / sizeof *seeds)]);
        for (uint64_t n = random_below(&random, 3) + 1; n; n--)
            mutate(&random, &text);
        int ret = scenario_parse("f", buf_str(&text), text.len, layouts, &set, &diags);
        bool is_good = ret == 0 && set.count && !diags.count;
        bool is_bad = ret == -EINVAL && !set.count && diags.count;
        for (size_t k = 0; k < diags.count; k++)
            is_bad &= diags.items[k].line >= 1 && diags.items[k].column >= 1;
        if (!is_good && !is_bad)
            fail_msg("returned %d with %zu diagnostics:\n%s", ret, diags.count, buf_str(&text));
        good += is_good;
        bad += is_bad;
    }
    print_message("%ju taken, %ju refused\n", (uintmax_t)good, (uintmax_t)bad);
    assert_true(rounds < 10000 || (good && bad)); /* both ways are tried */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_is_refused_where_it_is_wrong),
        cmocka_unit_test(file_is_refused_where_its_keys_disagree),
        cmocka_unit_test(matrix_is_refused_where_it_is_wrong),
        cmocka_unit_test(matrix_of_too_many_combinations_is_refused),
        cmocka_unit_test(all_mistakes_are_told_in_one_run),
        cmocka_unit_test(shortest_scenario_has_every_default),
        cmocka_unit_test(store_is_judged_by_default_only_after_success),
        cmocka_unit_test(every_key_reaches_its_member),
        cmocka_unit_test(matrix_gives_one_scenario_for_each_combination),
        cmocka_unit_test(combinations_that_can_be_meant_are_taken),
        cmocka_unit_test(ids_are_unique_in_a_set),
        cmocka_unit_test(folder_is_loaded_by_path_in_byte_order),
        cmocka_unit_test(folder_with_bad_files_gives_the_good_ones),
        cmocka_unit_test(file_that_is_not_there_is_a_diagnostic),
        cmocka_unit_test(suite_of_this_project_loads),
        cmocka_unit_test(mutated_files_load_or_are_refused_with_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
