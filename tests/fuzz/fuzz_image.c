/* SPDX-License-Identifier: Apache-2.0 */
/* Manifests, indexes, configs and references, and the documents that are built from them. */
#include <string.h>

#include "image/image_config.h"
#include "image/image_manifest.h"
#include "image/image_reference.h"
#include "tests/fuzz/fuzz_target.h"

static void read_reference(const uint8_t *data, size_t size)
{
	cleanup(free_ptr) char *text = fuzz_text(data, size);
	cleanup(image_reference_free) struct image_reference r = { 0 };
	struct error e = { 0 };

	if (image_reference_parse(text, &r, &e) < 0)
		assert(e.text[0] && !r.text);
	else
		assert(r.path ? r.path[0] : r.registry[0] && r.repository[0]);
}

static void read_manifest(const uint8_t *data, size_t size)
{
	cleanup(image_descriptors_free) struct image_descriptors all = { 0 };
	const struct image_descriptor *chosen = NULL;
	cleanup(free_ptr) char *text = NULL;
	enum image_document kind;
	const struct image_platform machine = { "amd64", 3 };
	struct error e = { 0 };
	size_t length;

	if (image_manifest_parse(data, size, NULL, &kind, &all, &e) < 0) {
		assert(e.text[0] && !all.items);
		return;
	}
	if (kind == IMAGE_DOCUMENT_MANIFEST) {
		assert(all.count >= 1 && all.count <= IMAGE_LAYERS_MAX + 1);
		assert(image_manifest_build(&all, &text, &length, &e) == 0);
	} else if (image_manifest_choose(&all, NULL, &machine, &chosen, &e) == 0) {
		assert(chosen);
		(void)image_manifest_add_to_index(data, size, chosen, "tag", &text, &length, &e);
	}
}

static void read_config(const uint8_t *data, size_t size)
{
	struct image_config_layer layers[4] = { { .created_by = "fuzz" } };
	struct image_diff_ids ids = { 0 };
	cleanup(free_ptr) char *text = NULL;
	struct error e = { 0 };
	size_t length, count;

	if (image_config_parse(data, size, &ids, &e) < 0) {
		assert(e.text[0]);
		return;
	}
	count = ids.count < 3 ? ids.count + 1 : 3;
	for (size_t i = 0; i < count; i++) {
		layers[i].created_by = "fuzz";
		if (i < ids.count)
			layers[i].diff_id = ids.items[i];
	}
	free(ids.items);
	(void)image_config_build(data, size, layers, count, "amd64", &text, &length, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	read_reference(data, size);
	read_manifest(data, size);
	read_config(data, size);
	return 0;
}
