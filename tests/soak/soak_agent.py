# SPDX-License-Identifier: Apache-2.0
"""The agent of a soak: started, killed and restarted; its clock, which jumps; and its disk, which fills."""
import errno
import mmap
import os
import signal
import struct
import subprocess
import time

import varve_pb2 as v
from soak_calls import Calls, Failed


class Agent:
    def __init__(self, world, build, config, launcher):
        self.world, self.config = world, config
        self.command = [*launcher.split(), build + '/varved', '--root', world.root, '--socket', world.socket, '--config', config]
        self.preload = build + '/tests/soak/clock_offset.so'
        self.sanitizer = self.find_sanitizer(build + '/varved')
        self.process = None
        self.starts = self.kills = self.terminations = 0
        self.slowest_start_s = 0.0
        path = os.path.join(world.work, 'clock')
        with open(path, 'wb') as file:
            file.write(bytes(8))
        self.clock_path = path
        with open(path, 'r+b') as file:
            self.clock = mmap.mmap(file.fileno(), 8)
        self.jumps = self.offset_s = 0

    @staticmethod
    def find_sanitizer(program):
        """The library that must be loaded before all others."""
        for line in subprocess.run(['ldd', program], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines():
            if 'libasan' in line or 'libtsan' in line:
                return line.split()[2]
        return None

    def start(self):
        began = time.monotonic()
        environment = dict(os.environ, CLOCK_OFFSET_FILE=self.clock_path,
                           LD_PRELOAD=':'.join(p for p in (self.sanitizer, self.preload) if p))
        with open(self.world.log, 'ab') as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment)
        self.starts += 1
        call = Calls(self.world.socket)
        while True:
            try:
                info = call('Info', v.Empty(), 20)
                if info.state != 'starting':
                    break
                time.sleep(0.05)
            except Failed:
                if self.process.poll() is not None:
                    raise RuntimeError('the agent does not start (status %d): see %s' %
                                       (self.process.returncode, self.world.log)) from None
                time.sleep(0.05)
        call.close()
        self.slowest_start_s = max(self.slowest_start_s, time.monotonic() - began)
        self.world.faults.end('down')
        return info

    def kill(self):
        self.world.faults.begin('down')
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def terminate(self):
        self.world.faults.begin('down')
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(200)
        self.terminations += 1
        if status != 0:
            self.world.violation('agent', 'it ended with status %d after SIGTERM: see %s' % (status, self.world.log))

    def has_died(self):
        return self.process.poll() is not None

    def set_clock(self, offset_s):
        self.clock[:] = struct.pack('q', int(offset_s * 1e9))
        self.offset_s = offset_s
        self.jumps += 1


class Disk:
    """The file system of the store."""

    def __init__(self, world, folder):
        self.world, self.filler = world, os.path.join(folder, 'filler')
        self.fills = 0

    def fill(self):
        self.world.faults.begin('full')
        self.fills += 1
        fd = os.open(self.filler, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        piece, size = 64 << 20, 0
        while piece >= 4096:
            try:
                os.posix_fallocate(fd, size, piece)
                size += piece
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                piece //= 4
        os.close(fd)

    def free(self):
        if os.path.exists(self.filler):
            os.unlink(self.filler)
            self.world.faults.end('full')
