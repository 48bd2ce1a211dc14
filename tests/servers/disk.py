"""A folder as another computer's disk shows it: no changes are told, and no name is told from one that differs only in
case or in how its letters are composed.

    disk.py FOLDER MOUNT    shows FOLDER at MOUNT, by FUSE, until it is ended
"""

import os
import sys
import unicodedata

from mfusepy import FUSE, FuseOSError, Operations

PLAIN = ["st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino"]
TIMES = ["st_atime", "st_mtime", "st_ctime"]


def folded(name):
    return unicodedata.normalize("NFC", name).casefold()


class Disk(Operations):
    use_ns = True

    def __init__(self, root):
        self.root = root

    def there(self, path):
        """Where a path leads to, under the name that was given to it."""
        at = self.root
        for name in path.split("/"):
            if name:
                same = [each for each in os.listdir(at) if folded(each) == folded(name)] if os.path.isdir(at) else []
                at = os.path.join(at, same[0] if same else name)
        return at

    def getattr(self, path, fh=None):
        try:
            found = os.lstat(self.there(path))
        except OSError as error:
            raise FuseOSError(error.errno) from error
        plain = {key: getattr(found, key) for key in PLAIN}
        return plain | {key: getattr(found, f"{key}_ns") for key in TIMES}

    def opendir(self, path):
        return 0

    def readdir(self, path, fh):
        # Without its number a name isn't listed.
        names = [".", "..", *os.listdir(self.there(path))]
        return [(name, self.getattr(os.path.join(path, name)), 0) for name in names]

    def open(self, path, flags):
        return os.open(self.there(path), flags)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def release(self, path, fh):
        return os.close(fh)


FUSE(Disk(os.path.abspath(sys.argv[1])), sys.argv[2], foreground=True, nothreads=True, use_ino=True, attr_timeout=0,
     entry_timeout=0)
