#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "../scenarios/probe.h"

/* Events made up by hand, for the undisturbed install and those that stand beside it. */
#define EVENT(verdict, rest)                                                                       \
    "{\"verdict\": \"" verdict "\", \"driver\": \"smolvm\", \"calls\": [{\"status\": 0}]" rest "}"
#define RUN(how, code) ", \"runs\": [{\"how\": \"" how "\", \"code\": " code "}]"
#define GOOD EVENT("PASS", RUN("exited", "0"))
#define FAILS EVENT("FAIL", RUN("exited", "1"))
#define SAYS_77 EVENT("UNSUPPORTED", RUN("exited", "77"))
#define CRASHES EVENT("CRASH", RUN("signaled", "11"))
#define HANGS EVENT("TIMEOUT", RUN("timeout", "0"))
#define BAD_STORE                                                                                  \
    EVENT("FAIL", RUN("exited", "0") ", \"checks\": [{\"id\": \"store/must/ca-file\","             \
                                     " \"result\": \"fail\", \"found\": \"not there\"}]")
#define NO_CALL                                                                                    \
    "{\"verdict\": \"FAIL\", \"driver\": \"docker\", \"calls\": []" RUN("exited", "1") "}"
#define REFUSED                                                                                    \
    "{\"verdict\": \"FAIL\", \"driver\": \"smolvm\", \"calls\": [{\"status\": 2, \"stderr\":"      \
    " {\"head\": \"error: unexpected argument\"}}]" RUN("exited", "1") "}"
#define SKIPPED "{\"verdict\": \"SKIP\", \"reason\": \"too slow\"}"
#define ERROR_EVENT "{\"verdict\": \"ERROR\", \"error\": \"backend: no such program\"}"

static const struct {
    const char *name;
    bool possible;
    const char *event;
    enum probe_end end;
    const char *found;
} judged[] = {
    {"it can", true, GOOD, PROBE_GOOD, "success claimed, and the CA is there"},
    {"it cannot", true, FAILS, PROBE_BAD, "exit status 1"},
    {"it only says so", true, BAD_STORE, PROBE_BAD,
     "success claimed, but store/must/ca-file: not there"},
    {"it says 77", true, SAYS_77, PROBE_UNSUPPORTED, "exit status 77"},
    {"it is skipped", true, SKIPPED, PROBE_UNSUPPORTED, "not played: too slow"},
    {"it dies", true, CRASHES, PROBE_BAD, "killed by signal 11 (Segmentation fault)"},
    {"it hangs", true, HANGS, PROBE_BAD, "it does not end"},
    {"nobody knows", true, ERROR_EVENT, PROBE_UNKNOWN, "backend: no such program"},
    {"what cannot be is refused", false, FAILS, PROBE_GOOD, "exit status 1"},
    {"what cannot be is done", false, GOOD, PROBE_BAD, "success claimed"},
    {"what cannot be kills it", false, CRASHES, PROBE_BAD,
     "killed by signal 11 (Segmentation fault)"},
    {"what cannot be breaks it", false, EVENT("ERROR", RUN("exited", "99")), PROBE_BAD,
     "exit status 99"},
};

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *json = json_loads(text, 0, &error);
    if (!json)
        fail_msg("%s: %s", text, error.text);
    return json;
}

static void a_trial_is_good_or_bad_by_its_claim_and_the_store(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof judged / sizeof *judged; i++) {
        const struct probe_case item = {.possible = judged[i].possible};
        CLEANUP(buf_release) struct buf found = BUF_INIT;
        json_t *event = parse(judged[i].event);
        enum probe_end end = probe_judge(&item, event, &found);
        if (end != judged[i].end || strcmp(buf_str(&found), judged[i].found) != 0)
            fail_msg("%s: %d, %s", judged[i].name, (int)end, buf_str(&found));
        json_decref(event);
    }
}

#define BROKEN "the adapter is probably broken: it fails where nothing goes wrong\nlook at "

static const struct {
    const char *name;
    const char *events[PROBE_N_CASES]; /* random name, undisturbed, no certificate, no machine */
    enum probe_end end;
    const char *says; /* the beginning */
} concluded[] = {
    {"all well", {GOOD, GOOD, FAILS, FAILS}, PROBE_GOOD, "the adapter works: "},
    {"77 to a strange name is honest",
     {SAYS_77, GOOD, FAILS, FAILS},
     PROBE_GOOD,
     "the adapter works: "},
    {"everything fails", {FAILS, FAILS, FAILS, FAILS}, PROBE_BAD, BROKEN "its own words above"},
    {"nothing is called",
     {FAILS, NO_CALL, FAILS, FAILS},
     PROBE_BAD,
     BROKEN "how it finds the driver: no call of docker"},
    {"wrong usage",
     {FAILS, REFUSED, FAILS, FAILS},
     PROBE_BAD,
     BROKEN "its calls: smolvm refused one as wrong usage (status 2): error: unexpected argument"},
    {"not found",
     {FAILS, EVENT("FAIL", RUN("exited", "127")), FAILS, FAILS},
     PROBE_BAD,
     BROKEN "its command line: 127 is a shell's word for a program that it cannot find"},
    {"not executable",
     {FAILS, EVENT("FAIL", RUN("exited", "126")), FAILS, FAILS},
     PROBE_BAD,
     BROKEN "its command line: 126 is a shell's word for a program that it cannot execute"},
    {"it says 99",
     {FAILS, EVENT("ERROR", RUN("exited", "99")), FAILS, FAILS},
     PROBE_BAD,
     BROKEN "the adapter itself: 99"},
    {"all hang", {HANGS, HANGS, HANGS, HANGS}, PROBE_BAD, BROKEN "what it waits for"},
    {"installs nothing",
     {BAD_STORE, BAD_STORE, FAILS, FAILS},
     PROBE_BAD,
     "the adapter is probably broken: it claims success, and the CA is not there\nlook at where it "
     "installs"},
    {"supports nothing",
     {SAYS_77, SAYS_77, SAYS_77, SAYS_77},
     PROBE_BAD,
     "nothing would be judged"},
    {"always says yes", {GOOD, GOOD, GOOD, GOOD}, PROBE_BAD, "its exit status tells nothing"},
    {"77 of every failure", {GOOD, GOOD, SAYS_77, SAYS_77}, PROBE_BAD, "it never claims failure"},
    {"dies of a bad machine",
     {GOOD, GOOD, FAILS, CRASHES},
     PROBE_BAD,
     "its exit status tells nothing"},
    {"knows one name, and finds it everywhere",
     {FAILS, GOOD, FAILS, GOOD},
     PROBE_BAD,
     "it does its work for some names alone"},
    {"knows names",
     {FAILS, GOOD, FAILS, FAILS},
     PROBE_BAD,
     "it does its work for some names alone\nlook at where it has the machine's name from"},
    {"is moody", {GOOD, FAILS, FAILS, FAILS}, PROBE_BAD, "it does not do the same each time"},
    {"could not be played",
     {FAILS, ERROR_EVENT, FAILS, FAILS},
     PROBE_UNKNOWN,
     "the adapter is not there\nlook at its command line"},
    {"the harness broke",
     {FAILS, "{\"verdict\": \"ERROR\", \"error\": \"mount: no\"}", FAILS, FAILS},
     PROBE_UNKNOWN,
     "nothing can be said"},
};

static void all_trials_together_say_what_is_wrong_and_where_to_look(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof concluded / sizeof *concluded; i++) {
        json_t *events[PROBE_N_CASES];
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        for (size_t k = 0; k < PROBE_N_CASES; k++)
            events[k] = parse(concluded[i].events[k]);
        enum probe_end end = probe_conclude(events, &text);
        if (end != concluded[i].end ||
            strncmp(buf_str(&text), concluded[i].says, strlen(concluded[i].says)) != 0)
            fail_msg("%s: %d, %s", concluded[i].name, (int)end, buf_str(&text));
        assert_true(text.len > 0 && text.data[text.len - 1] == '\n');
        for (size_t k = 0; k < PROBE_N_CASES; k++)
            json_decref(events[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_trial_is_good_or_bad_by_its_claim_and_the_store),
        cmocka_unit_test(all_trials_together_say_what_is_wrong_and_where_to_look),
    };
    return cmocka_run_group_tests_name("probe", tests, NULL, NULL);
}
