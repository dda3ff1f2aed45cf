# SPDX-License-Identifier: Apache-2.0
"""What an agent occupies: memory, descriptors, threads, mounts, pins, and entries of its BPF maps."""
import ctypes
import os
import platform
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
BPF = {'x86_64': 321, 'aarch64': 280}[platform.machine()]
MAP_GET_NEXT_KEY, OBJ_GET, OBJ_GET_INFO = 4, 7, 15
HASHES = (1, 5, 9, 10)  # HASH, PERCPU_HASH, LRU_HASH, LRU_PERCPU_HASH
# Not of what is there now: uses are kept for two hours, and names of cgroups until the map is three quarters full.
KEPT = ('layer_uses', 'cgroup_names')


def bpf(command, *fields):
    attributes = ctypes.create_string_buffer(struct.pack(*fields).ljust(128, b'\0'))
    return LIBC.syscall(BPF, command, attributes, 128)


def count_entries(path):
    """The entries of a pinned hash; None: it is not one."""
    name = ctypes.create_string_buffer(path.encode())
    fd = bpf(OBJ_GET, 'QI', ctypes.addressof(name), 0)
    if fd < 0:
        return None
    try:
        info = ctypes.create_string_buffer(80)
        if bpf(OBJ_GET_INFO, 'IIQ', fd, 80, ctypes.addressof(info)) < 0:
            return None
        kind, _, key_size = struct.unpack_from('III', info.raw)
        if kind not in HASHES or '/links_' in path:
            return None
        key, next_key = ctypes.create_string_buffer(key_size), ctypes.create_string_buffer(key_size)
        count, here = 0, 0
        while bpf(MAP_GET_NEXT_KEY, 'IIQQ', fd, 0, here, ctypes.addressof(next_key)) == 0:
            ctypes.memmove(key, next_key, key_size)
            here = ctypes.addressof(key)
            count += 1
        return count
    finally:
        os.close(fd)


def of_process(pid):
    """Memory in KiB, descriptors and threads; an empty result: it has ended."""
    try:
        with open('/proc/%d/status' % pid, encoding='ascii') as file:
            status = dict(line.split(':', 1) for line in file)
        return {'rss_kib': int(status['VmRSS'].split()[0]), 'threads': int(status['Threads']),
                'descriptors': len(os.listdir('/proc/%d/fd' % pid))}
    except (OSError, KeyError):
        return {}


def of_store(root, pin_dir):
    with open('/proc/self/mountinfo', encoding='utf-8') as file:
        mounts = sum(1 for line in file if line.split()[4].startswith(root + '/'))
    pins = [os.path.join(folder, name) for folder, _, names in os.walk(pin_dir) for name in names]
    entries = {os.path.basename(pin): count_entries(pin) for pin in pins if not os.path.islink(pin)}
    entries = {name: count for name, count in entries.items() if count is not None}
    return {'mounts': mounts, 'pins': len(pins), 'maps': entries,
            'map_entries': sum(count for name, count in entries.items() if name not in KEPT),
            'database_kib': os.stat(root + '/varve.db').st_size // 1024,
            'layer_directories': len(os.listdir(root + '/layers'))}
