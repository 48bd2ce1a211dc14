#!/usr/bin/python3
"""Drags something over a window with the mouse and lets go of it there, as a file manager or a browser would.

    drop.py WINDOW FILE…             files
    drop.py WINDOW --address URL     a link of a web page
    drop.py WINDOW --text WORDS      selected text
    drop.py WINDOW --away FILE…      the files leave the window again and are let go of elsewhere

WINDOW is an X id. Prints the monotonic clock's seconds before and after it let go. Exits with 0 when the window took it,
with 3 when it didn't. Needs: xdotool, python3-gi, gir1.2-gtk-3.0.
"""

import os
import pathlib
import subprocess
import sys
import threading
import time

# GTK reads the arguments too, and refuses names that aren't UTF-8.
window, words = sys.argv[1], sys.argv[2:]
del sys.argv[1:]

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("GdkX11", "3.0")
from gi.repository import Gdk, GdkX11, GLib, Gtk  # noqa: F401 (GdkX11 is what knows a window's id)

AWAY = words[0] == "--away"
FILES = words[AWAY:]
took = False


def xdotool(*words):
    return subprocess.check_output(["xdotool", *map(str, words)], text=True)


def pointer():
    place = dict(line.split("=") for line in xdotool("getmouselocation", "--shell").split())
    return int(place["X"]), int(place["Y"])


def drag(source):
    """Mouse positions come from the pointer: a window's own are off by its frame."""
    size = dict(line.split("=") for line in xdotool("getwindowgeometry", "--shell", window).split())
    xdotool("mousemove", "--window", window, int(size["WIDTH"]) // 2, int(size["HEIGHT"]) // 2)
    target = pointer()
    xdotool("mousemove", "--window", source, 8, 8)
    start = pointer()
    xdotool("mousedown", 1)
    time.sleep(0.05)
    way = [(start[0] + (target[0] - start[0]) * step // 8, start[1] + (target[1] - start[1]) * step // 8)
           for step in range(1, 9)]
    way += [(target[0] + 2, target[1]), target]
    if AWAY:
        way += [(way[-1][0] - 40, way[-1][1]), (start[0] + 30, start[1] + 2)]
    for place in way:
        xdotool("mousemove", *place)
        time.sleep(0.04)
    time.sleep(0.2)  # the window answers to each move, and only an answered drag is a drop
    before = time.monotonic()
    xdotool("mouseup", 1)
    print(before, time.monotonic(), flush=True)


def give(_widget, _context, data, _info, _time):
    global took
    took = True
    if FILES[0] == "--text":
        data.set_text(FILES[1], -1)
    elif FILES[0] == "--address":
        data.set_uris([FILES[1]])
    else:
        data.set_uris([pathlib.PurePath(os.path.abspath(file)).as_uri() for file in FILES])


def failed(_widget, _context, _result):
    global took
    took = False
    return True


# A popup is where it says it is, without a frame.
source = Gtk.Window(type=Gtk.WindowType.POPUP)
source.set_default_size(16, 16)
source.move(0, 0)
box = Gtk.EventBox()
source.add(box)
box.drag_source_set(Gdk.ModifierType.BUTTON1_MASK, [], Gdk.DragAction.COPY)
if FILES[0] == "--text":
    box.drag_source_add_text_targets()
else:
    box.drag_source_add_uri_targets()
box.connect("drag-data-get", give)
box.connect("drag-failed", failed)
box.connect("drag-end", lambda *_: GLib.timeout_add(50, Gtk.main_quit))
source.show_all()


def begin():
    threading.Thread(target=drag, args=(source.get_window().get_xid(),), daemon=True).start()


GLib.timeout_add(150, begin)
GLib.timeout_add_seconds(20, Gtk.main_quit)
Gtk.main()
sys.exit(0 if took else 3)
