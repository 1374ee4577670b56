"""Nothing is left in the home folder but the cache, and no host is looked up."""

import os
import shutil
import subprocess
import sys

import pytest

# Notes every host that is looked up and every connection, also by native code, and refuses them.
INTERPOSER = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void note(const char *what) {
    int file = open(getenv("NETWORK_LOG"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(file, what, strlen(what)) < 0 || write(file, "\n", 1) < 0) abort();
    close(file);
}
int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **found) {
    note(host ? host : "getaddrinfo");
    return EAI_NONAME;
}
struct hostent *gethostbyname(const char *host) { note(host); return NULL; }
struct hostent *gethostbyname2(const char *host, int family) { note(host); return NULL; }
int gethostbyname_r(const char *host, struct hostent *result, char *buffer, size_t length,
                    struct hostent **found, int *error) {
    note(host);
    *found = NULL;
    return *error = HOST_NOT_FOUND;
}
int connect(int socket, const struct sockaddr *address, socklen_t length) {
    if (address->sa_family != AF_UNIX) note("connect");
    errno = ECONNREFUSED;
    return -1;
}
ssize_t sendto(int socket, const void *data, size_t length, int flags,
               const struct sockaddr *address, socklen_t address_length) {
    note("sendto");
    errno = ECONNREFUSED;
    return -1;
}
"""
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")


@pytest.fixture(scope="module")
def interposer(tmp_path_factory):
    """A library that replaces the C library's resolver."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("interposer")
    (folder / "network.c").write_text(INTERPOSER)
    library = folder / "network.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "network.c"], check=True)
    return library


class Home:
    """A fresh home folder and a fresh working folder."""

    def __init__(self, folder, interposer):
        self.home, self.work, self.log = folder / "home", folder / "work", folder / "network.log"
        self.home.mkdir()
        self.work.mkdir()
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.environment = kept | {
            "HOME": str(self.home),
            "LD_PRELOAD": str(interposer),
            "NETWORK_LOG": str(self.log),
        }

    def python(self, *arguments):
        """Run the interpreter there and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-P", *map(str, arguments)],
            cwd=self.work,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def tlbench(self, *arguments):
        """Run a command there."""
        self.python("-c", "from tlbench.cli import main; main()", *arguments)

    @property
    def left(self):
        """What is in the home folder: files, and folders without any."""
        found = [path for path in self.home.rglob("*") if path.is_file() or not any(path.iterdir())]
        return {path.relative_to(self.home).as_posix() for path in found}

    @property
    def looked_up(self):
        """The hosts that were looked up."""
        return self.log.read_text().split() if self.log.exists() else []


@pytest.fixture
def home(tmp_path, interposer):
    return Home(tmp_path, interposer)


LOOK_UP = """
import contextlib, socket
for call in (
    lambda: socket.getaddrinfo("a.example", 80),
    lambda: socket.gethostbyname_ex("b.example"),
    lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("127.0.0.1", 53)),
):
    with contextlib.suppress(OSError):
        call()
"""


def test_the_resolver_notes_what_is_looked_up(home):
    """Otherwise the tests below could not fail."""
    home.python("-c", LOOK_UP)
    assert home.looked_up == ["a.example", "b.example", "connect"]


LIMITS = ("--limit-train", 60, "--limit-test", 40)


@pytest.mark.slow
def test_a_run_leaves_the_cache_and_nothing_else(home):
    """The embedded backbone is exported, features are extracted, and everything is timed."""
    home.tlbench("run", "--heads", "centroid,svm-linear", "--baselines", "pixels,hog", *LIMITS)
    assert {path for path in home.left if not path.startswith(".cache/tlbench/")} == set()
    assert home.left
    assert home.looked_up == []


def test_a_run_leaves_the_cache_where_the_user_wants_it(home, tiny_path):
    for name in ("CACHE_HOME", "CONFIG_HOME", "DATA_HOME", "STATE_HOME", "RUNTIME_DIR"):
        home.environment[f"XDG_{name}"] = str(home.home / name.lower())
    home.tlbench("run", tiny_path, "--heads", "centroid", "--no-latency", *LIMITS)
    assert {path for path in home.left if not path.startswith("cache_home/tlbench/")} == set()
    assert home.left
    assert home.looked_up == []


# Fresh processes are started; the timing lasts longer than ONNX Runtime waits before it sends.
LATENCY = ("--scenario", "cold,single", "--processes", 2, "--min-duration", 12)


@pytest.mark.slow
def test_a_timing_looks_up_no_host(home, tiny_path):
    """Neither does a process that is started for it, nor does it write to the home folder."""
    home.tlbench("latency", tiny_path, *LATENCY)
    assert (home.left, home.looked_up) == (set(), [])


@pytest.mark.parametrize("value", ["0", "false", ""])
@pytest.mark.parametrize(
    "module", ["tlbench.engine", "exporters.common.parity", "exporters.precision.quantise"]
)
def test_telemetry_is_off_for_every_part_that_loads_onnxruntime(home, module, value):
    """Whatever the user's setting, and in a program that imports only this."""
    home.environment["ORT_DISABLE_TELEMETRY"] = value
    home.python("-c", f"import {module}, onnxruntime")
    assert home.left == set()


WARNED = """
{imports}
from tlbench.workflows import RunConfig, TimingConfig, run_benchmark
timing = TimingConfig(min_samples=11, min_duration_s=0.01, costs=False)
config = RunConfig(model={model!r}, accuracy=False, timing=timing)
print([text for text in run_benchmark(config).result.warnings if "telemetry" in text])
"""


@pytest.mark.parametrize(
    ("imports", "switch", "is_warned"),
    [
        ("import tlbench, onnxruntime", None, False),
        ("import onnxruntime, tlbench", None, True),
        ("import onnxruntime, tlbench", "0", True),
        ("import onnxruntime, tlbench", "TRUE", False),
    ],
)
def test_a_program_that_imports_onnxruntime_first_is_warned(
    home, tiny_path, imports, switch, is_warned
):
    """Its telemetry cannot be turned off any more."""
    if switch is not None:
        home.environment["ORT_DISABLE_TELEMETRY"] = switch
    warnings = home.python("-c", WARNED.format(imports=imports, model=str(tiny_path)))
    assert ("import tlbench first" in warnings) is is_warned
