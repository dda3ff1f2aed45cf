/* SPDX-License-Identifier: Apache-2.0 */
/* What clients do with records and leases: the public header of this room. */
#pragma once

#include "manager/records/record_commit.h"
#include "manager/records/record_create.h"
#include "manager/records/record_delete.h"
#include "manager/records/record_edit.h"
#include "manager/records/record_files.h"
#include "manager/records/record_finalize.h"
#include "manager/records/record_hold.h"
#include "manager/records/lease_references.h"
#include "manager/records/leases.h"
#include "manager/records/record_list.h"
#include "manager/records/record_mount.h"
#include "manager/records/record_page.h"
#include "manager/records/record_readers.h"
#include "manager/records/record_statistics.h"
