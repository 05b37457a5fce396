#!/usr/bin/env python3
"""`gantryd publish`, which shims that use no ttrpc run for each of their events, beside Debian's `containerd publish`.

usage: publish_test.py GANTRYD [unittest arguments]
"""
import os
import pathlib
import queue
import re
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gantryd import Gantryd  # noqa: E402

BINARY = ""


def field(number, data):
    return bytes([number << 3 | 2, len(data)]) + data


def oom_event(container):
    """google.protobuf.Any of containerd.events.TaskOOM."""
    return field(1, b"containerd.events.TaskOOM") + field(2, field(1, container.encode()))


class PublishTest(unittest.TestCase):
    def setUp(self):
        self.daemon = Gantryd(BINARY)
        self.addCleanup(lambda: self.assertEqual(self.daemon.close(), []))
        listener = subprocess.Popen(self.daemon.command("events"), stdout=subprocess.PIPE, text=True)
        self.addCleanup(listener.stdout.close)
        self.addCleanup(listener.wait)
        self.addCleanup(listener.kill)
        self.lines = queue.Queue()
        threading.Thread(target=lambda: [self.lines.put(line) for line in listener.stdout], daemon=True).start()
        # Only events that come after the subscription are told: one is repeated until the first is.
        while self.lines.empty():
            self.assertEqual(self.publish(BINARY, "/test/begin", oom_event("begin")).returncode, 0)
            try:
                self.lines.put(self.lines.get(timeout=0.5))
            except queue.Empty:
                pass

    def publish(self, program, topic, event, namespace="published", address=None):
        return subprocess.run([program, "--address", address or self.daemon.socket, "publish", "--topic", topic,
                               "--namespace", namespace], input=event, capture_output=True, timeout=60)

    def told(self, topic):
        """What `ctr events` tells of a topic, but for its time."""
        while True:
            line = self.lines.get(timeout=60)
            if f" {topic} " in line:
                return re.sub(r"^.*? UTC ", "", line).strip()

    def test_an_event_is_published_as_containerds_own_command_does(self):
        own = self.publish(BINARY, "/tasks/oom", oom_event("c1"))
        self.assertEqual((own.returncode, own.stderr), (0, b""))
        first = self.told("/tasks/oom")
        self.assertEqual(first, 'published /tasks/oom {"container_id":"c1"}')
        stock = self.publish("containerd", "/tasks/oom", oom_event("c1"))
        self.assertEqual(stock.returncode, 0, stock.stderr)
        self.assertEqual(self.told("/tasks/oom"), first)

    def test_what_cannot_be_published_is_refused_with_the_reason(self):
        def refused(*arguments, **options):
            done = self.publish(BINARY, *arguments, **options)
            self.assertEqual(done.returncode, 1)
            return done.stderr.decode()
        self.assertIn("--topic is required", refused("", oom_event("c")))
        self.assertIn("--namespace is required", refused("/a/b", oom_event("c"), namespace=""))
        self.assertIn("no google.protobuf.Any", refused("/a/b", b"\xff\xff\xff"))
        self.assertIn("publish to /nowhere", refused("/a/b", oom_event("c"), address="/nowhere"))
        self.assertIn("topic", refused("not a topic", oom_event("c")))


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
