/* SPDX-License-Identifier: Apache-2.0 */
/* The manager's views as messages of varve.v1. Each is allocated whole, with copies of its texts,
 * and freed by native_messages_free(); NULL when out of memory. */
#pragma once

#include "manager/manager.h"
#include "manager/records/records.h"
#include "manager/eviction/eviction.h"
#include "varve.pb-c.h"

Varve__V1__RecordBatch *native_messages_records(const struct record_view *views, size_t count,
						const char *backend);
Varve__V1__ReadersReply *native_messages_readers(const struct record_reader_view *readers,
						 size_t count, enum usage_backend backend);
Varve__V1__StatsBatch *native_messages_stats(const struct record_statistics_view *stats,
					     size_t count, const struct manager_info *info);
Varve__V1__FileBatch *native_messages_files(const struct record_file_list *list, size_t first,
					    size_t count);
Varve__V1__LeaseReply *native_messages_leases(const struct lease_view *leases, size_t count);
void native_messages_free(ProtobufCMessage *message); /* NULL is allowed */
Varve__V1__PolicyReply *native_messages_policies(const struct eviction_policy_view *policies,
						 size_t count);
