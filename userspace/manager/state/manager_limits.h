/* SPDX-License-Identifier: Apache-2.0 */
/* Limits on what a client can grow. */
#pragma once

/* Limits on what a client can grow. */
#define MANAGER_DESCRIPTION_MAX 4096
#define MANAGER_TYPE_MAX 64
#define MANAGER_LABELS_MAX 256
#define MANAGER_LABEL_TEXT_MAX 4096
#define MANAGER_IMAGE_REFS_MAX 256 /* of one record */
#define MANAGER_LEASE_NAME_MAX 256
#define MANAGER_REFERENCES_MAX 100000 /* of one lease */
#define MANAGER_ABBREVIATED_IDS_MAX 256 /* in one request */
#define MANAGER_RECORDS_MAX 1000000
