"""The supervisor with processes that behave as workers do, well and badly."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stream_app.local.ports import free_ports
from stream_app.supervisor.slot import Slot, settings_of

ROOT = Path(__file__).parents[3]

#: A worker without Kafka: it says where it listens, and ends when it is told to.
WORKER = """
import os, sys, threading, time
from pathlib import Path
from stream_app.telemetry.health import Health
from stream_app.telemetry.http_routes import worker_routes
from stream_app.telemetry.http_server import HttpServer
from stream_app.telemetry.metrics import Metrics
from stream_app.worker.supervised import Supervised

line = Supervised(int(sys.argv[-1].partition("=")[2]))
folder, number = Path(sys.argv[1]), os.environ["STREAM_APP_GROUP_INSTANCE_ID"]
start = len(list(folder.glob(f"{number}.started.*"))) + 1
exec((folder / "behaviour.py").read_text())
health, metrics = Health(), Metrics()
metrics.outcome("predicted", "orders", start)
health.ready(True)
told = threading.Event()
with HttpServer("127.0.0.1", 0, worker_routes(metrics.registry, health)) as server:
    line.started("orders", server.port, told.set)
    (folder / f"{number}.started.{os.getpid()}").touch()
    told.wait()
(folder / f"{number}.stopped.{os.getpid()}").touch()
os._exit(stopped_with())
"""
#: The supervisor of such workers.
SUPERVISOR = """
import sys
from stream_app.supervisor.child import Child
from stream_app.supervisor import supervisor as module
from stream_app.supervisor.pages import supervisor_routes
from stream_app.supervisor.slot import settings_of
from stream_app.telemetry.http_server import HttpServer
from stream_app.telemetry.logs import configure_logging

configure_logging("INFO", "text")
module._LOOK_SECONDS = 0.2
folder, port, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
command = [sys.executable, folder + "/worker.py", folder]
made = module.Supervisor(
    workers, lambda number: Child(command, settings_of(number, "w")), drain_seconds=1.0
)
with HttpServer("127.0.0.1", port, supervisor_routes(made.places, made.is_alive)):
    sys.exit(made.run())
"""
WELL = "def stopped_with(): return 0\n"


class Run:
    """A supervisor as a process."""

    def __init__(self, folder: Path, workers: int, behaviour: str) -> None:
        self.folder = folder
        (self.port,) = free_ports(1)
        (folder / "worker.py").write_text(WORKER)
        (folder / "behaviour.py").write_text(WELL + behaviour)
        self._log = folder / "log"
        self.process = subprocess.Popen(
            [sys.executable, "-c", SUPERVISOR, str(folder), str(self.port), str(workers)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=self._log.open("w"),
            stderr=subprocess.STDOUT,
        )

    @property
    def log(self) -> str:
        """All that it and its workers wrote."""
        return self._log.read_text()

    def started(self, number: int) -> set[int]:
        """The processes that began to listen in a slot."""
        return {int(p.suffix[1:]) for p in self.folder.glob(f"w-{number}.started.*")}

    def until(self, what: str, look: Callable[[], Any], seconds: float = 60.0) -> Any:
        """Wait for something."""
        ends = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < ends, f"not within {seconds:g} s: {what}\n{self.log}"
            time.sleep(0.02)
        return found

    def get(self, path: str) -> tuple[int, str]:
        """A page."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def ready(self) -> None:
        """Wait until all workers take records."""
        self.until("all are ready", lambda: self.get("/readyz")[0] == 200)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it; its status."""
        self.process.send_signal(number)
        return self.process.wait(60)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Begin a supervisor; it is gone afterwards, and so are its workers."""
    begun: list[Run] = []

    def begin(workers: int = 2, behaviour: str = "") -> Run:
        begun.append(Run(tmp_path, workers, behaviour))
        return begun[-1]

    yield begin
    for each in begun:
        each.process.kill()
        each.process.wait()
        each.until("no worker is left", lambda each=each: not any(map(lives, pids(each))))


def pids(run: Run) -> set[int]:
    """Every worker that ever listened."""
    return {int(path.suffix[1:]) for path in run.folder.glob("*.started.*")}


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not reaped does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_one_signal_stops_all_of_them_in_order(run: Callable[..., Run]) -> None:
    """Each ends by itself, and the status says so."""
    made = run(3)
    made.ready()
    assert made.stop() == 0, made.log
    assert len(list(made.folder.glob("*.stopped.*"))) == 3


def test_a_worker_that_ends_is_started_again_and_the_others_go_on(run: Callable[..., Run]) -> None:
    """However it ended; and one page says that it is missing meanwhile."""
    made = run(2)
    made.ready()
    (first,), (second,) = made.started(1), made.started(2)
    os.kill(first, signal.SIGKILL)
    made.until("it is missed", lambda: made.get("/readyz")[0] == 503)
    told = json.loads(made.get("/readyz")[1])
    made.ready()
    assert made.started(2) == {second}
    assert lives(second)
    assert len(made.started(1)) == 2
    assert "worker 1 ended by SIGKILL; it is started again in 0.5 s" in made.log
    assert told["workers"]["2"]["ok"] or told["why"]
    workers = json.loads(made.get("/readyz")[1])["workers"]
    assert [each["starts"] for each in workers.values()] == [2, 1]
    assert made.stop() == 0, made.log


def test_one_page_has_the_metrics_of_all(run: Callable[..., Run]) -> None:
    """Each sample names its worker, and how often each was started is told as well."""
    made = run(2)
    made.ready()
    status, text = made.get("/metrics")
    assert status == 200
    for number in (1, 2):
        assert (
            f'stream_app_records_total{{worker="{number}",outcome="predicted",topic="orders"}} 1.0'
            in text
        )
        assert f'process_cpu_seconds_total{{worker="{number}"}}' in text
        assert f'stream_app_supervisor_worker_up{{worker="{number}"}} 1' in text
        assert f'stream_app_supervisor_starts_total{{worker="{number}"}} 1' in text
    assert made.get("/livez")[0] == 200
    assert "status.js" in made.get("/")[1]
    assert json.loads(made.get("/status.json")[1])["worker"] == "2 workers of one host"
    assert made.get("/nothing")[0] == 404


def test_a_wrong_setting_ends_all_with_its_line_and_no_second_start(
    run: Callable[..., Run],
) -> None:
    """A restart would not mend it; the first worker shows it alone."""
    made = run(3, "print('stream-app: usecase: no', file=sys.stderr, flush=True); os._exit(2)")
    assert made.process.wait(60) == 2
    assert made.log.count("stream-app: usecase: no") == 1
    assert made.log.count("is started, process") == 1


def test_a_wrong_setting_that_is_found_later_stops_the_others_in_order(
    run: Callable[..., Run],
) -> None:
    """A topic that is missing is found when the group is joined, by one of them first."""
    made = run(2, "if number == 'w-2': time.sleep(0.2); os._exit(2)")
    assert made.process.wait(60) == 2
    assert "worker 2 ended with status 2" in made.log
    assert len(list(made.folder.glob("w-1.stopped.*"))) == 1


def test_no_worker_outlives_a_supervisor_that_is_killed(run: Callable[..., Run]) -> None:
    """Each of them finishes what is in flight, as if it had been told to stop."""
    made = run(2)
    made.ready()
    left = pids(made)
    made.process.kill()
    made.process.wait()
    made.until("they are gone", lambda: not any(map(lives, left)))
    assert len(list(made.folder.glob("*.stopped.*"))) == 2


def test_workers_that_are_frozen_are_ended_and_started_again(run: Callable[..., Run]) -> None:
    """They cannot end themselves; that nothing answers is seen of all in the time of one."""
    made = run(3)
    made.ready()
    frozen = {number: made.started(number) for number in (1, 2, 3)}
    for (pid,) in frozen.values():
        os.kill(pid, signal.SIGSTOP)
    made.until(
        "they are replaced",
        lambda: all(len(made.started(number)) == 2 for number in frozen),
        # Three looks of five seconds, and a start; one after the other they would take 45 s.
        seconds=30.0,
    )
    for number, (pid,) in frozen.items():
        assert f"worker {number} is stuck and is ended" in made.log
        assert not lives(pid)


def test_a_second_signal_stops_at_once(run: Callable[..., Run]) -> None:
    """As it does with one worker."""
    made = run(
        2, "import signal\nif number == 'w-1':\n    Supervised._listen = lambda self: None\n"
    )
    made.ready()
    left = pids(made)
    for pid in left:
        os.kill(pid, signal.SIGSTOP)
    made.process.send_signal(signal.SIGINT)
    made.until("it is stopping", lambda: "SIGINT: all workers finish" in made.log)
    assert made.stop(signal.SIGINT) == 128 + signal.SIGINT
    made.until("they are gone", lambda: not any(map(lives, left)))


def test_a_worker_that_ends_badly_while_stopping_is_told_by_the_status(
    run: Callable[..., Run],
) -> None:
    """What it had in flight is read again, and whoever stopped it should know."""
    made = run(2, "if number == 'w-2':\n    def stopped_with(): return 1\n")
    made.ready()
    assert made.stop() == 1
    assert "worker 2 ended with status 1" in made.log


def test_it_waits_without_using_the_processor(run: Callable[..., Run]) -> None:
    """Also while the first worker begins, and the others may not yet."""
    made = run(2, "if number == 'w-1': time.sleep(3)")
    made.until("it has begun", lambda: "worker 1 is started" in made.log)
    used = [cpu_seconds(made.process.pid)]
    made.ready()
    used.append(cpu_seconds(made.process.pid))
    assert used[1] - used[0] < 1.5


def cpu_seconds(pid: int) -> float:
    """What a process has used of the processors."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Died:
    """A worker that is started and has ended."""


def test_a_worker_that_ends_at_once_again_and_again_is_started_ever_later() -> None:
    """Up to half a minute; one that ran for a minute is started as soon as the first."""
    now = 0.0
    slot = Slot(1, lambda _: Died(), lambda: now)  # type: ignore[arg-type,return-value]
    waits = []
    for _ in range(9):
        slot.fill()
        assert slot.child is not None
        now += 1.0
        waits.append(slot.ended())
        assert slot.due_in_seconds == waits[-1]
        now += waits[-1]
        assert slot.due_in_seconds == 0.0
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    slot.fill()
    now += 60.0
    assert slot.ended() == 0.5


def test_each_slot_has_a_static_member_id_where_the_host_has_one() -> None:
    """A restart within the session moves no partition; without an id members are dynamic."""
    assert settings_of(2, "host-a")["group_instance_id"] == "host-a-2"
    assert "group_instance_id" not in settings_of(2, None)
    assert settings_of(2, None)["http_host"] == "127.0.0.1"
