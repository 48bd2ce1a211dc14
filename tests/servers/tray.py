#!/usr/bin/python3
"""A desktop's tray and its notifications, for as long as standard input stays open: it takes both and draws none.

    tray.py

Prints `TRAY=1` when it is there. On standard input, `items` is answered by the names of the tray's icons, `notices` by
the titles and texts that were notified, as JSON.
Needs: python3-gi, a session bus.
"""

import json
import sys

from gi.repository import Gio, GLib

INTERFACE = Gio.DBusNodeInfo.new_for_xml("""<node><interface name="org.kde.StatusNotifierWatcher">
<method name="RegisterStatusNotifierItem"><arg name="service" type="s" direction="in"/></method>
<method name="RegisterStatusNotifierHost"><arg name="service" type="s" direction="in"/></method>
<property name="RegisteredStatusNotifierItems" type="as" access="read"/>
<property name="IsStatusNotifierHostRegistered" type="b" access="read"/>
<property name="ProtocolVersion" type="i" access="read"/>
</interface></node>""").interfaces[0]
NOTICES = Gio.DBusNodeInfo.new_for_xml("""<node><interface name="org.freedesktop.Notifications">
<method name="Notify">
<arg type="s" direction="in"/><arg type="u" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
<arg type="s" direction="in"/><arg type="as" direction="in"/><arg type="a{sv}" direction="in"/><arg type="i" direction="in"/>
<arg type="u" direction="out"/>
</method>
<method name="GetCapabilities"><arg type="as" direction="out"/></method>
<method name="GetServerInformation">
<arg type="s" direction="out"/><arg type="s" direction="out"/><arg type="s" direction="out"/><arg type="s" direction="out"/>
</method>
<method name="CloseNotification"><arg type="u" direction="in"/></method>
</interface></node>""").interfaces[0]
items = []
notices = []
loop = GLib.MainLoop()


def called(_bus, sender, _path, _interface, method, arguments, invocation):
    if method == "RegisterStatusNotifierItem":
        # A program may say twice that its icon is there.
        name = sender + arguments.unpack()[0]
        if name not in items:
            items.append(name)
    invocation.return_value(None)


def read(_bus, _sender, _path, _interface, name):
    return {
        "RegisteredStatusNotifierItems": GLib.Variant("as", items),
        "IsStatusNotifierHostRegistered": GLib.Variant("b", True),
        "ProtocolVersion": GLib.Variant("i", 0),
    }[name]


def notified(_bus, _sender, _path, _interface, method, arguments, invocation):
    answer = None
    if method == "Notify":
        notices.append(arguments.unpack()[3:5])
        answer = GLib.Variant("(u)", (len(notices),))
    elif method == "GetCapabilities":
        answer = GLib.Variant("(as)", (["body", "body-markup"],))
    elif method == "GetServerInformation":
        answer = GLib.Variant("(ssss)", ("tray.py", "Lapse", "1", "1.2"))
    invocation.return_value(answer)


def asked(source, _condition):
    line = source.readline()
    if not line:
        loop.quit()
        return False
    print(*items if line == "items\n" else [json.dumps(notices)], flush=True)
    return True


bus = Gio.bus_get_sync(Gio.BusType.SESSION)
bus.register_object("/StatusNotifierWatcher", INTERFACE, called, read, None)
bus.register_object("/org/freedesktop/Notifications", NOTICES, notified, None, None)
Gio.bus_own_name_on_connection(bus, "org.freedesktop.Notifications", Gio.BusNameOwnerFlags.NONE, None, None)
Gio.bus_own_name_on_connection(
    bus, "org.kde.StatusNotifierWatcher", Gio.BusNameOwnerFlags.NONE, lambda *_: print("TRAY=1", flush=True), None
)
GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, asked)
loop.run()
