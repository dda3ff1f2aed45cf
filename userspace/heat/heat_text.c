/* SPDX-License-Identifier: Apache-2.0 */
#include "heat/heat_text.h"

#include "base/units.h"

static void append_size(struct strbuf *out, int64_t bytes)
{
	char size[UNITS_TEXT_MAX];

	strbuf_append(out, units_format_size(bytes, size));
}

/* The names from below `top` down to the folder. */
static void append_path(struct strbuf *out, const struct heat_folder *f,
			const struct heat_folder *top)
{
	const struct heat_folder *names[HEAT_TREE_DEPTH_MAX + 2];
	size_t count = 0;

	for (; f && f != top && f->parent && count < ARRAY_SIZE(names); f = f->parent)
		names[count++] = f;
	while (count-- > 0) {
		strbuf_append(out, names[count]->name);
		if (count > 0)
			strbuf_append(out, "/");
	}
}

static int64_t own_bytes(const struct heat_folder *f)
{
	int64_t all = 0;

	for (size_t i = 0; i < HEAT_AGES; i++)
		all += f->own_bytes[i];
	return all;
}

/* The folder above those that only lead to this one: the picture skips them. */
static const struct heat_folder *shown_parent(const struct heat_folder *f)
{
	for (f = f->parent; f && f->parent && f->child_count == 1 && own_bytes(f) == 0;)
		f = f->parent;
	return f;
}

static void append_layer(struct strbuf *out, const struct heat_layer *layer)
{
	strbuf_appendf(out, "%.12s", layer->id);
	if (*layer->description)
		strbuf_appendf(out, " %s", layer->description);
}

void heat_text_label(struct strbuf *out, const struct heat_tile *tile)
{
	switch (tile->kind) {
	case HEAT_LAYER:
		append_layer(out, tile->layer);
		if (tile->layer->pinned)
			strbuf_append(out, ", pinned");
		if (tile->layer->in_use)
			strbuf_append(out, ", in use");
		strbuf_append(out, ", ");
		append_size(out, tile->size_bytes);
		break;
	case HEAT_OTHER_LAYERS:
		strbuf_appendf(out, "%zu others, ", tile->others);
		append_size(out, tile->size_bytes);
		break;
	case HEAT_FOLDER:
		append_path(out, tile->folder, shown_parent(tile->folder));
		break;
	case HEAT_OTHER_FOLDERS:
		if (tile->others > 0)
			strbuf_appendf(out, "%zu others", tile->others);
		else
			strbuf_append(out, "files");
		break;
	}
}

static void append_last_read(struct strbuf *out, int64_t last_read_ns)
{
	char time[UNITS_TEXT_MAX];

	if (last_read_ns == HEAT_NOT_KNOWN)
		strbuf_append(out, "\nlast read: not known");
	else if (last_read_ns == 0)
		strbuf_append(out, "\nnever read");
	else
		strbuf_appendf(out, "\nlast read: %s", units_format_time(last_read_ns, time));
}

/* How the bytes divide, where they do. */
static void append_ages(struct strbuf *out, const struct heat_tile *tile)
{
	for (enum heat_age age = HEAT_HOUR; age < HEAT_AGES; age++) {
		if (tile->bytes[age] == 0 || tile->bytes[age] == tile->size_bytes)
			continue;
		strbuf_appendf(out, "\n%s: ", heat_age_style(age)->name);
		append_size(out, tile->bytes[age]);
	}
}

void heat_text_tooltip(struct strbuf *out, const struct heat_tile *tile)
{
	if (tile->kind == HEAT_OTHER_FOLDERS) {
		append_path(out, tile->folder, NULL);
		strbuf_append(out, "/: ");
		heat_text_label(out, tile);
	} else if (tile->kind == HEAT_FOLDER) {
		append_path(out, tile->folder, NULL);
	} else {
		heat_text_label(out, tile);
	}
	if (tile->kind == HEAT_FOLDER || tile->kind == HEAT_OTHER_FOLDERS) {
		strbuf_append(out, "\n");
		append_size(out, tile->size_bytes);
	}
	if (tile->kind == HEAT_FOLDER)
		strbuf_appendf(out, " in %llu files", (unsigned long long)tile->folder->files);
	if (tile->kind == HEAT_FOLDER || tile->kind == HEAT_LAYER)
		append_last_read(out, tile->last_read_ns);
	append_ages(out, tile);
	if (tile->kind == HEAT_FOLDER || tile->kind == HEAT_OTHER_FOLDERS)
		strbuf_appendf(out, "\nin layer %.12s", tile->layer->id);
}

void heat_text_caption(struct strbuf *out, const struct heat_picture *p,
		       const struct heat_caption *caption)
{
	char time[UNITS_TEXT_MAX];

	strbuf_appendf(out, "%s: ", caption->subject);
	append_size(out, p->size_bytes);
	strbuf_appendf(out, " in %zu layer%s, by last read, as of %s, counted by %s", p->layers,
		       p->layers == 1 ? "" : "s", units_format_time(caption->now_ns, time),
		       caption->backend);
	if (caption->incomplete)
		strbuf_append(out, "; some accesses were lost");
}
