/* SPDX-License-Identifier: Apache-2.0 */
/* How large the documents of an image may be. */
#pragma once

#define IMAGE_JSON_MAX (4 << 20) /* bytes of one document, as registries limit it */
#define IMAGE_LAYERS_MAX 500 /* as many as overlayfs stacks */
#define IMAGE_INDEX_MAX 1000 /* images of an index */
