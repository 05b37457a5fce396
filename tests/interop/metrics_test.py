#!/usr/bin/env python3
"""The metrics address of a gantryd, asked as Prometheus and a supervisor ask it, while `ctr` runs containers.

usage: metrics_test.py GANTRYD [unittest arguments]
"""
import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
from gantryd import Gantryd  # noqa: E402

IMAGE = "docker.io/library/measured:latest"
BINARY = ""
SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def parse(page):
    """{(name, frozenset of labels): value}; fails on a line that is none, on a sample told twice and on a family
    that is begun twice."""
    samples, families = {}, set()
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in families, f"{name} is told twice"
            families.add(name)
        if line.startswith("#"):
            continue
        match = SAMPLE.match(line)
        assert match, f"no sample: {line!r}"
        name, labels, value = match.groups()
        key = (name, frozenset(LABEL.findall(labels or "")))
        assert key not in samples, f"{key} is told twice"
        samples[key] = float(value)
    return samples


def shims_of(pid):
    """Process ids of the shims of a daemon's zygote."""
    zygote = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(shim) for parent in zygote
            for shim in pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


class MetricsTest(unittest.TestCase):
    def start(self, **settings):
        self.config = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.addCleanup(self.config.close)
        lines = {"address": '"127.0.0.1:0"', **settings}
        self.config.write("version = 2\n[metrics]\n" + "".join(f"{k} = {v}\n" for k, v in lines.items()))
        self.config.flush()
        self.daemon = Gantryd(BINARY, ["--config", self.config.name], log_level="info")
        self.addCleanup(lambda: self.assertEqual(self.daemon.close(), []))
        self.address = re.findall(r'metrics are served.*address="?([^" \n]+)', self.daemon.log())[-1]

    def ask(self, path, method="GET"):
        connection = http.client.HTTPConnection(self.address, timeout=60)
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response, body

    def scrape(self, path="/v1/metrics"):
        response, body = self.ask(path)
        self.assertEqual(response.status, 200, body)
        self.assertEqual(response.getheader("Content-Type"), "text/plain; version=0.0.4; charset=utf-8")
        return parse(body)

    def container(self, samples, name, container, **labels):
        key = {"container_id": container, "namespace": self.daemon.namespace, "runtime": "io.containerd.runc.v2",
               **labels}
        return samples.get((name, frozenset(key.items())))

    def call(self, samples, name, service, method, **labels):
        key = {"grpc_service": service, "grpc_method": method, "grpc_type": "unary", **labels}
        return samples.get((name, frozenset(key.items())), 0)

    def good(self, *arguments):
        done = self.daemon.ctr(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_container_is_told_with_what_its_cgroup_counts(self):
        self.start()
        self.daemon.import_image(IMAGE)
        self.good("run", "-d", IMAGE, "c", "sh", "-c", "sleep 1000 & sleep 1000 & wait")
        give_up = time.monotonic() + 60
        while True:  # until the shell has started its children
            samples = self.scrape()
            if self.container(samples, "container_pids_current", "c") == 3 or time.monotonic() > give_up:
                break
        self.assertEqual(self.container(samples, "container_pids_current", "c"), 3)
        cpu = ("container_cpu_total_nanoseconds", "container_cpu_usage_usec_microseconds")
        self.assertTrue(any((self.container(samples, name, "c") or 0) > 0 for name in cpu), "no CPU time")
        memory = ("container_memory_usage_usage_bytes", "container_memory_usage_bytes")
        self.assertTrue(any((self.container(samples, name, "c") or 0) > 4096 for name in memory), "no memory")
        self.assertEqual(samples[("gantry_tasks", frozenset({("status", "running")}))], 1)
        self.assertEqual(samples[("gantry_shims", frozenset())], 1)
        self.assertGreater(samples[("process_resident_memory_bytes", frozenset())], 1 << 20)
        self.assertEqual(self.scrape("/metrics").keys() - samples.keys(), set())
        self.daemon.restart()
        self.address = re.findall(r'metrics are served.*address="?([^" \n]+)', self.daemon.log())[-1]
        self.assertEqual(self.container(self.scrape(), "container_pids_current", "c"), 3)
        self.good("tasks", "rm", "--force", "c")
        left = [key for key in self.scrape() if ("container_id", "c") in key[1]]
        self.assertEqual(left, [])

    def test_a_scrape_waits_for_no_shim(self):
        self.start()
        self.daemon.import_image(IMAGE)
        for name in ("a", "b"):
            self.good("run", "-d", IMAGE, name, "sleep", "1000")
        shims = shims_of(self.daemon.pid)
        self.assertEqual(len(shims), 2)
        for shim in shims:
            os.kill(shim, signal.SIGSTOP)
        try:
            started = time.monotonic()
            samples = self.scrape()
            took = time.monotonic() - started
        finally:
            for shim in shims:
                os.kill(shim, signal.SIGCONT)
        self.assertEqual([self.container(samples, "container_pids_current", name) for name in ("a", "b")], [1, 1])
        # A call to a shim would wait ten seconds.
        self.assertLess(took, 5)

    def test_calls_are_counted_by_method_and_code_and_timed_if_asked(self):
        self.start(grpc_histogram="true")
        containers = "containerd.services.containers.v1.Containers"
        before = self.scrape()
        self.assertNotEqual(self.daemon.ctr("containers", "info", "absent").returncode, 0)
        self.good("containers", "ls")
        after = self.scrape()

        def more(name, method, **labels):
            return (self.call(after, name, containers, method, **labels)
                    - self.call(before, name, containers, method, **labels))
        self.assertEqual(more("grpc_server_started_total", "Get"), 1)
        self.assertEqual(more("grpc_server_handled_total", "Get", grpc_code="NotFound"), 1)
        self.assertEqual(more("grpc_server_handled_total", "Get", grpc_code="OK"), 0)
        self.assertEqual(more("grpc_server_msg_received_total", "Get"), 1)
        self.assertEqual(more("grpc_server_handling_seconds_count", "Get"), 1)
        self.assertEqual(more("grpc_server_handling_seconds_bucket", "Get", le="+Inf"), 1)
        self.assertGreater(more("grpc_server_handling_seconds_sum", "Get"), 0)
        stream = {"grpc_service": containers, "grpc_method": "ListStream", "grpc_type": "server_stream"}
        unary = more("grpc_server_handled_total", "List", grpc_code="OK")
        streamed = after.get(("grpc_server_handled_total", frozenset({**stream, "grpc_code": "OK"}.items())), 0)
        self.assertEqual(unary + streamed, 1)

    def test_without_a_histogram_there_is_none(self):
        self.start()
        self.assertEqual([name for name, _ in self.scrape() if name.startswith("grpc_server_handling")], [])

    def test_a_garbage_collection_is_counted(self):
        self.start()
        self.daemon.import_image(IMAGE)
        succeeded = ("containerd_gc_collections_total", frozenset({("status", "success")}))
        before = self.scrape()[succeeded]
        self.good("images", "rm", "--sync", IMAGE)
        after = self.scrape()
        self.assertGreater(after[succeeded], before)
        self.assertEqual(after[("containerd_gc_gc_seconds_count", frozenset())], after[succeeded])
        self.assertGreater(after[("gantry_gc_removed_total", frozenset())], 0)

    def test_health_is_told_and_nothing_else_is_served(self):
        self.start()
        response, body = self.ask("/healthz")
        self.assertEqual((response.status, body), (200, "ok\n"))
        self.assertEqual(self.ask("/")[0].status, 404)
        self.assertEqual(self.ask("/v1/metrics", "POST")[0].status, 405)

    def test_a_bad_or_a_taken_address_is_refused_with_its_key(self):
        def run(address):
            with tempfile.TemporaryDirectory() as work, open(f"{work}/c.toml", "w") as config:
                config.write(f'version = 2\n[metrics]\naddress = "{address}"\n')
                config.flush()
                done = subprocess.run(
                    [BINARY, "--config", config.name, "--root", f"{work}/root", "--state", f"{work}/state",
                     "--address", f"{work}/g.sock"], capture_output=True, text=True, timeout=60)
                return done.returncode, done.stderr.replace(work, "")
        code, said = run("127.0.0.1")
        self.assertEqual(code, 1)
        self.assertIn('/c.toml:3: metrics.address: "127.0.0.1" has no port', said)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            code, said = run(address)
        self.assertEqual(code, 1)
        self.assertIn(f"metrics.address: listen at {address}: bind: Address already in use", said)


if __name__ == "__main__":
    BINARY = os.path.abspath(sys.argv.pop(1))
    unittest.main()
