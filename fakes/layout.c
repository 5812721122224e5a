#include "layout.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fault/home.h"

/* layout.json of a host with some thousand packages has 100 KiB. */
#define LAYOUT_MAX_BYTES (4 << 20)

static char *text_copy(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        abort();
    return copy;
}

void layout_release(struct layout *layout)
{
    free(layout->name);
    free(layout->title);
    free(layout->suite);
    free(layout->digest);
    free(layout->debian_version);
    io_free_list(&layout->layers);
    io_free_list(&layout->hide);
    io_free_list(&layout->packages);
    io_free_list(&layout->hooks);
    *layout = (struct layout)LAYOUT_INIT;
}

/* The names that ci/layouts takes; nothing else may become part of a path. */
static bool name_is_valid(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return len > 0 && name[len] == '\0' && name[0] != '-';
}

static int layouts_find(char **ret_path, struct err *err)
{
    const char *set = getenv("KILLPOINT_LAYOUTS");
    if (!set || !*set)
        return home_find("layouts", ret_path, err);
    /* Layers are promised absolute. */
    char *path = realpath(set, NULL);
    if (!path)
        return err_set(err, errno, "KILLPOINT_LAYOUTS %s", set);
    *ret_path = path;
    return 0;
}

static bool layout_is_built(const char *layouts_path, const char *name)
{
    CLEANUP(io_free) char *path = io_format("%s/%s/layout.json", layouts_path, name);
    return access(path, F_OK) == 0;
}

static bool layout_is_described(const char *name)
{
    CLEANUP(io_free) char *file = io_format("scenarios/layouts/%s.yaml", name);
    CLEANUP(io_free) char *path = NULL;
    return home_find(file, &path, NULL) == 0;
}

static int not_built(const char *name, struct err *err)
{
    if (name_is_valid(name) && layout_is_described(name))
        return err_text(err, ENOENT, "layout %s is not built: run `ci/layouts %s`", name, name);
    return err_text(err, ENOENT, "there is no layout %s", name);
}

/* A list of strings; those that are relative are put behind folder when it is not NULL. */
static int strings_read(const json_t *array, const char *folder, char ***ret_strings)
{
    if (!json_is_array(array))
        return -EINVAL;
    size_t count = json_array_size(array);
    CLEANUP(io_free_list) char **strings = calloc(count + 1, sizeof *strings);
    if (!strings)
        abort();
    for (size_t i = 0; i < count; i++) {
        const char *text = json_string_value(json_array_get(array, i));
        if (!text)
            return -EINVAL;
        strings[i] = folder && text[0] != '/' ? io_format("%s/%s", folder, text) : text_copy(text);
    }
    *ret_strings = steal_ptr(&strings);
    return 0;
}

static int name_compare(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;
    return strcmp(*left, *right);
}

static int packages_read(json_t *object, char ***ret_packages)
{
    const char *name;
    json_t *version;
    size_t count = 0;
    CLEANUP(io_free_list) char **packages = calloc(json_object_size(object) + 1, sizeof *packages);
    if (!packages)
        abort();
    json_object_foreach(object, name, version)
    {
        if (!json_is_string(version))
            return -EINVAL;
        packages[count++] = io_format("%s %s", name, json_string_value(version));
    }
    qsort(packages, count, sizeof *packages, name_compare);
    *ret_packages = steal_ptr(&packages);
    return 0;
}

static int layout_parse(json_t *root, const char *folder, struct layout *layout)
{
    const char *name, *title, *suite, *digest, *debian_version;
    json_t *layers, *hide, *hooks, *packages;
    int host;
    if (json_unpack(root, "{s:s, s:s, s:s, s:s, s:s, s:b, s:i, s:o, s:o, s:o, s:o}", "name", &name,
                    "title", &title, "suite", &suite, "digest", &digest, "debian_version",
                    &debian_version, "host", &host, "roots", &layout->roots, "layers", &layers,
                    "hide", &hide, "hooks", &hooks, "packages", &packages) < 0)
        return -EINVAL;
    layout->name = text_copy(name);
    layout->title = text_copy(title);
    layout->suite = text_copy(suite);
    layout->digest = text_copy(digest);
    layout->debian_version = text_copy(debian_version);
    layout->host = host;
    if (strings_read(layers, folder, &layout->layers) < 0 || !layout->layers[0] ||
        strings_read(hide, NULL, &layout->hide) < 0 ||
        packages_read(packages, &layout->packages) < 0)
        return -EINVAL;
    return strings_read(hooks, NULL, &layout->hooks);
}

int layout_open(const char *name, struct layout *ret_layout, struct err *err)
{
    CLEANUP(io_free) char *layouts_path = NULL;
    if (!name_is_valid(name) || layouts_find(&layouts_path, NULL) < 0 ||
        !layout_is_built(layouts_path, name))
        return not_built(name, err);
    CLEANUP(io_free) char *folder = io_format("%s/%s", layouts_path, name);
    CLEANUP(io_free) char *file = io_format("%s/layout.json", folder);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = io_read_file(AT_FDCWD, file, &text, LAYOUT_MAX_BYTES, err);
    if (ret < 0)
        return ret;
    json_error_t error;
    json_t *root = json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return err_text(err, EINVAL, "%s:%d:%d: %s", file, error.line, error.column, error.text);
    CLEANUP(layout_release) struct layout layout = LAYOUT_INIT;
    ret = layout_parse(root, folder, &layout);
    json_decref(root);
    if (ret < 0)
        return err_text(err, -ret, "%s: not as ci/layouts writes it: run `ci/layouts --force %s`",
                        file, name);
    *ret_layout = layout;
    layout = (struct layout)LAYOUT_INIT;
    return 0;
}

static void dir_close(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

int layout_list(char ***ret_names, struct err *err)
{
    CLEANUP(io_free) char *layouts_path = NULL;
    CLEANUP(dir_close) DIR *dir = NULL;
    if (layouts_find(&layouts_path, NULL) == 0 && !(dir = opendir(layouts_path)))
        return err_set(err, errno, "open %s", layouts_path);
    CLEANUP(io_free_list) char **names = calloc(1, sizeof *names);
    if (!names)
        abort();
    size_t count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        if (!name_is_valid(entry->d_name) || !layout_is_built(layouts_path, entry->d_name))
            continue;
        names = reallocarray(names, count + 2, sizeof *names);
        if (!names)
            abort();
        names[count++] = text_copy(entry->d_name);
        names[count] = NULL;
    }
    qsort(names, count, sizeof *names, name_compare);
    *ret_names = steal_ptr(&names);
    return 0;
}

int layout_for_image(const char *image, char **ret_name, struct err *err)
{
    static const char repository[] = "debian:", slim[] = "-slim";
    bool from_hub = strncmp(image, repository, strlen(repository)) == 0;
    CLEANUP(io_free) char *name = text_copy(from_hub ? image + strlen(repository) : image);
    size_t len = strlen(name);
    if (from_hub && len > strlen(slim) && strcmp(name + len - strlen(slim), slim) == 0)
        name[len - strlen(slim)] = '\0';
    CLEANUP(io_free) char *layouts_path = NULL;
    if (!name_is_valid(name) ||
        !(layout_is_described(name) ||
          (layouts_find(&layouts_path, NULL) == 0 && layout_is_built(layouts_path, name))))
        return err_text(err, ENOENT, "no layout stands for the image %s", image);
    *ret_name = steal_ptr(&name);
    return 0;
}
