"""«Share with Lapse» in the menu of Files. It is loaded where python3-nautilus is installed."""

import subprocess

from gi.repository import GObject, Nautilus


class ShareWithLapse(GObject.GObject, Nautilus.MenuProvider):
    # Version 3 gives the window first.
    def get_file_items(self, *given):
        paths = [file.get_location().get_path() for file in given[-1]]
        if not paths or None in paths:
            return []
        item = Nautilus.MenuItem(name="Lapse::share", label="Share with Lapse", icon="lapse-desktop")
        item.connect("activate", lambda _item: subprocess.Popen(["lapse-desktop", "--", *paths], start_new_session=True))
        return [item]
