#include "report_formats.h"

#include <inttypes.h>
#include <libxml/xmlwriter.h>
#include <stdlib.h>
#include <string.h>

#include "report_text.h"

enum kind { KIND_PASSED, KIND_SKIPPED, KIND_FAILURE, KIND_ERROR, KIND_COUNT };
static const char *const kind_words[KIND_COUNT] = {NULL, "skipped", "failure", "error"};

static enum kind kind_of(enum verdict verdict)
{
    switch (verdict) {
    case VERDICT_PASS: return KIND_PASSED;
    case VERDICT_XFAIL:
    case VERDICT_UNSUPPORTED:
    case VERDICT_SKIP: return KIND_SKIPPED;
    case VERDICT_FAIL:
    case VERDICT_XPASS: return KIND_FAILURE;
    default: return KIND_ERROR;
    }
}

/* --- what is wrong with XML is put right here, and nowhere else ------------------------- */

static const xmlChar *xml_text(const char *text)
{
    return (const xmlChar *)text;
}

static void add_attribute(xmlTextWriterPtr xml, const char *name, const char *value)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    report_add_clean(&text, value);
    xmlTextWriterWriteAttribute(xml, xml_text(name), xml_text(buf_str(&text)));
}

static void add_text(xmlTextWriterPtr xml, const char *value)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    report_add_clean(&text, value);
    xmlTextWriterWriteString(xml, xml_text(buf_str(&text)));
}

static void add_number(xmlTextWriterPtr xml, const char *name, size_t value)
{
    CLEANUP(io_free) char *text = io_format("%zu", value);
    add_attribute(xml, name, text);
}

static void add_seconds(xmlTextWriterPtr xml, int64_t ms)
{
    CLEANUP(io_free) char *text = io_format("%" PRId64 ".%03d", ms / 1000, (int)(ms % 1000));
    add_attribute(xml, "time", text);
}

/* --- elements ------------------------------------------------------------------------------ */

static bool is_in(const struct report_item *item, const char *group)
{
    return !group || strcmp(item->group, group) == 0;
}

/* group NULL: of all. */
static void add_counts(xmlTextWriterPtr xml, const struct report_items *items, const char *group)
{
    size_t counts[KIND_COUNT] = {0}, all = 0;
    int64_t ms = 0;
    for (size_t i = 0; i < items->count; i++)
        if (is_in(&items->list[i], group)) {
            counts[kind_of(items->list[i].verdict)]++;
            ms += items->list[i].ms;
            all++;
        }
    add_number(xml, "tests", all);
    add_number(xml, "failures", counts[KIND_FAILURE]);
    add_number(xml, "errors", counts[KIND_ERROR]);
    add_number(xml, "skipped", counts[KIND_SKIPPED]);
    add_seconds(xml, ms);
}

static void add_outcome(xmlTextWriterPtr xml, const struct report_item *item, enum kind kind)
{
    CLEANUP(buf_release) struct buf message = BUF_INIT;
    xmlTextWriterStartElement(xml, xml_text(kind_words[kind]));
    buf_printf(&message, "%s%s%s", verdict_name(item->verdict), *item->message ? ": " : "",
               item->message);
    add_attribute(xml, "message", buf_str(&message));
    if (kind != KIND_SKIPPED) {
        CLEANUP(buf_release) struct buf detail = BUF_INIT;
        add_attribute(xml, "type", verdict_name(item->verdict));
        for (size_t i = 0; i < item->n_checks; i++)
            buf_printf(&detail, "%s\n  expected  %s\n  found     %s\n", item->checks[i].id,
                       item->checks[i].expected, item->checks[i].found);
        if (item->again)
            buf_printf(&detail, "again: %s\n", item->again);
        add_text(xml, buf_str(&detail));
    }
    xmlTextWriterEndElement(xml);
}

static void add_case(xmlTextWriterPtr xml, const struct report_item *item)
{
    enum kind kind = kind_of(item->verdict);
    xmlTextWriterStartElement(xml, xml_text("testcase"));
    add_attribute(xml, "classname", item->group);
    add_attribute(xml, "name", item->name);
    add_seconds(xml, item->ms);
    if (item->file)
        add_attribute(xml, "file", item->file);
    if (item->line > 0)
        add_number(xml, "line", (size_t)item->line);
    if (kind != KIND_PASSED)
        add_outcome(xml, item, kind);
    if (kind >= KIND_FAILURE && item->said) {
        xmlTextWriterStartElement(xml, xml_text("system-err"));
        add_text(xml, item->said);
        xmlTextWriterEndElement(xml);
    }
    xmlTextWriterEndElement(xml);
}

static void add_suite(xmlTextWriterPtr xml, const struct report_items *items, const char *group)
{
    xmlTextWriterStartElement(xml, xml_text("testsuite"));
    add_attribute(xml, "name", group);
    add_counts(xml, items, group);
    for (size_t i = 0; i < items->count; i++)
        if (is_in(&items->list[i], group))
            add_case(xml, &items->list[i]);
    xmlTextWriterEndElement(xml);
}

static bool is_first_of_group(const struct report_items *items, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (is_in(&items->list[i], items->list[index].group))
            return false;
    return true;
}

void report_print_junit(FILE *file, const struct results *results)
{
    struct report_items items;
    xmlBufferPtr buffer = xmlBufferCreate();
    xmlTextWriterPtr xml = buffer ? xmlNewTextWriterMemory(buffer, 0) : NULL;
    if (!xml)
        abort();
    report_items_make(results, &items);
    xmlTextWriterSetIndent(xml, 1);
    xmlTextWriterStartDocument(xml, NULL, "UTF-8", NULL);
    xmlTextWriterStartElement(xml, xml_text("testsuites"));
    add_attribute(xml, "name", "killpoint");
    add_counts(xml, &items, NULL);
    for (size_t i = 0; i < items.count; i++)
        if (is_first_of_group(&items, i))
            add_suite(xml, &items, items.list[i].group);
    xmlTextWriterEndDocument(xml);
    xmlFreeTextWriter(xml);
    fputs((const char *)xmlBufferContent(buffer), file);
    xmlBufferFree(buffer);
    report_items_release(&items);
}
