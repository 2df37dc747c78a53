"""Reads what dm-log-writes recorded, and brings a device to the state after any part of it.

The kernel's module logs every write to a device with its data, in the order in which the writes became durable: a
write that no flush covered yet is not in the log, and enters it in front of the flush that covers it; a write
with FUA enters it when it is complete. So a device to which the log was replayed up to some entry is what a disk
would hold that loses its whole cache at that moment, but for writes that one with FUA has overtaken
(`Log.leave_out_overtaken`).

The format is that of drivers/md/dm-log-writes.c: a superblock, then entries of one sector each, an entry's data
behind it; a mark's text is in the entry's own sector.
"""
import fcntl
import os
import struct

FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
MAGIC = 0x6A736677736872
SUPER = struct.Struct("<QQQI")
ENTRY = struct.Struct("<QQQQ")
PIECE = 4096  # what a disk writes whole


TARGET_MESSAGE = 0xC138FD0E  # DM_TARGET_MSG
REQUEST_BYTES = 312          # struct dm_ioctl
REQUEST = struct.Struct("<IIIIIIiIIIQ128s")


def set_mark(mapper, device, text):
    """Has the module log a mark: what became durable before this is logged before it. What `dmsetup message` does,
    fast enough to be done while many requests are in flight. `mapper` is /dev/mapper/control."""
    message = struct.pack("<Q", 0) + f"mark {text}".encode() + b"\0"
    size = REQUEST_BYTES + len(message)
    request = REQUEST.pack(4, 0, 0, size, REQUEST_BYTES, 0, 0, 0, 0, 0, 0, device.encode())
    fcntl.ioctl(mapper, TARGET_MESSAGE, bytearray(request.ljust(REQUEST_BYTES, b"\0") + message))


class Entry:
    def __init__(self, offset, length, flags, place, mark):
        """`offset` and `length` are the range on the device, `place` is where in the log its data is."""
        self.offset, self.length, self.flags, self.place, self.mark = offset, length, flags, place, mark
        self.overtaken = set()  # where in it pieces begin that are not to be replayed

    @property
    def is_barrier(self):
        return bool(self.flags & (FLUSH | FUA))


class Log:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)
        magic, version, count, self.sector = SUPER.unpack(os.pread(self.fd, SUPER.size, 0))
        assert (magic, version) == (MAGIC, 1), f"no log of writes: {magic:#x}, version {version}"
        self.entries = []
        place = self.sector
        for _ in range(count):
            block = os.pread(self.fd, self.sector, place)
            sector, sectors, flags, length = ENTRY.unpack_from(block)
            mark = block[ENTRY.size:ENTRY.size + length].decode() if flags & MARK else None
            place += self.sector
            self.entries.append(Entry(sector * self.sector, sectors * self.sector, flags, place, mark))
            if not flags & DISCARD:
                place += sectors * self.sector

    def marks(self):
        """-> {text: position}"""
        return {entry.mark: position for position, entry in enumerate(self.entries) if entry.mark is not None}

    def data(self, entry):
        return os.pread(self.fd, entry.length, entry.place)

    def pieces(self, entry):
        """-> (where in the entry, data)"""
        data = b"" if entry.flags & (DISCARD | MARK) else self.data(entry)
        return [(at, data[at:at + PIECE]) for at in range(0, len(data), PIECE) if at not in entry.overtaken]

    def leave_out_overtaken(self, stamp):
        """A write with FUA enters the log when it is complete, but one before it that no flush has covered yet only
        with that flush: replayed in the log's order, it would undo the other. So it is left out. `stamp` tells of a
        piece what it belongs to and how new it is, or None."""
        durable = {}  # offset -> stamp of what a write with FUA has left there
        for entry in self.entries:
            for at, data in self.pieces(entry):
                offset, mine = entry.offset + at, stamp(data)
                whose, age = durable.get(offset, (None, 0))
                if entry.flags & FUA and mine:
                    durable[offset] = mine
                elif mine and mine[0] == whose and mine[1] < age:
                    entry.overtaken.add(at)
                else:
                    durable.pop(offset, None)

    def replay(self, device, start, end):
        """Applies the entries from `start` up to before `end`."""
        for entry in self.entries[start:end]:
            self.apply(device, entry)
        os.fsync(device)

    def apply(self, device, entry):
        if entry.flags & DISCARD:
            os.pwrite(device, bytes(entry.length), entry.offset)
        for at, data in self.pieces(entry):
            os.pwrite(device, data, entry.offset + at)

    def replay_some(self, device, start, end, chance):
        """Applies a random part of what a disk's cache held: any pieces of the writes, but all of those with FUA.
        In the log's order, so that a block never goes back."""
        for entry in self.entries[start:end]:
            if entry.flags & (FUA | DISCARD):
                self.apply(device, entry)
                continue
            for at, data in self.pieces(entry):
                if chance.random() < 0.5:
                    os.pwrite(device, data, entry.offset + at)
        os.fsync(device)

    def close(self):
        os.close(self.fd)
