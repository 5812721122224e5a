#include "json_cut.h"

#include <string.h>

#include "../fault/io.h"

static bool is_inside(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

static json_t *cut_string(const json_t *string, size_t max)
{
    const char *text = json_string_value(string);
    size_t len = json_string_length(string), head = max / 2, tail = len - max / 2;
    if (len <= max)
        return json_stringn(text, len);
    while (head > 0 && is_inside(text[head]))
        head--;
    while (tail < len && is_inside(text[tail]))
        tail++;
    CLEANUP(buf_release) struct buf cut = BUF_INIT;
    buf_append(&cut, text, head);
    buf_printf(&cut, "[%zu bytes left out]", tail - head);
    buf_append(&cut, text + tail, len - tail);
    return json_stringn(buf_str(&cut), cut.len);
}

json_t *json_cut(const json_t *value, size_t max_text, size_t max_list)
{
    /* Macros of jansson only read, but take no const. */
    union {
        const json_t *in;
        json_t *out;
    } given = {value};
    if (json_is_string(value))
        return cut_string(value, max_text);
    if (json_is_array(value)) {
        json_t *list = json_array();
        size_t size = json_array_size(value);
        for (size_t i = 0; i < size; i++) {
            if (size > max_list && i == max_list / 2) {
                CLEANUP(io_free) char *left_out = io_format("[%zu left out]", size - max_list);
                json_array_append_new(list, json_string(left_out));
                i += size - max_list;
            }
            json_array_append_new(list, json_cut(json_array_get(value, i), max_text, max_list));
        }
        return list;
    }
    if (!json_is_object(value))
        return json_deep_copy(value);
    json_t *object = json_object();
    const char *key;
    json_t *member;
    json_object_foreach(given.out, key, member)
        json_object_set_new(object, key, json_cut(member, max_text, max_list));
    return object;
}
